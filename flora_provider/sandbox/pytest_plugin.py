"""Pytest fixtures: `pytest_plugins = ["flora_provider.sandbox.pytest_plugin"]` in a conftest, or `-p`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.server import SandboxServer
from flora_provider.sandbox.settings import Settings


@pytest.fixture
def flora_sandbox() -> Iterator[SandboxServer]:
    """Serve a fresh FLORA on a port of this machine, twenty times as fast as the real one.

    `flora_sandbox.connection_uri` is the value for `AIRFLOW_CONN_FLORA_DEFAULT`; `flora_sandbox.sandbox` has
    faults, clock, settings and statistics.
    """
    with SandboxServer(Sandbox(Settings(speed=20))) as server:
        yield server
