"""FLORA from a task or a plain function: each verb is one line onto the client.

This module loads the HTTP client. Operators and sensors import it when a task runs, so that DAG files stay cheap to
parse; a DAG file that wants a hook should do the same, inside its task.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar
from uuid import uuid4

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import BaseHook

from flora_provider.api import calls
from flora_provider.api.client import AsyncFloraClient, FloraClient
from flora_provider.api.download import Downloaded, download
from flora_provider.api.errors import FloraError, FloraInputError
from flora_provider.api.retry import RetryPolicy
from flora_provider.hooks.connection import EXTRA_FIELDS, FIELD_BEHAVIOUR, Defaults, read_connection
from flora_provider.runs.files import file_name
from flora_provider.runs.follow import PollPolicy, Wait, follow_run

if TYPE_CHECKING:
    from flora_provider.api import catalogue, models
    from flora_provider.api.settings import Settings

T = TypeVar("T")


class FloraHook(BaseHook):
    """FLORA over an Airflow connection of type `flora`.

    Args:
        flora_conn_id: the connection. Its password is the API key; the README describes host and extra.

    Every verb may raise what `flora_provider.api.errors` draws, and FloraInputError before anything is sent.
    """

    conn_name_attr = "flora_conn_id"
    default_conn_name = "flora_default"
    conn_type = "flora"
    hook_name = "FLORA"

    def __init__(self, flora_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.flora_conn_id = flora_conn_id

    # ── The connection ────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _connection(self) -> tuple[Settings, Defaults]:
        connection = self.get_connection(self.flora_conn_id)
        return read_connection(connection, connection.extra_dejson)

    @property
    def settings(self) -> Settings:
        """How to reach FLORA, from the connection."""
        return self._connection[0]

    @property
    def defaults(self) -> Defaults:
        """Workspace and project for tasks that name none."""
        return self._connection[1]

    def place(self, workspace_id: str | None = None, project_id: str | None = None) -> dict[str, Any]:
        """Workspace and project, each the connection's where None.

        Raises:
            FloraInputError: neither the caller nor the connection names one.
        """
        return {
            "workspace_id": self.workspace(workspace_id),
            "project_id": self._given_or_default("project_id", project_id),
        }

    def workspace(self, workspace_id: str | None = None) -> str:
        """The workspace, the connection's where None.

        Raises:
            FloraInputError: neither the caller nor the connection names one.
        """
        return self._given_or_default("workspace_id", workspace_id)

    def _given_or_default(self, name: str, value: str | None) -> str:
        value = value or getattr(self.defaults, name)
        if not value:
            raise FloraInputError(
                f"no {name} anywhere: give one to the task, or to the extra of connection {self.flora_conn_id!r}"
            )
        return value

    @cached_property
    def _client(self) -> FloraClient:
        return FloraClient(self.settings)

    def client(self) -> FloraClient:
        """The blocking client of this hook: one, made at its first use, closed with the hook."""
        return self._client

    def get_conn(self) -> FloraClient:
        """The same, under Airflow's usual name."""
        return self.client()

    @asynccontextmanager
    async def async_client(self) -> AsyncIterator[AsyncFloraClient]:
        """A client for this event loop, closed at the end of the block. Reading the connection does not block."""
        connection = await get_async_connection(self.flora_conn_id)
        settings, _ = read_connection(connection, await get_async_extra_dejson(connection))
        async with AsyncFloraClient(settings) as client:
            yield client

    def close(self) -> None:
        """Close the connections, if any were opened."""
        if client := self.__dict__.pop("_client", None):
            client.close()

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close."""
        self.close()

    def test_connection(self) -> tuple[bool, str]:
        """For the Test button: list the workspaces of the key, or say in one sentence what is wrong."""
        try:
            with self:
                workspaces = self.list_workspaces()
        except FloraError as error:
            return False, str(error)
        listed = ", ".join(f"{workspace.name} ({workspace.workspace_id}, {workspace.role})" for workspace in workspaces)
        return True, f"FLORA accepts the key. Workspaces: {listed or 'none'}"

    @staticmethod
    def get_connection_form_widgets() -> dict[str, Any]:
        """The form's extra fields, for Airflow before 3.2."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget  # noqa: PLC0415 - absent from Airflow 3
        from wtforms import StringField  # noqa: PLC0415 - the same

        return {
            name: StringField(field.label, widget=BS3TextFieldWidget(), description=field.help)
            for name, field in EXTRA_FIELDS.items()
        }

    @staticmethod
    def get_ui_field_behaviour() -> dict[str, Any]:
        """The form's standard fields, for Airflow before 3.2."""
        return FIELD_BEHAVIOUR

    # ── Runs ──────────────────────────────────────────────────────────────────────────────────────────────────────

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
        """Start a generation. Bills.

        Args:
            type: image, video, audio or text.
            prompt: not empty.
            idempotency_key: one per intended run; sent again within two hours it starts nothing (FLORA answers 409).
                `FloraGenerateOperator` derives one from its task, and finds the run again after a crash.
            workspace_id: billed; None for the connection's.
            project_id: None for the connection's.
            model: an endpoint id; None for the workspace's default.
            params: per model.
            callback_url: https; FLORA posts a signed webhook there when the run ends.
        """
        call = calls.generate(
            type=type,
            prompt=prompt,
            **self.place(workspace_id, project_id),
            model=model,
            params=params,
            callback_url=callback_url,
        )
        return self.client().send(call.with_key(idempotency_key))

    def get_run(self, run_id: str) -> models.Run:
        """The state of a run."""
        return self.client().send(calls.get_run(run_id))

    def wait_for_run(
        self,
        run_id: str,
        *,
        timeout: float | None = None,
        poll_interval: float = 3.0,
        started_at: float | None = None,
        estimated_seconds: float | None = None,
    ) -> dict[str, Any]:
        """Wait, blocking, until a run has ended; progress goes to the log when it changes.

        Args:
            run_id: the run.
            timeout: seconds; None to wait for ever. The run goes on all the same.
            poll_interval: least seconds between two looks.
            started_at: unix seconds at which it was started, if known.
            estimated_seconds: FLORA's estimate, if known.

        Returns:
            The finished run as a plain dict: run_id, status, outputs, charged_cost and its times.

        Raises:
            RunFailed: FLORA ended it as failed.
            RunTimedOut: `timeout` passed.
            WaitRefused: FLORA does not let us look at it.
        """
        now = time.time()
        wait = Wait(
            run_id,
            policy=PollPolicy(interval=poll_interval),
            now=now,
            deadline=None if timeout is None else now + timeout,
            started_at=started_at,
            estimated_seconds=estimated_seconds,
        )
        return self.client().perform(follow_run(wait, clock=time.time, draw=random.random)).result()

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
        return self.client().send(
            calls.list_generations(
                workspace_id=workspace_id, project_id=project_id, status=status, limit=limit, cursor=cursor
            )
        )

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

    def start_technique(
        self, *, technique_id: str, inputs: Mapping[str, Any], idempotency_key: str, workspace_id: str | None = None
    ) -> models.Started:
        """Start a technique in a workspace (None for the connection's). Bills."""
        call = calls.run_technique(technique_id=technique_id, workspace_id=self.workspace(workspace_id), inputs=inputs)
        return self.client().send(call.with_key(idempotency_key))

    def start_action(
        self,
        *,
        action_id: str,
        inputs: list[dict[str, Any]],
        idempotency_key: str,
        workspace_id: str | None = None,
        project_id: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> models.Started:
        """Run a prebuilt action; workspace and project None for the connection's."""
        call = calls.run_action(
            action_id=action_id,
            **self.place(workspace_id, project_id),
            inputs=inputs,
            params=params,
        )
        return self.client().send(call.with_key(idempotency_key))

    # ── Catalogues ────────────────────────────────────────────────────────────────────────────────────────────────

    def list_models(self, *, type: str | None = None) -> list[catalogue.Model]:  # noqa: A002 - FLORA's own name for it
        """The models, all or of one type."""
        return list(self.client().items(calls.list_models(type=type)))

    def list_workspaces(self) -> tuple[catalogue.Workspace, ...]:
        """The workspaces of the key."""
        return self.client().send(calls.list_workspaces())

    def iter_projects(
        self, *, workspace_id: str | None = None, query: str | None = None
    ) -> Iterator[catalogue.Project]:
        """The projects of a workspace (None for the connection's), the most recently used first."""
        call = calls.list_projects(workspace_id=self.workspace(workspace_id), query=query)
        return self.client().items(call)

    def iter_techniques(
        self, *, workspace_id: str | None = None, query: str | None = None
    ) -> Iterator[catalogue.Technique]:
        """The techniques that the key sees."""
        return self.client().items(calls.list_techniques(workspace_id=workspace_id, query=query))

    def get_technique(self, technique: str) -> catalogue.Technique:
        """One technique, by id or slug."""
        return self.client().send(calls.get_technique(technique))

    def list_actions(self) -> tuple[catalogue.Action, ...]:
        """The prebuilt actions."""
        return self.client().send(calls.list_actions())

    # ── Files ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def download_output(
        self, output: Mapping[str, Any], folder: Path, *, name: str | None = None, max_bytes: int = 2 * 1024**3
    ) -> Path:
        """Save one output of a finished run as a file; a text is saved as UTF-8.

        The file appears under its name once it is whole, so a retry never finds half of one. The API key is not sent.

        Args:
            output: one of the finished run's `outputs`.
            folder: made if it is not there.
            name: without an ending, which comes from the content's type; None for the output's id.
            max_bytes: the most that is saved.

        Returns:
            Where it is.

        Raises:
            FloraDownloadError: it did not arrive whole, is larger than `max_bytes`, or its address is not followed.
        """
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{uuid4().hex}.part"
        try:
            with part.open("xb") as file:
                if "text" in output:
                    content_type = "text/plain"
                    file.write(output["text"].encode())
                else:
                    content_type = self._fetch(output["url"], file, max_bytes).content_type
            return part.rename(folder / file_name(name or output["output_id"], content_type))
        finally:
            part.unlink(missing_ok=True)

    def _fetch(self, url: str, file: IO[bytes], max_bytes: int) -> Downloaded:
        plan = download(
            url,
            file,
            max_bytes=max_bytes,
            policy=RetryPolicy(max_retries=self.settings.max_retries),
            clock=time.time,
            draw=random.random,
            came_from=self.settings.base_url,
        )
        return self.client().perform(plan)
