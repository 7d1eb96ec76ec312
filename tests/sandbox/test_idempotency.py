import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from flora_provider.sandbox import Fault

ALL_MODES = ["duplicate_409", "replay", "current_state", "none"]


def code(response):
    return response.json()["error"]["code"]


def nested(flora, key=None, header=None):
    inputs = [{"id": "instructions", "type": "text", "value": "Go"}]
    body = {"inputs": inputs, "mode": "async", **({"idempotency_key": key} if key else {})}
    return flora.post("/techniques/storyboard/runs", json=body, headers={"idempotency-key": header} if header else {})


def test_by_default_a_repeated_key_is_a_409_without_run_id(flora, sandbox):
    run_id = flora.start("k")
    again = flora.generate("k")
    assert (again.status_code, code(again)) == (409, "idempotency_duplicate")
    assert run_id not in again.text
    assert sandbox.stats()["duplicates_refused"] == 1
    assert sandbox.stats()["runs_started"] == 1


def test_a_key_is_forgotten_when_its_window_has_passed(flora, sandbox):
    flora.start("k")
    sandbox.clock.advance(7199)
    assert flora.generate("k").status_code == 409
    sandbox.clock.advance(1)
    assert flora.generate("k").status_code == 201


def test_a_request_that_fails_releases_its_key(flora, sandbox):
    assert flora.generate("k", type="t2i").status_code == 400
    sandbox.faults.add(Fault("/generate", status=402), Fault("/generate", status=500))
    assert [flora.generate("k").status_code for _ in range(4)] == [402, 500, 201, 409]


def test_a_run_that_fails_later_keeps_its_key_burned(flora, sandbox):
    flora.start("k", params={"sandbox": {"error_code": "SERVER_ERROR"}})
    sandbox.clock.advance(100)
    assert flora.generate("k").status_code == 409


def test_a_key_belongs_to_one_workspace_method_and_path(flora, sandbox):
    flora.start("k")
    assert flora.post("/runs/generation", json=flora.body(), headers={"idempotency-key": "k"}).status_code == 201
    second = sandbox.state.add_workspace("Second")
    project = sandbox.state.add_project(second.workspace_id, "P")
    body = {"workspace_id": second.workspace_id, "project_id": project.project_id}
    assert flora.generate("k", **body).status_code == 201
    assert flora.generate("k", **body).status_code == 409


@pytest.mark.parametrize(("mode", "key"), [("duplicate_409", None), ("none", "k")])
def test_requests_without_key_or_in_mode_none_are_never_duplicates(make_flora, mode, key):
    flora = make_flora(idempotency=mode)
    assert len({flora.start(key) for _ in range(3)}) == 3
    assert flora.sandbox.stats()["duplicates_refused"] == 0


def test_the_nested_route_honours_the_body_and_ignores_the_header(flora):
    assert nested(flora, header="k").status_code == 201
    assert nested(flora, header="k").status_code == 201
    assert nested(flora, key="k").status_code == 201
    assert nested(flora, key="k").status_code == 409


def test_other_routes_refuse_the_body_form_as_an_unknown_member(flora):
    response = flora.generate(idempotency_key="k")
    assert response.json()["error"]["fields"] == [{"field": "idempotency_key", "message": "Unrecognized member."}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/projects", {"name": "P"}),
        ("/assets", {"source": "signed-url"}),
        ("/runs/technique", {"technique_id": "tech_storybrd1", "inputs": {"instructions": "Go"}}),
    ],
)
def test_other_calls_that_create_something_take_keys_too(flora, sandbox, path, body):
    body = {"workspace_id": sandbox.workspace_id, **body}
    statuses = [flora.post(path, json=body, headers={"idempotency-key": "k"}).status_code for _ in range(2)]
    assert statuses == [201, 409]


def test_replay_answers_the_same_again_and_says_so(make_flora):
    flora = make_flora(idempotency="replay")
    first, again = flora.generate("k"), flora.generate("k")
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["request-id"] == first.headers["request-id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert flora.sandbox.stats()["runs_started"] == 1


def test_replay_compares_bodies_by_meaning_not_by_bytes(make_flora):
    flora = make_flora(idempotency="replay")
    flora.start("k")
    reordered = dict(reversed(flora.body().items()))
    assert flora.post("/generate", json=reordered, headers={"idempotency-key": "k"}).status_code == 201
    other = flora.generate("k", prompt="Another fox")
    assert (other.status_code, code(other)) == (422, "idempotency_conflict")


def test_replay_repeats_what_flora_said_not_what_a_fault_made_of_it(make_flora):
    flora = make_flora(idempotency="replay")
    flora.sandbox.faults.add(Fault("/generate", edit={"run_id": 7}))
    assert flora.generate("k").json()["run_id"] == 7
    assert flora.generate("k").json()["run_id"].startswith("run_")


@pytest.mark.parametrize(("remembered", "second"), [(True, 402), (False, 201)])
def test_replay_may_remember_failures(make_flora, remembered, second):
    flora = make_flora(idempotency="replay", replay_failures=remembered)
    flora.sandbox.faults.add(Fault("/generate", status=402))
    assert flora.generate("k").status_code == 402
    again = flora.generate("k")
    assert again.status_code == second
    assert (again.headers.get("idempotent-replayed") == "true") is remembered


def test_current_state_answers_200_with_the_run_as_it_is_now(make_flora):
    flora = make_flora(idempotency="current_state")
    run_id = flora.start("k")
    flora.sandbox.clock.advance(100)
    again = flora.generate("k")
    assert again.status_code == 200
    assert again.json()["type"] == "generation"
    assert flora.run(run_id).items() <= again.json().items()
    first = nested(flora, key="k").json()
    flora.sandbox.clock.advance(1000)
    assert nested(flora, key="k").json() == {**first, **nested(flora, key="k").json(), "status": "completed"}


@settings(max_examples=50, deadline=None)
@given(
    mode=st.sampled_from(ALL_MODES),
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 4000)), max_size=12),
)
def test_within_a_window_one_key_is_at_most_one_run(make_flora, mode, steps):
    flora = make_flora(idempotency=mode, idempotency_window=6000)
    started, first_use, expected, now = 0, {}, 0, 0
    for key, lost, pause in steps:
        if lost:
            flora.sandbox.faults.add(Fault("/generate", status=503, after=True))
        flora.generate(key)
        if mode == "none" or key not in first_use or now - first_use[key] >= 6000:
            first_use[key] = now
            expected += 1
        started = flora.sandbox.stats()["runs_started"]
        assert started == expected
        flora.sandbox.clock.advance(pause)
        now += pause


def test_current_state_repeats_an_answer_that_is_no_json(make_flora):
    flora = make_flora(idempotency="current_state")
    flora.sandbox.faults.add(Fault("/generate", body="<html>"))
    assert flora.generate("k").text == "<html>"
    assert flora.generate("k").status_code == 200
