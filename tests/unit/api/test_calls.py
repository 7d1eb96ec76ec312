"""Every endpoint: what is sent, and that nothing of the answer is lost."""

import enum
import inspect
import json
from decimal import Decimal
from urllib.parse import urlencode

import pendulum
import pytest

from flora_provider.api import calls
from flora_provider.api.calls.pagination import PageWalk
from flora_provider.api.errors import FloraAnswerError, FloraInputError
from flora_provider.api.models import FileOutput, RunStatus, TextOutput
from tests.unit.api.reference import EXAMPLES
from tests.unit.api.reference.common import SCOPE
from tests.unit.api.reference.runs import GENERATION, RUN


def assert_holds(value, said):
    """Everything FLORA said is in the answer, under FLORA's own name, and in the promised type."""
    match value:
        case None | bool() | str() | int() | float() | list():
            assert value == said
        case Decimal():
            assert value == Decimal(str(said))
        case pendulum.DateTime():
            assert value == (pendulum.parse(said) if isinstance(said, str) else pendulum.from_timestamp(said / 1000))
            assert value.tzinfo is not None
        case dict():
            assert value.keys() == said.keys()
            for name, theirs in said.items():
                assert_holds(value[name], theirs)
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
        assert_holds(value, {name: member for name, member in said.items() if member is not rows})
    elif isinstance(said, dict) and set(said) & {"actions", "workspaces", "models"}:
        (rows,) = said.values()
        assert_holds(getattr(value, "items", value), rows)
    else:
        assert_holds(value, said)


@pytest.mark.parametrize(("make", "line", "sent", "said"), EXAMPLES, ids=[example[1] for example in EXAMPLES])
def test_call_sends_what_the_reference_says_and_loses_nothing_of_the_answer(make, line, sent, said):
    call = make()
    query = f"?{urlencode(call.query)}" if call.query else ""
    assert f"{call.method} {call.url}{query}" == line
    assert (json.loads(call.body) if call.body else None) == sent
    assert_answers(call.read(said), said)


def test_every_call_has_an_example():
    source = "".join(inspect.getsource(make) for make, *_ in EXAMPLES)
    functions = [name for name in calls.__all__ if inspect.isfunction(getattr(calls, name))]
    assert [name for name in functions if f"calls.{name}(" not in source and f"def {name}(" not in source] == []


def test_outputs_of_type_text_are_another_kind_than_files():
    image, text = calls.get_run("run_1").read(RUN).outputs
    assert isinstance(image, FileOutput)
    assert image.to_dict() == RUN["outputs"][0]
    assert isinstance(text, TextOutput)
    assert text.to_dict() == {"output_id": "output_2", "type": "text", "text": "A fern, in words."}


def test_page_keeps_the_members_beside_its_rows():
    said = {
        "nodes": [],
        "meta": {"next_cursor": "c", "limit": 5},
        "project_id": "prj_1",
        "canvas_url": "https://app.flora.ai/projects/1",
        "items": "FLORA's own",
        "next_cursor": "FLORA's own",
        "data": {"later": True},
    }
    page = calls.list_nodes("prj_1").read(said)
    assert (page.project_id, page.canvas_url, page.data, page.meta) == (
        "prj_1", said["canvas_url"], {"later": True}, {"next_cursor": "c", "limit": 5},
    )  # fmt: skip
    assert (page.items, page.next_cursor, page.total_estimate) == ((), "c", None)
    assert "canvas_url" not in repr(page)


def test_page_with_a_row_that_cannot_be_read_is_refused_for_it_may_be_the_lost_run():
    with pytest.raises(FloraAnswerError, match="FLORA's answer is no Generation: run_id: Field required"):
        calls.list_generations().read({"generations": [GENERATION, {"status": "running"}]})


def test_finished_run_is_plain_json():
    run = calls.get_run("run_1").read(RUN)
    assert run.to_dict() == json.loads(json.dumps(run.to_dict()))
    assert run.to_dict() == {
        "run_id": "run_1",
        "status": "completed",
        "outputs": [{"run_id": "run_1", **output.to_dict()} for output in run.outputs],
        "charged_cost": 0.04,
        "created_at": "2025-06-15T15:06:40+00:00",
        "started_at": "2025-06-15T15:06:41+00:00",
        "completed_at": "2025-06-15T15:06:52.500000+00:00",
    }
    assert run.raw == RUN
    assert run.is_terminal
    assert run.status is RunStatus.COMPLETED


def test_json_of_a_run_that_goes_on_is_not_kept():
    running = calls.get_run("run_1").read({"run_id": "run_1", "status": "running", "raw": "FLORA's own"})
    assert (running.raw, running.charged_cost, running.is_terminal) == ({}, None, False)
    assert running.to_dict()["charged_cost"] is None


def test_generation_has_its_model_if_flora_sends_it():
    read = calls.list_generations().read
    (known,) = read({"generations": [GENERATION]}).items
    (unknown,) = read({"generations": [GENERATION | {"model": {"model_id": None}}]}).items
    assert (known.model_id, unknown.model_id) == ("t2i-flux-2-pro", None)


def test_key_goes_into_the_header_and_on_one_endpoint_also_into_the_body():
    start = calls.start_technique("cctv-cam", inputs=[{"id": "a", "type": "text", "value": "b"}])
    keyed = start.with_key("key-1")
    assert dict(keyed.headers)["Idempotency-Key"] == "key-1"
    assert json.loads(keyed.body)["idempotency_key"] == "key-1"
    assert b"idempotency_key" not in start.body

    generate = calls.generate(type="text", prompt="p", **SCOPE).with_key("key-1")
    assert dict(generate.headers)["Idempotency-Key"] == "key-1"
    assert b"key-1" not in generate.body


def test_bytes_of_a_call_are_the_same_in_any_order_of_members():
    one = calls.generate(type="text", prompt="ä", params={"a": 1, "b": {"y": 1, "x": 2}}, **SCOPE)
    two = calls.generate(prompt="ä", params={"b": {"x": 2, "y": 1}, "a": 1}, type="text", **SCOPE)
    assert one.body == two.body


@pytest.mark.parametrize(
    "make",
    [
        lambda data: calls.generate(type="text", prompt="p", params=data, **SCOPE),
        lambda data: calls.run_technique(technique_id="tech_1", workspace_id="ws_1", inputs=data),
        lambda data: calls.run_action(action_id="a", inputs=[{"type": "text", "text": "a"}], params=data, **SCOPE),
        lambda data: calls.request("POST", "x", payload=data),
    ],
)
def test_body_of_a_call_is_not_affected_by_later_changes_to_its_arguments(make):
    data = {"seed": 1, "deep": {"list": [1]}}
    call = make(data)
    checked = call.body
    data["seed"] = 2
    data["deep"]["list"].append(object())
    assert call.body == checked


def test_body_of_a_call_is_not_affected_by_later_changes_to_its_rows():
    action, technique = {"type": "text", "text": "a"}, {"id": "a", "type": "text", "value": "b"}
    run_action = calls.run_action(action_id="a", inputs=[action], **SCOPE)
    start = calls.start_technique("cctv-cam", inputs=[technique]).with_key("key-1")
    checked = [run_action.body, start.body]
    action["size"] = technique["size"] = 5
    assert [run_action.body, start.body] == checked


def test_post_or_patch_may_be_sent_twice_only_under_a_key():
    create = calls.create_project(workspace_id="ws_1", name="n")
    may_be_sent_twice = {
        method: calls.request(method, "x").resendable for method in ("GET", "PUT", "DELETE", "POST", "PATCH")
    }
    assert may_be_sent_twice == {"GET": True, "PUT": True, "DELETE": True, "POST": False, "PATCH": False}
    assert not create.resendable
    assert create.with_key("k").resendable
    with pytest.raises(FloraInputError, match="PATCH /x takes no idempotency key"):
        calls.request("PATCH", "x").with_key("k")
    assert calls.request("POST", "x", takes_key=True).with_key("k").resendable
    for key in ("", "two words", "ä", "x" * 256):
        with pytest.raises(FloraInputError, match="printable ASCII"):
            create.with_key(key)


class OldEnum(str, enum.Enum):  # noqa: UP042 - the kind whose str() is its name
    FAILED = "failed"


class OldNumber(enum.IntEnum):
    FEW = 5


def test_enum_arguments_are_sent_as_their_values():
    assert calls.list_generations(status=OldEnum.FAILED, limit=OldNumber.FEW).query == (
        ("status", "failed"), ("limit", "5")
    )  # fmt: skip
    assert calls.send_feedback(kind="bug", summary="s", detail="d", attempted_tools="generate").body == (
        b'{"attempted_tools":["generate"],"detail":"d","kind":"bug","summary":"s"}'
    )


def test_path_segments_cannot_climb_or_break_out():
    assert calls.get_technique("a?b#c%d").url == "/techniques/a%3Fb%23c%25d"
    assert calls.get_run("run_../../x").url == "/runs/run_..%2F..%2Fx"
    for segment in ("", ".", "..", "a\nb", "\ud800"):
        with pytest.raises(FloraInputError, match="is no path segment"):
            calls.request("GET", segment)


def test_call_does_not_take_members_that_flora_does_not_know():
    for function in (calls.generate, calls.run_action, calls.create_project, calls.start_technique):
        assert all(p.kind is not p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())


def test_pages_keep_their_filters():
    walk = PageWalk(calls.list_generations(project_id="prj_1", status="failed", limit=7))
    list(walk.take(walk.call.read({"generations": [GENERATION], "meta": {"next_cursor": "c"}})))
    assert walk.call.query == (("project_id", "prj_1"), ("status", "failed"), ("limit", "7"), ("cursor", "c"))


@pytest.mark.parametrize("address", ["http://127.0.0.1:4711/media/1.png", "https://media.flora.ai/1.png"])
def test_inputs_of_runs_may_be_files_of_a_sandbox_on_this_machine(address):
    image = {"id": "image", "type": "imageUrl", "value": address}
    assert calls.start_technique("a", inputs=[image])
    scope = {"workspace_id": "ws_1", "project_id": "prj_1"}
    assert calls.run_action(action_id="a", inputs=[{"type": "image", "url": address}], **scope)


def test_row_of_the_technique_history_names_its_technique():
    row = {"run_id": "run_1", "status": "running", "technique_run_id": "run_1", "project_id": "p", "workspace_id": "w"}
    page = calls.list_technique_runs().read({"technique_runs": [row | {"technique": {"technique_id": "tech_1"}}]})
    assert page.items[0].technique_id == "tech_1"
