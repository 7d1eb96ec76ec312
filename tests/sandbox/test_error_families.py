import re

import pytest

from flora_provider.sandbox import Fault, RunBehavior
from flora_provider.sandbox.error_families import FAMILIES

MODERATION = re.compile("safety|moderat|refus|policy", re.IGNORECASE)


def failed(flora, **sandbox):
    run_id = flora.start(params={"sandbox": {"seconds": 1, **sandbox}})
    flora.sandbox.clock.advance(1)
    return flora.run(run_id)


@pytest.mark.parametrize("family", FAMILIES)
def test_run_of_an_error_family_fails_with_one_of_its_codes(flora, family):
    runs = [failed(flora, error_family=family) for _ in range(60)]
    assert {run["status"] for run in runs} == {"failed"}
    assert {(run["error_code"], run["error_message"]) for run in runs} <= set(FAMILIES[family].items())
    assert len({run["error_code"] for run in runs}) >= len(FAMILIES[family]) / 2
    assert flora.sandbox.stats()["runs_billed"] == 0


def test_error_of_a_family_is_the_same_for_the_same_seed(make_flora):
    first, second, other = [
        [failed(flora, error_family="retry_now")["error_code"] for _ in range(20)]
        for flora in (make_flora(seed=1), make_flora(seed=1), make_flora(seed=2))
    ]
    assert first == second != other


def test_only_refusals_speak_of_moderation():
    assert all(MODERATION.search(message) for message in FAMILIES["moderation"].values())
    assert set(FAMILIES["moderation"]) <= set(FAMILIES["retry_now"])
    retried = {**FAMILIES["retry_now"], **FAMILIES["retry_later"]}
    assert not any(MODERATION.search(message) for message in retried.values())


def test_error_code_and_message_win_over_the_family(flora):
    run = failed(flora, error_family="never", error_code="MINE")
    assert (run["error_code"], run.get("error_message")) == ("MINE", None)
    run = failed(flora, error_family="moderation", error_message="Mine.")
    assert (run["error_code"], run["error_message"]) == ("GPU_PROVIDER_ERROR", "Mine.")


def test_unknown_error_family_is_refused(flora):
    response = flora.generate(params={"sandbox": {"error_family": "bad_luck"}})
    assert response.status_code == 400
    assert response.json()["error"]["fields"][0]["field"] == "params.sandbox.error_family"


def test_fault_gives_runs_of_another_client_an_error_family(flora, sandbox):
    sandbox.faults.add(Fault("/generate", behavior=RunBehavior(error_family="documented")))
    run_id = flora.start()
    sandbox.clock.advance(100)
    assert flora.run(run_id)["error_code"] in FAMILIES["documented"]


def outcomes(make_flora, **settings):
    flora = make_flora(**settings)
    run_ids = [flora.start() for _ in range(200)]
    flora.sandbox.clock.advance(100)
    return [flora.run(run_id) for run_id in run_ids]


def test_failure_rate_lets_the_same_share_of_runs_fail(make_flora):
    runs = outcomes(make_flora, failure_rate=0.3, failure_family="retry_later", seed=3)
    assert runs == outcomes(make_flora, failure_rate=0.3, failure_family="retry_later", seed=3)
    codes = [run["error_code"] for run in runs if run["status"] == "failed"]
    assert set(codes) <= set(FAMILIES["retry_later"])
    assert 0.2 < len(codes) / len(runs) < 0.4


@pytest.mark.parametrize(("rate", "status"), [(0.0, "completed"), (1.0, "failed")])
def test_failure_rates_of_0_and_1_have_no_exceptions(make_flora, rate, status):
    assert {run["status"] for run in outcomes(make_flora, failure_rate=rate)} == {status}


def test_failure_rate_leaves_the_runs_that_succeed_as_they_were(make_flora):
    without, some = outcomes(make_flora), outcomes(make_flora, failure_rate=0.5)
    kept = [(before, after) for before, after in zip(without, some, strict=True) if after["status"] == "completed"]
    assert 0 < len(kept) < len(some)
    assert all(before == after for before, after in kept)
