"""Whatever FLORA's texts hold, the triggerer lives, and what was paid for arrives: on SQLite and on PostgreSQL."""

import json

import pytest

from tests.e2e.deployment import control
from tests.e2e.scenarios import REPLACED, ObservedDagRun

TEXT = "The paid text \ud83d goes on \x00 to the end."
BEHAVIORS = {
    "half": {"error_code": "provider_error", "error_message": "It ends with half an emoji: \ud83d"},
    "zero": {"error_code": "provider_error", "error_message": "It holds \x00 a zero."},
    "long": {"error_code": "provider_error", "error_message": "Much \ud83d" * 100_000},
    "text": {"text": TEXT},
}
WAYS = ("in_worker", "deferred", "resumed", "sensor")
FAILING = [f"{what}_{way}" for what in ("half", "zero", "long") for way in WAYS]


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def airflow(request):
    """What has a `stage`: Airflow on the database that is named."""
    return request.getfixturevalue({"SQLite": "on_sqlite", "PostgreSQL": "cluster"}[request.param])


def test_strange_texts_of_runs_leave_the_triggerer_alive_and_arrive(airflow):
    sandbox, triggerer = airflow.stage.sandbox, airflow.stage.airflow.parts["triggerer"]
    same = triggerer.pid
    script = [
        {
            "route": "/generate",
            "containing": f'"{what} {way}"',
            "behavior": {"seconds": 8, "estimated_seconds": 10, **behavior},
        }
        for what, behavior in BEHAVIORS.items()
        for way in WAYS
    ]
    control(sandbox, "POST", "faults", content=json.dumps(script))  # in ASCII, with escapes

    observed = ObservedDagRun(airflow, "strange_texts")
    states = observed.wait_over(timeout=180)

    assert triggerer.exit_code is None
    assert triggerer.pid == same
    bought = {f"start_{what}" for what in BEHAVIORS}
    read = {f"read_{way}" for way in WAYS if way != "sensor"}
    good = {f"text_{way}" for way in WAYS} | {"bystander"} | bought | read
    assert states == dict.fromkeys(good, "success") | dict.fromkeys(FAILING, "failed")
    assert set(observed.tries().values()) == {1}

    arrived = TEXT.replace("\ud83d", REPLACED).replace("\x00", REPLACED)
    for way in WAYS:
        assert observed.xcom(f"text_{way}")["outputs"][0]["text"] == arrived
        for what, said in {"half": f"half an emoji: {REPLACED}", "zero": f"It holds {REPLACED} a zero."}.items():
            assert said in observed.log(f"{what}_{way}")
        long = observed.log(f"long_{way}")
        assert f"Much {REPLACED}" in long
        assert len(long) < 100_000
    for name in read:
        assert observed.xcom(name) == arrived
