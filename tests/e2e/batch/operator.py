"""The batch operator, whose process is killed at a random moment of a try."""

import os
import signal
import threading

from flora_provider.operators.flora import FloraGenerateBatchOperator
from tests.e2e.chaos.operator import Observer


class KilledBatch(FloraGenerateBatchOperator):
    """Nothing of the operator is changed.

    Args:
        kills: for each try where it is killed: a dict with the members of `workload.Kill`, or None.
    """

    def __init__(self, *, kills=(), **kwargs):
        super().__init__(**kwargs)
        self.kills = kills

    def execute(self, context):
        killer = Killer(context["ti"], self.kills, "plan")
        try:
            return super().execute(context)
        finally:
            killer.strike()

    def execute_complete(self, context, event):
        killer = Killer(context["ti"], self.kills, "save")
        try:
            return super().execute_complete(context, event)
        finally:
            killer.strike()


class Killer:
    """Kills this process some time after it was made, and when told to, unless nothing of the kind was drawn."""

    def __init__(self, ti, kills, phase):
        kill = kills[ti.try_number - 1] if ti.try_number <= len(kills) else None
        self._is_armed = bool(kill) and kill["phase"] == phase
        self._observer = Observer(ti, (), 0.0)
        self._lock = threading.Lock()
        self._observer.note("begun", phase=phase)
        if self._is_armed:
            timer = threading.Timer(kill["after"], self.strike)
            timer.daemon = True
            timer.start()

    def strike(self):
        """Do it now."""
        with self._lock:
            if self._is_armed:
                self._observer.note("killed")
                os.kill(os.getpid(), signal.SIGKILL)
