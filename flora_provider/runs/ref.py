"""Which run is meant, and which call polls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from flora_provider.api.calls import Call
    from flora_provider.api.models import Run


class RunRef(NamedTuple):
    """A run, and how FLORA shows it.

    Attributes:
        run_id: `run_…`.
        technique: id or slug of the technique whose nested route (`POST /techniques/{technique}/runs`) started it; None
            for every other run, which `GET /runs/{run_id}` shows.
    """

    run_id: str
    technique: str | None = None

    def poll_call(self) -> Call[Run]:
        """The call that shows the run; raises FloraInputError if the id or the technique cannot be right."""
        from flora_provider.api import calls  # noqa: PLC0415 - a DAG file that names a run needs no HTTP client

        if self.technique is None:
            return calls.get_run(self.run_id)
        return calls.get_technique_run(self.technique, self.run_id)
