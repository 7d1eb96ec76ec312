"""What a try of a task has done: lineage is asked for once that has ended, and of the task alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flora_provider.api.errors import RunFailed
    from flora_provider.api.models import FinishedRun


@dataclass(slots=True)
class Done:
    """What one process of a try has done so far.

    OpenLineage's provider can be told to send all attributes of a task (`include_full_task_info`): of a dict that would
    be all it holds, signed addresses among it, but of an object like this one the name of its class.

    Attributes:
        request: what was asked for, as `WaitsForRun.request_of` has it.
        run: the run, once the task has its result.
        failure: the same of one that failed.
        manifests: of the runs that were saved, as of `RunManifest.to_dict`.
        uploads: the files that were uploaded, as `ObjectStorageToFloraOperator` returns them.
        summary: of a batch, once its files are saved.
    """

    request: Mapping[str, Any] | None = None
    run: FinishedRun | None = None
    failure: RunFailed | None = None
    manifests: Sequence[dict[str, Any]] = ()
    uploads: Sequence[dict[str, Any]] = ()
    summary: dict[str, Any] | None = None
