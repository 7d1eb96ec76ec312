"""A plugin that reads lineage: without one, Airflow collects none."""

from airflow.plugins_manager import AirflowPlugin

try:
    from airflow.sdk.lineage import HookLineageReader
except ImportError:  # Airflow 2
    from airflow.lineage.hook import HookLineageReader


class LineageReader(AirflowPlugin):
    name = "lineage_reader"
    hook_lineage_readers = [HookLineageReader]  # noqa: RUF012 - as Airflow declares it
