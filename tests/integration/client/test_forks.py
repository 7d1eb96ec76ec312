"""A process that is forked while it uses clients: its children use their own connections, loop, thread and locks."""

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from flora_provider.api import calls, errors
from flora_provider.api.client import AsyncFloraClient, FloraClient
from flora_provider.api.http.process import PROCESS, throttle_for
from flora_provider.api.settings import Settings
from flora_provider.sandbox.faults import Fault
from tests.support.forks import in_children


@pytest.fixture
def scope(flora_sandbox):
    sandbox = flora_sandbox.sandbox
    return {"workspace_id": sandbox.workspace_id, "project_id": sandbox.project_id}


@pytest.fixture
def make(flora_sandbox):
    """Clients of the sandbox, closed at the end."""
    made = []

    def make(kind=FloraClient, **settings):
        sandbox = flora_sandbox.sandbox
        client = kind(
            api_key=sandbox.api_key, base_url=flora_sandbox.base_url, **{"timeout": 10, "max_retries": 0, **settings}
        )
        made.append(client)
        return client

    yield make
    for client in made:
        if isinstance(client, FloraClient):
            client.close()


def assert_run_ids(found):
    assert all(run_id and run_id.startswith("run_") for run_id in found), found


def fern(scope, key):
    return calls.generate(type="image", prompt="a fern", params={"sandbox": {"seconds": 0}}, **scope).with_key(key)


def start(client, scope, key):
    return client.send(fern(scope, key)).run_id


def test_children_of_a_client_that_was_used_pay_once_each_and_know_what_for(make, scope, flora_sandbox):
    client = make()
    client.send(calls.list_workspaces())
    for turn in range(3):
        found = in_children(lambda number, turn=turn: start(client, scope, f"fern-{turn}-{number}"))
        assert_run_ids(found)
        assert len(set(found)) == 3
        assert flora_sandbox.sandbox.stats()["runs_billed"] == 3 * (turn + 1)
        assert [client.send(calls.get_run(run_id)).run_id for run_id in found] == found


def test_client_that_was_never_used_works_in_children_and_then_in_the_parent(make, scope):
    client = make()
    assert_run_ids(in_children(lambda number: start(client, scope, f"k{number}")))
    assert start(client, scope, "parent").startswith("run_")


def test_children_of_children_work_with_the_parents_client_and_their_own(make, scope):
    client = make()
    start(client, scope, "parent")

    def child(number):
        start(make(), scope, f"own-{number}")
        start(client, scope, f"child-{number}")
        return in_children(lambda inner: start(client, scope, f"{number}-{inner}"), count=2)

    assert all(run_id.startswith("run_") for found in in_children(child, count=2) for run_id in found)


def test_children_made_while_requests_are_on_their_way_work_and_leave_them_alone(make, scope, flora_sandbox):
    client = make()
    client.send(calls.list_workspaces())
    flora_sandbox.sandbox.faults.add(Fault("/workspaces", delay=1.5, times=8))
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(client.send, calls.list_workspaces()) for _ in range(8)]
        while flora_sandbox.sandbox.stats()["requests"].get("GET /workspaces", 0) < 9:
            time.sleep(0.01)
        found = in_children(lambda number: start(client, scope, f"k{number}"))
        assert not any(request.done() for request in waiting)
        assert_run_ids(found)
        assert all(len(request.result(20)) == 1 for request in waiting)
    assert start(client, scope, "after").startswith("run_")


def test_children_that_are_closed_close_nothing_of_the_parents(make, scope, flora_sandbox):
    client = make()
    client.send(calls.list_workspaces())
    connections = flora_sandbox.sandbox.stats()["connections"]

    def use_and_close(number):
        if number:
            start(client, scope, f"k{number}")
        client.close()
        with pytest.raises(errors.FloraInputError, match="closed"):
            client.send(calls.list_workspaces())
        return "closed"

    assert in_children(use_and_close, count=2) == ["closed", "closed"]
    client.send(calls.list_workspaces())
    assert flora_sandbox.sandbox.stats()["connections"] == connections + 1  # that of one child; the parent kept its own


def test_client_that_was_closed_stays_so_in_children(make):
    client = make()
    client.close()

    def ask(_number):
        with pytest.raises(errors.FloraInputError, match="closed"):
            client.send(calls.list_workspaces())
        return "closed"

    assert in_children(ask) == ["closed"] * 3


def test_children_made_while_locks_are_held_do_not_wait_for_them(make, scope):
    """By other threads: of the start of the loop, and of the throttle that all clients share."""
    client = make(requests_per_second=1000)
    start(client, scope, "parent")
    throttle = throttle_for(client.settings)
    held, done = threading.Event(), threading.Event()

    def hold():
        with PROCESS._starting, throttle._lock:  # noqa: SLF001 - whoever holds them is in the middle of a line of ours
            held.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    try:
        found = in_children(lambda number: start(client, scope, f"k{number}"))
    finally:
        done.set()
        thread.join()
    assert_run_ids(found)
    assert start(client, scope, "after").startswith("run_")


def test_child_keeps_the_throttle_that_flora_has_asked_for(make):
    client = make(requests_per_second=2)
    client.send(calls.list_workspaces())

    def ask(_number):
        began = time.monotonic()
        client.send(calls.list_workspaces())
        client.send(calls.list_workspaces())
        return time.monotonic() - began

    assert all(seconds >= 0.5 for seconds in in_children(ask, count=1))


def test_child_of_a_running_event_loop_uses_both_kinds_of_client(make, scope):
    async def main():
        client = make(AsyncFloraClient)
        await client.send(calls.list_workspaces())
        many = [asyncio.create_task(client.send(calls.list_workspaces())) for _ in range(30)]
        await asyncio.sleep(0)

        def child(number):
            async def ask():
                asked = [client.send(fern(scope, f"async-{number}-{index}")) for index in range(25)]
                run_ids = {started.run_id for started in await asyncio.gather(*asked)}
                await client.close()
                return len(run_ids)

            # In a child of a coroutine its loop counts as running, so a thread has another.
            with ThreadPoolExecutor(1) as threads:
                return threads.submit(asyncio.run, ask()).result(), start(make(), scope, f"blocking-{number}")[:4]

        found = in_children(child)
        assert found == [(25, "run_")] * 3
        assert all(len(workspaces) == 1 for workspaces in await asyncio.gather(*many))
        await client.close()

    asyncio.run(main())


def test_plain_fork_that_ends_as_a_program_does_leaves_the_parents_requests_alone(make, flora_sandbox, tmp_path):
    """Without multiprocessing, which leaves without cleaning up: here Python throws everything away at the end."""
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import os, sys, threading, time
from flora_provider.api import calls
from flora_provider.api.client import FloraClient

client = FloraClient(api_key={flora_sandbox.sandbox.api_key!r}, base_url={flora_sandbox.base_url!r}, max_retries=0)
client.send(calls.list_workspaces())
results = []
threads = [threading.Thread(target=lambda: results.append(client.send(calls.list_workspaces()))) for _ in range(5)]
for thread in threads:
    thread.start()
time.sleep(0.5)
child = os.fork()
if child == 0:
    client.send(calls.list_workspaces())
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
for thread in threads:
    thread.join()
print(len(results), len(client.send(calls.list_workspaces())))
"""
    )
    flora_sandbox.sandbox.faults.add(Fault("/workspaces", delay=2, times=5, skip=1))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "5 1\n", done.stdout + done.stderr


# What happens in a child, seen in this process, which can be measured and asked.


def test_client_in_another_process_makes_a_line_and_closes_no_other(make, monkeypatch):
    used, unused = make(), make()
    used.send(calls.list_workspaces())
    monkeypatch.setattr(PROCESS, "number", PROCESS.number + 1)
    used.send(calls.list_workspaces())
    used.close()
    unused.close()
    for client in (used, unused):
        with pytest.raises(errors.FloraInputError, match="closed"):
            client.send(calls.list_workspaces())


def stop(loop):
    loop.call_soon_threadsafe(loop.stop)
    while loop.is_running():
        time.sleep(0.001)
    loop.close()


def test_process_that_was_forked_begins_anew():
    settings = Settings(api_key="k", base_url="https://a", requests_per_second=5)
    throttle = throttle_for(settings)
    process = type(PROCESS)()
    process.forked()  # before it had a loop
    before = process.loop()
    assert process.loop() is before
    stop(before)
    process.forked()
    assert process.number == 2
    after = process.loop()
    assert after is not before
    assert asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "done"), after).result(5) == "done"
    assert throttle_for(settings, throttle) is not throttle
    stop(after)
