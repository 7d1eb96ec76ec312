"""Link from Airflow's task page to FLORA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey


class FloraRunLink(BaseOperatorLink):
    """The run's project on FLORA. Shown once the run is started; the task pushes the address as XCom `flora_url`.

    A task that waits for another one's run leads to that run's project, or else to the connection's.
    """

    name = "FLORA project"
    key = "flora_url"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The address, or an empty text before the run is started."""
        # A worker asks after each try, also after one that failed early: an address that the task knows needs no
        # XCom, whose absence would put an error of its own into the log (3.3.2).
        known: str | None = getattr(operator, "project_url", None)
        return known if known is not None else XCom.get_value(key=self.key, ti_key=ti_key) or ""


def push_link(url: str, **address: Any) -> None:
    """Push the link of a task that has no worker to do it (Airflow 3).

    Args:
        url: of the project's page; empty for none.
        address: of the task's XComs: `dag_id`, `run_id`, `task_id` and `map_index`.
    """
    XCom.set(key=FloraRunLink.key, value=url, **address)
    # As a worker does: Airflow's page reads it from the database, whatever the XCom backend.
    XCom._set_xcom_in_db(key=FloraRunLink().xcom_key, value=url, **address)  # noqa: SLF001 - it has no public name
