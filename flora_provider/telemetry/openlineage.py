"""Runs and files as OpenLineage's datasets and facets. Imported only where its provider asks a task for lineage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import attr
from airflow.providers.common.compat.openlineage.facet import (
    Dataset,
    DatasetFacet,
    OutputDataset,
    OutputStatisticsOutputDatasetFacet,
    RunFacet,
)
from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet

from flora_provider import __version__
from flora_provider.assets.flora import openlineage_name, run_uri
from flora_provider.telemetry.facts import RunFacts, plain_text

MAX_DATASETS = 100
"""Most datasets of one kind that an event names; of more files, it names the folders."""

PRODUCER = f"https://github.com/airflow-provider-flora/airflow-provider-flora/tree/v{__version__}"
"""What OpenLineage calls the code that makes a facet."""

_SCHEMAS_URL = (
    "https://raw.githubusercontent.com/airflow-provider-flora/airflow-provider-flora/"
    f"v{__version__}/flora_provider/telemetry/facets.json#/$defs/"
)
_ADDRESS = re.compile(r"https?://[^\s\"'<>]+")
_SCHEMES = {"gcs": "gs", "s3a": "s3", "s3n": "s3"}  # by the names that OpenLineage has for them


def run_facet(facts: RunFacts) -> dict[str, RunFacet]:
    """The facet of a task that is about one run."""
    return {"flora_run": _facet("FloraRunFacet", RunFacet, facts.known())}


def batch_facet(summary: Mapping[str, Any]) -> dict[str, RunFacet]:
    """The facet of a batch; `summary` as of `flora_provider.batch.outcome.summary_of`."""
    counts = {name: value for name, value in summary.items() if name != "manifest"}
    return {"flora_batch": _facet("FloraBatchFacet", RunFacet, counts)}


def run_dataset(facts: RunFacts) -> Dataset:
    """A run, by its URI as an asset."""
    uri = run_uri(facts.run_id, workspace_id=facts.workspace_id, project_id=facts.project_id)
    namespace, name = openlineage_name(uri)
    return Dataset(namespace=namespace, name=name)


def address_datasets(addresses: Iterable[str]) -> list[Dataset]:
    """Files on the web, by their addresses without what those may be signed with; what is no address is left out."""
    found = distinct(dataset for address in addresses if (dataset := _address_dataset(address)))
    return found[:MAX_DATASETS]


def _address_dataset(address: str) -> Dataset | None:
    try:
        url = urlsplit(address)
        host, port = url.hostname, url.port
    except ValueError:
        return None
    if url.scheme not in ("http", "https") or not host:
        return None
    name = plain_text(url.path.lstrip("/")) or "/"
    return Dataset(namespace=f"{url.scheme}://{host}{f':{port}' if port else ''}", name=name)


def file_datasets(files: Iterable[Mapping[str, Any]]) -> list[Dataset]:
    """Saved files, with what is known of them; their folders, if they are many. `files` as of `SavedFile`."""
    found = list(files)
    if len(found) <= MAX_DATASETS:
        return [file_dataset(file) for file in found]
    folders = dict.fromkeys(file["path"].rpartition("/")[0] for file in found)
    return [path_dataset(folder) for folder in list(folders)[:MAX_DATASETS]]


def file_dataset(file: Mapping[str, Any]) -> Dataset:
    """One file, with what is known of it."""
    plain = path_dataset(file["path"])
    known = {name: value for name, value in file.items() if name != "path" and value is not None}
    facets: dict[str, Any] = {"flora_file": _facet("FloraFileFacet", DatasetFacet, known)}
    if file.get("sha256"):
        facets["version"] = DatasetVersionDatasetFacet(datasetVersion=file["sha256"])
    written: dict[str, Any] = {}
    if file.get("size") is not None:
        written["outputStatistics"] = OutputStatisticsOutputDatasetFacet(size=file["size"])
    return OutputDataset(namespace=plain.namespace, name=plain.name, facets=facets, outputFacets=written)


def path_dataset(path: str) -> Dataset:
    """A file or a folder, of this machine or of an object store; the connection in its address is left out."""
    scheme, mark, rest = path.partition("://")
    if not mark or scheme in ("file", "local"):
        return Dataset(namespace="file", name=rest if mark else path)
    if scheme in ("http", "https") and (dataset := _address_dataset(path)):
        return dataset
    authority, _, key = rest.partition("/")
    host = authority.rpartition("@")[2]
    return Dataset(namespace=f"{_SCHEMES.get(scheme, scheme)}://{host}", name=key.rstrip("/") or "/")


def addresses_in(value: object) -> Iterator[str]:
    """All web addresses in the texts of a JSON value: of inputs, say."""
    if isinstance(value, str):
        yield from _ADDRESS.findall(value)
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from addresses_in(member)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from addresses_in(item)


def distinct(datasets: Iterable[Dataset]) -> list[Dataset]:
    """Each dataset once, as it came first."""
    found: dict[tuple[str, str], Dataset] = {}
    for dataset in datasets:
        found.setdefault((dataset.namespace, dataset.name), dataset)
    return list(found.values())


def _facet(schema: str, base: type, members: Mapping[str, Any]) -> Any:
    """A facet with these members, in OpenLineage's spelling; its schema is in `facets.json`."""
    named = {re.sub(r"_(\w)", lambda part: part[1].upper(), name): value for name, value in members.items()}
    return _facet_class(schema, base, tuple(named))(producer=PRODUCER, **named)


@cache
def _facet_class(schema: str, base: type, members: tuple[str, ...]) -> Any:
    facet_class: Any = attr.make_class(schema, members, bases=(base,), kw_only=True)
    facet_class._get_schema = staticmethod(lambda: f"{_SCHEMAS_URL}{schema}")  # noqa: SLF001 - what OpenLineage asks
    return facet_class
