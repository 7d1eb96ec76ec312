"""A real Airflow, connected to a sandbox, for the tests of what happens when pieces of it break."""

import pytest

from demo.stage import Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory):
    """Both up, with the example DAGs; see `demo.stage.Stage` for how to start runs and to kill parts."""
    with Stage(tmp_path_factory.mktemp("stage")) as stage:
        yield stage
