"""XComs of operators and sensors, pushed so that an unreachable API server does not fail a task with a paid run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)


def values_of(run: Mapping[str, Any], *, do_xcom_push: bool) -> dict[str, Any]:
    """The XComs of a finished run by key: `charged_cost_usd` once FLORA has settled it, and `return_value`.

    Args:
        run: as `Run.to_dict` gives it.
        do_xcom_push: whether to push the run itself. A worker returns it instead, and Airflow pushes that.
    """
    cost = run["charged_cost"]
    return ({} if cost is None else {"charged_cost_usd": cost}) | ({"return_value": run} if do_xcom_push else {})


def push_if_possible(context: Context, key: str, value: Any) -> None:
    """Push an XCom that the task can do without: a failure is logged, and the task goes on."""
    try:
        context["ti"].xcom_push(key=key, value=value)
    except Exception as error:  # noqa: BLE001 - whatever Airflow raises
        log.warning("XCom %r was not pushed: Airflow raised %s. The task goes on without it", key, type(error).__name__)


def push_with_retries(context: Context, key: str, value: Any) -> None:
    """Push an XCom that other tasks need, for some minutes; then the failure is logged, and the task goes on.

    Its value is also what the task returns, or in the log, so a failure here loses nothing that is paid for.
    """
    from flora_provider.tasks.ledger import PATIENCE, patiently

    try:
        patiently(lambda: context["ti"].xcom_push(key=key, value=value), f"XCom {key!r} is not pushed yet", PATIENCE)
    except Exception as error:  # noqa: BLE001 - whatever Airflow raises
        log.warning("XCom %r was not pushed: Airflow raised %s. Its value is %s", key, type(error).__name__, value)


def pushed_run_ids(context: Context) -> frozenset[str]:
    """What the tasks of this DAG run have pushed as `run_id` so far."""
    pushed = context["ti"].xcom_pull(task_ids=list(context["dag"].task_ids), key="run_id")
    return frozenset(value for value in pushed if isinstance(value, str))
