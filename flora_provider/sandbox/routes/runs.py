"""Starting and watching runs: generations, techniques, actions (contract, 2.2 to 2.7 and 2.10)."""

from __future__ import annotations

from typing import Any

from flora_provider.sandbox.http.paging import page
from flora_provider.sandbox.http.reading import read
from flora_provider.sandbox.http.responses import ApiResponse, invalid, not_found
from flora_provider.sandbox.http.validation import (
    Member,
    check_members,
    check_path_id,
    filled_list,
    mapping,
    one_of,
    page_size,
    public_https,
    public_id,
    text,
)
from flora_provider.sandbox.routes.call import Call, Route
from flora_provider.sandbox.world.actions import ACTIONS_BY_ID
from flora_provider.sandbox.world.catalog import MODELS, MODELS_BY_ID, TECHNIQUES_BY_NAME, Technique
from flora_provider.sandbox.world.run_behavior import RunBehavior
from flora_provider.sandbox.world.runs import Run

_GENERATE = {
    "type": Member(one_of("image", "video", "audio", "text"), required=True),
    "prompt": Member(text, required=True),
    "workspace_id": Member(public_id("ws_"), required=True),
    "project_id": Member(public_id("prj_"), required=True),
    "model": Member(text),
    "params": Member(mapping),
    "callback_url": Member(public_https),
}
_RUN_TECHNIQUE = {
    "technique_id": Member(public_id("tech_"), required=True),
    "workspace_id": Member(public_id("ws_"), required=True),
    "inputs": Member(mapping, required=True),
}
_RUN_NESTED = {
    "inputs": Member(filled_list, required=True),
    "mode": Member(one_of("async", "stream"), required=True),
    "callback_url": Member(public_https),
    "idempotency_key": Member(text),
}
_NESTED_INPUT = {
    "id": Member(text, required=True),
    "type": Member(one_of("text", "imageUrl", "videoUrl"), required=True),
    "value": Member(text, required=True),
}
_RUN_ACTION = {
    "action_id": Member(text, required=True),
    "workspace_id": Member(public_id("ws_"), required=True),
    "project_id": Member(public_id("prj_"), required=True),
    "inputs": Member(filled_list, required=True),
    "params": Member(mapping),
}
_ACTION_INPUT = {
    "type": Member(one_of("image", "video", "audio", "text"), required=True),
    "url": Member(text),
    "text": Member(text),
    "name": Member(text),
}
_HISTORY = {
    "workspace_id": Member(public_id("ws_")),
    "project_id": Member(public_id("prj_")),
    "status": Member(one_of("pending", "running", "completed", "failed")),
    "limit": Member(page_size),
    "cursor": Member(text),
}


def generate(call: Call) -> ApiResponse:
    """Start a model generation."""
    body = call.json(_GENERATE)
    call.sandbox.state.require_project(body["project_id"], body["workspace_id"])
    offered = [model for model in MODELS if model.medium == body["type"]]
    model = MODELS_BY_ID.get(body["model"]) if "model" in body else offered[0]
    if model not in offered:
        names = ", ".join(model.model_id for model in offered)
        raise invalid(("model", f'Unknown {body["type"]} model "{body["model"]}". Accessible models: {names}.'))
    run = call.sandbox.state.start_run(
        "generation",
        model.model_id,
        model.medium,
        body["prompt"],
        workspace_id=body["workspace_id"],
        project_id=body["project_id"],
        usd=model.usd,
        seconds=model.seconds,
        behavior=_behavior(call, body.get("params", {})),
        idempotency_key=call.idempotency_key,
    )
    return ApiResponse(run.started(call.root), 201)


def get_run(call: Call) -> ApiResponse:
    """Return the state of a run, unless the nested route started it."""
    run_id = call.path["run_id"]
    check_path_id("run_id", run_id, "run_")
    run = call.sandbox.state.visible_run(run_id)
    if run.nested:
        # FLORA does not document whether this route serves such runs; the sandbox is the stricter server.
        raise not_found(f"Run {run_id}")
    return ApiResponse(run.state(call.sandbox.clock.now(), call.root))


def list_generations(call: Call) -> ApiResponse:
    """Return a page of the generation history."""
    return _history(call, "generation", "generations")


def list_technique_runs(call: Call) -> ApiResponse:
    """Return a page of the technique run history."""
    return _history(call, "technique", "technique_runs")


def _history(call: Call, kind: str, name: str) -> ApiResponse:
    members = _HISTORY if kind == "generation" else {**_HISTORY, "technique_id": Member(public_id("tech_"))}
    query = call.query(members)
    now = call.sandbox.clock.now()
    return page(name, call.sandbox.state.history(kind, query), query, lambda run: run.row(now, call.root))


def run_technique(call: Call) -> ApiResponse:
    """Start a technique by id, billed to a named workspace."""
    body = call.json(_RUN_TECHNIQUE)
    technique = TECHNIQUES_BY_NAME.get(body["technique_id"])
    if technique is None:
        raise not_found(f"Technique {body['technique_id']}")
    call.sandbox.state.require_workspace(body["workspace_id"])
    _check_slots(technique, body["inputs"], call.root)
    return ApiResponse(_start_technique(call, technique, body["inputs"], body["workspace_id"]).started(call.root), 201)


def run_nested(call: Call) -> ApiResponse:
    """Start a technique by id or slug, billed to the key's workspace."""
    technique = find_technique(call)
    body = call.json(_RUN_NESTED)
    problems = []
    for number, item in enumerate(body["inputs"]):
        problems += check_members(item if isinstance(item, dict) else {}, _NESTED_INPUT, f"inputs[{number}].")
    if problems:
        raise invalid(*problems)
    types = {slot["id"]: slot["type"] for slot in technique.inputs}
    if wrong := [i for i in body["inputs"] if i["id"] in types and types[i["id"]] != i["type"]]:
        raise invalid(*((f"inputs.{item['id']}", f"Expected type {types[item['id']]}.") for item in wrong))
    inputs = {item["id"]: item["value"] for item in body["inputs"]}
    _check_slots(technique, inputs, call.root)
    run = _start_technique(call, technique, inputs, call.sandbox.workspace_id, nested=True)
    return ApiResponse(run.state(call.sandbox.clock.now(), call.root), 201)


def get_nested(call: Call) -> ApiResponse:
    """Return the state of a run that the nested route started; others are unknown here (contract, 2.5)."""
    technique, run_id = find_technique(call), call.path["run_id"]
    check_path_id("run_id", run_id, "run_")
    run = call.sandbox.state.visible_run(run_id)
    if not run.nested or run.subject != technique.technique_id:
        raise not_found(f"Run {run_id}")
    return ApiResponse(run.state(call.sandbox.clock.now(), call.root))


def run_action(call: Call) -> ApiResponse:
    """Run a prebuilt action; it costs nothing."""
    body = call.json(_RUN_ACTION)
    action = ACTIONS_BY_ID.get(body["action_id"])
    problems = []
    if action is None:
        problems.append(("action_id", f"Unknown action {body['action_id']!r}."))
    else:
        problems += action.check_params(body.get("params", {}))
    for number, item in enumerate(body["inputs"]):
        problems += check_members(item if isinstance(item, dict) else {}, _ACTION_INPUT, f"inputs[{number}].")
    if action is None or problems:
        raise invalid(*problems)
    call.sandbox.state.require_project(body["project_id"], body["workspace_id"])
    words = [str(item.get("text") or item.get("url") or "") for item in body["inputs"]]
    run = call.sandbox.state.start_run(
        "action",
        action.action_id,
        action.makes,
        f"{action.action_id}: {' '.join(words)}",
        workspace_id=body["workspace_id"],
        project_id=body["project_id"],
        usd=0.0,
        seconds=action.seconds,
        behavior=_behavior(call, body.get("params", {})),
        idempotency_key=call.idempotency_key,
    )
    return ApiResponse(run.started(call.root), 201)


def find_technique(call: Call) -> Technique:
    """Return the technique a path names by id or slug."""
    technique = TECHNIQUES_BY_NAME.get(call.path["technique_id"])
    if technique is None:
        raise not_found(f"Technique {call.path['technique_id']}")
    return technique


def _start_technique(
    call: Call, technique: Technique, inputs: dict[str, Any], workspace_id: str, *, nested: bool = False
) -> Run:
    return call.sandbox.state.start_run(
        "technique",
        technique.technique_id,
        technique.medium,
        f"{technique.name}: {' '.join(str(value) for value in inputs.values())}",
        workspace_id=workspace_id,
        project_id=call.sandbox.project_id,
        usd=technique.usd,
        seconds=technique.seconds,
        behavior=_behavior(call, {}),
        name=technique.name,
        nested=nested,
        idempotency_key=call.idempotency_key,
    )


def _check_slots(technique: Technique, inputs: dict[str, Any], root: str) -> None:
    slots = {slot["id"]: slot for slot in technique.inputs}
    problems = [
        (f"inputs.{name}", "Required")
        for name, slot in slots.items()
        if not slot.get("optional") and name not in inputs
    ]
    for name, value in inputs.items():
        if name not in slots:
            problems.append((f"inputs.{name}", f"Unknown input; {technique.name} takes {', '.join(slots)}."))
        elif slots[name]["type"] == "text":
            problems += [(f"inputs.{name}", problem) for problem in [text(value)] if problem]
        elif not (isinstance(value, str) and value.startswith(f"{root}/media/")):
            # Over plain http only the sandbox's own media count as FLORA's: the output of one run feeds the next.
            problems += [(f"inputs.{name}", problem) for problem in [public_https(value)] if problem]
    if problems:
        raise invalid(*problems)


def _behavior(call: Call, params: dict[str, Any]) -> RunBehavior:
    if call.fault is not None and call.fault.behavior is not None:
        return call.fault.behavior
    return read(RunBehavior, params["sandbox"], "params.sandbox.") if "sandbox" in params else RunBehavior()


ROUTES = [
    Route("POST", "/generate", generate, key="header"),
    Route("POST", "/runs/generation", generate, key="header"),
    Route("GET", "/runs/{run_id}", get_run),
    Route("GET", "/generations", list_generations),
    Route("POST", "/runs/technique", run_technique, key="header"),
    Route("POST", "/runs/action", run_action, key="header"),
    Route("POST", "/techniques/{technique_id}/runs", run_nested, key="body"),
    Route("GET", "/techniques/{technique_id}/runs/{run_id}", get_nested),
    Route("GET", "/technique-runs", list_technique_runs),
]
