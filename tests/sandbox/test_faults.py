import gzip
import itertools
from contextlib import nullcontext

import httpx
import pytest

from flora_provider.sandbox import Fault, RunBehavior
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
