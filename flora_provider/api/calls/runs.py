"""Starting and watching runs: generations, techniques, actions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeVar

from flora_provider.api import models, validation
from flora_provider.api.calls.base import (
    PAGE_SIZE,
    Call,
    RunKind,
    as_list,
    drop_none,
    get,
    optional,
    paged,
    post,
    required,
    row_problems,
)

T = TypeVar("T")

MediaType = Literal["image", "video", "audio", "text"]

# The members that an input may have. Both are closed: FLORA may refuse any other (FLORA's OpenAPI).
_ACTION_INPUT = {
    "type": validation.media_type,
    "url": validation.input_address,
    "text": validation.any_string,
    "name": validation.non_empty_text,
}
_TECHNIQUE_MEDIA = ("imageUrl", "videoUrl")
_TECHNIQUE_INPUT = {"id": validation.non_empty_text, "type": validation.one_of("text", *_TECHNIQUE_MEDIA)}


def generate(
    *,
    type: MediaType | str,  # noqa: A002 - FLORA's own name for it
    prompt: str,
    workspace_id: str,
    project_id: str,
    model: str | None = None,
    params: Mapping[str, Any] | None = None,
    callback_url: str | None = None,
) -> Call[models.Started]:
    """`POST /generate`: start a generation. Bills.

    Its twin `POST /runs/generation`, which FLORA deprecates, has no function of its own: `request` reaches it.

    Args:
        type: what to make.
        prompt: not empty.
        workspace_id: the workspace that is billed.
        project_id: of that workspace.
        model: an endpoint id such as `t2i-flux-2-pro`; None for the workspace's default.
        params: per model, see `list_models`. FLORA ignores keys it does not know, and bills all the same.
        callback_url: https; FLORA posts a signed webhook there when the run ends.

    Returns:
        Call whose answer holds the run's id and a quote; it has no status, for which see `get_run`.

    Raises:
        FloraInputError: with every problem found.
    """
    members = {"type": type, "prompt": prompt, "workspace_id": workspace_id, "project_id": project_id}
    members |= drop_none(model=model, params=params, callback_url=callback_url)
    validation.raise_problems(required(**members))
    return _start("generation", models.Started.read, "generate", payload=members)


def get_run(run_id: str) -> Call[models.Run]:
    """`GET /runs/{run_id}`: the state of a run that `generate`, `run_technique`, `run_action` or a node's run started.

    Whether it also shows those of `start_technique` is not documented; `get_technique_run` does. Right after a start
    FLORA may answer 404 for some seconds.
    """
    validation.raise_problems(required(run_id=run_id))
    return get(models.Run.read, "runs", run_id)


def list_generations(
    *,
    workspace_id: str | None = None,
    project_id: str | None = None,
    status: str | None = None,
    limit: int = PAGE_SIZE,
    cursor: str | None = None,
) -> Call[models.Page[models.Generation]]:
    """`GET /generations`: one page of the generation history, newest first; runs of actions are in it, too.

    Rows hold outputs, but neither prompt nor params nor key, so none can surely be told to be a given request's.
    """
    asked = {"workspace_id": workspace_id, "project_id": project_id, "status": status}
    return paged("generations", models.Generation, "generations", limit=limit, cursor=cursor, query=asked)


def run_technique(*, technique_id: str, workspace_id: str, inputs: Mapping[str, Any]) -> Call[models.Started]:
    """`POST /runs/technique`: start a technique in a named workspace. Bills. Look at it with `get_run`.

    Args:
        technique_id: a `tech_…` id; this endpoint takes no slug.
        workspace_id: the workspace that is billed.
        inputs: the value of each input by its id, as `get_technique` shows them. Leave an optional text out; FLORA
            refuses an empty one.
    """
    found = required(technique_id=technique_id, workspace_id=workspace_id, inputs=inputs)
    values = inputs.items() if isinstance(inputs, Mapping) else ()
    found += validation.problems(
        (f"inputs.{name}", value, validation.non_empty_text) for name, value in values if isinstance(value, str)
    )
    validation.raise_problems(found)
    payload = {"technique_id": technique_id, "workspace_id": workspace_id, "inputs": inputs}
    return _start("technique", models.Started.read, "runs", "technique", payload=payload)


def run_action(
    *,
    action_id: str,
    workspace_id: str,
    project_id: str,
    inputs: Iterable[Mapping[str, Any]],
    params: Mapping[str, Any] | None = None,
) -> Call[models.Started]:
    """`POST /runs/action`: run a prebuilt action. Costs no credits (FLORA's playbooks). Look at it with `get_run`.

    Args:
        action_id: such as `ken-burns-video`; see `list_actions`.
        workspace_id: the workspace that is billed.
        project_id: for ownership and history; its canvas is not touched.
        inputs: at least one `{type, url?, text?, name?}`, type being one of image, video, audio, text, and url public
            and https.
        params: per action, which FLORA checks; None for its defaults.
    """
    rows = as_list(inputs)
    found = required(action_id=action_id, workspace_id=workspace_id, project_id=project_id) + optional(params=params)
    found += [] if rows else ["inputs is empty: give at least one {type, url or text}"]
    for index, row in enumerate(rows):
        found += row_problems(f"inputs[{index}]", row, _ACTION_INPUT, needed=("type",))
        if isinstance(row, Mapping) and not row.keys() & {"url", "text"}:
            found.append(f"inputs[{index}] has neither url nor text: give one")
    validation.raise_problems(found)
    payload = drop_none(
        action_id=action_id, workspace_id=workspace_id, project_id=project_id, inputs=rows, params=params
    )
    return _start("action", models.Started.read, "runs", "action", payload=payload)


def start_technique(
    technique: str,
    *,
    inputs: Iterable[Mapping[str, str]],
    callback_url: str | None = None,
) -> Call[models.Run]:
    """`POST /techniques/{technique}/runs`: start a technique by id or slug, in the key's default workspace. Bills.

    Look at it with `get_technique_run`.
    This endpoint reads the idempotency key from the body (FLORA's playbooks) as well as the header; both are sent.

    Args:
        technique: a `tech_…` id or a slug such as `cctv-cam`.
        inputs: at least one `{id, type, value}`, as the technique's definition names them; type is text, imageUrl or
            videoUrl, and the value of a medium an https address, or an element's id where the slot accepts one.
        callback_url: https; FLORA posts a signed webhook there when the run ends.
    """
    rows = as_list(inputs)
    found = required(technique=technique) + optional(callback_url=callback_url)
    found += [] if rows else ["inputs is empty: give at least one {id, type, value}"]
    for index, row in enumerate(rows):
        is_media = isinstance(row, Mapping) and row.get("type") in _TECHNIQUE_MEDIA
        members = _TECHNIQUE_INPUT | {"value": validation.media if is_media else validation.non_empty_text}
        found += row_problems(f"inputs[{index}]", row, members, needed=tuple(members))
    validation.raise_problems(found)
    payload = drop_none(inputs=rows, mode="async", callback_url=callback_url)
    call = _start("technique", models.Run.read, "techniques", technique, "runs", payload=payload)
    return replace(call, key_member="idempotency_key")


def get_technique_run(technique: str, run_id: str) -> Call[models.Run]:
    """`GET /techniques/{technique}/runs/{run_id}`: the state of a run that `start_technique` started.

    A run of `run_technique` is a 404 here, users report.
    """
    validation.raise_problems(required(technique=technique, run_id=run_id))
    return get(models.Run.read, "techniques", technique, "runs", run_id)


def list_technique_runs(
    *,
    workspace_id: str | None = None,
    project_id: str | None = None,
    technique_id: str | None = None,
    status: str | None = None,
    limit: int = PAGE_SIZE,
    cursor: str | None = None,
) -> Call[models.Page[models.TechniqueRun]]:
    """`GET /technique-runs`: one page of the technique run history, newest first."""
    asked = {"workspace_id": workspace_id, "project_id": project_id, "technique_id": technique_id, "status": status}
    return paged("technique_runs", models.TechniqueRun, "technique-runs", limit=limit, cursor=cursor, query=asked)


def _start(kind: RunKind, read: Callable[[Any], T], *segments: str, payload: Mapping[str, Any]) -> Call[T]:
    """A POST that starts a run."""
    return replace(post(read, *segments, payload=payload), starts=kind)
