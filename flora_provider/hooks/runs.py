"""The hook's verbs about runs: start them, poll them, wait for them, and list them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flora_provider.api import calls
from flora_provider.hooks.base import ConnectedHook
from flora_provider.runs.polling import new_poller
from flora_provider.runs.ref import RunRef

if TYPE_CHECKING:
    from flora_provider.api import models


class RunsHook(ConnectedHook):
    """Runs of models, techniques and actions.

    What starts one takes an `idempotency_key`: one per intended run; sent again within two hours it starts nothing
    (FLORA answers 409).
    """

    def generate(
        self,
        *,
        type: str,  # noqa: A002 - FLORA's own name for it
        prompt: str,
        idempotency_key: str,
        workspace_id: str | None = None,
        project_id: str | None = None,
        model: str | None = None,
        params: Mapping[str, Any] | None = None,
        callback_url: str | None = None,
    ) -> models.Started:
        """Start a generation, as `calls.generate` says; workspace and project None for the connection's. Bills.

        `FloraGenerateOperator` derives its key from its task, and finds the run again after a crash.
        """
        scope = self.scope(workspace_id, project_id)
        call = calls.generate(type=type, prompt=prompt, model=model, params=params, callback_url=callback_url, **scope)
        return self.send(call.with_key(idempotency_key))

    def get_run(self, run_id: str) -> models.Run:
        """The state of a run."""
        return self.send(calls.get_run(run_id))

    def wait_for_run(
        self,
        run_id: str,
        technique: str | None = None,
        *,
        timeout: float | None = None,
        poll_interval: float = 3.0,
        started_at: float | None = None,
        estimated_seconds: float | None = None,
    ) -> models.FinishedRun:
        """Wait, blocking, until a run has ended: as `flora_provider.runs.wait_for_run`, whose docstring says the rest.

        Beyond that, after FLORA has refused the key, the connection is read again, and used for some minutes more.
        """
        ref, known = RunRef(run_id, technique), {"started_at": started_at, "estimated_seconds": estimated_seconds}
        poller = new_poller(ref, now=time.time(), timeout=timeout, poll_interval=poll_interval, **known)
        return self.poll_until_done(poller).result()

    def list_generations(
        self,
        *,
        workspace_id: str | None = None,
        project_id: str | None = None,
        status: str | None = None,
        limit: int = calls.PAGE_SIZE,
        cursor: str | None = None,
    ) -> models.Page[models.Generation]:
        """One page of the generation history, newest first; `next_cursor` leads to the next."""
        call = calls.list_generations(
            workspace_id=workspace_id, project_id=project_id, status=status, limit=limit, cursor=cursor
        )
        return self.send(call)

    def iter_generations(
        self,
        *,
        workspace_id: str | None = None,
        project_id: str | None = None,
        status: str | None = None,
        max_items: int | None = None,
    ) -> Iterator[models.Generation]:
        """The whole generation history, newest first, each run once."""
        call = calls.list_generations(workspace_id=workspace_id, project_id=project_id, status=status)
        return self.client().items(call, max_items=max_items)

    def iter_technique_runs(
        self,
        *,
        workspace_id: str | None = None,
        project_id: str | None = None,
        technique_id: str | None = None,
        status: str | None = None,
        max_items: int | None = None,
    ) -> Iterator[models.TechniqueRun]:
        """The whole technique run history, newest first, each run once."""
        call = calls.list_technique_runs(
            workspace_id=workspace_id, project_id=project_id, technique_id=technique_id, status=status
        )
        return self.client().items(call, max_items=max_items)

    def run_technique(
        self, *, technique_id: str, inputs: Mapping[str, Any], idempotency_key: str, workspace_id: str | None = None
    ) -> models.Started:
        """Start a technique in a workspace (None for the connection's). Bills."""
        call = calls.run_technique(technique_id=technique_id, workspace_id=self.workspace(workspace_id), inputs=inputs)
        return self.send(call.with_key(idempotency_key))

    def start_technique(
        self,
        technique: str,
        *,
        inputs: Iterable[Mapping[str, str]],
        idempotency_key: str,
        callback_url: str | None = None,
    ) -> models.Run:
        """Start a technique by id or slug, in the key's own workspace, as `calls.start_technique` says. Bills."""
        call = calls.start_technique(technique, inputs=inputs, callback_url=callback_url)
        return self.send(call.with_key(idempotency_key))

    def get_technique_run(self, technique: str, run_id: str) -> models.Run:
        """The state of a run that `start_technique` started."""
        return self.send(calls.get_technique_run(technique, run_id))

    def run_action(
        self,
        *,
        action_id: str,
        inputs: Iterable[Mapping[str, Any]],
        idempotency_key: str,
        workspace_id: str | None = None,
        project_id: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> models.Started:
        """Run a prebuilt action; workspace and project None for the connection's."""
        scope = self.scope(workspace_id, project_id)
        call = calls.run_action(action_id=action_id, **scope, inputs=inputs, params=params)
        return self.send(call.with_key(idempotency_key))
