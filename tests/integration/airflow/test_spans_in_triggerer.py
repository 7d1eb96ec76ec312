"""The span of a run whose task Airflow 3.3 ends in the triggerer, without a worker."""

import threading

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.triggers.base import TaskSuccessEvent
from opentelemetry import trace

from flora_provider.runs.event import RunEvent
from flora_provider.triggers import ending, tracing
from tests.support.triggerer_wire import Supervisor, event_of, in_triggerer, succeeds_in_triggerer
from tests.support.triggers import first_event, run_within, trigger_for


@pytest.fixture
def supervisor(monkeypatch):
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    monkeypatch.setattr(ending, "MIN_DEFERRAL", 0.1)
    return supervisor


REQUEST = {"kind": "generation", "model": "fern-1", "prompt": "a fern"}


def ending_trigger(run_id, **kwargs):
    return in_triggerer(trigger_for(run_id, end_from_trigger=True, **kwargs))


@pytest.mark.parametrize(
    ("source", "kwargs"), [("finished", {}), ("start", {"link_from": "start"})], ids=["operator", "sensor"]
)
def test_run_is_a_span_below_the_triggers_with_what_was_asked_for(
    flora, supervisor, collector, provider, source, kwargs
):
    run_id = flora.start(seconds=0.5)
    supervisor.xcoms[source, "request"] = {
        "run_id": run_id,
        "kind": "generation",
        "model": "fern-1",
        "prompt": "a fern",
    }
    with trace.get_tracer("airflow").start_as_current_span("trigger.finished") as current:
        assert succeeds_in_triggerer(ending_trigger(run_id, **kwargs))
    (span,) = collector.runs
    assert span.attributes["flora.run_id"] == run_id
    assert (span.attributes["flora.kind"], span.attributes["flora.model"]) == ("generation", "fern-1")
    assert span.attributes["flora.charged_cost_usd"] > 0
    assert "a fern" not in span.attributes.values()
    assert span.parent_id == f"{current.get_span_context().span_id:016x}"


def test_request_of_another_run_is_not_taken_for_this_ones(flora, supervisor, collector, provider):
    run_id = flora.start()
    supervisor.xcoms["start", "request"] = REQUEST | {"run_id": "run_2"}
    assert succeeds_in_triggerer(ending_trigger(run_id, link_from="start"))
    (span,) = collector.runs
    assert set(span.attributes) == {"flora.run_id", "flora.status", "flora.charged_cost_usd"}


def test_span_is_sent_although_airflow_does_not_say_what_was_asked_for(
    flora, supervisor, collector, provider, monkeypatch
):
    send = supervisor.send

    def answer(message):
        if getattr(message, "key", "") == "request":
            raise RuntimeError("no api-server")
        return send(message)

    monkeypatch.setattr(supervisor, "send", answer)
    assert succeeds_in_triggerer(ending_trigger(flora.start()))
    (span,) = collector.runs
    assert set(span.attributes) == {"flora.run_id", "flora.status", "flora.charged_cost_usd"}


def test_task_ends_although_airflow_never_answers(flora, supervisor, collector, provider, monkeypatch):
    send, is_over = supervisor.send, threading.Event()

    def answer(message):
        if getattr(message, "key", "") == "request":
            is_over.wait(10)
        return send(message)

    monkeypatch.setattr(tracing, "TRACED_WITHIN", 0.1)
    monkeypatch.setattr(supervisor, "send", answer)
    trigger = ending_trigger(flora.start())

    async def end():
        event = await first_event(trigger)
        is_over.set()
        return event

    assert isinstance(run_within(end(), 9), TaskSuccessEvent)


@pytest.mark.parametrize("error_code", [None, "provider_error"], ids=["push fails", "run fails"])
def test_run_whose_task_a_worker_is_asked_to_end_is_no_span_of_the_triggerers(
    flora, supervisor, collector, provider, error_code
):
    supervisor.xcom_errors = [RuntimeError("no api-server")]
    assert isinstance(event_of(ending_trigger(flora.start(error_code=error_code))), RunEvent)
    assert collector.runs == []
