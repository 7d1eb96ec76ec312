"""All waits of a process over one connection: they share one client, and leave nothing behind."""

import asyncio
import threading
import time
from contextvars import ContextVar

import psutil
import pytest

from flora_provider.sandbox.faults import Fault
from flora_provider.triggers import shared_poller
from tests.support.airflow_tasks import ENDLESS
from tests.support.triggers import cancel, run_within, until, wait_for, wait_for_all


def works():
    """The tasks that poll for all waits."""
    return [task for task in asyncio.all_tasks() if task.get_coro().__qualname__ == "SharedPoller._work"]


@pytest.fixture
def sockets(flora):
    """How many connections to FLORA this process holds open, but for those that earlier tests have not dropped yet."""
    port = int(flora.server.url.rpartition(":")[2])

    def held():
        found = psutil.Process().net_connections("tcp")
        return {one.laddr for one in found if one.raddr and one.raddr.port == port}

    before = held()
    return lambda: len(held() - before)


def test_many_waits_share_one_client_and_its_few_connections(flora, sockets):
    run_ids = [flora.start(seconds=1.5) for _ in range(60)]
    before = flora.sandbox.connections

    events = run_within(wait_for_all(run_ids))

    assert sorted(event.run_id for event in events) == sorted(run_ids)
    assert {event.kind for event in events} == {"ended"}
    assert flora.sandbox.connections - before <= 10
    assert flora.sandbox.stats()["requests"]["GET /generations"] > 0


@pytest.mark.parametrize(("extra", "expected"), [({}, 1), ({"timeout": 50}, 2)])
def test_waits_with_the_same_settings_share_a_poller(flora, extra, expected):
    flora.connect("flora_other", extra=extra)
    runs = [flora.start(seconds=1) for _ in range(4)]
    conn_ids = ["flora_default", "flora_default", "flora_other", "flora_other"]

    async def main():
        waits = [
            asyncio.create_task(wait_for(run_id, flora_conn_id=conn_id))
            for run_id, conn_id in zip(runs, conn_ids, strict=True)
        ]
        pollers = set()
        while not all(wait.done() for wait in waits):
            pollers |= {id(task) for task in works()}
            await asyncio.sleep(0.01)
        assert {wait.result().kind for wait in waits} == {"ended"}
        return len(pollers)

    assert run_within(main()) == expected


def test_connection_that_is_refused_ends_no_wait_of_another(flora, short_tolerance):
    flora.connect("flora_other", password="sk_test_wrong")
    run_id = flora.start(seconds=0.5)

    async def main():
        return await asyncio.gather(wait_for(run_id), wait_for(run_id, flora_conn_id="flora_other"))

    good, bad = run_within(main())

    assert (good.kind, bad.kind) == ("ended", "refused")


def test_each_event_loop_has_its_own_shared_poller(flora):
    run_ids = [flora.start(seconds=0.3) for _ in range(2)]
    events = []

    def in_a_thread(run_id):
        events.append(run_within(wait_for(run_id)))

    threads = [threading.Thread(target=in_a_thread, args=(run_id,)) for run_id in run_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(event.run_id for event in events) == sorted(run_ids)


def test_client_is_closed_when_its_last_wait_ends(flora, sockets):
    run_ids = [flora.start(seconds=0.2) for _ in range(8)]

    async def main():
        me = asyncio.all_tasks()
        await wait_for_all(run_ids)
        await until(lambda: asyncio.all_tasks() == me and not sockets())

    run_within(main())


def test_wait_after_the_last_one_gets_a_new_client(flora, sockets):
    async def main():
        first = await wait_for(flora.start())
        second = await wait_for(flora.start())
        me = {asyncio.current_task()}
        await until(lambda: asyncio.all_tasks() <= me or not sockets())
        return first, second

    assert {event.kind for event in run_within(main())} == {"ended"}


def test_cancelled_wait_ends_no_other_and_the_last_one_leaves_nothing(flora, sockets):
    flora.inject(Fault("/runs/{run_id}", delay=0.2, times=None))
    run_ids = [flora.start(**ENDLESS) for _ in range(3)]

    async def main():
        me = asyncio.all_tasks()
        waits = [asyncio.create_task(wait_for(run_id)) for run_id in run_ids]
        await until(sockets)
        waits[0].cancel()
        polls = flora.requests
        await until(lambda: flora.requests > polls + 2)
        left = [wait.done() for wait in waits]
        await cancel(*waits)
        await until(lambda: asyncio.all_tasks() == me and not sockets())  # which close a turn of the loop later
        return left

    assert run_within(main()) == [True, False, False]


def test_key_that_was_rotated_is_picked_up(flora):
    run_ids = [flora.start(seconds=1.5) for _ in range(3)]

    async def main():
        waits = asyncio.create_task(wait_for_all(run_ids))
        await until(lambda: flora.requests > 3)
        # The user changes the connection, then revokes the old key.
        flora.connect(password="sk_test_rotated")
        flora.sandbox.settings.update({"api_key": "sk_test_rotated"})
        return await waits

    events = run_within(main())

    assert {event.kind for event in events} == {"ended"}
    assert flora.sandbox.stats()["statuses"]["401"] >= 1


@pytest.mark.parametrize(
    "changes",
    [{}, {"password": "sk_test_rotated", "host": "ftp://nowhere"}],
    ids=["the key was revoked", "the connection cannot work"],
)
def test_polls_that_stay_refused_end_all_waits_with_the_reason(flora, short_tolerance, changes):
    run_ids = [flora.start(**ENDLESS) for _ in range(3)]

    async def main():
        waits = asyncio.create_task(wait_for_all(run_ids))
        await until(lambda: flora.requests > 3)
        flora.connect(**changes)
        flora.sandbox.settings.update({"api_key": "sk_test_rotated"})
        return await waits

    events = run_within(main())

    assert {event.kind for event in events} == {"refused"}
    assert all("Invalid API key" in event.detail for event in events)


@pytest.mark.parametrize("error", [ZeroDivisionError("in a secrets backend"), TimeoutError("no answer")], ids=repr)
def test_connection_lookup_that_keeps_raising_ends_its_waits_by_the_connections_name(
    flora, short_tolerance, monkeypatch, error
):
    async def broken(_conn_id):
        raise error

    monkeypatch.setattr("flora_provider.hooks.base.get_async_connection", broken)  # Airflow's

    events = run_within(wait_for_all([flora.start() for _ in range(3)], deadline=time.time() + 20))

    assert {event.kind for event in events} == {"refused"}
    assert all(f"connection 'flora_default' could not be read: asking for it raised {type(error).__name__}"
               in event.detail for event in events)  # fmt: skip


def test_settings_of_which_no_client_can_be_made_end_their_waits_with_the_reason(flora):
    flora.connect(extra={"verify": "/nowhere/bundle.pem"})
    events = run_within(wait_for_all([flora.start() for _ in range(2)]))
    assert {event.kind for event in events} == {"refused"}
    assert all("/nowhere/bundle.pem" in event.detail for event in events)


def test_poller_task_that_is_cancelled_from_outside_ends_its_waits(flora):
    run_ids = [flora.start(**ENDLESS) for _ in range(3)]

    async def main():
        waits = [asyncio.create_task(wait_for(run_id)) for run_id in run_ids]
        await until(lambda: flora.requests > 3)
        (work,) = works()
        work.cancel()
        return await asyncio.gather(*waits)

    # Airflow takes a cancelled trigger for one that it has cancelled itself: its task would be deferred for ever.
    assert {event.kind for event in run_within(main())} == {"refused"}


def test_wait_that_is_cancelled_by_a_timeout_of_the_caller_is_no_deadline(flora):
    async def main():
        async with asyncio.timeout(0.3):
            await wait_for(flora.start(**ENDLESS), deadline=time.time() + 20)

    with pytest.raises(TimeoutError):
        run_within(main())


def test_deadline_is_kept_during_a_longer_retry_after(flora, monkeypatch):
    monkeypatch.setattr(shared_poller, "DEADLINE_GRACE", 0.2)
    flora.inject(status=429, headers={"retry-after": "60"}, route="/runs/{run_id}", times=None)
    event = run_within(wait_for(flora.start(**ENDLESS), deadline=time.time() + 0.3))
    assert event.kind == "timed_out"


def test_wait_that_joins_late_is_polled_when_it_is_due(flora):
    async def main():
        endless = asyncio.create_task(wait_for(flora.start(**ENDLESS), poll_interval=60))
        await until(lambda: flora.polls == 1)
        event = await wait_for(flora.start(seconds=0.2))
        endless.cancel()
        return event

    assert run_within(main()).kind == "ended"


def test_log_line_about_a_run_goes_to_the_log_of_its_own_task(flora, caplog):
    task = ContextVar("task", default="nobody")
    lines = []
    caplog.handler.addFilter(lambda record: lines.append((task.get(), record.getMessage())) or True)
    run_ids = {name: flora.start(seconds=0.3) for name in ("first", "second", "third")}
    flora.inject(route="/generations", status=500)

    async def one(name, run_id):
        task.set(name)
        return await wait_for(run_id)

    async def main():
        await asyncio.gather(*(one(name, run_id) for name, run_id in run_ids.items()))

    run_within(main())

    about_runs = [(name, line) for name, line in lines if "FLORA run run_" in line]
    assert {name for name, _ in about_runs} == set(run_ids)
    assert all(run_ids[name] in line for name, line in about_runs)
    # What is about all of them is nobody's.
    assert not {name for name, line in lines if "Trying again" in line} - {"nobody"}
