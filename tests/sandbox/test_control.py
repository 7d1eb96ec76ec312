import pytest

from flora_provider.sandbox import Clock, Sandbox, Settings

ROOT = "https://flora.test/_sandbox"


def test_stats_tell_what_happened(flora, sandbox):
    flora.start("k")
    flora.generate("k")
    flora.start(params={"sandbox": {"error_code": "SERVER_ERROR"}})
    flora.start(params={"sandbox": {"never_ends": True}})
    flora.get("/runs/run_nothing")
    flora.get("/nowhere")
    sandbox.clock.advance(100)
    stats = flora.get(f"{ROOT}/stats").json()
    assert stats["requests"] == {"POST /generate": 4, "GET /runs/{run_id}": 1, "unknown": 1}
    assert stats["statuses"] == {"201": 3, "409": 1, "404": 2}
    assert (stats["runs_started"], stats["runs_billed"], stats["duplicates_refused"]) == (3, 2, 1)
    assert stats["usd_billed"] > 0
    assert stats["runs_by_status"] == {"pending": 0, "running": 1, "completed": 1, "failed": 1}
    assert stats == sandbox.stats()


def test_runs_show_prompt_and_key_to_the_tester(flora, sandbox):
    run_id = flora.start("k", prompt="A red fox")
    assert flora.get(f"{ROOT}/runs").json()["runs"] == [
        {
            "run_id": run_id,
            "type": "generation",
            "subject": "t2i-flux-2-pro",
            "prompt": "A red fox",
            "project_id": sandbox.project_id,
            "idempotency_key": "k",
            "created_at": 1_750_000_000_000,
            "status": "pending",
            "billed": True,
        }
    ]


def test_the_clock_can_be_moved_from_outside(flora):
    run_id = flora.start()
    assert flora.post(f"{ROOT}/clock", json={"advance": 100}).json() == {"now": 1_750_000_100, "frozen": False}
    assert flora.run(run_id)["status"] == "completed"


@pytest.mark.parametrize("body", [{}, {"advance": -1}, {"advance": "1"}, {"advance": True}, [1]])
def test_the_clock_moves_forward_only(flora, body):
    assert flora.post(f"{ROOT}/clock", json=body).status_code == 400
    with pytest.raises(ValueError, match="forward"):
        Clock().advance(-1)


def test_settings_can_be_changed_from_outside(flora):
    assert flora.post(f"{ROOT}/settings", json={"speed": 12, "idempotency": "none"}).status_code == 200
    assert flora.generate("k").json()["estimated_seconds"] == 1
    assert flora.generate("k").status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        *({"speed": 0}, {"speed": "fast"}, {"speed": None}, {"seed": 1}, {"unknown": 1}, {"latency_ms": -1}),
        *({"idempotency": "maybe"}, {"requests_per_second": 0}, {"api_key": ""}, {"replay_failures": "yes"}, []),
        *({"failure_rate": 1.1}, {"failure_rate": -0.1}, {"failure_family": "luck"}, {"listing_delay": -1}),
    ],
)
def test_settings_that_make_no_sense_change_nothing(flora, sandbox, change):
    response = flora.post(f"{ROOT}/settings", json=change if change == [] else {"speed": 9, **change})
    assert response.status_code == 400
    assert sandbox.settings.speed == 1


def test_settings_are_checked_at_the_start_too():
    with pytest.raises(ValueError, match="speed: must be a number above 0; got -1"):
        Settings(speed=-1)


def test_a_rotated_key_takes_effect_at_once_in_the_middle_of_polling(flora):
    run_id = flora.start()
    assert flora.run(run_id)["status"] == "pending"
    flora.post(f"{ROOT}/settings", json={"api_key": "sk_test_new"})
    response = flora.get(f"/runs/{run_id}")
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
    assert flora.generate().status_code == 401
    flora.headers["authorization"] = "Bearer sk_test_new"
    assert flora.run(run_id)["status"] == "pending"


def test_key_null_makes_a_new_key_and_answers_it(flora, sandbox):
    old = sandbox.api_key
    new = flora.post(f"{ROOT}/settings", json={"api_key": None, "speed": 2}).json()["api_key"]
    assert new == sandbox.api_key != old
    assert new.startswith("sk_test_")
    assert flora.get("/models").json()["error"]["code"] == "invalid_api_key"
    flora.headers["authorization"] = f"Bearer {new}"
    assert flora.get("/models").status_code == 200


def test_settings_can_be_read(flora, sandbox):
    settings = flora.get(f"{ROOT}/settings").json()
    assert (settings["api_key"], settings["speed"], settings["credits_usd"]) == (sandbox.api_key, 1, None)


def test_listing_delay_keeps_new_runs_out_of_lists(flora, sandbox):
    flora.post(f"{ROOT}/settings", json={"listing_delay": 30})
    run_id = flora.start()
    assert flora.run(run_id)["run_id"] == run_id
    assert flora.get("/generations").json()["generations"] == []
    sandbox.clock.advance(30)
    assert flora.get("/generations").json()["generations"][0]["run_id"] == run_id


def test_listing_delay_shortens_no_longer_one(make_flora):
    flora = make_flora(listing_delay=30)
    flora.start(params={"sandbox": {"listed_after": 60}})
    flora.sandbox.clock.advance(59)
    assert flora.get("/generations").json()["generations"] == []


def test_controls_that_are_switched_off_do_not_exist(make_flora):
    flora = make_flora(controls=False)
    for path in ("stats", "runs", "faults", "clock", "settings"):
        response = flora.get(f"{ROOT}/{path}")
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
    assert flora.post(f"{ROOT}/clock", json={"advance": 1}).status_code == 404
    assert flora.delete(f"{ROOT}/faults").status_code == 404
    assert flora.get("https://flora.test/").status_code == 404
    assert flora.sandbox.clock.now() == 1_750_000_000
    assert flora.start()


def test_the_rate_limit_refuses_with_retry_after_and_refills(flora):
    flora.post(f"{ROOT}/settings", json={"requests_per_second": 2})
    responses = [flora.get("/models") for _ in range(3)]
    assert [response.status_code for response in responses] == [200, 200, 429]
    assert responses[2].headers["retry-after"] == "1"
    assert responses[2].json()["error"]["code"] == "rate_limited"
    flora.sandbox.clock.advance(1)
    assert [flora.get("/models").status_code for _ in range(3)] == [200, 200, 429]
    flora.sandbox.settings.requests_per_second = 0.1
    flora.sandbox.clock.advance(10)
    assert flora.get("/models").status_code == 200
    assert flora.get("/models").headers["retry-after"] == "10"


def test_a_copy_of_the_settings_is_kept():
    settings = Settings(api_key="sk_test_x")
    first, second = Sandbox(settings), Sandbox(settings)
    first.settings.speed = 5
    assert second.settings.speed == settings.speed == 1
