"""Pytest fixtures: ``pytest_plugins = ["flora_provider.sandbox.pytest_plugin"]`` in a conftest, or ``-p``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flora_provider.sandbox.server import SandboxServer


@pytest.fixture
def flora_sandbox() -> Iterator[SandboxServer]:
    """Serve a fresh FLORA on a port of this machine, twenty times as fast as the real one.

    ``flora_sandbox.connection_uri`` is the value for ``AIRFLOW_CONN_FLORA_DEFAULT``; ``flora_sandbox.sandbox`` has
    faults, clock, settings and statistics.
    """
    # Imported by the first test that asks for it: a suite whose other tests are run alone does not wait for it.
    from flora_provider.sandbox.app import Sandbox  # noqa: PLC0415
    from flora_provider.sandbox.server import SandboxServer  # noqa: PLC0415
    from flora_provider.sandbox.settings import Settings  # noqa: PLC0415

    with SandboxServer(Sandbox(Settings(speed=20))) as server:
        yield server
