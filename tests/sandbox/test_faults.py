import gzip
import itertools

import httpx
import pytest

from flora_provider.sandbox import Fate, Fault
from flora_provider.sandbox.reply import Refusal


def test_a_fault_answers_in_floras_envelope_with_words_that_fit(flora, sandbox):
    sandbox.faults.add(*[Fault(status=status) for status in (401, 402, 403, 404, 429, 500, 502, 503)])
    codes = [flora.get("/models").json()["error"]["code"] for _ in range(8)]
    assert codes == [
        *("invalid_api_key", "insufficient_credits", "forbidden", "not_found", "rate_limited"),
        *("internal_error", "unknown_error", "service_unavailable"),
    ]
    assert flora.get("/models").status_code == 200


def test_code_message_and_headers_can_be_given(flora, sandbox):
    sandbox.faults.add(Fault(status=403, code="paid_plan_required", message="Upgrade.", headers={"retry-after": "3"}))
    answer = flora.get("/models")
    assert answer.json() == {"error": {"code": "paid_plan_required", "message": "Upgrade."}}
    assert answer.headers["retry-after"] == "3"
    assert answer.headers["request-id"].startswith("req_")


def test_a_fault_strikes_only_the_calls_it_is_about(flora, sandbox):
    mine, other = flora.start(), flora.start()
    sandbox.faults.add(Fault("/runs/{run_id}", "GET", run_id=mine, status=500, times=None))
    assert flora.get(f"/runs/{other}").status_code == 200
    assert flora.get(f"/runs/{mine}").status_code == 500
    assert flora.generate().status_code == 201
    sandbox.faults.clear()
    assert flora.get(f"/runs/{mine}").status_code == 200


def test_a_fault_can_be_for_one_of_many_requests_to_the_same_route(flora, sandbox):
    sandbox.faults.add(Fault("/generate", containing="A fern", status=500))
    assert [flora.generate(prompt=prompt).status_code for prompt in ("A fox", "A fern", "A fern")] == [201, 500, 201]


def test_skip_and_times_count_calls(flora, sandbox):
    sandbox.faults.add(Fault("/models", status=401, skip=2, times=2))
    assert [flora.get("/models").status_code for _ in range(6)] == [200, 200, 401, 401, 200, 200]


def test_seconds_end_a_fault_on_the_sandboxs_clock(flora, sandbox):
    sandbox.faults.add(Fault(status=503, times=None, seconds=60))
    assert flora.get("/models").status_code == 503
    sandbox.clock.advance(60)
    assert flora.get("/models").status_code == 200


def test_one_fault_strikes_a_call_in_the_order_they_were_added(flora, sandbox):
    sandbox.faults.add(Fault(status=500), Fault(status=503, times=2))
    assert [flora.get("/models").status_code for _ in range(4)] == [500, 503, 503, 200]


def test_the_sandboxs_own_controls_are_never_struck(flora, sandbox):
    sandbox.faults.add(Fault(status=500, times=None))
    assert flora.get("https://flora.test/_sandbox/stats").status_code == 200


def test_a_proxys_error_page_is_not_json(flora, sandbox):
    sandbox.faults.add(Fault(status=502, body="<html>Bad gateway</html>", content_type="text/html"))
    answer = flora.get("/models")
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")
    assert answer.text.startswith("<html>")


@pytest.mark.parametrize("body", ['{"run_id": ', "null", "[]", ""])
def test_any_text_can_stand_in_for_json(flora, sandbox, body):
    sandbox.faults.add(Fault(body=body))
    answer = flora.get("/models")
    assert (answer.status_code, answer.text) == (200, body)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("/generate", wire="refuse"), httpx.ConnectError),
        (Fault("/generate", wire="drop"), httpx.ReadError),
    ],
)
def test_a_connection_can_end_before_the_call_is_carried_out(flora, sandbox, fault, error):
    sandbox.faults.add(fault)
    with pytest.raises(error):
        flora.generate()
    assert sandbox.stats()["runs_started"] == 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("/generate", wire="drop", after=True), httpx.ReadError),
        (Fault("/generate", wire="cut"), httpx.RemoteProtocolError),
        (Fault("/generate", delay=61), httpx.ReadTimeout),
        (Fault("/generate", wire="trickle", delay=61), httpx.ReadTimeout),
    ],
)
def test_an_answer_can_be_lost_after_the_run_was_created(make_flora, fault, error):
    flora = make_flora()
    flora.timeout = 60
    flora.sandbox.faults.add(fault)
    with pytest.raises(error):
        flora.generate("k")
    assert flora.sandbox.stats()["runs_billed"] == 1
    assert flora.generate("k").status_code == 409


def test_a_5xx_can_come_after_the_run_was_created(flora, sandbox):
    sandbox.faults.add(Fault("/generate", status=500, after=True))
    assert flora.generate("k").status_code == 500
    assert flora.generate("k").status_code == 409
    assert sandbox.stats()["runs_billed"] == 1


def test_a_delay_the_client_can_bear_does_not_harm(flora, sandbox):
    flora.timeout = 60
    sandbox.faults.add(Fault(delay=59))
    assert flora.get("/models").status_code == 200


def test_members_can_be_added_replaced_merged_and_left_out(flora, sandbox):
    edit = {"progress": "half", "brand_new": {"a": 1}, "model": {"model_id": None}}
    sandbox.faults.add(Fault("/generate", edit=edit, without=("project_id",)))
    body = flora.generate().json()
    assert (body["progress"], body["brand_new"], body["model"]) == ("half", {"a": 1}, {"model_id": None})
    assert "project_id" not in body


def test_an_unknown_status_can_show_for_some_polls(flora, sandbox):
    run_id = flora.start()
    sandbox.faults.add(Fault("/runs/{run_id}", edit={"status": "thinking"}, times=3))
    assert [flora.run(run_id)["status"] for _ in range(4)] == ["thinking"] * 3 + ["pending"]


@pytest.mark.parametrize("poll_url", [None, "https://evil.example/runs/run_1"])
def test_a_poll_url_can_be_null_or_foreign(flora, sandbox, poll_url):
    sandbox.faults.add(Fault("/generate", edit={"poll_url": poll_url}))
    assert flora.generate().json()["poll_url"] == poll_url


def test_a_page_can_leave_a_run_out_for_a_while(flora, sandbox):
    gone, there = flora.start(), flora.start()
    sandbox.faults.add(Fault("/generations", omit=gone, times=None, seconds=10))

    def found():
        return [row["run_id"] for row in flora.get("/generations").json()["generations"]]

    assert found() == [there]
    sandbox.clock.advance(10)
    assert found() == [there, gone]


def test_a_run_can_vanish_for_a_while(flora, sandbox):
    run_id = flora.start()
    sandbox.faults.add(Fault(run_id=run_id, status=404, times=None, seconds=10))
    assert flora.get(f"/runs/{run_id}").status_code == 404
    sandbox.clock.advance(10)
    assert flora.get(f"/runs/{run_id}").status_code == 200


def test_a_page_can_repeat_rows_of_the_one_before(flora, sandbox):
    a, b, c, d = [flora.start() for _ in range(4)]
    sandbox.faults.add(Fault("/generations", overlap=1, times=None))
    first = flora.get("/generations?limit=2").json()
    second = flora.get("/generations", params={"limit": 2, "cursor": first["meta"]["next_cursor"]}).json()
    assert [row["run_id"] for row in first["generations"]] == [d, c]
    assert [row["run_id"] for row in second["generations"]] == [c, b]
    assert a not in str(second)


def test_the_last_page_can_be_empty_and_still_name_a_next_one(flora, sandbox):
    flora.start()
    sandbox.faults.add(Fault("/generations", dangling_cursor=True, times=None))
    cursors, sizes = [None], []
    for _ in range(3):
        body = flora.get("/generations", params={"cursor": cursors[-1]} if cursors[-1] else {}).json()
        cursors.append(body["meta"]["next_cursor"])
        sizes.append(len(body["generations"]))
    assert sizes == [1, 0, 0]
    assert all(cursors[1:])


def test_a_fault_can_decide_the_fate_of_a_run_somebody_else_starts(flora, sandbox):
    sandbox.faults.add(Fault("/runs/technique", fate=Fate(error_code="model_timeout", seconds=1)))
    body = {"technique_id": "tech_storybrd1", "workspace_id": sandbox.workspace_id, "inputs": {"instructions": "Go"}}
    run_id = flora.post("/runs/technique", json=body).json()["run_id"]
    sandbox.clock.advance(1)
    assert flora.run(run_id)["error_code"] == "model_timeout"
    assert sandbox.stats()["runs_billed"] == 0


def test_a_body_can_be_giant(flora, sandbox):
    sandbox.faults.add(Fault(status=500, body="oops", content_type="text/html", pad=10_000_000))
    assert len(flora.get("/models").content) == 10_000_004


def test_a_small_compressed_body_can_be_giant_inside(flora, sandbox):
    sandbox.faults.add(Fault(body="{}", pad=50_000_000, gzip=True))
    with flora.stream("GET", "/models") as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert len(raw) == int(answer.headers["content-length"]) < 100_000
    assert len(gzip.decompress(raw)) == 50_000_002


def test_faults_can_strike_the_media_store(flora, sandbox):
    run_id = flora.start()
    sandbox.clock.advance(100)
    url = flora.run(run_id)["outputs"][0]["url"]
    sandbox.faults.add(Fault("/media/{run_id}/{file}", wire="cut"))
    with pytest.raises(httpx.RemoteProtocolError):
        flora.get(url)
    assert flora.get(url).status_code == 200


def test_async_clients_meet_the_same_faults(flora, sandbox):
    async def spoiled():
        async with httpx.AsyncClient(transport=httpx.MockTransport(sandbox.handle)) as client:
            await client.get("https://flora.test/api/v1/models")

    sandbox.faults.add(Fault(wire="cut"))
    coroutine = spoiled()
    with pytest.raises(httpx.RemoteProtocolError):
        list(itertools.repeat(coroutine.send(None), 1))


@pytest.mark.parametrize(
    ("fault", "could"), [(Fault("/generat", status=500), "/generate"), (Fault(wire="knot"), "drop")]
)
def test_a_fault_that_could_never_strike_is_refused_with_what_could(sandbox, fault, could):
    with pytest.raises(Refusal, match=could):
        sandbox.faults.add(fault)


@pytest.mark.parametrize(
    "fault",
    [
        {"colour": "red"},
        {"wire": "knot"},
        {"route": "/generat"},
        {"times": "often"},
        {"status": "500"},
        {"fate": {"colour": "red"}},
        {"headers": ["x"]},
        "drop",
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(flora, fault):
    answer = flora.post("https://flora.test/_sandbox/faults", json=fault)
    assert answer.status_code == 400
    assert flora.get("https://flora.test/_sandbox/faults").json() == {"faults": []}
