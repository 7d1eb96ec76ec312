"""FLORA's runs and projects as Airflow's assets (`Dataset` in Airflow 2), and as OpenLineage's datasets.

    flora://<workspace_id>/<project_id>               a project: what a DAG names as an outlet, or is scheduled on
    flora://<workspace_id>/<project_id>/runs/<run_id> a run: what a task adds to an `AssetAlias` among its outlets

An id that is not known is `-`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from airflow.providers.common.compat.sdk import Asset

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset as OpenLineageDataset

SCHEME = "flora"
_UNKNOWN = "-"
_FORM = "flora://<workspace_id>/<project_id> or flora://<workspace_id>/<project_id>/runs/<run_id>"
_PATH = re.compile(r"/[^/]+(/runs/[^/]+)?")


def project_uri(*, workspace_id: str | None = None, project_id: str | None = None) -> str:
    """The URI of a project."""
    return f"{SCHEME}://{_segment(workspace_id)}/{_segment(project_id)}"


def run_uri(run_id: str, *, workspace_id: str | None = None, project_id: str | None = None) -> str:
    """The URI of a run."""
    return f"{project_uri(workspace_id=workspace_id, project_id=project_id)}/runs/{_segment(run_id)}"


def project_asset(*, workspace_id: str | None = None, project_id: str | None = None, **asset: Any) -> Asset:
    """A project as an asset; `asset` are further arguments of Airflow's `Asset`, such as `extra`."""
    return Asset(uri=project_uri(workspace_id=workspace_id, project_id=project_id), **asset)


def run_asset(run_id: str, *, workspace_id: str | None = None, project_id: str | None = None, **asset: Any) -> Asset:
    """A run as an asset; `asset` are further arguments of Airflow's `Asset`, such as `extra`."""
    return Asset(uri=run_uri(run_id, workspace_id=workspace_id, project_id=project_id), **asset)


def create_asset(
    *, workspace_id: str | None = None, project_id: str | None = None, run_id: str | None = None, **asset: Any
) -> Asset:
    """The asset of a run, or of a project if no run is named: Airflow's factory of the scheme `flora`."""
    if run_id is None:
        return project_asset(workspace_id=workspace_id, project_id=project_id, **asset)
    return run_asset(run_id, workspace_id=workspace_id, project_id=project_id, **asset)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Check a URI of the scheme `flora`, which Airflow does when an asset is made.

    Raises:
        ValueError: it has another form, or carries a user, a port or a query.
    """
    if not uri.netloc or "@" in uri.netloc or ":" in uri.netloc or uri.query or not _PATH.fullmatch(uri.path):
        raise ValueError(f"an asset of FLORA is {_FORM}, with {_UNKNOWN} for an id that is not known")
    return uri


def to_openlineage(asset: Asset, lineage_context: Any) -> OpenLineageDataset:  # noqa: ARG001 - Airflow gives it
    """The asset as OpenLineage's dataset: its namespace is the workspace, its name the rest of the URI."""
    from airflow.providers.common.compat.openlineage.facet import Dataset  # noqa: PLC0415 - OpenLineage is optional

    namespace, name = openlineage_name(asset.uri)
    return Dataset(namespace=namespace, name=name)


def openlineage_name(uri: str) -> tuple[str, str]:
    """Namespace and name of the dataset of a URI of ours."""
    parts = urlsplit(uri)
    return f"{SCHEME}://{parts.netloc}", unquote(parts.path.strip("/"))


def _segment(value: str | None) -> str:
    return quote(value, safe="") if value else _UNKNOWN
