"""Save the outputs of runs as files, whole or not at all, with a manifest; read one back.

    from flora_provider.files import read_manifest

    for file in read_manifest("s3://aws_default@bucket/run_1.json").files:
        print(file.path, file.size)

The names below load on first use: a DAG file imports the checks of `files.outputs`, which must load neither httpx nor
pydantic.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flora_provider.files.manifest import RunManifest, SavedFile, read_manifest
    from flora_provider.files.saving import save_run

__all__ = ["RunManifest", "SavedFile", "read_manifest", "save_run"]

_MODULES = {"save_run": "saving"}


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'manifest')}"), name)
