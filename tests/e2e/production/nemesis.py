"""Strikes a production deployment: its parts, its services, and the processes of its tasks."""

import signal
import time
from contextlib import suppress
from dataclasses import dataclass

import psutil

from tests.e2e.production.topology import TRIGGERER_THRESHOLD
from tests.e2e.production.workload import OF_TASKS

VICTIM_WITHIN = 30.0  # seconds for which a running task is waited for
NO_VICTIM = "nothing ran"


@dataclass(frozen=True)
class Strike:
    """A fault that has struck.

    Attributes:
        what: of the fault.
        at: seconds since the campaign began.
        took: seconds.
        detail: what was hit, for people; NO_VICTIM if there was nothing to hit.
    """

    what: str
    at: float
    took: float
    detail: str


def strike(production, fault, began):
    """Have a fault strike; return the Strike."""
    time.sleep(fault.pause)
    at = time.monotonic()
    detail = _strike_task(production, fault) if fault.what in OF_TASKS else _strike_part(production, fault)
    return Strike(fault.what, at - began, time.monotonic() - at, detail)


def _strike_part(production, fault):
    subject, _, verb = fault.what.partition(" ")
    if subject == "Redis":
        production.redis.restart(is_emptied=verb == "emptied", away=fault.away)
        return f"away for {fault.away} s"
    if subject == "PostgreSQL":
        production.postgres.restart("fast" if verb.endswith("fast") else "immediate", away=fault.away)
        return f"away for {fault.away} s"
    name = subject if subject == "api-server" else f"{subject}-{1 + fault.pick % 2}"
    if verb == "killed":
        production.kill(name)
    elif verb == "frozen":
        seconds = TRIGGERER_THRESHOLD + 8 + fault.away
        production.freeze(name, seconds)
        return f"{name} for {seconds:.0f} s"
    elif left := production.replace(name):
        return f"{name}, by force: {len(left)} processes"
    return name


def _strike_task(production, fault):
    """Kill one process of a running task: whichever runs next, if none does now."""
    deadline = time.monotonic() + VICTIM_WITHIN
    while time.monotonic() < deadline:
        running = sorted(production.running(), key=lambda ti: ti["id"])
        for ti in running[fault.pick % len(running) :] if running else ():
            if _kill(ti["pid"], supervisor=fault.what == "supervisor killed"):
                return f"{ti['task_id']}[{ti['map_index']}] of {ti['dag_run_id']}, try {ti['try_number']}"
        time.sleep(0.2)
    return NO_VICTIM


def _kill(pid, *, supervisor):
    """Whether the process was there, and was a task's."""
    with suppress(psutil.Error, TypeError):
        task = psutil.Process(pid)
        parent = task.parent()
        if parent is None or "airflow" not in " ".join(parent.cmdline() + task.cmdline()):
            return False  # its supervisor is gone, or the number is another's by now
        (parent if supervisor else task).send_signal(signal.SIGKILL)
        return True
    return False
