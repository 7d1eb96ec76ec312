"""Every operation answers as the contract says, success and error, whatever is asked and in whatever order."""

import json
import re
from collections import defaultdict

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from tests.sandbox.contract import OPERATIONS, check_answer

PNG = "https://media.flora.ai/a.png"
KINDS = ("workspace_id", "project_id", "run_id", "asset_id", "node_id", "folder_id", "technique_id", "action_id")


def ref(kind):
    """Return an id to be filled in: one that an answer has named, of so many."""
    return st.integers(0, 5).map(lambda index: {"$": kind, "index": index})


def closed(required, **optional):
    """Return bodies that are valid as far as their types go."""
    return st.fixed_dictionaries(required, optional=optional)


texts = ["A fern", "Ein Farn, grün", "a\u0000b \U0001f33f", "<img src=x>"]
text = st.sampled_from(texts) | st.text(min_size=1, max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
params = st.dictionaries(
    st.sampled_from(["aspect_ratio", "seed", "duration", "image_url", "image_urls", "voice", "angle", "text", "x"]),
    st.sampled_from(["16:9", PNG, [PNG], 7, 1e300, -1, True, None]) | json_values,
    max_size=3,
)
media = st.sampled_from(["image", "video", "audio", "text"])
scope = {"workspace_id": ref("workspace_id"), "project_id": ref("project_id")}
position = st.fixed_dictionaries({"x": st.floats(-1e6, 1e6), "y": st.floats(-1e6, 1e6)})
edges = st.lists(closed({"from": ref("node_id"), "to": ref("node_id")}, **{"in": text}), max_size=2)
diagrams = st.sampled_from(
    ["flowchart LR\n a[A fern] --> b[Greener]", "graph TD\n x --> y --> z", "flowchart LR", "no diagram", 'a["b'],
)
generation = closed(
    {"type": media, "prompt": text, **scope},
    model=st.sampled_from(["t2i-flux-2-pro", "t2v-veo-3", "t2a-sound-effects", "t2t-writer", "no-such"]),
    params=params,
    callback_url=st.sampled_from(["https://example.com/hook", "http://127.0.0.1:9/hook", "ftp://x"]),
)
technique_inputs = st.fixed_dictionaries({}, optional={"input_image": st.just(PNG), "instructions": text})
node = closed(
    {"ref": st.sampled_from(["a", "b"]), "type": st.sampled_from(["image", "text", "video", "audio", "group"])},
    prompt=text, model=st.sampled_from(["t2i-flux-2-pro", "t2t-writer"]), params=params, label=text, position=position,
)  # fmt: skip
block = closed(
    {"id": st.sampled_from(["n1", "n2", "n3"]), "type": st.sampled_from(["textBlock", "resultImageBlock", "comment"]),
     "data": st.dictionaries(st.text(max_size=5), json_values, max_size=2)},
    position=position,
)  # fmt: skip
link = closed({"id": st.sampled_from(["e1", "e2"]), "source": st.just("n1"), "target": st.just("n2"),
               "source_handle": st.none(), "target_handle": st.none() | text})  # fmt: skip
definition = closed(
    {"nodes": st.lists(block, max_size=3), "edges": st.lists(link, max_size=2), "node_inputs": st.just({}),
     "node_outputs": st.just({})},
)  # fmt: skip
BODIES = {
    "POST /generate": generation,
    "POST /runs/generation": generation,
    "POST /runs/technique": closed(
        {"technique_id": ref("technique_id"), "workspace_id": ref("workspace_id"), "inputs": technique_inputs}
    ),
    "POST /runs/action": closed(
        {
            "action_id": ref("action_id"),
            **scope,
            "inputs": st.lists(closed({"type": media}, url=st.just(PNG), text=text, name=text), min_size=1, max_size=3),
        },
        params=params,
    ),
    "POST /techniques/{technique_id}/runs": closed(
        {
            "inputs": st.lists(
                st.sampled_from(
                    [
                        {"id": "instructions", "type": "text", "value": "Greener"},
                        {"id": "input_image", "type": "imageUrl", "value": PNG},
                    ]
                ),
                min_size=1,
                max_size=2,
            ),
            "mode": st.sampled_from(["async", "stream"]),
        },
        callback_url=st.just("https://example.com/hook"),
        idempotency_key=st.sampled_from(["key-1", "key-2"]),
    ),
    "POST /projects": closed({"workspace_id": ref("workspace_id"), "name": text}),
    "PATCH /projects/{project_id}/canvas": closed(
        {"diagram": diagrams},
        node_params=st.dictionaries(
            st.sampled_from(["a", "b", "x"]),
            closed({}, prompt=text | st.none(), model=st.just("t2i-flux-2-pro"), aspect_ratio=st.just("16:9")),
            max_size=2,
        ),
    ),
    "POST /projects/{project_id}/actions": closed({"action_id": ref("action_id")}, params=params),
    "POST /assets": closed(
        {"source": st.sampled_from([PNG, "signed-url"]), "workspace_id": ref("workspace_id")},
        project_id=ref("project_id"),
        content_type=st.sampled_from(["image/png", "video/mp4", "text/html"]),
        file_name=text,
        folder=text,
    ),
    "POST /assets/{asset_id}/complete": closed({}),
    "POST /assets/{asset_id}/retry": closed({}),
    "POST /feedback": closed(
        {"kind": st.sampled_from(["bug", "feature_request"]), "summary": text, "detail": text},
        run_id=ref("run_id"),
        **scope,
    ),
    "POST /workspaces/{workspace_id}/projects": closed({"name": text}),
    "POST /workspaces/{workspace_id}/folders/{folder_id}/projects": closed({"name": text}),
    "POST /workspaces/{workspace_id}/projects/{project_id}/nodes/run": closed(
        {"node_ids": st.lists(ref("node_id"), min_size=1, max_size=3)}
    ),
    "POST /workspaces/{workspace_id}/projects/{project_id}/canvas/changeset": closed(
        {},
        add=st.lists(node, max_size=2),
        update=st.lists(closed({"id": ref("node_id")}, prompt=text, label=text, position=position), max_size=2),
        connect=edges,
        disconnect=edges,
        remove=st.lists(closed({"id": ref("node_id")}), max_size=1),
    ),
    "PUT /workspaces/{workspace_id}/projects/{project_id}/canvas/definition": closed({"definition": definition}),
    "POST /workspaces/{workspace_id}/library/folders": closed({}, name=text),
    "POST /workspaces/{workspace_id}/library/folders/{folder_id}/items": closed(
        {}, type=st.sampled_from(["image", "text"]), source=st.just(PNG), text=text, description=text
    ),
}
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "limit": st.sampled_from(["1", "2", "100", "0", "x"]),
        "cursor": st.sampled_from(["eyJvZmZzZXQiOjF9", "eyJvZmZzZXQiOjIwfQ", "x"]),
        "workspace_id": ref("workspace_id"),
        "project_id": ref("project_id"),
        "status": st.sampled_from(["pending", "completed", "failed", "cancelled"]),
        "type": media,
        "query": text,
    },
)


@st.composite
def asked(draw):
    """Return a request: nearly valid, or with one member of its body gone, of another kind, or too many."""
    operation = draw(st.sampled_from(list(OPERATIONS)))
    path = {name: draw(ref(name)) for name in re.findall(r"{(\w+)}", operation)}
    body = draw(BODIES[operation]) if operation in BODIES else None
    change = draw(st.sampled_from(["none", "none", "none", "gone", "odd", "more"]))
    if body is not None and change != "none":
        name = draw(st.sampled_from([*body, "more"]))
        body = {key: value for key, value in body.items() if key != name or change != "gone"}
        if change != "gone":
            body[name if change == "odd" else "more"] = draw(json_values)
    query = draw(QUERIES) if operation.startswith("GET") else {}
    headers = draw(st.sampled_from([{}, {}, {"idempotency-key": "key-1"}, {"authorization": "Bearer wrong"}]))
    return operation, path, body, query, headers, draw(st.sampled_from([0, 0, 1, 100]))


class World:
    """A sandbox, and the ids that its answers have named."""

    def __init__(self, flora):
        self.flora = flora
        self.ids = defaultdict(list, {kind: [f"{kind.removesuffix('_id')}_unknown"] for kind in KINDS})
        state = flora.sandbox.state
        self.ids["workspace_id"] += [state.workspace.workspace_id, "ws_unknown", state.foreign_workspace.workspace_id]
        self.ids["project_id"] += [state.project.project_id, "prj_unknown", state.foreign_project.project_id]
        for operation in ("GET /techniques", "GET /actions", "GET /workspaces"):
            self.ask(operation)
        self.ask("POST /generate", body=flora.body())
        self.ask("POST /assets", body={"source": PNG, "workspace_id": flora.sandbox.workspace_id})

    def fill(self, value):
        """Return a value with its ids filled in."""
        if isinstance(value, dict):
            if "$" in value:
                known = self.ids[value["$"]]
                return known[-1 - value["index"] % len(known)]
            return {name: self.fill(item) for name, item in value.items()}
        return [self.fill(item) for item in value] if isinstance(value, list) else value

    def ask(self, operation, path=(), body=None, query=(), headers=()):
        """Send a request, hold its answer to the contract, and note the ids in it."""
        method, template = operation.split(" ")
        ids = {name: self.fill(value) for name, value in dict(path).items()}
        content = None if body is None else json.dumps(self.fill(body))
        response = self.flora.request(
            method, template.format(**ids), content=content, params=self.fill(dict(query)), headers=dict(headers)
        )
        answer = check_answer(operation, response)
        if response.is_success:
            self.note(response.json())
        return response, answer

    def note(self, value):
        for name, item in value.items() if isinstance(value, dict) else ():
            if name in KINDS and isinstance(item, str) and item not in self.ids[name]:
                self.ids[name].append(item)
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            self.note(item)


@settings(max_examples=150, deadline=None)
@given(requests=st.lists(asked(), min_size=1, max_size=12))
def test_every_answer_is_as_the_contract_says(make_flora, requests):
    world = World(make_flora())
    for operation, path, body, query, headers, seconds in requests:
        world.ask(operation, path, body, query, headers)
        world.flora.sandbox.clock.advance(seconds)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_without_a_key_or_under_a_wrong_one_is_refused(flora, operation):
    world = World(flora)
    path = {name: f"{name.removesuffix('_id')}_1" for name in re.findall(r"{(\w+)}", operation)}
    for authorization, code in (("", "unauthorized"), ("Bearer x", "invalid_api_key")):
        response, answer = world.ask(operation, path, {}, headers={"authorization": authorization})
        assert (response.status_code, answer.error.code) == (401, code)


DEFINITION = {"nodes": [], "edges": [], "node_inputs": {}, "node_outputs": {}}
VALID = {
    "POST /runs/technique": {"technique_id": "tech_storybrd1", "inputs": {"instructions": "Go"}},
    "POST /runs/action": {"action_id": "rotate-image-browser", "inputs": [{"type": "image", "url": PNG}]},
    "POST /techniques/{technique_id}/runs": {
        "inputs": [{"id": "instructions", "type": "text", "value": "Go"}],
        "mode": "async",
    },
    "POST /projects": {"name": "Ferns"},
    "PATCH /projects/{project_id}/canvas": {"diagram": "flowchart LR\n a --> b"},
    "POST /projects/{project_id}/actions": {"action_id": "rotate-image-browser"},
    "POST /assets": {"source": PNG},
    "POST /feedback": {"kind": "bug", "summary": "A bug", "detail": "None"},
    "POST /workspaces/{workspace_id}/projects": {"name": "Ferns"},
    "POST /workspaces/{workspace_id}/folders/{folder_id}/projects": {"name": "Ferns"},
    "POST /workspaces/{workspace_id}/projects/{project_id}/nodes/run": {"node_ids": ["n1"]},
    "POST /workspaces/{workspace_id}/projects/{project_id}/canvas/changeset": {"add": [{"ref": "b", "type": "text"}]},
    "PUT /workspaces/{workspace_id}/projects/{project_id}/canvas/definition": {"definition": DEFINITION},
    "POST /workspaces/{workspace_id}/library/folders": {"name": "Kept"},
    "POST /workspaces/{workspace_id}/library/folders/{folder_id}/items": {"type": "text", "text": "A fern"},
}
SCOPED = {
    "POST /runs/technique": ("workspace_id",),
    "POST /runs/action": ("workspace_id", "project_id"),
    "POST /projects": ("workspace_id",),
    "POST /assets": ("workspace_id",),
}


@pytest.fixture
def prepared(flora):
    """Return the ids of one of everything that an operation may name."""
    sandbox = flora.sandbox
    scope = {"workspace_id": sandbox.workspace_id, "project_id": sandbox.project_id}
    at = f"/workspaces/{sandbox.workspace_id}"
    node = {"ref": "a", "type": "image", "prompt": "A fern", "model": "t2i-flux-2-pro"}
    flora.post(f"{at}/projects/{sandbox.project_id}/canvas/changeset", json={"add": [node]})
    technique = flora.post("/techniques/storyboard/runs", json=VALID["POST /techniques/{technique_id}/runs"]).json()
    folder = flora.post(f"{at}/library/folders", json={}).json()["folder_id"]
    return {
        **scope,
        "run_id": flora.start(),
        "technique_run": technique["run_id"],
        "technique_id": "storyboard",
        "action_id": "rotate-image-browser",
        "folder_id": folder,
        "project_folder": sandbox.state.add_folder(sandbox.workspace_id),
    }


def asset_for(flora, operation):
    """Return an asset in the state that an operation needs."""
    assets, state = flora.sandbox.assets, flora.sandbox.state
    if operation.endswith("/retry"):
        asset = assets.add_signed(state.workspace.workspace_id, "a", "image/png")
        flora.sandbox.clock.advance(1e5)
    elif operation.endswith("/complete"):
        asset = assets.add_signed(state.workspace.workspace_id, "a", "image/png")
        asset.content = b"png"
    else:
        asset = assets.add_direct(state.workspace.workspace_id, "a", "image/png", b"png")
    return asset.asset_id


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_succeeds_and_refuses_what_is_not_there_or_not_right(flora, prepared, operation):
    method, template = operation.split(" ")
    ids = {**prepared, "asset_id": asset_for(flora, operation)}
    if template.startswith("/techniques/{technique_id}/runs/"):
        ids["run_id"] = prepared["technique_run"]
    if "/folders/{folder_id}/projects" in template:
        ids["folder_id"] = prepared["project_folder"]
    if "{node_id}" in template:
        made = flora.post(f"/projects/{ids['project_id']}/actions", json=VALID["POST /projects/{project_id}/actions"])
        ids["node_id"] = made.json()["node_id"]
    body = VALID.get(operation, flora.body() if template in ("/generate", "/runs/generation") else None)
    if body is not None:
        body = body | {name: prepared[name] for name in SCOPED.get(operation, ())}
    query = {"workspace_id": ids["workspace_id"]} if operation == "GET /projects" else {}
    # FLORA refuses an unknown id with a 404, and a body with a member too many with a 400.
    if body is not None:
        refused = flora.request(method, template.format(**ids), json={**body, "unknown_member": 1})
        assert check_answer(operation, refused).error.fields[0].field == "unknown_member"
    for name in re.findall(r"{(\w+)}", template):
        unknown = {**ids, name: f"{ids[name].split('_')[0]}_unknown"}
        refused = flora.request(method, template.format(**unknown), json=body)
        assert (refused.status_code, check_answer(operation, refused).error.code) == (404, "not_found")
    answer = flora.request(method, template.format(**ids), json=body, params=query)
    assert answer.is_success, answer.text
    check_answer(operation, answer)
