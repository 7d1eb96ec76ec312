"""XComs of a run, pushed although the api-server may be away: a push beside a paid run must not cost its task a try."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)


def push_if_possible(context: Context, key: str, value: Any) -> None:
    """Push what the task can do without: if that fails, the log says so, and the task goes on."""
    try:
        context["ti"].xcom_push(key=key, value=value)
    except Exception as error:  # noqa: BLE001 - whatever Airflow raises
        log.warning("XCom %r was not pushed: Airflow raised %s. The task goes on without it", key, type(error).__name__)


def push_with_retries(context: Context, key: str, value: Any) -> None:
    """Push what other tasks need, trying again for some minutes; then the log says so, and the task goes on.

    Its value is also what the task returns, or in the log, so a failure here loses nothing that is paid for.
    """
    from flora_provider.tasks.ledger import retry_airflow

    try:
        retry_airflow(lambda: context["ti"].xcom_push(key=key, value=value), f"XCom {key!r} is not pushed yet")
    except Exception as error:  # noqa: BLE001 - whatever Airflow raises
        log.warning("XCom %r was not pushed: Airflow raised %s. Its value is %s", key, type(error).__name__, value)


def pushed_run_ids(context: Context) -> frozenset[str]:
    """What the tasks of this DAG run have pushed as `run_id` so far."""
    pushed = context["ti"].xcom_pull(task_ids=list(context["dag"].task_ids), key="run_id")
    return frozenset(value for value in pushed if isinstance(value, str))
