"""What OpenLineage's provider is told of a task of ours, once that has ended; without that provider, nobody asks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any

from airflow.providers.openlineage.extractors import OperatorLineage
from airflow.providers.openlineage.extractors.manager import ExtractorManager

from flora_provider.telemetry import openlineage
from flora_provider.telemetry.facts import RunFacts

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset, RunFacet
    from airflow.providers.common.compat.sdk import BaseOperator

    from flora_provider.operators.batch import FloraGenerateBatchOperator
    from flora_provider.tasks.flora_task import FloraTask
    from flora_provider.tasks.waiting import WaitsForRun

log = logging.getLogger(__name__)


def run_lineage(task: WaitsForRun) -> OperatorLineage[Any, Any]:
    """Of a task that starts or awaits one run.

    The run is an output of the task that starts it, and an input of a sensor; what the run was given is an input; what
    it has made, by its address and where it was saved, is an output.
    """
    run, failure = task.done.run, task.done.failure
    run_id = run["run_id"] if run else failure.run_id if failure else task.known_run_id
    if not run_id:
        return _lineage(task)
    request = task.done.request if (task.done.request or {}).get("run_id") == run_id else None
    facts = RunFacts.started(run_id, request)
    if run:
        facts = RunFacts.completed(run, request)
    elif failure:
        facts = RunFacts.failed(failure, request)
    asked = [(request or {}).get(name) for name in ("inputs", "model_params", "action_params")]
    inputs = openlineage.address_datasets(openlineage.addresses_in(asked))
    outputs: list[Dataset] = []
    (outputs if task.starts_runs else inputs).append(openlineage.run_dataset(facts))
    if run:
        outputs += openlineage.address_datasets(output["url"] for output in run["outputs"] if output.get("url"))
        outputs += openlineage.file_datasets(run.get("files", ()))
    return _lineage(task, inputs, outputs, openlineage.run_facet(facts))


def saving_lineage(task: FloraTask) -> OperatorLineage[Any, Any]:
    """Of a task that saves what runs have made."""
    saved = task.done.manifests
    facts = [RunFacts.started(one["run_id"], one) for one in saved[: openlineage.MAX_DATASETS]]
    files = openlineage.file_datasets(file for one in saved for file in one["files"])
    return _lineage(task, [openlineage.run_dataset(one) for one in facts], files)


def upload_lineage(task: FloraTask) -> OperatorLineage[Any, Any]:
    """Of a task that gives FLORA files."""
    rows = task.done.uploads
    named = {"path": "source", "media_type": "content_type", "size": "size_bytes", "sha256": "sha256"}
    files = openlineage.file_datasets({name: row[member] for name, member in named.items()} for row in rows)
    return _lineage(task, files, openlineage.address_datasets(row["url"] for row in rows if row["url"]))


def batch_lineage(task: FloraGenerateBatchOperator) -> OperatorLineage[Any, Any]:
    """Of a batch: the file of its rows, its folder and its manifest, however many files are there."""
    requests = task.requests
    inputs = [openlineage.path_dataset(str(requests))] if isinstance(requests, str | PathLike) else []
    summary = task.done.summary
    if summary is None:
        return _lineage(task, inputs)
    outputs = [openlineage.path_dataset(str(path)) for path in (task.save_outputs_to, summary["manifest"])]
    return _lineage(task, inputs, outputs, openlineage.batch_facet(summary))


def _lineage(
    task: BaseOperator,
    inputs: Iterable[Dataset] = (),
    outputs: Iterable[Dataset] = (),
    facets: dict[str, RunFacet] | None = None,
) -> OperatorLineage[Any, Any]:
    """With what the author of the task has declared, which OpenLineage leaves out where anything else is known."""
    return OperatorLineage(
        inputs=openlineage.distinct([*inputs, *_declared(task.inlets)]),
        outputs=openlineage.distinct([*outputs, *_declared(task.outlets)]),
        run_facets=facets or {},
    )


def _declared(assets: Iterable[Any]) -> Iterator[Dataset]:
    """The datasets of inlets or outlets; an alias is none."""
    for asset in assets:
        try:
            dataset = ExtractorManager.convert_to_ol_dataset(asset)
        except Exception as error:  # noqa: BLE001 - an asset that some other provider cannot convert
            log.info("OpenLineage is not told of %r: %s", asset, type(error).__name__)
        else:
            if dataset is not None:
                yield dataset
