"""A real Airflow and its sandboxes, for the tests of what happens when pieces of them break."""

import pytest

from devstack.stage import Stage
from tests.e2e.chaos.cluster import Cluster
from tests.e2e.deployment import DAGS
from tests.support.openlineage import lineage_server
from tests.support.otlp import Collector
from tests.support.statsd import StatsdServer


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Airflow, with the DAGs of this folder, and a sandbox for each account of what a repeated key means."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


class OnSqlite:
    """An Airflow on SQLite, whose settings are Airflow's own but for the number of tasks at once, and what is given.

    Args:
        folder: for everything that it writes.
        settings: where it sends its telemetry.
    """

    def __init__(self, folder, settings):
        # They wait for SQLite, which lets one write at a time; by default they are answered 500 after seconds in the
        # queue. Supervisors that notice the end of a task early would hide the race of short waits, and so would
        # fewer slots: a scheduler that has none left lets a task that came back rest until it knows of the deferral.
        database = folder.resolve() / "airflow" / "airflow.db"
        own = {
            "AIRFLOW__CORE__PARALLELISM": "60",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}?timeout=60",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "100",
        }
        self.stage = Stage(folder, DAGS, own | settings)

    @property
    def rest(self):
        return self.stage.airflow.rest


@pytest.fixture(scope="session")
def statsd():
    with StatsdServer() as statsd:
        yield statsd


@pytest.fixture(scope="session")
def collector():
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="session")
def on_sqlite(tmp_path_factory, statsd, collector):
    """It sends metrics and traces."""
    cluster = OnSqlite(tmp_path_factory.mktemp("on_sqlite"), statsd.environment | collector.environment)
    with cluster.stage:
        yield cluster


@pytest.fixture(scope="session")
def lineage():
    with lineage_server() as lineage:
        yield lineage


@pytest.fixture(scope="module")
def with_openlineage(tmp_path_factory, collector, lineage):
    """It sends traces, and events to OpenLineage: so all its tasks end in workers."""
    cluster = OnSqlite(tmp_path_factory.mktemp("with_openlineage"), collector.environment | lineage.environment)
    with cluster.stage:
        yield cluster
