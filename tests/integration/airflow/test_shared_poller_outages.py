"""Outages during the waits of a process, through real connections: no wait fails, and nothing is left behind."""

import asyncio
from contextlib import aclosing

import pytest

from flora_provider.runs.event import RunEvent
from flora_provider.sandbox.faults import Fault
from flora_provider.triggers.flora import FloraRunTrigger

RETRY_FOR = 60  # seconds; nothing here takes a tenth of it, but a loaded machine may


async def wait_for(run_id):
    trigger = FloraRunTrigger(run_id=run_id, flora_conn_id="flora_default", poll_interval=0.05)
    async with aclosing(trigger.run()) as events:
        return RunEvent.from_payload((await anext(events)).payload)


def outcomes(run_ids):
    """How the waits end, and that they leave no task behind."""

    async def main():
        me = asyncio.all_tasks()
        async with asyncio.timeout(RETRY_FOR):
            events = await asyncio.gather(*(wait_for(run_id) for run_id in run_ids))
            while asyncio.all_tasks() != me:  # noqa: ASYNC110 - it ends by itself
                await asyncio.sleep(0.01)
        return [event.kind for event in events]

    return asyncio.run(main())


PAGES = {"route": "/generations"}
LOOKS = {"route": "/runs/{run_id}"}
SOON = {"times": None, "seconds": 1.0}
WEATHER = {
    "503 for a while": [{"status": 503, **SOON}],
    "a burst of 429": [{"status": 429, "headers": {"retry-after-ms": "200"}, "times": 5}],
    "a proxy's page for a while": [{"status": 502, "body": "<html>", "content_type": "text/html", **SOON}],
    "resets": [{"delivery": "drop", "times": 3}],
    "refused connections": [{"delivery": "refuse", **SOON}],
    "cut-off pages": [{**PAGES, "delivery": "cut", "times": 2}],
    "a slow loris with pages": [{**PAGES, "delivery": "trickle", "delay": 0.2, "times": 1}],
    "a slow loris with looks": [
        {**PAGES, "status": 403, **SOON},
        {**LOOKS, "delivery": "trickle", "delay": 0.2, "times": 4},
    ],
    "HTML with 200": [{**PAGES, "body": "<html>", "content_type": "text/html", "times": 2}],
    "a page that is no page": [{**PAGES, "body": "[]", "times": 2}],
    "a page without its rows": [{**PAGES, "without": ("generations",), "times": 2}],
    "rows of another type": [{**PAGES, "edit": {"generations": {}}, "times": 2}],
    "a list that never ends": [{**PAGES, "dangling_cursor": True, "times": None}],
    "pages that overlap": [{**PAGES, "overlap": 3, "times": None}],
}


@pytest.mark.parametrize("faults", WEATHER.values(), ids=WEATHER)
def test_no_wait_fails_whatever_the_weather(flora, faults):
    flora.connect(extra={"timeout": 1})
    run_ids = [flora.start(seconds=0.4) for _ in range(8)]
    flora.inject(*(Fault(**fault) for fault in faults))

    assert outcomes(run_ids) == ["ended"] * 8


def test_a_run_that_pages_omit_is_not_lost(flora):
    run_ids = [flora.start(seconds=0.4) for _ in range(8)]
    flora.inject(**PAGES, omit=run_ids[5], times=None)

    assert outcomes(run_ids) == ["ended"] * 8


def test_a_run_that_vanishes_for_a_moment_is_not_lost(flora):
    run_ids = [flora.start(seconds=0.4) for _ in range(8)]
    flora.inject(Fault(**PAGES, omit=run_ids[5], times=None), Fault(**LOOKS, status=404, **SOON))

    assert outcomes(run_ids) == ["ended"] * 8
