"""What every test shares: an Airflow of its own, made only for the tests that ask for it.

Airflow reads its settings when it is first imported, so they are laid down here, before any test module is. Nothing in
this file imports Airflow: a test of the client or of the sandbox does not wait for it.
"""

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings

hypothesis_settings.register_profile("quick", max_examples=2, deadline=None, database=None, phases=[Phase.generate])
hypothesis_settings.register_profile("default", max_examples=100, deadline=None)
hypothesis_settings.register_profile("thorough", max_examples=10_000, deadline=None)
hypothesis_settings.load_profile("default")  # `--hypothesis-profile` takes another one

# Its entry point is there only where the provider is installed, not where a checkout is on the path.
pytest_plugins = ["flora_provider.sandbox.pytest_plugin"]

ROOT = Path(__file__).parent.parent

# A home given from outside is kept, so that a failure can be looked at afterwards; each process of a run has its own.
_GIVEN_HOME = os.environ.get("FLORA_TEST_AIRFLOW_HOME")
AIRFLOW_HOME = Path(_GIVEN_HOME or tempfile.mkdtemp(prefix="flora-airflow-")).resolve()
if _GIVEN_HOME:
    AIRFLOW_HOME /= os.environ.get("PYTEST_XDIST_WORKER", "")


def _lay_down_settings():
    # The developer's own Airflow (its database, connections, variables) must neither help a test nor be written to.
    for name in [name for name in os.environ if name.startswith(("AIRFLOW_", "_AIRFLOW_"))]:
        del os.environ[name]
    os.environ |= {
        "AIRFLOW_HOME": str(AIRFLOW_HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "tests" / "integration" / "airflow" / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        # Two tests may give DAGs the same id, and the second is written half a minute later by default.
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        # Anonymous usage statistics would leave the machine.
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # caplog listens at the root logger; escape codes would be in the way.
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        "NO_COLOR": "1",
    }


_lay_down_settings()


def pytest_unconfigure():
    if not _GIVEN_HOME:
        shutil.rmtree(AIRFLOW_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_home():
    """Where this session's Airflow keeps its database, settings and logs."""
    return AIRFLOW_HOME


@pytest.fixture(scope="session")
def airflow_db(airflow_home):
    """Give Airflow a migrated metadata database, as `dag.test()` needs; once per session."""
    from airflow.utils.db import initdb

    initdb()
    return airflow_home / "airflow.db"


@pytest.fixture(scope="session")
def run_dag(airflow_db, flora_run_dag):
    """Run a DAG that a test has made, in this process, and return its finished DAG run (failed or not).

    Its tasks share one API server, as they do in Airflow 3.3. Before it, each makes one of its own, in seconds.
    """
    with pytest.MonkeyPatch.context() as patch:
        if supervisor := _supervisor():
            patch.setattr(supervisor, "in_process_api_server", cache(supervisor.in_process_api_server))
        yield flora_run_dag


def _supervisor():
    try:
        from airflow.sdk.execution_time import supervisor
    except ImportError:  # Airflow 2 has none
        return None
    return supervisor
