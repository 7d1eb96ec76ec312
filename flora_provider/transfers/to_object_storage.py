"""Operator that saves the files of finished runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from flora_provider.api import validation
from flora_provider.api.errors import RunError, RunFailed
from flora_provider.api.text import short_repr
from flora_provider.files.outputs import DEFAULT_NAME, name_problem
from flora_provider.runs.error_codes import advice_for
from flora_provider.runs.event import RunEvent
from flora_provider.runs.ref import RunRef
from flora_provider.tasks.flora_task import FloraTask
from flora_provider.tasks.parse_checks import Folder, Text, as_list, is_several, storage_path
from flora_provider.tasks.requests import requests_of
from flora_provider.tasks.saving import where
from flora_provider.tasks.xcom import push_if_possible

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from flora_provider.api.models import FinishedRun
    from flora_provider.files.saving import Overwrite

_MAX_BYTES = 2 * 1024**3


def _run(name: str, value: object) -> str | None:
    """A finished run, its id, or a list of them."""
    if is_several(value):
        rows = as_list(value)
        found = [problem for index, row in enumerate(rows) if (problem := _one_run(f"{name}[{index}]", row))]
        return "; ".join(found) or None
    return _one_run(name, value)


def _one_run(name: str, value: object) -> str | None:
    if isinstance(value, Mapping):
        return validation.identifier("run_id", value.get("run_id"))
    if isinstance(value, str) and value.lstrip().startswith("{"):
        return f"{name} is the text of a dict: give a task's .output, or render_template_as_native_obj=True to the DAG"
    if isinstance(value, str):
        return validation.identifier("run_id", value)
    return f"{name} is {short_repr(value)}: give a finished run as a task returns it, or its id"


class FloraToObjectStorageOperator(FloraTask):
    """Save the files of finished runs in a folder or an object store, each with a manifest.

        save = FloraToObjectStorageOperator(task_id="save", run=done.output, destination="s3://aws@bucket/{{ ds }}")

    It waits for nothing: put it after what waits. A file appears under its name once it is whole; a retry fetches only
    what is missing.

    Args:
        run: a finished run (what a sensor or a waiting operator returns), its id, or a list of them, also the results
            of a mapped task.
        destination: a folder: a path of the worker, an ObjectStoragePath, or the text of one.
        storage_conn_id: Airflow's connection to the object store, unless the destination names one.
        flora_conn_id: the connection to FLORA.
        file_name: of `{run_id}`, `{output_id}`, `{index}`, `{type}`, and `{ext}` at its end.
        overwrite: what becomes of a file of that name that is not known to be this output: `if_changed` (default)
            replaces it, `never` is an error; `always` fetches and replaces even what is.
        max_bytes: the most that is saved of one output. Default 2 GiB.
        technique: id or slug, for runs of `POST /techniques/{technique}/runs`.

    XCom: `charged_cost_usd`, where the bill was not known yet when the run was passed on.

    Returns:
        The manifest as a dict (see `flora_provider.files.RunManifest`); a list of them for a list.

    Raises:
        AirflowFailException: no retry can help: a value is wrong, the run failed, `never` forbids to replace a file.
        AirflowException: the run has not ended, a file did not arrive, or the folder did not take it.
    """

    template_fields: Sequence[str] = (
        "run",
        "destination",
        "storage_conn_id",
        "flora_conn_id",
        "file_name",
        "technique",
    )
    native_fields: ClassVar[frozenset[str]] = frozenset({"run"})
    rules: ClassVar[Mapping[str, validation.Check]] = {
        "run": _run,
        "destination": storage_path,
        "storage_conn_id": validation.optional(validation.non_empty_text),
        "flora_conn_id": validation.non_empty_text,
        "file_name": name_problem,
        "overwrite": validation.one_of("never", "if_changed", "always"),
        "max_bytes": validation.non_negative_int,
        "technique": validation.optional(validation.slug_or_id),
    }

    def __init__(
        self,
        *,
        run: Any,
        destination: Folder,
        storage_conn_id: Text | None = None,
        flora_conn_id: str = "flora_default",
        file_name: str = DEFAULT_NAME,
        overwrite: Overwrite = "if_changed",
        max_bytes: int = _MAX_BYTES,
        technique: Text | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run = run  # a dict, a text or a list of them once Airflow has rendered it
        self.destination: Any = destination
        self.storage_conn_id: Any = storage_conn_id
        self.flora_conn_id = flora_conn_id
        self.file_name = file_name
        self.overwrite = overwrite
        self.max_bytes = max_bytes
        self.technique: Any = technique
        self.refuse_literals(self.rules)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:  # noqa: ARG002 - OpenLineage's
        """What OpenLineage's provider calls once the task has ended, well or badly."""
        from flora_provider.tasks.lineage import saving_lineage

        return saving_lineage(self)

    def execute(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """Save the files."""
        with self.airflow_errors(), self.hook:
            self.refuse_values()
            ids = {run if isinstance(run, str) else run["run_id"] for run in as_list(self.run)}
            requests = requests_of(self, context, ids)
            self.done.manifests = manifests = list[dict[str, Any]]()
            manifests.extend(self._save(run, requests, context) for run in as_list(self.run))
        several = is_several(self.run)
        late = [
            manifest["charged_cost_usd"]
            for manifest, run in zip(manifests, as_list(self.run), strict=True)
            if manifest["charged_cost_usd"] is not None and not (isinstance(run, Mapping) and run.get("charged_cost"))
        ]
        if late:
            push_if_possible(context, "charged_cost_usd", late if several else late[0])
        return manifests if several else manifests[0]

    def _save(self, run: Any, requests: Mapping[str, Any], context: Context) -> dict[str, Any]:
        from flora_provider.files.saving import save_run

        finished = self._finished(run)
        manifest = save_run(
            self.hook,
            finished,
            self.destination,
            conn_id=self.storage_conn_id,
            file_name=self.file_name,
            overwrite=self.overwrite,
            request=requests.get(finished["run_id"]),
            at=where(context),
            max_bytes=self.max_bytes,
        )
        self.log.info("Saved %d file(s) of FLORA run %s", len(manifest.files), manifest.run_id)
        return manifest.to_dict()

    def _finished(self, run: FinishedRun | str) -> Mapping[str, Any]:
        """The run as a dict, with its technique.

        Raises:
            RunFailed: FLORA ended it as failed.
            RunError: it goes on, or has no output.
        """
        if isinstance(run, str):
            read = self.hook.send(RunRef(run, self.technique).poll_call())
            if not read.is_terminal:
                raise _unfinished(run, read.status)
            found: Mapping[str, Any] = RunEvent.ended(read, self.technique).result()
        else:
            found = run
            if found.get("status") == "failed":
                raise RunFailed(run_id=found["run_id"], code=None, reason=None, advice=advice_for(None, None))
            if found.get("status") != "completed":
                raise _unfinished(found["run_id"], found.get("status"))
        return {**found, "technique": self.technique} if self.technique else found


def _unfinished(run_id: str, status: object) -> RunError:
    return RunError(
        f"FLORA run {run_id} has not ended ({status}): put a FloraRunSensor, or an operator with "
        "wait_for_completion=True, before this task",
        run_id=run_id,
    )
