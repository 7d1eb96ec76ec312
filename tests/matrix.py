"""Print what `make matrix` found, one line per Airflow and Python; fails unless every cell ran, and passed."""

import sys
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

HEADINGS = ("Airflow", "Python", "passed", "failed", "skipped", "seconds")


class Cell(NamedTuple):
    """One Airflow under one Python.

    Attributes:
        name: such as `3.1.8-python3.13`.
        counts: how many tests passed, failed and were skipped, and how many seconds they took; None if none ran.
    """

    name: str
    counts: tuple[int, int, int, int] | None

    @property
    def is_green(self) -> bool:
        """Whether tests ran, and none failed."""
        return self.counts is not None and self.counts[0] > 0 and self.counts[1] == 0

    @property
    def row(self) -> tuple[str, ...]:
        """Its line of the table."""
        airflow, _, python = self.name.partition("-python")
        return (
            (airflow, python, *map(str, self.counts)) if self.counts else (airflow, python, "did not run", "", "", "")
        )


def read_cell(folder: Path, name: str) -> Cell:
    """What pytest has written of a cell, if it came so far."""
    try:
        suite = ET.parse(folder / name / "results.xml").getroot().find("testsuite")  # noqa: S314 - ours
    except (FileNotFoundError, ET.ParseError):
        return Cell(name, None)
    if suite is None:
        return Cell(name, None)
    tests, failed, errors, skipped = (int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped"))
    failed += errors
    return Cell(name, (tests - failed - skipped, failed, skipped, round(float(suite.attrib["time"]))))


def table(cells: list[Cell]) -> str:
    """All cells, in columns."""
    rows = [HEADINGS, *(cell.row for cell in cells)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def main(folder: str, *names: str) -> int:
    """Print the cells of these names; 0 if all are green."""
    cells = [read_cell(Path(folder), name) for name in names]
    print(table(cells))  # noqa: T201 - for a person at a terminal
    return 0 if all(cell.is_green for cell in cells) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
