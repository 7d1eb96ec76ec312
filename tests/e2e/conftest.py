"""A real Airflow and its sandboxes, for the tests of what happens when pieces of them break."""

import pytest

from demo.stage import Stage
from tests.e2e.chaos.field import DAGS, Field, many_at_once
from tests.e2e.postgres import Postgres


@pytest.fixture(scope="session")
def field(tmp_path_factory):
    """Airflow, with the DAGs of this folder, and a sandbox for each account of what a repeated key means."""
    with Field(tmp_path_factory.mktemp("field")) as field:
        yield field


class OnPostgres:
    """An Airflow on a PostgreSQL of its own, whose settings are Airflow's defaults but for the number of tasks."""

    def __init__(self, stage):
        self.stage = stage

    @property
    def rest(self):
        return self.stage.airflow.rest


@pytest.fixture(scope="session")
def on_postgres(tmp_path_factory):
    folder = tmp_path_factory.mktemp("on_postgres")
    with (
        Postgres() as postgres,
        Stage(
            folder, DAGS, many_at_once(folder, tasks=60) | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url}
        ) as stage,
    ):
        yield OnPostgres(stage)
