"""The sandbox as a test of a DAG sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flora_provider.sandbox.faults import Fault
from flora_provider.sandbox.server import SandboxServer
from flora_provider.sandbox.world.run_behavior import RunBehavior
from flora_provider.sandbox.world.runs import Run, RunInput, RunType

_SUBJECTS = {"generation": "model", "technique": "technique", "action": "action"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedRun:
    """A run that was started in the sandbox, as of when it was asked for.

    Attributes:
        model, technique, action: Id of what makes the run; the other two are None.
        prompt: As it was sent. For techniques and actions, which have none: their name and inputs, as media show them.
        params: As they were sent; for a generation, what an operator calls `model_params`.
        inputs: What a technique or action was given.
        status: `pending`, `running`, `completed` or `failed`.
        billed_usd: What the run costs once it has ended, counted from its start; 0 if it fails.
    """

    run_id: str
    type: RunType
    model: str | None = None
    technique: str | None = None
    action: str | None = None
    prompt: str
    params: dict[str, Any]
    inputs: tuple[RunInput, ...]
    status: str
    billed_usd: float

    @classmethod
    def of(cls, run: Run, now: float) -> StartedRun:
        """Return what a run is at `now` (unix seconds)."""
        return cls(
            run_id=run.run_id,
            type=run.run_type,
            **{_SUBJECTS[run.run_type]: run.subject},
            prompt=run.request.prompt,
            params=run.request.params,
            inputs=run.request.inputs,
            status=run.status(now),
            billed_usd=run.settled,
        )


class FloraSandbox(SandboxServer):
    """A sandbox on a port of this machine, with what a test of a DAG asks and tells it.

    The fixture `flora_sandbox` is one. Whatever else the sandbox can do is behind its attribute `sandbox`:
    `flora_sandbox.sandbox.faults.add(Fault(...))`, `.settings`, `.stats()`.
    """

    @property
    def runs(self) -> list[StartedRun]:
        """All runs that were started, the oldest first."""
        now = self.sandbox.clock.now()
        return [StartedRun.of(run, now) for run in list(self.sandbox.state.runs.values())]

    @property
    def billed_usd(self) -> float:
        """What all of them cost; each is counted from its start, and failed ones cost nothing."""
        return round(sum(run.billed_usd for run in self.runs), 6)

    def fail_next(
        self, route: str = "/generate", *, status: int = 503, error_code: str | None = None, times: int = 1
    ) -> None:
        """Have the next calls of a route fail, or the runs that they start.

        Args:
            route: Template of a path below `/api/v1`, e.g. `/runs/technique`, `/runs/{run_id}`.
            status: HTTP status of the answer; the call changes nothing.
            error_code: The call succeeds instead, and its run ends failed with this code (contract, 3.3),
                e.g. `GENERATION_PROVIDER_TIMEOUT`.
            times: How many calls.

        Raises:
            ApiError: FLORA has no such route; the message lists those it has.
        """
        if error_code is None:
            fault = Fault(route, status=status, times=times)
        else:
            fault = Fault(route, behavior=RunBehavior(error_code=error_code), times=times)
        self.sandbox.faults.add(fault)

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock forward: runs go on, keys are forgotten, rate limits recover."""
        self.sandbox.clock.advance(seconds)
