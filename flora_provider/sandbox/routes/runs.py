"""Starting and watching runs: generations, techniques, actions (contract, 2.2 to 2.7 and 2.10)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, create_model

from flora_provider.sandbox.http.paging import PageQuery, page
from flora_provider.sandbox.http.responses import ApiError, ApiResponse, invalid, not_found
from flora_provider.sandbox.http.validation import (
    Body,
    CallbackUrl,
    MediaUrl,
    ProjectId,
    RunId,
    TechniqueId,
    Text,
    WorkspaceId,
    check,
    find_problems,
    media_url,
)
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.routes.starting import start
from flora_provider.sandbox.world.actions import ACTIONS, known_action
from flora_provider.sandbox.world.catalog import (
    INPUT_MEDIA,
    MAX_INPUTS,
    MODELS,
    TECHNIQUES,
    TECHNIQUES_BY_NAME,
    Technique,
)
from flora_provider.sandbox.world.runs import Medium, Run, RunInput, RunRequest


class _Generate(Body):
    type: Medium
    prompt: Text
    workspace_id: WorkspaceId
    project_id: ProjectId
    model: Text = ""
    params: dict[str, Any] = Field({})
    callback_url: CallbackUrl = ""


class _RunTechnique(Body):
    technique_id: TechniqueId
    workspace_id: WorkspaceId
    inputs: dict[str, Any]


class _NestedInput(Body):
    id: Text
    type: Literal["text", "imageUrl", "videoUrl"]
    value: Text


class _RunNested(Body):
    inputs: Annotated[list[_NestedInput], Field(min_length=1)]
    mode: Literal["async", "stream"]
    callback_url: CallbackUrl = ""
    idempotency_key: Text = ""


class _ActionInput(Body):
    type: Medium
    url: Text = ""
    text: Text = ""
    name: Text = ""


class _RunAction(Body):
    action_id: Annotated[str, AfterValidator(known_action)]
    workspace_id: WorkspaceId
    project_id: ProjectId
    inputs: Annotated[list[_ActionInput], Field(min_length=1)]
    params: dict[str, Any] = Field({})


class _History(PageQuery):
    workspace_id: WorkspaceId = ""
    project_id: ProjectId = ""
    status: Literal["pending", "running", "completed", "failed"] | None = None


class _TechniqueHistory(_History):
    technique_id: TechniqueId = ""


def _inputs(technique: Technique) -> type[Body]:
    members = {slot["id"]: (_input(slot), None if slot.get("optional") else ...) for slot in technique.inputs}
    return create_model(technique.slug, __base__=Body, **cast("Any", members))


def _input(slot: dict[str, Any]) -> Any:
    """Return what a slot takes (contract, 2.6).

    `allow_multiple` takes one value or an array; by the nested route, several items of one id. FLORA starts one run
    for each value and does not document how one answer reports several: the sandbox starts one that has them all.
    """
    one = Text if slot["type"] == "text" else _MediaOrElement if slot.get("accepts_element") else MediaUrl
    if not slot.get("allow_multiple"):
        return one
    return Annotated[list[one], BeforeValidator(_as_list), Field(min_length=1, max_length=MAX_INPUTS)]  # type: ignore[valid-type]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _media_or_element(value: str, info: ValidationInfo) -> str:
    """Accept a media URL, or the id of an element, of which FLORA documents no form: any name that is no URL."""
    return value if re.fullmatch(r"[\w-]+", value) else media_url(value, info)


_MediaOrElement = Annotated[str, AfterValidator(_media_or_element)]


_INPUTS = {technique.id: _inputs(technique) for technique in TECHNIQUES}


def _generate(call: Call) -> ApiResponse:
    body = call.json(_Generate)
    call.sandbox.state.require_project(body.project_id, body.workspace_id)
    offered = {model.id: model for model in MODELS if model.medium == body.type}
    model = offered.get(body.model or next(iter(offered)))
    if model is None:
        names = ", ".join(offered)
        raise invalid(("model", f'Unknown {body.type} model "{body.model}". Accessible models: {names}.'))
    scope = body.workspace_id, body.project_id
    run = start(call, model, RunRequest(body.prompt, *scope, body.params, model.inputs(body.params), body.callback_url))
    return ApiResponse(run.started(call.root), 201)


def _get_run(call: Call) -> ApiResponse:
    """Return the state of a run, unless the nested route started it."""
    run = call.sandbox.state.visible_run(call.path_id("run_id", RunId))
    if run.request.nested:
        # FLORA does not document whether this route serves such runs; the sandbox is the stricter server.
        raise not_found(f"Run {run.run_id}")
    return _state(call, run)


def _list_generations(call: Call) -> ApiResponse:
    return _history(call, "generation", "generations", _History)


def _list_technique_runs(call: Call) -> ApiResponse:
    return _history(call, "technique", "technique_runs", _TechniqueHistory)


def _history(call: Call, kind: str, name: str, cls: type[_History]) -> ApiResponse:
    query, now = call.query(cls), call.sandbox.clock.now()
    filters = query.model_dump(exclude={"limit", "cursor"}, exclude_defaults=True)
    rows, keep = call.sandbox.state.history(kind, filters)
    return page(name, rows, query, lambda run: run.row(now, call.root), keep)


def _run_technique(call: Call) -> ApiResponse:
    """Start a technique by id, billed to a named workspace."""
    body = call.json(_RunTechnique)
    technique = _find_runnable(body.technique_id)
    call.sandbox.state.require_workspace(body.workspace_id)
    run = _start_technique(call, technique, body.inputs, body.workspace_id)
    return ApiResponse(run.started(call.root), 201)


def _run_nested(call: Call) -> ApiResponse:
    """Start a technique by id or slug, billed to the key's workspace."""
    technique = _find_runnable(call.path["technique_id"])
    body = call.json(_RunNested)
    slots = {slot["id"]: slot for slot in technique.inputs}
    values: dict[str, Any] = {}
    problems = []
    for item in body.inputs:
        slot = slots.get(item.id, {"type": item.type})
        if item.type != slot["type"]:
            problems.append((f"inputs.{item.id}", f"Expected type {slot['type']}; got {item.type}."))
        if slot.get("allow_multiple"):
            values.setdefault(item.id, []).append(item.value)
        elif item.id in values:
            problems.append((f"inputs.{item.id}", "Takes one value; got several."))
        else:
            values[item.id] = item.value
    problems += find_problems(_INPUTS[technique.id], values, "inputs", root=call.root)
    if problems:
        raise invalid(*problems)
    workspace_id = call.sandbox.workspace_id
    run = _start_technique(call, technique, values, workspace_id, callback_url=body.callback_url, nested=True)
    return ApiResponse(run.state(call.sandbox.clock.now(), call.root), 201)


def _get_nested(call: Call) -> ApiResponse:
    """Return the state of a run that the nested route started; others are unknown here (contract, 2.5)."""
    technique = find_technique(call.path["technique_id"])
    run = call.sandbox.state.visible_run(call.path_id("run_id", RunId))
    if not run.request.nested or run.subject != technique.id:
        raise not_found(f"Run {run.run_id}")
    return _state(call, run)


def _state(call: Call, run: Run) -> ApiResponse:
    return ApiResponse(run.state(call.sandbox.clock.now(), call.root))


def _run_action(call: Call) -> ApiResponse:
    """Run a prebuilt action; it costs nothing."""
    body = call.json(_RunAction)
    action = ACTIONS[body.action_id]
    items = [RunInput(item.name, item.type, item.text or item.url) for item in body.inputs]
    empty = [(f"inputs[{number}]", "Needs a url or a text.") for number, item in enumerate(items) if not item.value]
    inputs, misplaced = action.assign(items)
    if problems := [*empty, *misplaced, *action.check_params(body.params)]:
        raise invalid(*problems)
    call.sandbox.state.require_project(body.project_id, body.workspace_id)
    prompt = f"{action.id}: {' '.join(item.value for item in inputs)}"
    run = start(call, action, RunRequest(prompt, body.workspace_id, body.project_id, body.params, inputs))
    return ApiResponse(run.started(call.root), 201)


def find_technique(name: str) -> Technique:
    """Return the technique of an id or slug."""
    if name not in TECHNIQUES_BY_NAME:
        raise not_found(f"Technique {name}")
    return TECHNIQUES_BY_NAME[name]


def _find_runnable(name: str) -> Technique:
    """Return the technique of an id or slug, or refuse an archived one (contract, 3.2)."""
    technique = find_technique(name)
    if technique.archived:
        raise ApiError(403, "forbidden", f"Technique {technique.id} is archived.")
    return technique


def _start_technique(
    call: Call,
    technique: Technique,
    values: dict[str, Any],
    workspace_id: str,
    *,
    callback_url: str = "",
    nested: bool = False,
) -> Run:
    checked = check(_INPUTS[technique.id], values, "inputs", root=call.root).model_dump(exclude_unset=True)
    media = {slot["id"]: INPUT_MEDIA[slot["type"]] for slot in technique.inputs}
    inputs = tuple(RunInput(name, media[name], value) for name, values in checked.items() for value in _as_list(values))
    prompt = " ".join([f"{technique.name}:", *(item.value for item in inputs if item.medium == "text")])
    project_id = call.sandbox.project_id
    request = RunRequest(prompt, workspace_id, project_id, inputs=inputs, callback_url=callback_url, nested=nested)
    return start(call, technique, request)


ROUTES = [
    Route("POST", "/generate", _generate, key="header"),
    Route("POST", "/runs/generation", _generate, key="header"),
    Route("GET", "/runs/{run_id}", _get_run),
    Route("GET", "/generations", _list_generations),
    Route("POST", "/runs/technique", _run_technique, key="header"),
    Route("POST", "/runs/action", _run_action, key="header"),
    Route("POST", "/techniques/{technique_id}/runs", _run_nested, key="body"),
    Route("GET", "/techniques/{technique_id}/runs/{run_id}", _get_nested),
    Route("GET", "/technique-runs", _list_technique_runs),
]
