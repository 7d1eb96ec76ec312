import gzip
import itertools
import json
import re
from contextlib import nullcontext, suppress

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flora_provider.sandbox import Fault, RunBehavior
from flora_provider.sandbox import faults as faults_package
from flora_provider.sandbox.faults.faults import MAX_PAD
from flora_provider.sandbox.faults.file import add_faults, add_text
from flora_provider.sandbox.http.responses import ApiError


def test_fault_status_answers_in_floras_envelope_with_fitting_code(flora, sandbox):
    sandbox.faults.add(*[Fault(status=status) for status in (401, 402, 403, 404, 429, 500, 502, 503)])
    codes = [flora.get("/models").json()["error"]["code"] for _ in range(8)]
    assert codes == [
        *("invalid_api_key", "insufficient_credits", "forbidden", "not_found", "rate_limited"),
        *("internal_error", "unknown_error", "service_unavailable"),
    ]
    assert flora.get("/models").status_code == 200


def test_fault_code_message_and_headers_are_sent(flora, sandbox):
    sandbox.faults.add(Fault(status=403, code="paid_plan_required", message="Upgrade.", headers={"retry-after": "3"}))
    response = flora.get("/models")
    assert response.json() == {"error": {"code": "paid_plan_required", "message": "Upgrade."}}
    assert response.headers["retry-after"] == "3"
    assert response.headers["request-id"].startswith("req_")


def test_fault_affects_only_matching_calls(flora, sandbox):
    mine, other = flora.start(), flora.start()
    sandbox.faults.add(Fault("/runs/{run_id}", "GET", run_id=mine, status=500, times=None))
    assert flora.get(f"/runs/{other}").status_code == 200
    assert flora.get(f"/runs/{mine}").status_code == 500
    assert flora.generate().status_code == 201
    sandbox.faults.clear()
    assert flora.get(f"/runs/{mine}").status_code == 200


def test_fault_containing_affects_only_bodies_with_this_text(flora, sandbox):
    sandbox.faults.add(Fault("/generate", containing="A fern", status=500))
    assert [flora.generate(prompt=prompt).status_code for prompt in ("A fox", "A fern", "A fern")] == [201, 500, 201]


@pytest.mark.parametrize(
    ("faults", "statuses"),
    [
        ([Fault("/models", status=401, skip=2, times=2)], [200, 200, 401, 401, 200, 200]),
        ([Fault(status=500), Fault(status=503, times=2)], [500, 503, 503, 200]),
    ],
)
def test_faults_apply_one_per_call_in_order_and_count_calls(flora, sandbox, faults, statuses):
    sandbox.faults.add(*faults)
    assert [flora.get("/models").status_code for _ in statuses] == statuses


def test_faults_never_affect_the_control_endpoints(flora, sandbox):
    sandbox.faults.add(Fault(status=500, times=None))
    assert flora.get("https://flora.test/_sandbox/stats").status_code == 200


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [(502, "text/html", "<html>"), *((200, "application/json", body) for body in ('{"run_id": ', "null", "[]", ""))],
)
def test_fault_body_may_be_any_text(flora, sandbox, status, content_type, body):
    sandbox.faults.add(Fault(body=body, content_type=content_type, status=None if status == 200 else status))
    response = flora.get("/models")
    assert (response.status_code, response.headers["content-type"], response.text) == (status, content_type, body)


@pytest.mark.parametrize(("delivery", "error"), [("refuse", httpx.ConnectError), ("drop", httpx.ReadError)])
def test_refuse_and_drop_start_no_run(flora, sandbox, delivery, error):
    sandbox.faults.add(Fault("/generate", delivery=delivery))
    with pytest.raises(error):
        flora.generate()
    assert sandbox.stats()["runs_started"] == 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 500, "after": True}, None),
        ({"delivery": "drop", "after": True}, httpx.ReadError),
        ({"delivery": "cut"}, httpx.RemoteProtocolError),
        ({"delay": 61}, httpx.ReadTimeout),
        ({"delivery": "trickle", "delay": 61}, httpx.ReadTimeout),
    ],
)
def test_lost_response_leaves_a_billed_run(flora, sandbox, fault, error):
    flora.timeout = 60
    sandbox.faults.add(Fault("/generate", **fault))
    with pytest.raises(error) if error else nullcontext():
        assert flora.generate("k").status_code == 500
    assert sandbox.stats()["runs_billed"] == 1
    assert flora.generate("k").status_code == 409


def test_delay_below_the_clients_timeout_succeeds(flora, sandbox):
    flora.timeout = 60
    sandbox.faults.add(Fault(delay=59))
    assert flora.get("/models").status_code == 200


def test_fault_edit_and_without_change_members(flora, sandbox):
    foreign = "https://evil.example/runs/run_1"
    edit = {"progress": "half", "brand_new": {"a": 1}, "model": {"model_id": None}, "poll_url": foreign}
    sandbox.faults.add(Fault("/generate", edit=edit, without=("project_id",)))
    body = flora.generate().json()
    assert (body["progress"], body["brand_new"], body["model"]) == ("half", {"a": 1}, {"model_id": None})
    assert body["poll_url"] == foreign
    assert "project_id" not in body
    sandbox.faults.add(Fault("/generate", edit={"poll_url": None}))
    assert flora.generate().json()["poll_url"] is None


def test_fault_edit_shows_an_unknown_status_for_some_polls(flora, sandbox):
    run_id = flora.start()
    sandbox.faults.add(Fault("/runs/{run_id}", edit={"status": "thinking"}, times=3))
    assert [flora.run(run_id)["status"] for _ in range(4)] == ["thinking"] * 3 + ["pending"]


def test_fault_omit_leaves_a_run_out_of_pages_for_a_while(flora, sandbox):
    gone, there = flora.start(), flora.start()
    sandbox.faults.add(Fault("/generations", omit=gone, times=None, seconds=10))

    def found():
        return [row["run_id"] for row in flora.get("/generations").json()["generations"]]

    assert found() == [there]
    sandbox.clock.advance(10)
    assert found() == [there, gone]


@pytest.mark.parametrize("status", [404, 503])
def test_fault_seconds_end_on_the_sandboxs_clock(flora, sandbox, status):
    run_id = flora.start()
    sandbox.faults.add(Fault(run_id=run_id, status=status, times=None, seconds=10))
    assert [flora.get(f"/runs/{run_id}").status_code for _ in range(2)] == [status, status]
    sandbox.clock.advance(10)
    assert flora.get(f"/runs/{run_id}").status_code == 200


def test_fault_overlap_repeats_rows_of_the_previous_page(flora, sandbox):
    a, b, c, d = [flora.start() for _ in range(4)]
    sandbox.faults.add(Fault("/generations", overlap=1, times=None))
    first = flora.get("/generations?limit=2").json()
    second = flora.get("/generations", params={"limit": 2, "cursor": first["meta"]["next_cursor"]}).json()
    assert [row["run_id"] for row in first["generations"]] == [d, c]
    assert [row["run_id"] for row in second["generations"]] == [c, b]
    assert a not in str(second)


def test_dangling_cursor_names_a_page_behind_the_last(flora, sandbox):
    flora.start()
    sandbox.faults.add(Fault("/generations", dangling_cursor=True, times=None))
    cursors, sizes = [None], []
    for _ in range(3):
        body = flora.get("/generations", params={"cursor": cursors[-1]} if cursors[-1] else {}).json()
        cursors.append(body["meta"]["next_cursor"])
        sizes.append(len(body["generations"]))
    assert sizes == [1, 0, 0]
    assert all(cursors[1:])


def test_fault_behavior_applies_to_a_run_of_another_client(flora, sandbox):
    sandbox.faults.add(Fault("/runs/technique", behavior=RunBehavior(error_code="model_timeout", seconds=1)))
    body = {"technique_id": "tech_storybrd1", "workspace_id": sandbox.workspace_id, "inputs": {"instructions": "Go"}}
    run_id = flora.post("/runs/technique", json=body).json()["run_id"]
    sandbox.clock.advance(1)
    assert flora.run(run_id)["error_code"] == "model_timeout"
    assert sandbox.stats()["runs_billed"] == 0


def test_fault_pad_makes_a_giant_body(flora, sandbox):
    sandbox.faults.add(Fault(status=500, body="oops", content_type="text/html", pad=10_000_000))
    assert len(flora.get("/models").content) == 10_000_004


def test_fault_gzip_with_pad_is_a_decompression_bomb(flora, sandbox):
    sandbox.faults.add(Fault(body="{}", pad=50_000_000, gzip=True))
    with flora.stream("GET", "/models") as response:
        sent = b"".join(response.iter_raw())
    assert response.headers["content-encoding"] == "gzip"
    assert len(sent) == int(response.headers["content-length"]) < 100_000
    assert len(gzip.decompress(sent)) == 50_000_002


def test_faults_affect_the_media_store(flora, sandbox):
    run_id = flora.start()
    sandbox.clock.advance(100)
    url = flora.run(run_id)["outputs"][0]["url"]
    sandbox.faults.add(Fault("/media/{run_id}/{file}", delivery="cut"))
    with pytest.raises(httpx.RemoteProtocolError):
        flora.get(url)
    assert flora.get(url).status_code == 200


def test_faults_affect_async_clients_too(flora, sandbox):
    async def faulty_call():
        async with httpx.AsyncClient(transport=httpx.MockTransport(sandbox.handle)) as client:
            await client.get("https://flora.test/api/v1/models")

    sandbox.faults.add(Fault(delivery="cut"))
    coroutine = faulty_call()
    with pytest.raises(httpx.RemoteProtocolError):
        list(itertools.repeat(coroutine.send(None), 1))


@pytest.mark.parametrize(
    ("fault", "could"), [(Fault("/generat", status=500), "/generate"), (Fault(delivery="knot"), "drop")]
)
def test_fault_with_unknown_route_or_delivery_is_rejected(sandbox, fault, could):
    with pytest.raises(ApiError, match=could):
        sandbox.faults.add(fault)


@pytest.mark.parametrize(
    "fault",
    [
        *({"unknown": 1}, {"delivery": "knot"}, {"route": "/generat"}, {"times": "often"}, {"status": "500"}),
        *({"behavior": {"unknown": 1}}, {"headers": ["x"]}, "drop"),
    ],
)
def test_invalid_fault_is_rejected_by_the_control_endpoint(flora, fault):
    response = flora.post("https://flora.test/_sandbox/faults", json=fault)
    assert response.status_code == 400
    assert flora.get("https://flora.test/_sandbox/faults").json() == {"faults": []}


URL = "https://flora.test/_sandbox/faults"
CREATE_THEN_DROP = {"route": "/generate", "method": "POST", "times": 3, "after": True, "delivery": "drop"}


def test_list_of_faults_is_a_sequence(flora, sandbox):
    flora.post(URL, json=[{"route": "/generate", "status": 429, "times": 2}, CREATE_THEN_DROP])
    assert [flora.generate().status_code for _ in range(2)] == [429, 429]
    for number in range(1, 4):
        with pytest.raises(httpx.ReadError):
            flora.generate()
        assert sandbox.stats()["runs_started"] == number
    assert flora.generate().status_code == 201
    assert [fault["hits"] for fault in flora.get(URL).json()["faults"]] == [2, 3]


def hits(make_flora, rate, seed, calls=400):
    faults = make_flora(seed=seed).sandbox.faults
    faults.add(Fault("/workspaces", status=503, rate=rate, times=None))
    return [faults.take("GET", "/workspaces", {}, b"") is not None for _ in range(calls)]


@settings(max_examples=20, deadline=None)
@given(rate=st.floats(0, 1), seed=st.integers(0, 1000))
def test_fault_rate_hits_its_share_of_calls_and_the_same_ones_again(make_flora, rate, seed):
    hit = hits(make_flora, rate, seed)
    assert hit == hits(make_flora, rate, seed)
    assert abs(sum(hit) / len(hit) - rate) < 0.15  # six standard deviations


def test_fault_rates_differ_between_seeds_and_between_faults(make_flora, flora, sandbox):
    assert hits(make_flora, 0.5, 1) != hits(make_flora, 0.5, 2)
    sandbox.faults.add(*[Fault(status=status, rate=0.5, times=None) for status in (500, 503)])
    statuses = {flora.get("/workspaces").status_code for _ in range(100)}
    assert statuses == {200, 500, 503}


def test_calls_that_a_rate_lets_pass_do_not_use_a_fault_up(flora, sandbox):
    sandbox.faults.add(Fault(status=503, rate=0.1, times=3))
    assert [flora.get("/workspaces").status_code for _ in range(300)].count(503) == 3


@pytest.mark.parametrize("rate", [-0.1, 1.1, "0.1", None])
def test_fault_rate_outside_0_to_1_is_refused(flora, rate):
    response = flora.post(URL, json=[{}, {"rate": rate}])
    assert response.status_code == 400
    assert response.json()["error"]["fields"][0]["field"] == "faults[1].rate"


@pytest.mark.parametrize(
    "fault",
    [
        *({"status": 99}, {"status": 600}, {"pad": MAX_PAD + 1}, {"pad": -1}, {"skip": -1}, {"times": -1}),
        *({"seconds": -1}, {"delay": -1}, {"overlap": -1}, {"content_type": "a\nb"}, {"headers": {"a b": "c"}}),
        *(
            {"headers": {"a": "b\r\nc: d"}},
            {"headers": {"content-length": "1"}},
            {"headers": {"a": "\u00fc"}},
            {"behavior": {"outputs": 10**9}},
        ),
    ],
)
def test_fault_that_no_server_could_apply_is_refused(flora, fault):
    response = flora.post(URL, json=fault)
    assert response.status_code == 400
    assert response.json()["error"]["fields"][0]["field"].startswith(next(iter(fault)))


def test_fault_edit_comes_after_what_needs_a_page(flora, sandbox):
    edit = {"generations": [1], "meta": "none"}
    sandbox.faults.add(Fault("/generations", omit="run_1", dangling_cursor=True, edit=edit))
    assert flora.get("/generations").json() == edit


def test_fault_edit_that_is_nested_too_deeply_is_refused(flora):
    def nested(levels):
        return json.loads('{"a":' * levels + "1" + "}" * levels)

    assert flora.post(URL, json={"edit": nested(90)}).status_code == 200
    assert flora.get("/models").json()["a"]["a"]
    for edit in (nested(100), nested(400), [[nested(100)]]):
        response = flora.post(URL, json={"edit": edit})
        assert response.status_code == 400
        assert len(response.content) < 1000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not JSON: Expecting value"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'[{"delay": NaN}]', "is not JSON: NaN is no number of JSON"),
        (b'[{"delay": 1e999}]', "is not JSON: 1e999 is no number of JSON"),
        (b'[{"status": ' + b"9" * 5000 + b"}]", "is not JSON"),
        (b"{}", "faults: Expected a valid list"),
        (b"null", "faults: Expected a valid list"),
        (b"[1]", "faults[0]: Expected an object."),
        (b'[{}, {}, {"delivery": "knot"}]', "faults[2].delivery: Expected 'refuse', 'drop', 'cut' or 'trickle'"),
        (b'[{}, {"route": "/generat"}]', "faults[1].route: Got '/generat'; expected one of /"),
        (b'[{"a\\nb\\u00fc": 1}, {"\\ud800": 1}]', r"faults[0].a\nb\xfc: Unrecognized member."),
        (b'[{"behavior": {"error_family": "bad luck"}}]', "faults[0].behavior.error_family: Expected 'retry_now'"),
        (b"[" + b"1," * 600 + b"1]", "and 598 more"),
        (b"[" + b"1," * 500_000 + b"1]", "faults: Expected at most 1000 faults; got 500001."),
        (
            b'[{"edit": ' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}]",
            "is not JSON: it is nested more than 100",
        ),
    ],
)
def test_bad_faults_file_is_refused_in_one_line_that_says_where(sandbox, content, words):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        add_text(sandbox.faults, content)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 3000
    assert sandbox.faults.to_json() == []


@pytest.mark.parametrize("name", [".", "nothing.json", "/dev/zero"])
def test_faults_file_that_is_no_file_is_refused(sandbox, tmp_path, name):
    with pytest.raises(ValueError, match=r"cannot be read: |larger than"):
        add_faults(sandbox.faults, tmp_path / name)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
any_faults = st.dictionaries(st.sampled_from(list(Fault.__slots__)), json_values, max_size=4)
some_faults = st.builds(
    dict,
    rate=st.floats(0, 1),
    times=st.none() | st.integers(0, 3),
    skip=st.integers(0, 3),
    status=st.integers(200, 599) | st.none(),
    body=st.none() | st.text(),
    edit=st.dictionaries(st.text(max_size=5), json_values, max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(value=json_values | st.lists(any_faults | some_faults, max_size=3))
@example(value=[CREATE_THEN_DROP])
def test_any_json_is_refused_or_leaves_a_sandbox_that_answers(make_flora, value):
    flora = make_flora()
    try:
        add_text(flora.sandbox.faults, json.dumps(value).encode())
    except ValueError as error:
        assert str(error).isprintable()  # noqa: PT017 - some are fine
        return
    for method, path in (("GET", "/models"), ("POST", "/generate"), ("GET", "/generations")):
        with suppress(httpx.TransportError):
            flora.request(method, path, json=flora.body() if method == "POST" else None)
    assert flora.get(URL).status_code == 200


def test_presets_of_the_documentation_are_faults(sandbox):
    presets = re.findall(r"^    \[.*?\]$", faults_package.__doc__, flags=re.MULTILINE | re.DOTALL)
    assert len(presets) == 5
    for preset in presets:
        add_text(sandbox.faults, preset.encode())
