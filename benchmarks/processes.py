"""Modules of ours as processes, each of which answers lines of stdin with lines of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast


class Process:
    """A module that runs in a process of its own."""

    def __init__(self, module: str) -> None:
        self._of = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._input, self._output = cast("IO[str]", self._of.stdin), cast("IO[str]", self._of.stdout)

    def tell(self, line: str) -> None:
        """Send a line."""
        self._input.write(f"{line}\n")
        self._input.flush()

    def heard(self) -> Any:
        """The next answer.

        Raises:
            RuntimeError: it ended instead.
        """
        if not (line := self._output.readline()):
            raise RuntimeError(f"{self._of.args!r} ended early; what it printed on stderr says why")
        return json.loads(line)

    def ask(self, line: str) -> Any:
        """Send a line, and return the answer."""
        self.tell(line)
        return self.heard()

    def end(self) -> None:
        """Close its stdin, and wait for its end."""
        self._input.close()
        try:
            self._of.wait(5)
        except subprocess.TimeoutExpired:
            self._of.kill()
            self._of.wait()
        self._output.close()


@contextmanager
def started(module: str) -> Iterator[Process]:
    """A module's process, for the length of a block."""
    process = Process(module)
    try:
        yield process
    finally:
        process.end()


def say(answer: Any) -> None:
    """What such a module answers with."""
    print(json.dumps(answer), flush=True)
