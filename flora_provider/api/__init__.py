"""FLORA over HTTP. Nothing here knows Airflow.

    from flora_provider.api import FloraClient, calls

The names below load on first use: a DAG file imports `api.errors`, which must load neither httpx nor pydantic.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flora_provider.api import calls, errors, models, webhooks
    from flora_provider.api.client import AsyncFloraClient, FloraClient
    from flora_provider.api.files.download import download
    from flora_provider.api.files.upload import upload
    from flora_provider.api.settings import Settings

__all__ = [
    "AsyncFloraClient", "FloraClient", "Settings", "calls", "download", "errors", "models", "upload", "webhooks",
]  # fmt: skip

_MODULES = {
    "AsyncFloraClient": "client",
    "FloraClient": "client",
    "Settings": "settings",
    "download": "files.download",
    "upload": "files.upload",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module, or a public module (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_MODULES.get(name, name)}")
    return getattr(module, name, module)
