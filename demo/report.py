"""What the demo shows at the terminal."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from demo.checks import Check
from demo.pipeline import Moment, Row

QUIET_SECONDS = 5


class Progress:
    """One line that changes at a terminal; elsewhere a line every few seconds, when something has changed."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._last = ""
        self._shown_at = 0.0

    def show(self, moment: Moment) -> None:
        """Show how far the DAG run is."""
        text = str(moment)
        if self._is_terminal:
            print(f"\r{text}\x1b[K", end="", flush=True)
        elif text != self._last and time.monotonic() - self._shown_at >= QUIET_SECONDS:
            print(text, flush=True)
            self._last, self._shown_at = text, time.monotonic()

    def end(self) -> None:
        """Go on below the line."""
        if self._is_terminal:
            print()


def table(rows: Sequence[Row], folder: Path) -> str:
    """Return one line per row, with the run and the cost of each step."""
    lines: list[tuple[str, ...]] = [("prompt", "generation", "cost", "technique", "cost", "action", "cost", "file")]
    lines += [
        (
            _short(row.prompt, 24),
            *(cell for run in row.runs for cell in (run["run_id"], f"${run['charged_cost']:.3f}")),
            ", ".join(str(file.relative_to(folder)) for file in row.files),
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def checked(checks: Sequence[Check]) -> str:
    """Return the outcomes of the checks, one a line."""
    return "\n".join(f"{'ok    ' if check.passed else 'FAILED'}  {check.text}" for check in checks)


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
