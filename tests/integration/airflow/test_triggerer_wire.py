"""Whatever a trigger meets, what leaves it can be encoded and stored: a triggerer dies of an event that cannot.

The trigger goes to the triggerer, and its event back, as Airflow 3.3 sends them: by its own serialization, frames and
messages. Its supervisor alone is ours, and keeps the XComs.
"""

import asyncio
import json
import math
import threading
import time
import traceback
from datetime import UTC, datetime

import msgspec
import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import _RequestFrame
from airflow.sdk.listener import get_listener_manager
from airflow.sdk.serde import serialize
from airflow.triggers.base import TriggerEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flora_provider.runs.errors import WaitRefused
from flora_provider.runs.event import RunEvent
from flora_provider.sandbox.faults import Fault
from flora_provider.triggers import ending
from flora_provider.triggers import flora as module
from flora_provider.triggers import supervisor as supervised
from flora_provider.triggers.payload import keepable, payload_of, sendable
from tests.support.airflow_tasks import ENDLESS
from tests.support.triggerer_wire import (
    Supervisor,
    delivered,
    event_of,
    in_triggerer,
    storable_json,
    succeeds_in_triggerer,
)
from tests.support.triggers import cancel, first_event, trigger_for, until

HALF_AN_EMOJI, NUL = "\ud83d", "\x00"
HOSTILE_TEXTS = [HALF_AN_EMOJI, NUL, "\udfff\x00\ud800", "a" * 100_000, "{{ ds }}", "\u2028", ""]


@pytest.fixture(autouse=True)
def _short_holds(monkeypatch):
    monkeypatch.setattr(ending, "MIN_DEFERRAL", 0.1)


@pytest.fixture
def supervisor(monkeypatch):
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    monkeypatch.setattr(module, "RETRIES_FOR", 0.2)
    monkeypatch.setattr(module, "RETRY_PAUSE", 0.05)
    return supervisor


def answer(run_id, **members):
    """What FLORA says of a run, in JSON that escapes every character."""
    body = json.dumps({"run_id": run_id, **members})
    return Fault("/runs/{run_id}", body=body, content_type="application/json", times=None)


def trigger_in_triggerer(run_id, **kwargs):
    return in_triggerer(trigger_for(run_id, **kwargs))


def ends_in_triggerer(run_id):
    """Whether a trigger that is to end its task does so as a success, without a worker."""
    return succeeds_in_triggerer(trigger_in_triggerer(run_id, end_from_trigger=True))


def event_of_xcom():
    """How a trigger ends that takes its run id from an XCom."""
    return event_of(trigger_in_triggerer("", run_id_from={"task_id": "start", "key": "return_value"}))


def any_value():
    hostile = st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(HOSTILE_TEXTS)
    leaf = hostile | st.integers() | st.floats() | st.booleans() | st.none() | st.binary() | st.timedeltas()
    return st.recursive(
        leaf, lambda inner: st.lists(inner) | st.dictionaries(hostile, inner) | st.tuples(inner), max_leaves=8
    )


@given(any_value())
def test_sendable_value_can_be_sent_and_stored_or_is_refused_by_a_known_error(value):
    try:
        ready = sendable(value)
    except (TypeError, ValueError, RecursionError):
        return
    storable_json(ready)
    _RequestFrame(id=1, body={"value": ready}).as_bytes()
    assert sendable(ready) == ready


@given(any_value())
def test_kept_argument_can_be_sent_and_stored_whatever_it_is(value):
    storable_json(serialize(keepable(value)))


@given(
    st.fixed_dictionaries({name: any_value() for name in ("run_id", "run", "error_code", "error_message", "detail")})
)
def test_event_can_be_delivered_whatever_it_holds(members):
    payload = payload_of(RunEvent(kind="ended", **members))
    event = RunEvent.from_payload(delivered(TriggerEvent(payload)))
    assert event.kind in ("ended", "refused")


def test_event_that_cannot_be_sent_reaches_the_task_as_a_refused_wait():
    event = RunEvent.from_payload(payload_of(RunEvent(kind="ended", run_id="run_1", run={"charged_cost": math.inf})))
    with pytest.raises(
        WaitRefused, match=r"run_1 cannot be polled, and may go on and be billed: its event cannot be sent: ValueErr"
    ):
        event.result()


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=ascii)
def test_run_that_failed_with_any_text_is_reported(flora, text):
    run_id = flora.start()
    flora.inject(answer(run_id, status="failed", error_message=f"Down {text}", error_code=f"X{text[:50]}"))
    event = event_of(trigger_in_triggerer(run_id))
    assert event.kind == "ended"
    assert event.run["status"] == "failed"
    assert event.error_message.startswith("Down ")


@pytest.mark.parametrize(
    "number", ["1e999", "NaN", "9" * 30, "9" * 5000], ids=["1e999", "NaN", "30 digits", "5,000 digits"]
)
def test_run_with_any_number_in_an_output_is_reported(flora, number):
    run_id = flora.start()
    body = f"""{{"run_id": "{run_id}", "status": "completed", "progress": 100, "created_at": 1,
        "outputs": [{{"output_id": "o", "type": "imageUrl", "url": "u", "k": {number}}}]}}"""
    flora.inject(Fault("/runs/{run_id}", body=body, times=None))
    event = event_of(trigger_in_triggerer(run_id))
    assert (event.kind, event.run["outputs"][0]["output_id"]) == ("ended", "o")


@pytest.mark.parametrize("cost", [1e999, "NaN", 10**400], ids=str)
def test_run_of_any_cost_is_reported(flora, cost):
    run_id = flora.start()
    flora.inject(Fault("/runs/{run_id}", edit={"charged_cost": cost}, times=None))
    assert event_of(trigger_in_triggerer(run_id, deadline=0.0)).kind in ("ended", "refused", "timed_out")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(value=any_value())
def test_trigger_with_any_run_id_ends_its_task_and_not_the_triggerer(flora, value):
    event = event_of(trigger_in_triggerer(value))
    assert event.kind == "invalid"
    assert event.run_id == ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(value=any_value())
@pytest.mark.parametrize("name", ["poll_interval", "limit", "not_before"])
def test_trigger_with_any_argument_ends_its_task_and_not_the_triggerer(flora, name, value):
    event = event_of(trigger_in_triggerer(flora.start(), **{name: value}))
    assert event.kind in ("invalid", "refused", "ended")
    assert event.kind != "invalid" or name in event.detail


@pytest.mark.parametrize("pulled", [*HOSTILE_TEXTS, None, 7, {"outputs": [{"url": "https://s.example/?sig=secret"}]}])
def test_run_id_from_an_xcom_that_is_none_ends_the_task_with_the_reason(flora, supervisor, pulled):
    supervisor.xcoms["start", "return_value"] = pulled
    event = event_of_xcom()
    assert event.kind == "invalid"
    assert "run_id is " in event.detail
    assert "secret" not in str(event)


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=ascii)
def test_exception_with_any_text_ends_the_task_in_a_way_that_a_retry_cures(flora, supervisor, text):
    supervisor.xcom_errors = [RuntimeError(f"no {text}")] * 20
    event = event_of_xcom()
    assert event.kind == "refused"
    assert event.detail.startswith("the wait broke off with RuntimeError: no ")
    assert len(event.detail) < 2000


class Unspeakable(BaseException):
    def __str__(self):
        raise OSError


@pytest.mark.parametrize(
    ("raised", "named"),
    [
        (Unspeakable(), "Unspeakable"),
        (SystemExit(3), "SystemExit: 3"),
        (BaseExceptionGroup("g", [Unspeakable()]), "Unspeakable"),
    ],
    ids=["no text", "an exit", "a group"],
)
def test_exception_of_any_class_ends_the_task(flora, supervisor, raised, named):
    supervisor.xcom_errors = [raised]
    event = event_of_xcom()
    assert (event.kind, event.detail.partition(";")[0]) == ("refused", f"the wait broke off with {named}")


def test_airflow_that_is_away_for_a_moment_is_asked_again(flora, supervisor):
    run_id = flora.start()
    supervisor.xcoms["start", "return_value"] = run_id
    supervisor.xcom_errors = [RuntimeError("api-server is restarting")] * 2
    event = event_of_xcom()
    assert (event.kind, event.run_id) == ("ended", run_id)


def test_wait_that_somebody_else_cancelled_ends_the_task(flora):
    """Airflow takes a CancelledError for its own, and the task would be deferred for ever."""
    trigger = trigger_in_triggerer(flora.start(**ENDLESS))

    async def main():
        waiting = asyncio.create_task(first_event(trigger))
        await until(lambda: flora.polls)
        for task in asyncio.all_tasks():
            if task.get_coro().__qualname__ == "SharedPoller._work":
                task.cancel()
        return await asyncio.wait_for(waiting, 10)

    assert RunEvent.from_payload(delivered(asyncio.run(main()))).kind == "refused"


def test_broken_off_wait_is_logged_with_where_it_happened_and_no_address(flora, supervisor, logged):
    supervisor.xcom_errors = [RuntimeError("no https://s.example/a?sig=secret")] * 20
    event_of_xcom()
    log = logged()
    assert "RuntimeError: no https://s.example/a?…" in log
    assert "in _pull" in log
    assert "secret" not in log


def test_success_is_pushed_as_a_worker_would_and_ends_the_task(flora, supervisor):
    run_id = flora.start()
    assert ends_in_triggerer(run_id)
    run = supervisor.xcoms["finished", "return_value"]
    assert (run["run_id"], run["status"]) == (run_id, "completed")
    assert supervisor.xcoms["finished", "charged_cost_usd"] == run["charged_cost"] > 0


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=ascii)
def test_text_output_of_any_characters_is_pushed(flora, supervisor, text):
    run_id = flora.start()
    output = {"output_id": "o", "type": "text", "url": f"Once {text}"}
    flora.inject(answer(run_id, status="completed", outputs=[output], charged_cost=0.5))
    assert ends_in_triggerer(run_id)
    (pushed,) = supervisor.xcoms["finished", "return_value"]["outputs"]
    assert pushed["text"].startswith("Once ")


@pytest.mark.parametrize("times", [1, 2])
def test_push_that_fails_leaves_the_end_to_a_worker(flora, supervisor, times):
    supervisor.xcom_errors = [RuntimeError("XCom backend is away \ud83d")] * times
    run_id = flora.start()
    event = event_of(trigger_in_triggerer(run_id, end_from_trigger=True))
    assert event.result()["run_id"] == run_id


def test_push_that_is_never_answered_leaves_the_end_to_a_worker(flora, supervisor, monkeypatch):
    monkeypatch.setattr(supervised, "ANSWERED_WITHIN", 0.3)
    answer = supervisor.answer = threading.Event()
    run_id = flora.start()

    async def main():
        try:
            return await first_event(trigger_in_triggerer(run_id, end_from_trigger=True))
        finally:
            answer.set()

    assert RunEvent.from_payload(delivered(asyncio.run(main()))).result()["run_id"] == run_id


class Listener:
    """A plugin's, as OpenLineage has one."""

    def __init__(self):
        from airflow.sdk._shared.listeners import hookimpl

        @hookimpl
        def on_task_instance_success(previous_state, task_instance):
            pass

        self.on_task_instance_success = on_task_instance_success


@pytest.fixture
def listeners():
    manager, added = get_listener_manager(), []

    def add(listener):
        manager.add_listener(listener)
        added.append(listener)

    yield add
    for listener in added:
        manager.pm.unregister(listener)


def test_listener_of_a_plugin_has_a_worker_end_the_task(flora, supervisor, listeners):
    listeners(Listener())
    assert not ends_in_triggerer(flora.start())


def test_listener_of_airflows_examples_keeps_no_worker(flora, supervisor, listeners):
    """It is there on every installation that loads the examples, which is the default."""
    from airflow.example_dags.plugins import event_listener

    listeners(event_listener)
    assert ends_in_triggerer(flora.start())


def test_state_that_airflow_clears_on_success_has_a_worker_end_the_task(flora, supervisor, monkeypatch):
    monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", "True")
    assert not ends_in_triggerer(flora.start())


@pytest.mark.parametrize("try_number", [1, 2])
def test_wait_that_starts_in_the_triggerer_forgets_what_an_earlier_try_pushed(flora, supervisor, try_number):
    """A worker deletes it first: else the run of before is there, should this wait fail."""
    supervisor.xcoms |= {("finished", "return_value"): {"run_id": "run_old"}, ("finished", "charged_cost_usd"): 1.0}
    run_id = flora.start(error_code="LLM_REFUSAL")
    event_of(in_triggerer(trigger_for(run_id), task=object(), try_number=try_number))
    assert supervisor.deleted == ([] if try_number == 1 else ["charged_cost_usd", "return_value"])


def test_wait_that_a_worker_deferred_keeps_what_its_try_pushed(flora, supervisor):
    event_of(in_triggerer(trigger_for(flora.start(error_code="X")), try_number=2))
    assert supervisor.deleted == []


def test_traceback_is_never_sent(flora, supervisor):
    """Airflow sends it as it is: this is what stopped the triggerer."""
    error = RuntimeError(HALF_AN_EMOJI)
    with pytest.raises(UnicodeEncodeError):
        msgspec.msgpack.encode(traceback.format_exception(error))
    supervisor.xcom_errors = [error] * 20
    assert event_of_xcom().kind == "refused"


CLOCKS = {"ahead": 600.0, "far ahead": 1e9, "none": "soon"}


@pytest.mark.parametrize("offset", CLOCKS.values(), ids=CLOCKS)
def test_hold_is_bounded_by_its_own_length_whatever_the_clock_of_the_worker(flora, monkeypatch, offset):
    """The test would hang for as long as the clocks differ."""
    monkeypatch.setattr(ending, "MIN_DEFERRAL", 0.4)
    not_before = time.time() + offset if isinstance(offset, float) else offset
    event = event_of(trigger_in_triggerer(flora.start(), not_before=not_before))
    assert event.kind == ("ended" if isinstance(offset, float) else "invalid")


def test_deadline_of_a_clock_that_is_ahead_is_bounded_by_airflows_own(flora):
    """Airflow's net would end the wait without naming the run."""
    trigger = trigger_in_triggerer(flora.start(**ENDLESS), deadline=time.time() + 600)
    trigger.timeout_after = datetime.fromtimestamp(time.time() + module.DEFERRAL_TIMEOUT_MARGIN + 0.3, UTC)
    assert event_of(trigger).kind == "timed_out"


def killed(trigger, *, when):
    """Have Airflow cancel a trigger for a user, which ends as cancelled."""

    async def main():
        waiting = asyncio.create_task(first_event(trigger))
        await until(when)
        await cancel(waiting)
        assert waiting.cancelled()
        await trigger.on_kill()

    asyncio.run(main())


@pytest.mark.parametrize("behavior", [{}, {"error_code": "LLM_REFUSAL"}], ids=["completed", "failed"])
def test_trigger_killed_after_it_saw_the_end_says_so(flora, logged, monkeypatch, behavior):
    monkeypatch.setattr(ending, "MIN_DEFERRAL", 20.0)
    run_id = flora.start(**behavior)
    trigger = trigger_in_triggerer(run_id, not_before=time.time() + 20)

    killed(trigger, when=lambda: trigger.event is not None)

    log = logged()
    assert f"FLORA run {run_id} has ended already: {'failed' if behavior else 'completed'}" in log
    assert "is billed" not in log


def test_trigger_killed_before_the_end_says_what_becomes_of_the_run(flora, logged):
    run_id = flora.start(**ENDLESS)
    killed(trigger_in_triggerer(run_id), when=lambda: flora.polls)
    assert f"No longer waiting for FLORA run {run_id} here" in logged()
