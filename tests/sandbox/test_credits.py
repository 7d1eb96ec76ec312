import math

import pytest

SETTINGS = "https://flora.test/_sandbox/settings"
QUOTE = 0.04  # of the default image model


def left(flora):
    return flora.get(SETTINGS).json()["credits_usd"]


def test_start_that_costs_more_than_is_left_is_refused(make_flora):
    flora = make_flora(credits_usd=0.1)
    flora.start(), flora.start()
    response = flora.generate("k")
    assert response.status_code == 402
    assert response.json()["error"] == {
        "code": "insufficient_credits",
        "message": "Insufficient credits. available: 0.02",
    }
    stats = flora.sandbox.stats()
    assert (stats["runs_started"], stats["runs_billed"]) == (2, 2)
    assert len(flora.get("/generations").json()["generations"]) == 2


def test_start_refused_for_credits_leaves_its_key_for_after_the_top_up(make_flora):
    flora = make_flora(credits_usd=0)
    assert flora.generate("k").status_code == 402
    assert flora.post(SETTINGS, json={"credits_usd": 10}).json() == {"credits_usd": 10}
    assert flora.generate("k").status_code == 201


def test_start_that_costs_exactly_what_is_left_is_accepted(make_flora):
    flora = make_flora(credits_usd=3 * QUOTE)
    assert [flora.generate().status_code for _ in range(4)] == [201, 201, 201, 402]


def test_run_reserves_its_quote_and_pays_its_bill_at_its_end(make_flora):
    flora = make_flora(credits_usd=1)
    run_ids = [flora.start() for _ in range(20)]
    assert flora.generate().status_code == 201
    assert left(flora) == 1
    flora.sandbox.clock.advance(100)
    bills = [flora.run(run_id)["charged_cost"] for run_id in run_ids]
    assert math.isclose(left(flora), 1 - flora.sandbox.stats()["usd_billed"])
    assert any(bill != QUOTE for bill in bills)


def test_failed_run_gives_its_reservation_back(make_flora):
    flora = make_flora(credits_usd=QUOTE)
    failing = {"sandbox": {"error_code": "SERVER_ERROR", "seconds": 5}}
    flora.start(params=failing)
    assert flora.generate().status_code == 402
    flora.sandbox.clock.advance(5)
    assert left(flora) == QUOTE
    assert flora.generate().status_code == 201


def test_run_that_never_ends_keeps_its_reservation(make_flora):
    flora = make_flora(credits_usd=QUOTE)
    flora.start(params={"sandbox": {"never_ends": True}})
    flora.sandbox.clock.advance(1e9)
    assert flora.generate().status_code == 402


def test_bill_of_a_run_that_ended_before_a_top_up_is_paid_before_it(make_flora):
    flora = make_flora(credits_usd=QUOTE)
    flora.start()
    flora.sandbox.clock.advance(100)
    flora.post(SETTINGS, json={"credits_usd": 10})
    assert left(flora) == 10


def test_account_is_never_below_zero(make_flora):
    flora = make_flora(credits_usd=QUOTE)
    while flora.run(flora.start())["status"] != "completed":
        flora.sandbox.clock.advance(100)
        if left(flora) == 0:
            break
        flora.sandbox.settings.credits_usd = QUOTE
    assert left(flora) == 0


def test_unlimited_credits_charge_no_account(flora):
    flora.start()
    assert left(flora) is None
    flora.post(SETTINGS, json={"credits_usd": QUOTE})
    flora.sandbox.clock.advance(100)
    assert left(flora) == QUOTE


@pytest.mark.parametrize("usd", [-1, "10", True])
def test_credits_that_make_no_sense_are_refused(flora, usd):
    assert flora.post(SETTINGS, json={"credits_usd": usd}).status_code == 400
    assert left(flora) is None


def test_techniques_need_credits_and_actions_none(make_flora):
    flora = make_flora(credits_usd=0)
    scope = {"workspace_id": flora.sandbox.workspace_id}
    body = {"technique_id": "tech_storybrd1", "inputs": {"instructions": "Go"}, **scope}
    assert flora.post("/runs/technique", json=body).status_code == 402
    scope["project_id"] = flora.sandbox.project_id
    body = {
        "action_id": "ken-burns-video",
        "inputs": [{"type": "image", "url": "https://media.flora.ai/a.png"}],
        **scope,
    }
    assert flora.post("/runs/action", json=body).status_code == 201


def test_node_without_credits_starts_and_fails(make_flora):
    flora = make_flora(credits_usd=0)
    at = f"/workspaces/{flora.sandbox.workspace_id}/projects/{flora.sandbox.project_id}"
    node = {"ref": "fern", "type": "image", "prompt": "A fern", "model": "t2i-flux-2-pro"}
    created = flora.post(f"{at}/canvas/changeset", json={"add": [node]}).json()["created"]
    (started,) = flora.post(f"{at}/nodes/run", json={"node_ids": [created["fern"]["node_id"]]}).json()["runs"]
    assert started["status"] == "started"
    flora.sandbox.clock.advance(100)
    assert flora.run(started["run_id"])["error_code"] == "BILLING_NOT_ENOUGH_CREDITS"
    assert flora.sandbox.stats()["usd_billed"] == 0
