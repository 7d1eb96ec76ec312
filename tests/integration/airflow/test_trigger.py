"""The wait in the triggerer: it blocks nobody, holds no secret, leaves nothing behind, and survives outages."""

import asyncio
import gc
import json
import time
import warnings

import pytest

from flora_provider.sandbox.faults import Fault
from flora_provider.triggers.flora import FloraRunTrigger
from tests.support.airflow_tasks import ENDLESS
from tests.support.triggers import first_event, run_within, trigger_for, until, wait_for, wait_for_all

SLOW = 1.0  # seconds that FLORA takes to answer; a loop that waits for it is held up as long


class LoopDelay:
    """How late the loop wakes a sleeper up: somebody who blocks holds it up."""

    def __init__(self):
        self.late = 0.0

    async def measure(self):
        while True:
            due = time.perf_counter() + 0.005
            await asyncio.sleep(0.005)
            self.late = max(self.late, time.perf_counter() - due)


def test_serialized_trigger_makes_the_same_trigger_and_holds_no_secret(flora):
    trigger = trigger_for("run_1", deadline=12.5, limit="execution_timeout", started_at=1.0, estimated_seconds=9.0)
    path, kwargs = trigger.serialize()
    assert path == "flora_provider.triggers.flora.FloraRunTrigger"
    assert FloraRunTrigger(**json.loads(json.dumps(kwargs))).serialize() == (path, kwargs)
    assert flora.sandbox.api_key not in json.dumps(kwargs)
    assert flora.server.url not in json.dumps(kwargs)


def test_event_carries_the_finished_run_so_that_the_task_needs_no_request(flora):
    run_id = flora.start()
    event = run_within(wait_for(run_id))
    assert event.result()["run_id"] == run_id
    assert event.result()["outputs"][0]["url"].startswith(flora.server.url)
    assert flora.polls == 1


OUTAGES = {
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


@pytest.mark.parametrize("faults", OUTAGES.values(), ids=OUTAGES)
def test_wait_survives_outage(flora, faults):
    run_id = flora.start()
    for fault in faults:
        flora.inject(**{"route": "/runs/{run_id}", **fault})
    assert run_within(wait_for(run_id)).kind == "ended"


@pytest.mark.parametrize("status", [401, 402, 403])
def test_key_that_stays_revoked_ends_the_wait(flora, short_tolerance, status):
    run_id = flora.start(**ENDLESS)
    flora.inject(route="/runs/{run_id}", status=status, skip=1, times=None)
    event = run_within(wait_for(run_id, deadline=time.time() + 20))
    assert event.kind == "refused"
    assert f"FLORA answered {status}" in event.detail


@pytest.mark.parametrize(
    ("conn_id", "reason"),
    [("broken", "it has no API key"), ("deleted", "connection 'deleted' could not be read")],
)
def test_connection_that_stays_broken_or_deleted_ends_the_wait_with_the_reason(flora, short_tolerance, conn_id, reason):
    flora.connect("broken", password="")
    event = run_within(wait_for(flora.start(), flora_conn_id=conn_id))
    assert event.kind == "refused"
    assert reason in event.detail


def test_deadline_is_an_instant_and_is_kept(flora):
    run_id = flora.start(**ENDLESS)
    began = time.time()
    event = run_within(wait_for(run_id, deadline=began + 0.3, limit="execution_timeout"))
    assert (event.kind, event.limit) == ("timed_out", "execution_timeout")
    assert 0.3 <= time.time() - began < 2


def test_event_is_held_until_airflow_can_take_it(flora):
    began = time.time()
    trigger = trigger_for(flora.start(), not_before=began + 0.4)
    trigger.trigger_id = 1  # as in a triggerer
    run_within(first_event(trigger))
    assert 0.4 <= time.time() - began < 2


def test_loop_is_never_held_up_however_slow_flora_is(flora):
    run_ids = [flora.start(seconds=0.2) for _ in range(4)]
    flora.sandbox.settings.latency_ms = SLOW * 1000

    async def main():
        # The first trigger of a process loads the HTTP client; that is the price of a start, not of a wait.
        await wait_for(run_ids[0])
        gc.collect()
        delay = LoopDelay()
        measuring = asyncio.create_task(delay.measure())
        events = await wait_for_all(run_ids)
        measuring.cancel()
        return delay.late, events

    late, events = asyncio.run(main())

    assert [event.kind for event in events] == ["ended"] * 4
    assert late < SLOW / 2


def test_cancelled_trigger_leaves_neither_task_nor_connection(flora):
    flora.inject(Fault("/runs/{run_id}", delay=0.5, times=None))
    run_id = flora.start(**ENDLESS)

    async def main():
        before = asyncio.all_tasks()
        waiting = asyncio.create_task(wait_for(run_id))
        await until(lambda: flora.polls)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        # A poll that is on its way may come to its end.
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


def test_end_of_a_run_is_logged_and_not_each_poll(flora, caplog):
    run_id = flora.start(seconds=0.5, no_estimate=True, estimated_seconds=None)
    run_within(wait_for(run_id))
    lines = [record.getMessage() for record in caplog.records if f"FLORA run {run_id}:" in record.getMessage()]
    assert lines == [f"FLORA run {run_id}: completed, 100 %"]


def test_on_kill_of_a_trigger_is_logged_and_sends_nothing(flora, logged):
    trigger = trigger_for(flora.start(**ENDLESS))
    before = flora.requests
    asyncio.run(trigger.on_kill())
    assert flora.requests == before
    assert "A run cannot be cancelled" in logged()
