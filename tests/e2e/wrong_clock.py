"""Wall clocks that are wrong, for the process that asks: `time.time`, which is what the provider reads.

Airflow's own `datetime.now` stays right, so that what is seen is what the provider makes of it, and monotonic clocks
do not care, as on any machine.
"""

import os
import time
from pathlib import Path

FILE = "FLORA_CHAOS_CLOCK"
_REREAD_AFTER = 0.1  # seconds

right_time = time.time


def shift(seconds):
    """Have this process's clock be so many seconds ahead, or behind if negative."""
    time.time = lambda: right_time() + seconds


def follow():
    """Have this process's clock, and those of the processes that it forks, be as far off as a file says at the time."""
    path = os.environ.get(FILE)
    if not path:
        return
    offset, read_at = 0.0, 0.0

    def now():
        nonlocal offset, read_at
        if time.monotonic() - read_at > _REREAD_AFTER:
            offset, read_at = _read(path), time.monotonic()
        return right_time() + offset

    time.time = now


def step(path, seconds):
    """Say how far off those clocks are that follow this file."""
    new = path.with_suffix(".new")
    new.write_text(str(seconds))
    new.rename(path)


def _read(path):
    try:
        return float(Path(path).read_text())
    except FileNotFoundError:
        return 0.0
