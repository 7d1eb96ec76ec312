"""The wait in the triggerer: it blocks nobody, holds no secret, leaves nothing behind, and bears bad weather."""

import asyncio
import gc
import json
import time
import warnings
from contextlib import aclosing

import pytest

from flora_provider.runs.event import RunEvent
from flora_provider.sandbox.faults import Fault
from flora_provider.triggers.flora import FloraRunTrigger

ENDLESS = {"never_ends": True, "no_estimate": True, "estimated_seconds": None}
SLOW = 1.0  # seconds that FLORA takes to answer; a loop that waits for it is held up as long


def trigger_for(run_id, **kwargs):
    return FloraRunTrigger(**{"run_id": run_id, "flora_conn_id": "flora_default", "poll_interval": 0.05, **kwargs})


async def payload_of(trigger):
    async with aclosing(trigger.run()) as events:
        return (await anext(events)).payload


def wait(trigger):
    return RunEvent.from_payload(asyncio.run(asyncio.wait_for(payload_of(trigger), 30)))


class Heart:
    """Beats on the loop; a beat that comes late was held up by somebody who blocked."""

    def __init__(self):
        self.late = 0.0

    async def beat(self):
        while True:
            due = time.perf_counter() + 0.005
            await asyncio.sleep(0.005)
            self.late = max(self.late, time.perf_counter() - due)


def test_what_the_metadata_database_keeps_makes_the_same_trigger_and_holds_no_secret(flora):
    trigger = trigger_for("run_1", deadline=12.5, limit="execution_timeout", started_at=1.0, estimated_seconds=9.0)

    path, kwargs = trigger.serialize()

    assert path == "flora_provider.triggers.flora.FloraRunTrigger"
    assert FloraRunTrigger(**json.loads(json.dumps(kwargs))).serialize() == (path, kwargs)
    assert flora.sandbox.api_key not in json.dumps(kwargs)
    assert flora.server.url not in json.dumps(kwargs)


def test_the_event_carries_the_finished_run_so_that_the_task_needs_no_request(flora):
    run_id = flora.start()

    event = wait(trigger_for(run_id))

    assert event.result()["run_id"] == run_id
    assert event.result()["outputs"][0]["url"].startswith(flora.server.url)
    assert flora.polls == 1


WEATHER = {
    "a burst of 429": [{"status": 429, "headers": {"retry-after-ms": "20"}, "times": 3}],
    "503": [{"status": 503, "times": 2}],
    "a proxy's page": [{"status": 502, "body": "<html>", "content_type": "text/html", "times": 2}],
    "HTML with 200": [{"body": "<html>", "content_type": "text/html", "times": 2}],
    "a reset": [{"delivery": "drop", "times": 2}],
    "a cut-off body": [{"delivery": "cut", "times": 2}],
    "a refused connection": [{"route": None, "delivery": "refuse", "times": None, "seconds": 0.2}],
    "a page without its members": [{"without": ("status",), "times": 2}],
    "members of other types": [{"edit": {"status": 7, "progress": "half"}, "times": 2}],
    "404 for a moment": [{"status": 404, "times": 2}],
    "one after the other": [{"status": 500}, {"delivery": "cut"}, {"status": 404}],
}


@pytest.mark.parametrize("faults", WEATHER.values(), ids=WEATHER)
def test_weather_does_not_end_the_wait(flora, faults):
    run_id = flora.start()
    for fault in faults:
        flora.inject(**{"route": "/runs/{run_id}", **fault})

    assert wait(trigger_for(run_id)).kind == "ended"


@pytest.fixture
def impatient(monkeypatch):
    """What takes minutes takes half a second."""
    monkeypatch.setattr("flora_provider.runs.tolerance.REFUSED_FOR", 0.5)
    monkeypatch.setattr("flora_provider.triggers.connection_reader.RETRIES_FOR", 0.3)
    monkeypatch.setattr("flora_provider.triggers.connection_reader.FIRST_PAUSE", 0.05)


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_key_that_stays_revoked_ends_the_wait(flora, impatient, status):
    run_id = flora.start(**ENDLESS)
    flora.inject(route="/runs/{run_id}", status=status, skip=1, times=None)

    event = wait(trigger_for(run_id, deadline=time.time() + 20))

    assert event.kind == "refused"
    assert f"FLORA answered {status}" in event.detail


def test_a_connection_that_stays_broken_ends_the_wait_with_the_reason(flora, impatient):
    run_id = flora.start()
    flora.connect(password="")

    event = wait(trigger_for(run_id))

    assert event.kind == "refused"
    assert "it has no API key" in event.detail


def test_a_connection_that_stays_deleted_ends_the_wait_by_its_name(flora, impatient):
    event = wait(trigger_for(flora.start(), flora_conn_id="deleted"))

    assert event.kind == "refused"
    assert "connection 'deleted' could not be read" in event.detail


def test_the_deadline_is_an_instant_and_is_kept(flora):
    run_id = flora.start(**ENDLESS)
    began = time.time()

    event = wait(trigger_for(run_id, deadline=began + 0.3, limit="execution_timeout"))

    assert (event.kind, event.limit) == ("timed_out", "execution_timeout")
    assert 0.3 <= time.time() - began < 2


def test_an_event_is_held_until_airflow_can_take_it(flora):
    began = time.time()

    trigger = trigger_for(flora.start(), not_before=began + 0.4)
    trigger.trigger_id = 1  # as in a triggerer
    wait(trigger)

    assert 0.4 <= time.time() - began < 2


def test_the_loop_is_never_held_up_however_slow_flora_is(flora):
    run_ids = [flora.start(seconds=0.2) for _ in range(4)]
    flora.sandbox.settings.latency_ms = SLOW * 1000

    async def main():
        # The first trigger of a process loads the HTTP client; that is the price of a start, not of a wait.
        await payload_of(trigger_for(run_ids[0]))
        gc.collect()
        heart = Heart()
        beating = asyncio.create_task(heart.beat())
        payloads = await asyncio.gather(*(payload_of(trigger_for(run_id)) for run_id in run_ids))
        beating.cancel()
        return heart.late, payloads

    late, payloads = asyncio.run(main())

    assert [payload["kind"] for payload in payloads] == ["ended"] * 4
    assert late < SLOW / 2


def test_a_cancelled_trigger_leaves_neither_task_nor_connection(flora):
    flora.inject(Fault("/runs/{run_id}", delay=0.5, times=None))
    run_id = flora.start(**ENDLESS)

    async def main():
        before = asyncio.all_tasks()
        waiting = asyncio.create_task(payload_of(trigger_for(run_id)))
        while not flora.polls:  # noqa: ASYNC110 - another thread counts them
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        # A look that is on its way may come to its end.
        for _ in range(200):
            if asyncio.all_tasks() == before:
                break
            await asyncio.sleep(0.01)
        return asyncio.all_tasks() - before

    gc.collect()  # what other tests have left is theirs
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert asyncio.run(main()) == set()
        gc.collect()

    assert [str(warning.message) for warning in warned if warning.category is ResourceWarning] == []


def test_progress_is_logged_when_it_changes_and_not_at_each_look(flora, caplog):
    run_id = flora.start(seconds=0.5, no_estimate=True, estimated_seconds=None)

    wait(trigger_for(run_id))

    lines = [record.getMessage() for record in caplog.records if f"FLORA run {run_id}:" in record.getMessage()]
    assert len(lines) == len(set(lines)) > 1
    assert lines[-1].endswith("completed, 100 %")


def test_losing_the_trigger_is_logged_and_changes_nothing(flora, caplog, capfd):
    trigger = trigger_for(flora.start(**ENDLESS))
    before = flora.requests

    asyncio.run(trigger.on_kill())

    assert flora.requests == before
    assert "A run cannot be cancelled" in caplog.text + "".join(capfd.readouterr())
