"""From Airflow's task page to FLORA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey


class FloraRunLink(BaseOperatorLink):
    """The run's project on FLORA. Shown once the run is started; the task pushes the address as XCom `flora_url`."""

    name = "FLORA project"
    key = "flora_url"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """The address, or an empty text before the run is started."""
        return XCom.get_value(key=self.key, ti_key=ti_key) or ""
