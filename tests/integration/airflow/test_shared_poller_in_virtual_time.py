"""Polls that hang and clocks that jump, over minutes of a shared poller's time."""

import asyncio
import time

import pytest

from flora_provider.api.http.flow import Response
from flora_provider.api.settings import Settings
from flora_provider.runs.poll_policy import PollPolicy
from flora_provider.runs.poller import RunPoller
from flora_provider.runs.ref import RunRef
from flora_provider.triggers.connection_reader import ConnectionReader
from flora_provider.triggers.shared_poller import waits_over
from tests.support.fake_flora import FakeFlora, Fault
from tests.support.polling_simulation import on_pages
from tests.support.virtual_time import VirtualFlora


@pytest.fixture
def virtual(monkeypatch):
    return VirtualFlora(monkeypatch)


def wait_for(virtual, run, **known):
    known = {"started_at": time.time(), **known}

    async def main():
        wait = RunPoller(RunRef(run.run_id), policy=PollPolicy(interval=3), now=time.time(), **known)
        event = await waits_over("flora_default").wait_for(wait)
        return event, virtual.true_time - run.ends

    return asyncio.create_task(main())


@pytest.mark.parametrize("hanging", [1, 6, 12, 30])
@pytest.mark.parametrize("pages", ["answer 503", "hang", "show nothing"])
def test_polls_that_hang_hold_up_nobody(virtual, hanging, pages):
    stuck = [virtual.start(3600, history="") for _ in range(hanging)]
    good = [virtual.start(30 + number, history="") for number in range(4)]
    virtual.hanging = {f"/runs/{run.run_id}": virtual.true_time + 5 for run in stuck}
    if pages == "hang":
        virtual.hanging |= dict.fromkeys(("/generations", "/technique-runs"), virtual.true_time)
    if pages == "answer 503":
        virtual.flora.faults.append(Fault(lambda _: Response(503), hits=on_pages))

    async def main():
        others = [wait_for(virtual, run) for run in stuck]
        found = await asyncio.gather(*(wait_for(virtual, run) for run in good))
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return found

    found = virtual.run(main())

    assert [event.kind for event, _ in found] == ["ended"] * 4
    # Undisturbed it takes up to 6 s; each six that hang may add what they are given before they make room.
    assert max(lag for _, lag in found) < 12 + hanging / 6 * 3


def test_run_whose_polls_hang_for_a_while_is_noticed_afterwards(virtual):
    run = virtual.start(60, history="")
    virtual.hanging = {f"/runs/{run.run_id}": virtual.true_time}

    async def main():
        wait = wait_for(virtual, run)
        await asyncio.sleep(120)
        virtual.hanging.clear()
        return await wait

    event, lag = virtual.run(main())

    assert event.kind == "ended"
    assert lag < 60 + 45


def test_pages_that_come_slowly_for_a_limit_are_read_to_their_end(virtual, monkeypatch):
    settings = Settings(api_key="key", requests_per_second=5)
    monkeypatch.setattr(ConnectionReader, "read", lambda _: asyncio.sleep(0, settings))
    runs = [virtual.start(20 + number % 40) for number in range(10000)]

    async def main():
        return await asyncio.gather(*(wait_for(virtual, run, estimated_seconds=40) for run in runs))

    found = virtual.run(main())

    assert {event.kind for event, _ in found} == {"ended"}
    # A scan of a hundred pages takes 20 s. Single polls of those who wait for it would have to queue with its pages.
    assert max(lag for _, lag in found) < 60


def test_pages_that_others_leave_little_of_a_limit_are_read_to_their_end(virtual):
    virtual.flora = FakeFlora(limit=1.25)
    runs = [virtual.start(20 + number % 40) for number in range(3000)]

    async def main():
        return await asyncio.gather(*(wait_for(virtual, run, estimated_seconds=40) for run in runs))

    found = virtual.run(main())

    assert {event.kind for event, _ in found} == {"ended"}
    # A scan of thirty pages takes 24 s, and its pauses are FLORA's will: single polls would only take its turns. Chance
    # decides whether a few runs more or less than pages are left at the end, and so which of both is cheaper then.
    assert len([path for _, path, _ in virtual.flora.record if path.startswith("/runs/")]) < 40
    assert len(virtual.flora.record) < 110
    assert max(lag for _, lag in found) < 90


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
def test_wall_clock_that_is_set_during_waits_changes_nothing(virtual, jump):
    runs = [virtual.start(40 + number) for number in range(8)]
    endless = virtual.start(1e6)

    async def main():
        waits = [wait_for(virtual, run, deadline=time.time() + 300) for run in runs]
        late = wait_for(virtual, endless, deadline=time.time() + 100)
        await asyncio.sleep(10)
        virtual.offset = jump
        return await asyncio.gather(*waits), (await late)[0], virtual.true_time - endless.started

    found, late, passed = virtual.run(main())

    assert [event.kind for event, _ in found] == ["ended"] * 8
    assert max(lag for _, lag in found) < 8
    assert (late.kind, round(passed)) == ("timed_out", 100)


@pytest.mark.parametrize("offset", [-600.0, 600.0])
def test_worker_whose_clock_is_wrong_delays_no_first_poll(virtual, offset):
    run = virtual.start(20)

    async def main():
        return await wait_for(virtual, run, started_at=time.time() + offset, estimated_seconds=20.0)

    _, lag = virtual.run(main())

    assert lag < 16
    assert virtual.flora.record[0][0] - run.started <= 13
