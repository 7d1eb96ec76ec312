"""How a deferral ends: when, by whom, and with which XComs. Cheap to import: operators need it at parse time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf
from airflow.providers.common.compat.version_compat import get_base_airflow_version_tuple

from flora_provider.api import validation

if TYPE_CHECKING:
    from flora_provider.api.models import FinishedRun

# Whether the triggerer can be left to end a task, or to start one.
TRIGGERER_ENDS_TASKS = get_base_airflow_version_tuple() >= (3, 3, 0)

# Airflow's own limit on a deferral comes after ours, for a triggerer that is down: it cannot say what happened.
DEFERRAL_TIMEOUT_MARGIN = 60.0  # seconds

# How long after the deferral a task may safely come back to a worker: by then the scheduler has digested the deferral.
# A supervisor notices up to 5 s late that the task's process has ended; the rest is for a scheduler that is busy. With
# 10 s, 2 of 25 short waits failed on a scheduler that stood still for 8 s at times.
MIN_DEFERRAL = 20.0  # seconds


def hold_for(not_before: object) -> float:
    """Seconds from now for which no worker is to be asked to go on with a task.

    Airflow fails a task that comes back before its scheduler has digested the deferral (apache/airflow 66374 and
    others).

    Args:
        not_before: unix seconds, as the worker has set it. Its clock may be another machine's, so the result is at most
            `MIN_DEFERRAL`; so it is for what is no time at all.
    """
    if validation.seconds("not_before", not_before) or not isinstance(not_before, int | float):
        return MIN_DEFERRAL
    return min(max(not_before - time.time(), 0.0), MIN_DEFERRAL)


def needs_worker() -> bool:
    """Whether this installation asks something of every task's worker: plugins that listen, or `clear_on_success`."""
    from airflow.sdk.listener import get_listener_manager

    hooks = get_listener_manager().hook
    listeners = [*hooks.on_task_instance_running.get_hookimpls(), *hooks.on_task_instance_success.get_hookimpls()]
    # Airflow's own example listens wherever the examples are loaded, which is the default, and only prints.
    is_heard = any(not one.function.__module__.startswith("airflow.example_dags.") for one in listeners)
    return is_heard or conf.getboolean("state_store", "clear_on_success", fallback=False)


def xcoms_of(run: FinishedRun) -> dict[str, Any]:
    """What XCom is to hold of a finished run beside the return value, by key."""
    return {} if run["charged_cost"] is None else {"charged_cost_usd": run["charged_cost"]}
