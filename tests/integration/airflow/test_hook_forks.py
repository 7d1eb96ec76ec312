"""One hook in many processes and threads, as a user's pool makes them."""

import threading
from concurrent.futures import ThreadPoolExecutor

from flora_provider.hooks.flora import FloraHook
from tests.support.forks import in_children

INSTANT = {"sandbox": {"seconds": 0}}


def fern(hook, key):
    return hook.generate(type="image", prompt="a fern", params=INSTANT, idempotency_key=key).run_id


def test_three_children_of_a_hook_that_has_a_client_are_billed_thrice_and_known_thrice(flora):
    with FloraHook() as hook:
        hook.list_workspaces()
        found = in_children(lambda number: fern(hook, f"fern-{number}"))
        assert flora.billed == 3
        assert sorted(found) == sorted(run.run_id for run in flora.runs)
        assert [hook.get_run(run_id).run_id for run_id in found] == found


def test_child_made_while_another_thread_reads_a_connection_reads_its_own(flora, monkeypatch):
    reading, done = threading.Event(), threading.Event()

    class Slow(FloraHook):
        @classmethod
        def get_connection(cls, conn_id):
            reading.set()
            if threading.current_thread().name == "slow":
                done.wait(20)
            return super().get_connection(conn_id)

    thread = threading.Thread(target=lambda: Slow().settings, name="slow")
    thread.start()
    reading.wait(20)
    try:
        found = in_children(lambda number: fern(FloraHook(), f"fern-{number}"))
    finally:
        done.set()
        thread.join()
    assert sorted(found) == sorted(run.run_id for run in flora.runs)


def test_threads_share_the_client_of_a_hook(flora):
    hook, together = FloraHook(), threading.Barrier(8)

    def ask(number):
        together.wait(20)
        return hook.client(), fern(hook, f"fern-{number}")

    with ThreadPoolExecutor(8) as threads:
        asked = list(threads.map(ask, range(8)))
    assert len({id(client) for client, _ in asked}) == 1
    assert len({run_id for _, run_id in asked}) == flora.billed == 8
    hook.close()


def test_hook_that_was_closed_can_be_used_again_also_in_children(flora):
    hook = FloraHook()
    for turn in range(2):
        fern(hook, f"fern-{turn}")
        hook.close()
        hook.close()
    assert len(set(in_children(lambda number: fern(hook, f"child-{number}")))) == 3

    def close(number):
        hook.close()
        return fern(hook, f"closed-{number}")

    fern(hook, "again")
    assert len(set(in_children(close))) == 3
    fern(hook, "and-again")
    hook.close()
    assert flora.billed == 10
