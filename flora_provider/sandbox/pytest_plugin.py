"""Pytest fixtures for tests of DAGs; pytest finds them by the entry point `flora`, and `-p no:flora` leaves them out.

pytest imports this file at each of its starts, so whatever takes time is imported by the fixture that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from flora_provider import sandbox

if TYPE_CHECKING:
    from flora_provider.sandbox import FloraSandbox


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, also for `--strict-markers`."""
    config.addinivalue_line(
        "markers",
        "flora_sandbox(conn_id='flora_default', speed=1000, **settings): "
        "the connection that leads to the fixture flora_sandbox, and its flora_provider.sandbox.Settings",
    )


@pytest.fixture
def flora_sandbox(request: pytest.FixtureRequest) -> Iterator[FloraSandbox]:
    """A fresh FLORA on a port of this machine, to which the Airflow connection `flora_default` leads.

    It is a thousand times as fast as the real one. `@pytest.mark.flora_sandbox(conn_id="…", speed=20, seed=7)` chooses
    another connection and other settings; of several markers the closest counts.
    """
    marker = request.node.get_closest_marker("flora_sandbox")
    conn_id, settings = _options(*marker.args, **marker.kwargs) if marker else _options()
    with pytest.MonkeyPatch.context() as patch, sandbox.FloraSandbox(sandbox.Sandbox(settings)) as server:
        patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", server.connection_uri)
        yield server


def _options(*, conn_id: str = "flora_default", speed: float = 1000, **settings: Any) -> tuple[str, sandbox.Settings]:
    return conn_id, sandbox.Settings(speed=speed, **settings)


@pytest.fixture(scope="session")
def flora_run_dag() -> Callable[..., Any]:
    """Run a DAG in this process and return its finished DAG run (failed or not), as `dag.test()` does.

    `flora_run_dag(dag, **kwargs)` takes what `dag.test()` takes. It serves DAGs from everywhere, also those that a test
    makes, where `dag.test()` of Airflow 3.1 and newer serves those of the DAGs folder only. The database must have been
    made: `airflow db migrate`.
    """
    return _run_dag


def _run_dag(dag: Any, **kwargs: Any) -> Any:
    _register(dag)
    return dag.test(**kwargs)


def _register(dag: Any) -> None:
    """Write a DAG and its assets to the database, as Airflow does where it reads a DAG's file."""
    try:
        from airflow.dag_processing.bundles.manager import DagBundlesManager  # noqa: PLC0415 - see the top
    except ImportError:  # Airflow 2
        dag.sync_to_db()
        return
    try:
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db  # noqa: PLC0415
    except ImportError:  # Airflow 3.0 and 3.1
        from airflow.models import dagbag  # noqa: PLC0415

        DagBag = dagbag.DagBag  # type: ignore[misc] # noqa: N806 - a class
        sync_bag_to_db = getattr(dagbag, "sync_bag_to_db", None) or DagBag.sync_to_db  # type: ignore[attr-defined]
    bundles = DagBundlesManager()  # type: ignore[no-untyped-call]
    bundles.sync_bundles_to_db()
    dag.relative_fileloc = dag.relative_fileloc or dag.fileloc  # as a bag does that reads files; 3.0 insists
    bag = DagBag(collect_dags=False)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, next(iter(bundles.get_all_dag_bundles())).name, None)
