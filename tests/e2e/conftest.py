"""A real Airflow and its sandboxes, for the tests of what happens when pieces of them break."""

import pytest

from tests.e2e.chaos.field import Field


@pytest.fixture(scope="session")
def field(tmp_path_factory):
    """Airflow, with the DAGs of this folder, and a sandbox for each account of what a repeated key means."""
    with Field(tmp_path_factory.mktemp("field")) as field:
        yield field
