import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.sandbox import Clock
from flora_provider.sandbox.world.clock import LAST, unix_seconds

URL = "https://flora.test/_sandbox/clock"
NEW_YEAR = 1_767_225_600.0  # 2026-01-01T00:00:00Z


class Watch:
    """A time source that a test sets."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


def test_clock_frozen_at_a_time_stands_still_until_it_is_moved():
    clock = Clock(Watch(5.0), frozen_at=NEW_YEAR)
    assert (clock.now(), clock.is_frozen) == (NEW_YEAR, True)
    clock.advance(10)
    assert clock.now() == NEW_YEAR + 10


def test_clock_goes_on_from_where_it_was_stopped():
    watch = Watch(100.0)
    clock = Clock(watch)
    clock.advance(1000)
    clock.freeze()
    watch.now = 150.0
    assert clock.now() == 1100
    clock.resume()
    assert clock.now() == 1100
    watch.now = 151.0
    assert clock.now() == 1101


def test_clock_freezes_and_resumes_twice_without_effect():
    watch = Watch(100.0)
    clock = Clock(watch)
    clock.resume()
    assert (clock.now(), clock.is_frozen) == (100, False)
    clock.freeze()
    watch.now = 200.0
    clock.freeze()
    assert clock.now() == 100


steps = st.tuples(st.sampled_from(["advance", "move_to", "freeze", "resume", "wait"]), st.integers(-10, 1_000_000))


@given(steps=st.lists(steps))
def test_clock_never_goes_backwards(steps):
    watch = Watch(NEW_YEAR)
    clock = Clock(watch)
    for step, seconds in steps:
        before = clock.now()
        if step == "wait":
            watch.now += abs(seconds)
        elif step in ("freeze", "resume"):
            getattr(clock, step)()
        elif seconds >= 0:
            getattr(clock, step)(seconds if step == "advance" else before + seconds)
        else:
            with pytest.raises(ValueError, match="forward only"):
                getattr(clock, step)(seconds if step == "advance" else before + seconds)
        assert clock.now() >= before


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *(("2026-01-01T00:00:00Z", NEW_YEAR), ("2026-01-01", NEW_YEAR), ("2026-01-01T01:00:00+01:00", NEW_YEAR)),
        *(("1767225600", NEW_YEAR), (NEW_YEAR, NEW_YEAR), (1_767_225_600, NEW_YEAR), ("0.5", 0.5)),
    ],
)
def test_time_is_iso_or_unix_seconds(value, seconds):
    assert unix_seconds(value) == seconds


@given(value=st.text() | st.floats() | st.integers() | st.none() | st.booleans() | st.lists(st.integers()))
def test_anything_else_is_no_time(value):
    try:
        assert 0 <= unix_seconds(value) <= LAST
    except ValueError as error:
        assert "must be a time from 1970 to 9892" in str(error)  # noqa: PT017 - some are times


def test_control_stops_the_clock_and_lets_it_go_on(flora, sandbox):
    assert flora.get(URL).json() == {"now": 1_750_000_000, "frozen": False}
    assert flora.post(URL, json={"freeze": True}).json() == {"now": 1_750_000_000, "frozen": True}
    assert flora.post(URL, json={"advance": 5}).json() == {"now": 1_750_000_005, "frozen": True}
    assert flora.post(URL, json={"freeze": False}).json() == {"now": 1_750_000_005, "frozen": False}
    assert not sandbox.clock.is_frozen


def test_control_moves_the_clock_to_a_time(flora):
    assert flora.post(URL, json={"to": "2026-01-01T00:00:00Z"}).json()["now"] == NEW_YEAR
    assert flora.post(URL, json={"to": NEW_YEAR + 1}).json()["now"] == NEW_YEAR + 1
    response = flora.post(URL, json={"to": NEW_YEAR})
    assert response.status_code == 400
    assert response.json()["error"]["fields"][0] == {
        "field": "to",
        "message": "the clock moves forward only, not by -1.0 s",
    }


@pytest.mark.parametrize(
    "body",
    [
        *({"to": -1}, {"to": "tomorrow"}, {"to": None}, {"to": [1]}, {"to": True}, {"to": LAST + 1}, {"to": "9" * 400}),
        *({"freeze": 1}, {"freeze": None}, {"freeze": True, "advance": 1}, {"advance": 1e300}, {"advance": LAST}),
    ],
)
def test_control_refuses_what_is_no_change_of_the_clock(flora, body):
    response = flora.post(URL, json=body)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "input_validation_error"
    assert flora.get(URL).json() == {"now": 1_750_000_000, "frozen": False}


def test_runs_end_only_when_a_stopped_clock_is_moved(flora):
    flora.post(URL, json={"freeze": True})
    run_id = flora.start()
    assert flora.run(run_id)["status"] == "pending"
    flora.post(URL, json={"advance": 100})
    assert flora.run(run_id)["status"] == "completed"


def test_files_and_dates_can_be_made_at_the_end_of_time(flora, sandbox):
    sandbox.clock.move_to(LAST)
    run_id = flora.start()
    assert flora.run(run_id)["created_at"] == LAST * 1000
    body = {"workspace_id": sandbox.workspace_id, "source": "signed-url", "content_type": "image/png"}
    assert flora.post("/assets", json=body).status_code == 201
