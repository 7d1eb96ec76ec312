"""Tasks that all start the same thing at the same moment; `kills` says where each of them dies in its first try."""

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from tests.e2e.chaos.operator import ChaosGenerate


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_tasks=60,
    params={"conn_id": "", "kills": []},
    default_args={"retries": 3, "retry_delay": timedelta(seconds=1), "retry_exponential_backoff": False},
)
def crowd():
    @task
    def rows(params=None):
        return [{"kills": kills} for kills in params["kills"]]

    ChaosGenerate.partial(
        task_id="crowd",
        type="text",
        prompt="What everybody asks for.",
        model_params={"sandbox": {}},  # so that the catalog is read
        flora_conn_id="{{ params.conn_id }}",
        on_unknown_outcome="adopt",
        together=50,
    ).expand_kwargs(rows())


crowd()
