"""Every endpoint, with the answers of FLORA's reference: what is sent, and that nothing of the answer is lost."""

import inspect
import io
import json
from decimal import Decimal

import httpx
import pendulum
import pytest

from flora_provider.api import calls
from flora_provider.api.errors import FloraInputError
from flora_provider.api.models import FileOutput, RunStatus, TextOutput
from flora_provider.api.paging import PageWalk

META = {"next_cursor": None, "total_estimate": 1}
RUN = {
    "run_id": "run_1",
    "status": "completed",
    "progress": 100,
    "created_at": 1750000000000,
    "started_at": 1750000001000,
    "completed_at": 1750000012500,
    "charged_cost": 0.04,
    "outputs": [
        {"output_id": "output_1", "type": "imageUrl", "url": "https://media.flora.ai/node-outputs/a.png?tr=orig-true"},
        {"output_id": "output_2", "type": "text", "url": "A fern, in words."},
    ],
    "poll_url": "https://app.flora.ai/api/v1/runs/run_1",
}
FAILED = {
    "run_id": "run_1",
    "status": "failed",
    "progress": 100,
    "created_at": 1750000000000,
    "completed_at": 1750000012500,
    "error_code": "provider_error",
    "error_message": "The provider did not answer.",
}
STARTED = {
    "run_id": "run_abc123",
    "type": "generation",
    "estimated_seconds": 12,
    "charged_cost": 0.04,
    "poll_url": "https://app.flora.ai/api/v1/runs/run_abc123",
    "model": {"model_id": "t2i-flux-2-pro"},
    "project_id": "prj_abc123",
}
SLOT = {
    "id": "input_image",
    "name": "Image",
    "type": "imageUrl",
    "description": "what to change",
    "optional": True,
    "accepts_element": True,
    "allow_multiple": True,
    "specified_aspect_ratio": "16:9",
    "specified_duration": 5,
}
TECHNIQUE = {
    "technique_id": "tech_1",
    "name": "CCTV cam",
    "slug": "cctv-cam",
    "run_cost": 0.05,
    "description": "as seen from above",
    "inputs": [SLOT],
    "outputs": [{"id": "full", "name": "Full", "type": "videoUrl"}],
}
ACTION = {
    "action_id": "ken-burns-video",
    "name": "Ken Burns",
    "description": "pan and zoom",
    "language": "python",
    "charged_cost": 0,
    "inputs": [
        {"name": "image", "type": "image", "multiple": {"min": 1, "max": 4}, "dynamic": False},
        {"name": "sound", "type": "audio", "optional": True, "multiple": True},
    ],
    "outputs": [{"name": "video", "type": "video"}],
    "params": [
        {
            "key": "fps",
            "type": "enum",
            "label": "FPS",
            "info_tooltip": "frames",
            "default_value": "30",
            "available_values": [{"label": "24", "value": "24", "description": "film"}],
            "min_number_value": 1,
            "max_number_value": 60,
            "number_step": 0.5,
        }
    ],
}
MODEL = {
    "model_id": "t2i-flux-2-pro",
    "name": "FLUX.2 Pro",
    "provider": "BFL",
    "type": "image",
    "capabilities": ["t2i"],
    "estimated_credits": 40,
    "estimated_seconds": 12,
    "beta": True,
    "params": [
        {
            "name": "aspect_ratio",
            "type": "string",
            "required": False,
            "default": "1:1",
            "min": 0,
            "max": 1,
            "label": "Ratio",
            "description": "of the sides",
            "options": [{"label": "square", "value": "1:1"}],
            "properties": {"w": {"min": 1, "max": 2, "default": 1}},
        }
    ],
}
PROJECT = {
    "project_id": "prj_1",
    "workspace_id": "ws_1",
    "name": "Ferns",
    "origin": "api",
    "created_at": 1750000000000,
    "last_modified": 1750000500000,
}
UPLOAD = {
    "url": "https://storage.googleapis.com/bucket",
    "method": "POST",
    "content_type": "multipart/form-data",
    "file_field": "file",
    "form_fields": {"key": "a/b.png", "policy": "cG9saWN5", "x-goog-signature": "5167"},
}
RESERVED = {
    "asset_id": "asset_1",
    "workspace_id": "ws_1",
    "status": "pending_upload",
    "uploaded_via": "signed_url",
    "url": "https://media.flora.ai/node-inputs/b.png",
    "visibility": "workspace",
    "expires_at": "2026-08-24T12:00:00.000Z",
    "upload": UPLOAD,
}
READY = {
    "asset_id": "asset_1",
    "workspace_id": None,
    "status": "ready",
    "url": None,
    "visibility": "workspace",
    "failure_message": None,
}
LISTED_ASSET = {
    "asset_id": "asset_1",
    "name": "b.png",
    "description": None,
    "workspace_id": "ws_1",
    "url": "https://media.flora.ai/node-inputs/b.png",
    "content_type": "image/png",
    "upload_content_type": "image/png",
    "uploaded_via": "agent",
    "status": "ready",
    "width": 640,
    "height": 480,
    "size_bytes": 123456,
    "created_at": 1750000000000,
    "node_id": "node_1",
    "project_id": "prj_1",
}
SINGLE_ASSET = LISTED_ASSET | {"created_at": "2025-06-15T15:06:40.000Z", "failure_message": None}
GENERATION = RUN | {
    "generation_id": "run_1",
    "project_id": "prj_1",
    "workspace_id": "ws_1",
    "model": {"model_id": "t2i-flux-2-pro"},
}
TECHNIQUE_RUN = RUN | {
    "technique_run_id": "run_1",
    "project_id": "prj_1",
    "workspace_id": "ws_1",
    "technique": {"technique_id": "tech_1", "name": "CCTV cam"},
}
NODE = {
    "node_id": "node_1",
    "type": "image",
    "asset_id": "asset_1",
    "label": "b",
    "url": "https://media.flora.ai/b.png",
    "width": 640,
    "height": 480,
}
PLACE = {"workspace_id": "ws_1", "project_id": "prj_1"}


def from_file():
    return calls.create_asset_from_file(
        file=io.BytesIO(b"png"), workspace_id="ws_1", content_type="image/png", file_name="b.png", folder="ferns"
    )


# Name of the function, how it is called, the request line, the JSON that is sent, the JSON that comes back.
EXAMPLES = [
    (
        lambda: calls.generate(
            type="image",
            prompt="a fern",
            model="t2i-flux-2-pro",
            params={"seed": 1},
            callback_url="https://example.com/cb",
            **PLACE,
        ),
        "POST /generate",
        {
            "type": "image",
            "prompt": "a fern",
            "model": "t2i-flux-2-pro",
            "params": {"seed": 1},
            "callback_url": "https://example.com/cb",
            **PLACE,
        },
        STARTED,
    ),
    (
        lambda: calls.run_generation(type="text", prompt="a fern", **PLACE),
        "POST /runs/generation",
        {"type": "text", "prompt": "a fern", **PLACE},
        STARTED,
    ),
    (lambda: calls.get_run("run_1"), "GET /runs/run_1", None, RUN),
    (lambda: calls.get_run("run_1"), "GET /runs/run_1", None, FAILED),
    (
        lambda: calls.list_generations(**PLACE, status="completed", limit=20, cursor="eyJvZmZzZXQiOjIwfQ"),
        "GET /generations?workspace_id=ws_1&project_id=prj_1&status=completed&limit=20&cursor=eyJvZmZzZXQiOjIwfQ",
        None,
        {"generations": [GENERATION], "meta": META},
    ),
    (
        lambda: calls.run_technique(technique_id="tech_1", workspace_id="ws_1", inputs={"input_image": "https://a"}),
        "POST /runs/technique",
        {"technique_id": "tech_1", "workspace_id": "ws_1", "inputs": {"input_image": "https://a"}},
        STARTED | {"type": "technique", "technique": {"technique_id": "tech_1", "name": "CCTV cam"}, "model": None},
    ),
    (
        lambda: calls.run_action(
            action_id="ken-burns-video", inputs=[{"type": "image", "url": "https://a"}], params={"fps": "24"}, **PLACE
        ),
        "POST /runs/action",
        {
            "action_id": "ken-burns-video",
            "inputs": [{"type": "image", "url": "https://a"}],
            "params": {"fps": "24"},
            **PLACE,
        },
        STARTED | {"type": "action", "action": {"action_id": "ken-burns-video"}, "estimated_seconds": None},
    ),
    (
        lambda: calls.start_technique(
            "cctv-cam",
            inputs=[{"id": "prompt", "type": "text", "value": "a fern"}],
            callback_url="https://example.com/cb",
        ),
        "POST /techniques/cctv-cam/runs",
        {
            "inputs": [{"id": "prompt", "type": "text", "value": "a fern"}],
            "mode": "async",
            "callback_url": "https://example.com/cb",
        },
        {"run_id": "run_1", "status": "pending", "progress": 0, "created_at": 1750000000000},
    ),
    (lambda: calls.get_technique_run("tech_1", "run_1"), "GET /techniques/tech_1/runs/run_1", None, RUN),
    (
        lambda: calls.list_technique_runs(technique_id="tech_1"),
        "GET /technique-runs?technique_id=tech_1&limit=100",
        None,
        {"technique_runs": [TECHNIQUE_RUN], "meta": {"next_cursor": "abc"}},
    ),
    (
        lambda: calls.list_techniques(query="a b"),
        "GET /techniques?query=a+b&limit=100",
        None,
        {"techniques": [TECHNIQUE], "meta": {"limit": 5}},
    ),
    (lambda: calls.get_technique("tech_1"), "GET /techniques/tech_1", None, TECHNIQUE),
    (calls.list_actions, "GET /actions", None, {"actions": [ACTION]}),
    (lambda: calls.get_action("ken-burns-video"), "GET /actions/ken-burns-video", None, ACTION),
    (lambda: calls.list_models(type="image"), "GET /models?type=image", None, {"models": [MODEL]}),
    (
        calls.list_workspaces,
        "GET /workspaces",
        None,
        {"workspaces": [{"workspace_id": "ws_1", "name": "Ours", "role": "owner", "created_at": None}]},
    ),
    (
        lambda: calls.list_projects(workspace_id="ws_1"),
        "GET /projects?workspace_id=ws_1&limit=100",
        None,
        {"projects": [PROJECT, PROJECT | {"origin": None, "last_modified": None}], "meta": META},
    ),
    (
        lambda: calls.create_project(workspace_id="ws_1", name="Ferns"),
        "POST /projects",
        {"workspace_id": "ws_1", "name": "Ferns"},
        PROJECT,
    ),
    (lambda: calls.get_project("prj_1"), "GET /projects/prj_1", None, PROJECT),
    (
        lambda: calls.list_nodes("prj_1"),
        "GET /projects/prj_1/nodes?limit=100",
        None,
        {"nodes": [NODE, {"node_id": "node_2", "type": "text"}], "meta": META, "project_id": "prj_1"},
    ),
    (
        lambda: calls.attach_asset(project_id="prj_1", asset_id="asset_1"),
        "POST /projects/prj_1/assets/asset_1/attach",
        {},
        {"project_id": "prj_1", "asset_id": "asset_1", "node_id": "n3", "canvas_url": "https://app.flora.ai/p/1"},
    ),
    (
        lambda: calls.create_asset(source=calls.SIGNED_UPLOAD, file_name="b.png", content_type="image/png", **PLACE),
        "POST /assets",
        {"source": "signed-url", "file_name": "b.png", "content_type": "image/png", **PLACE},
        RESERVED,
    ),
    (
        lambda: calls.create_asset(source="https://example.com/b.png", workspace_id="ws_1"),
        "POST /assets",
        {"source": "https://example.com/b.png", "workspace_id": "ws_1"},
        RESERVED | {"uploaded_via": "url", "upload": None},
    ),
    (from_file, "POST /assets", None, READY | {"uploaded_via": "direct", "workspace_id": "ws_1"}),
    (lambda: calls.complete_asset("asset_1"), "POST /assets/asset_1/complete", {}, READY),
    (
        lambda: calls.retry_asset("asset_1"),
        "POST /assets/asset_1/retry",
        {},
        RESERVED | {"upload": None, "upload_url": "https://storage.example.com/put?signature=1"},
    ),
    (lambda: calls.get_asset("asset_1"), "GET /assets/asset_1", None, SINGLE_ASSET),
    (
        lambda: calls.list_assets(query="fern"),
        "GET /assets?query=fern&limit=100",
        None,
        {"assets": [LISTED_ASSET, LISTED_ASSET | {"asset_id": None, "url": None, "created_at": None}], "meta": META},
    ),
    (
        lambda: calls.send_feedback(
            kind="bug", summary="s", detail="d", attempted_tools=["generate"], run_id="run_1", **PLACE
        ),
        "POST /feedback",
        {
            "kind": "bug",
            "summary": "s",
            "detail": "d",
            "attempted_tools": ["generate"],
            "run_id": "run_1",
            **PLACE,
        },
        {"feedback_id": "fb_1", "received_at": 1750000000000},
    ),
    (
        lambda: calls.raw("patch", "projects", "prj_1", "canvas", query={"a": "1"}, payload={"diagram": "graph TD"}),
        "PATCH /projects/prj_1/canvas?a=1",
        {"diagram": "graph TD"},
        {"project_id": "prj_1", "created_node_count": 2, "warnings": []},
    ),
    (lambda: calls.raw("DELETE", "workspaces", "ws_1"), "DELETE /workspaces/ws_1", None, {"deleted": True}),
]


def assert_holds(value, said):
    """Everything FLORA said is in the answer, under FLORA's own name, and in the promised type."""
    match value:
        case None | bool() | str() | int() | float():
            assert value == said
        case Decimal():
            assert value == Decimal(str(said))
        case pendulum.DateTime():
            assert value == (pendulum.parse(said) if isinstance(said, str) else pendulum.from_timestamp(said / 1000))
            assert value.tzinfo is not None
        case dict():
            assert value == said
        case tuple():
            assert len(value) == len(said)
            for mine, theirs in zip(value, said, strict=True):
                assert_holds(mine, theirs)
        case TextOutput():
            assert (value.output_id, value.type, value.text) == (said["output_id"], said["type"], said["url"])
        case _:
            for name, theirs in said.items():
                assert_holds(getattr(value, name), theirs)


def assert_answers(value, said):
    if isinstance(said, dict) and "meta" in said:
        rows = next(rows for rows in said.values() if isinstance(rows, list))
        assert value.next_cursor == said["meta"].get("next_cursor")
        assert value.total_estimate == said["meta"].get("total_estimate")
        assert_holds(value.items, rows)
    elif isinstance(said, dict) and set(said) & {"actions", "workspaces", "models"}:
        (rows,) = said.values()
        assert_holds(getattr(value, "items", value), rows)
    else:
        assert_holds(value, said)


@pytest.mark.parametrize(("make", "line", "sent", "said"), EXAMPLES, ids=[example[1] for example in EXAMPLES])
def test_a_call_sends_what_the_reference_says_and_loses_nothing_of_the_answer(colour, api_key, make, line, sent, said):
    seen = []

    def flora(request):
        request.read()
        seen.append(request)
        return httpx.Response(200, json=said)

    value = colour(flora).send(make())

    (request,) = seen
    method, _, path = line.partition(" ")
    assert (request.method, str(request.url)) == (method, f"https://app.flora.ai/api/v1{path}")
    assert request.headers["authorization"] == f"Bearer {api_key}"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("airflow-provider-flora/")
    if make is not from_file:
        assert (json.loads(request.content) if request.content else None) == sent
        assert request.headers.get("content-type") == (None if sent is None else "application/json")
    assert_answers(value, said)


def test_every_call_has_an_example():
    source = "".join(inspect.getsource(make) for make, *_ in EXAMPLES)
    functions = [name for name in calls.__all__ if inspect.isfunction(getattr(calls, name))]
    assert [name for name in functions if f"calls.{name}(" not in source and f"def {name}(" not in source] == []


def test_a_file_is_sent_as_a_form_that_repeats_byte_for_byte(colour):
    bodies = []

    def flora(request):
        bodies.append((request.headers["content-type"], request.read()))
        return httpx.Response(503 if len(bodies) == 1 else 201, json=READY)

    colour(flora).send(from_file().with_key("k"))

    (first_type, first), (second_type, second) = bodies
    assert first == second
    assert first_type == second_type
    assert first_type.startswith("multipart/form-data; boundary=")
    for part in (b'name="workspace_id"\r\n\r\nws_1', b'name="folder"\r\n\r\nferns', b'filename="b.png"', b"image/png"):
        assert part in first
    assert first.index(b'name="folder"') < first.index(b'name="file"')


def test_outputs_of_type_text_are_another_kind_than_files():
    image, text = calls.get_run("run_1").read(RUN).outputs
    assert isinstance(image, FileOutput)
    assert image.to_dict() == RUN["outputs"][0]
    assert isinstance(text, TextOutput)
    assert text.to_dict() == {"output_id": "output_2", "type": "text", "text": "A fern, in words."}


def test_a_finished_run_is_plain_json():
    run = calls.get_run("run_1").read(RUN)
    assert run.to_dict() == json.loads(json.dumps(run.to_dict()))
    assert run.to_dict() == {
        "run_id": "run_1",
        "status": "completed",
        "outputs": [output.to_dict() for output in run.outputs],
        "charged_cost": 0.04,
        "created_at": "2025-06-15T15:06:40+00:00",
        "started_at": "2025-06-15T15:06:41+00:00",
        "completed_at": "2025-06-15T15:06:52.500000+00:00",
    }
    assert run.raw == RUN
    assert run.is_terminal
    assert run.status is RunStatus.COMPLETED


def test_the_json_of_a_run_that_goes_on_is_not_kept():
    running = calls.get_run("run_1").read({"run_id": "run_1", "status": "running", "raw": "FLORA's own"})
    assert (running.raw, running.charged_cost, running.is_terminal) == ({}, None, False)
    assert running.to_dict()["charged_cost"] is None


def test_a_generation_tells_its_model_if_flora_does():
    read = calls.list_generations().read
    (known,) = read({"generations": [GENERATION]}).items
    (unknown,) = read({"generations": [GENERATION | {"model": {"model_id": None}}]}).items
    assert (known.model_id, unknown.model_id) == ("t2i-flux-2-pro", None)


def test_the_key_goes_into_the_header_and_on_one_endpoint_also_into_the_body():
    start = calls.start_technique("cctv-cam", inputs=[{"id": "a", "type": "text", "value": "b"}])
    request = start.with_key("key-1").request()
    assert dict(request.headers)["Idempotency-Key"] == "key-1"
    assert json.loads(request.body)["idempotency_key"] == "key-1"
    assert b"idempotency_key" not in start.request().body

    generate = calls.generate(type="text", prompt="p", **PLACE).with_key("key-1").request()
    assert dict(generate.headers)["Idempotency-Key"] == "key-1"
    assert b"key-1" not in generate.body


def test_the_bytes_of_a_call_are_the_same_in_any_order_of_members():
    one = calls.generate(type="text", prompt="ä", params={"a": 1, "b": {"y": 1, "x": 2}}, **PLACE)
    two = calls.generate(prompt="ä", params={"b": {"x": 2, "y": 1}, "a": 1}, type="text", **PLACE)
    assert one.request().body == two.request().body == one.request().body


def test_only_calls_with_a_key_and_gets_may_be_sent_twice():
    create = calls.create_project(workspace_id="ws_1", name="n")
    assert calls.get_run("run_1").resendable
    assert not create.resendable
    assert create.with_key("k").resendable
    with pytest.raises(FloraInputError, match="PATCH /x takes no idempotency key"):
        calls.raw("PATCH", "x").with_key("k")
    assert calls.raw("POST", "x", takes_key=True).with_key("k").resendable
    for key in ("", "two words", "ä", "x" * 256):
        with pytest.raises(FloraInputError, match="printable ASCII"):
            create.with_key(key)


def test_path_segments_cannot_climb_or_break_out():
    assert calls.get_technique("a?b#c%d").path == "/techniques/a%3Fb%23c%25d"
    assert calls.get_run("run_../../x").path == "/runs/run_..%2F..%2Fx"
    for segment in ("", ".", "..", "a\nb", "\ud800"):
        with pytest.raises(FloraInputError, match="is no path segment"):
            calls.raw("GET", segment)


REFUSED = {
    "all problems at once": (
        lambda: calls.generate(type="t2i", prompt=" ", workspace_id="", project_id="proj_1", model="Two Words"),
        ["type is 't2i'", "prompt is ' '", "workspace_id is ''", "project_id is 'proj_1'", "model is 'Two Words'"],
    ),
    "params that are no dict": (
        lambda: calls.generate(type="text", prompt="p", params=[1], **PLACE),
        ["params is [1]: give a dict"],
    ),
    "params that are no JSON": (
        lambda: calls.generate(type="text", prompt="p", params={"a": {1, 2}}, **PLACE),
        ["this cannot be sent as JSON"],
    ),
    "text without UTF-8": (lambda: calls.generate(type="text", prompt="\ud800", **PLACE), ["cannot be sent as JSON"]),
    "a query without UTF-8": (lambda: calls.list_techniques(query="\ud800"), ["cannot be sent as JSON"]),
    "a callback inside": (
        lambda: calls.generate(type="text", prompt="p", callback_url="https://10.0.0.1/?token=secret", **PLACE),
        ["callback_url is https://10.0.0.1/…: FLORA calls back only to https:// on a public host"],
    ),
    "an id of None": (lambda: calls.get_run(None), ["run_id is None"]),
    "an unknown status": (lambda: calls.list_generations(status="done"), ["status is 'done': use one of pending"]),
    "and of techniques": (lambda: calls.list_technique_runs(status="done"), ["status is 'done': use one of pending"]),
    "a page of none": (lambda: calls.list_assets(limit=0), ["limit is 0: FLORA gives 1 to 100 items a page"]),
    "a page of True": (lambda: calls.list_nodes("prj_1", limit=True), ["limit is True"]),
    "no workspace": (lambda: calls.list_projects(workspace_id=None), ["workspace_id is None"]),
    "a slug where an id is asked": (
        lambda: calls.run_technique(technique_id="cctv-cam", workspace_id=None, inputs=[]),
        ["technique_id is 'cctv-cam'", "workspace_id is None", "inputs is []: give a dict"],
    ),
    "action inputs": (
        lambda: calls.run_action(
            action_id="Ken Burns",
            inputs=[{"type": "imageUrl", "url": 5, "size": 1}, "https://a", {"type": "image"}],
            params=3,
            **PLACE,
        ),
        [
            "action_id is 'Ken Burns': give an id as hook.list_actions() shows it",
            "inputs[0].type is 'imageUrl': use one of image, video, audio, text",
            "inputs[0].url is 5: give a text",
            "inputs[0] has the unknown members ['size']: remove them",
            "inputs[1] is 'https://a': give a dict",
            "inputs[2] has neither url nor text",
            "params is 3: give a dict",
        ],
    ),
    "no action inputs": (lambda: calls.run_action(action_id="a", inputs=[], **PLACE), ["inputs is empty"]),
    "one action input bare": (
        lambda: calls.run_action(action_id="a", inputs={"type": "image"}, **PLACE),
        ["inputs[0] has neither url nor text"],
    ),
    "technique inputs": (
        lambda: calls.start_technique("a b", inputs=[{"id": "a", "type": "text", "value": ""}, 3], callback_url="x"),
        ["technique is 'a b'", "inputs[0]: give exactly id, type and value", "inputs[1]: give exactly", "callback_url"],
    ),
    "no technique inputs": (lambda: calls.start_technique("a", inputs=[]), ["inputs is empty"]),
    "no list of technique inputs": (lambda: calls.start_technique("a", inputs=None), ["inputs[0]: give exactly"]),
    "an asset from inside": (
        lambda: calls.create_asset(source="http://localhost/a?sig=1", workspace_id="ws_1"),
        ["source is http://localhost/…: FLORA fetches only https://"],
    ),
    "an asset from nowhere": (
        lambda: calls.create_asset(source=b"", workspace_id="ws_1"),
        ["source is a broken bytes"],
    ),
    "an asset's description": (
        lambda: calls.create_asset(
            source="signed-url",
            workspace_id="ws_1",
            project_id="x",
            content_type="png\r\nX: y",
            file_name=" ",
            folder="",
        ),
        ["project_id is 'x'", "content_type is 'png\\r\\nX: y'", "file_name is ' '", "folder is ''"],
    ),
    "a large file": (
        lambda: calls.create_asset_from_file(
            file=io.BytesIO(bytes(4 * 1024 * 1024 + 1)),
            workspace_id="ws_1",
            content_type="image/png",
            file_name="b.png",
        ),
        ["the file has 4194305 bytes: FLORA takes 1 to 4194304 directly"],
    ),
    "feedback": (
        lambda: calls.send_feedback(kind="rant", summary="", detail=None, attempted_tools=[1], project_id="p"),
        ["kind is 'rant': use one of feature_request", "summary is ''", "detail is None", "attempted_tools[0] is 1"],
    ),
    "a method": (lambda: calls.raw("BREW", "coffee"), ["method is 'BREW': use one of GET"]),
    "a raw body": (lambda: calls.raw("POST", "x", payload={"a": object()}), ["cannot be sent as JSON"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_flora_would_refuse_is_refused_before_it_is_sent(name):
    make, problems = REFUSED[name]
    with pytest.raises(FloraInputError) as caught:
        make()
    for problem in problems:
        assert problem in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "sig=1" not in str(caught.value)


def test_a_call_does_not_take_members_that_flora_does_not_know():
    for function in (calls.generate, calls.run_action, calls.create_project, calls.start_technique):
        assert all(p.kind is not p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())


def test_pages_keep_their_filters():
    walk = PageWalk(calls.list_generations(project_id="prj_1", status="failed", limit=7))
    list(walk.take(walk.call.read({"generations": [GENERATION], "meta": {"next_cursor": "c"}})))
    assert walk.call.query == (("project_id", "prj_1"), ("status", "failed"), ("limit", "7"), ("cursor", "c"))
