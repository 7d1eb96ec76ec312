"""What changes while a run is waited for: the key, the connection, who keeps it, and what a trigger is made with."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from flora_provider.hooks import base
from flora_provider.hooks.base import ConnectionNotRead
from flora_provider.hooks.flora import FloraHook
from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.faults import Fault
from flora_provider.sandbox.server import SandboxServer
from flora_provider.sandbox.settings import Settings
from tests.integration.airflow.test_timeouts import first_poke_is_known
from tests.support.airflow_tasks import ENDLESS, start_run
from tests.support.triggers import cancel, run_within, until, wait_for, wait_for_all

TWO_SECONDS = {"seconds": 2, "no_estimate": True, "estimated_seconds": None}
POLL_ROUTE = "/runs/{run_id}"


@pytest.fixture
def short_not_found_grace(short_tolerance, monkeypatch):
    monkeypatch.setattr("flora_provider.runs.tolerance.NOT_FOUND_GRACE", 0.5)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr("flora_provider.triggers.connection_reader.FIRST_PAUSE", 0.05)


REFUSALS = [401, 403, 404]


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("status", REFUSALS)
def test_wait_survives_a_refusal_that_passes(flora, generate, one_task, status, deferrable):
    task = one_task(generate(behavior=TWO_SECONDS, wait_for_completion=True, deferrable=deferrable))
    flora.inject(Fault(POLL_ROUTE, status=status, skip=1, times=4), Fault("/generations", status=status, times=None))
    assert task.run()["status"] == "completed"
    assert flora.posts == 1


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("status", REFUSALS)
def test_refusal_that_lasts_is_left_to_retries_which_pay_nothing(
    flora, generate, one_task, short_not_found_grace, status, deferrable
):
    task = one_task(generate(behavior=ENDLESS, wait_for_completion=True, deferrable=deferrable))
    refused = Fault(POLL_ROUTE, status=status, skip=1, times=None)
    flora.inject(refused)

    task.fails_for_now(match=f"FLORA run run_.*FLORA answered {status}.*costs nothing")

    flora.sandbox.faults.clear()
    task.operator.wait_for_completion = False
    assert task.retry() == task.xcoms["run_id"]
    assert flora.posts == 1


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
@pytest.mark.parametrize("status", REFUSALS)
def test_sensor_that_pokes_is_never_failed_for_good_by_a_refusal(flora, wait_for, one_task, status, mode, monkeypatch):
    task = one_task(wait_for(flora.start(), deferrable=False, mode=mode, timeout=3600))
    task.ti.start_date -= timedelta(hours=1)
    first_poke_is_known(task, monkeypatch)
    flora.inject(Fault(POLL_ROUTE, status=status))
    task.fails_for_now(match=f"FLORA answered {status}")


@pytest.mark.parametrize("status", REFUSALS)
def test_sensor_that_pokes_survives_a_refusal_that_passes_however_old_it_is(flora, wait_for, one_task, status):
    run_id = flora.start(seconds=1.0)
    task = one_task(wait_for(run_id, deferrable=False, mode="poke", timeout=7200))
    task.ti.start_date -= timedelta(hours=1)
    flora.inject(Fault(POLL_ROUTE, status=status, skip=1, times=4))
    assert task.run()["run_id"] == run_id


def test_sensor_that_pokes_reads_a_key_that_was_rotated(flora, wait_for, one_task):
    run_id = flora.start()
    flora.connect(password="sk_test_old")
    task = one_task(wait_for(run_id, deferrable=False, mode="poke"))
    poked = []

    class Poking(type(task.operator)):
        def poke(self, context):
            poked.append(super().poke(context))
            flora.connect()
            return poked[-1]

    task.operator.__class__ = Poking

    assert task.run()["run_id"] == run_id
    assert [value.is_done for value in poked] == [False, False, True]


def test_wait_in_a_worker_reads_a_key_that_was_rotated(flora, generate, one_task, monkeypatch):
    task = one_task(generate(behavior=TWO_SECONDS, wait_for_completion=True, deferrable=False))
    rotate = flora.sandbox.settings.update
    monkeypatch.setattr(
        FloraHook, "poll_until_done", lambda hook, wait, follow=FloraHook.poll_until_done: (
            rotate({"api_key": "sk_test_new"}), flora.connect(password="sk_test_new"), follow(hook, wait))[-1]
    )  # fmt: skip

    assert task.run()["status"] == "completed"
    assert flora.sandbox.stats()["statuses"]["401"] == 1


def test_wait_in_a_worker_goes_on_with_what_it_has_when_the_connection_cannot_be_read(flora, caplog):
    run_id = flora.start()
    with FloraHook() as hook:
        assert hook.settings.api_key
        flora.connect(host="ftp://nowhere")
        flora.inject(Fault(POLL_ROUTE, status=401))

        assert hook.wait_for_run(run_id, poll_interval=0.05)["run_id"] == run_id

    assert "Going on with the connection as it was" in caplog.text


@pytest.fixture
def elsewhere():
    """Another FLORA, as another workspace or account is."""
    with SandboxServer(Sandbox(Settings(speed=20))) as server:
        yield server


async def wait_begun_before_move(flora, elsewhere, run_id):
    """A wait that has polled before its connection was changed to lead elsewhere."""
    wait = asyncio.create_task(wait_for(run_id))
    await until(lambda: flora.polls > 1)
    flora.connect(host=elsewhere.base_url, port=None, password=elsewhere.sandbox.api_key)
    return wait


def test_new_wait_polls_with_the_connection_as_it_is_and_the_old_one_goes_on(flora, elsewhere):
    old = flora.start(seconds=3, no_estimate=True, estimated_seconds=None)
    new = start_run(elsewhere)

    async def main():
        first = await wait_begun_before_move(flora, elsewhere, old)
        second = await wait_for(new)
        assert not first.done()
        return second, await first

    assert [event.kind for event in run_within(main())] == ["ended", "ended"]


def test_passing_refusal_does_not_move_a_wait_to_a_changed_connection(flora, elsewhere):
    old = flora.start(**TWO_SECONDS)

    async def main():
        wait = await wait_begun_before_move(flora, elsewhere, old)
        flora.inject(Fault(POLL_ROUTE, status=404))
        return await wait

    assert run_within(main()).kind == "ended"


def test_settings_that_are_refused_by_turns_are_polled_with_pauses(flora, elsewhere, monkeypatch):
    monkeypatch.setattr("flora_provider.runs.tolerance.REFUSED_FOR", 2.0)
    old = flora.start(**ENDLESS)

    async def main():
        wait = await wait_begun_before_move(flora, elsewhere, old)
        flora.inject(Fault(POLL_ROUTE, status=404, times=None))
        before = flora.polls
        return await wait, flora.polls - before

    event, polls = run_within(main())

    assert event.kind == "refused"
    assert polls + sum(elsewhere.sandbox.stats()["requests"].values()) < 20


def test_many_waits_read_their_connection_a_few_times_and_not_at_each_poll(flora, monkeypatch):
    read, reads = base.get_async_connection, []

    async def counted(conn_id):
        reads.append(conn_id)
        return await read(conn_id)

    monkeypatch.setattr(base, "get_async_connection", counted)  # Airflow's
    run_ids = [flora.start(seconds=2) for _ in range(40)]

    assert {event.kind for event in run_within(wait_for_all(run_ids))} == {"ended"}
    assert len(reads) <= 3


AWAY = [AirflowNotFoundException("The conn_id `flora_default` isn't defined"), RuntimeError("API_SERVER_ERROR"),
        OSError("the database is away")]  # fmt: skip


@pytest.mark.parametrize("error", AWAY, ids=repr)
def test_connection_lookup_that_fails_for_a_while_ends_no_wait(flora, monkeypatch, error):
    read, left = base.get_async_connection, [error] * 3

    async def away(conn_id):
        if left:
            raise left.pop()
        return await read(conn_id)

    monkeypatch.setattr(base, "get_async_connection", away)  # Airflow's
    run_ids = [flora.start() for _ in range(4)]

    assert {event.kind for event in run_within(wait_for_all(run_ids))} == {"ended"}


@pytest.mark.parametrize("error", AWAY, ids=repr)
def test_connection_lookup_that_fails_is_left_to_retries(flora, generate, one_task, monkeypatch, error):
    task = one_task(generate())
    with monkeypatch.context() as away:

        def fail(*_args):
            raise error

        away.setattr(FloraHook, "get_connection", fail)  # Airflow's
        task.fails_for_now(match=r"'flora_default' could not be read: .* make one of .* a retry reads it again")

    assert task.retry()
    assert flora.billed == 1


def test_empty_connection_id_is_bad_input():
    with pytest.raises(ValueError, match="flora_conn_id is ''"):
        _ = FloraHook("").settings
    assert not issubclass(ConnectionNotRead, ValueError)


ODD = {
    "poll_interval": [timedelta(seconds=1), "3", None, -1, float("nan"), [3]],
    "run_id": [None, 7, "", "gen_1", ["run_1"]],
    "deadline": [datetime.now(UTC), "tomorrow", float("nan")],
    "started_at": [datetime.now(UTC), "now"],
    "estimated_seconds": ["30", timedelta(seconds=3)],
    "flora_conn_id": [None, 5, ["flora_default"]],
}


def test_odd_value_fails_its_own_wait_by_name_and_no_other(flora):
    run_id = flora.start(seconds=3)
    odd = [(name, value) for name, values in ODD.items() for value in values]

    async def main():
        good = asyncio.create_task(wait_for(run_id))
        await until(lambda: flora.polls)
        waits = (wait_for(**{"run_id": run_id, name: value}) for name, value in odd)
        return await asyncio.gather(*waits), await good

    bad, good = run_within(main())

    assert good.kind == "ended"
    assert [(event.kind, event.detail.partition(" is ")[0]) for event in bad] == [("invalid", name) for name, _ in odd]


def test_poll_that_hangs_on_its_socket_holds_up_no_other(flora):
    flora.connect(extra={"timeout": 30})
    stuck = [flora.start(**ENDLESS) for _ in range(6)]
    flora.inject(Fault("/generations", status=503, times=None), Fault("/technique-runs", status=503, times=None))
    flora.inject(*(Fault(POLL_ROUTE, run_id=run_id, delay=25, times=None) for run_id in stuck))

    async def main():
        waits = [asyncio.create_task(wait_for(run_id)) for run_id in stuck]
        await until(lambda: flora.polls >= 6)
        began = time.monotonic()
        event = await wait_for(flora.start())
        await cancel(*waits)
        return event.kind, time.monotonic() - began

    kind, took = run_within(main())

    assert kind == "ended"
    assert took < 20
