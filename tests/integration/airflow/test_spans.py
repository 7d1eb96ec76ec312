"""What an OpenTelemetry collector receives, over HTTP, from a process that has a tracer provider."""

import json
import logging
from datetime import datetime

import pytest
from opentelemetry import trace

from flora_provider.operators.flora import FloraGenerateBatchOperator, FloraRunTechniqueOperator
from flora_provider.sandbox.world.run_behavior import RunBehavior
from flora_provider.telemetry import spans

WAITS = {
    "in the worker": {"wait_for_completion": True, "deferrable": False},
    "deferred": {"wait_for_completion": True, "deferrable": True},
}
waits = pytest.mark.parametrize("waiting", WAITS.values(), ids=WAITS)
SLOW = {"seconds": 1.5, "no_estimate": True, "estimated_seconds": None}
MODEL = "t2i-flux-2-pro"


@pytest.fixture
def task_span(provider):
    """The span of a task, as Airflow makes it the current one."""
    with trace.get_tracer("airflow").start_as_current_span("worker.picture") as span:
        yield span.get_span_context()


def nanoseconds(text):
    return pytest.approx(datetime.fromisoformat(text).timestamp() * 1e9, abs=1e6)


@waits
def test_run_is_a_span_with_its_facts_as_long_as_it_took_by_floras_clock(
    flora, generate, one_task, collector, task_span, waiting
):
    run = one_task(generate(model=MODEL, model_params={"sandbox": SLOW}, **waiting)).run()
    (span,) = collector.runs
    quoted = span.attributes.pop("flora.quoted_cost_usd")
    assert span.attributes == {
        "flora.run_id": run["run_id"],
        "flora.status": "completed",
        "flora.kind": "generation",
        "flora.type": "image",
        "flora.model": MODEL,
        "flora.workspace_id": flora.sandbox.workspace_id,
        "flora.project_id": flora.sandbox.project_id,
        "flora.charged_cost_usd": run["charged_cost"],
    }
    assert quoted > 0
    assert (span.start, span.end) == (nanoseconds(run["created_at"]), nanoseconds(run["completed_at"]))
    assert span.end > span.start
    assert span.status == "OK"
    assert (span.trace_id, span.parent_id) == (f"{task_span.trace_id:032x}", f"{task_span.span_id:016x}")


@waits
def test_failed_run_is_a_span_with_an_error(flora, generate, one_task, collector, task_span, waiting):
    flora.sandbox.clock.speed = 1
    one_task(generate(behavior={**SLOW, "error_code": "provider_error"}, **waiting)).fails()
    (span,) = collector.runs
    assert (span.status, span.message) == ("ERROR", "provider_error")
    assert span.attributes["flora.status"] == "failed"
    assert span.attributes["flora.error_code"] == "provider_error"
    assert span.attributes["flora.kind"] == "generation"
    assert "flora.charged_cost_usd" not in span.attributes
    assert 1e9 < span.end - span.start < 5e9


@pytest.mark.parametrize("mode", [{"mode": "poke"}, {"deferrable": True}], ids=["poking", "deferred"])
def test_run_of_a_sensor_is_one_span_in_each_mode(flora, wait_for, one_task, collector, provider, mode):
    run_id = flora.start(seconds=0.3)
    one_task(wait_for(run_id, **mode)).run()
    (span,) = collector.runs
    assert span.attributes["flora.run_id"] == run_id
    assert span.attributes["flora.charged_cost_usd"] > 0
    assert "flora.model" not in span.attributes, "nobody of this DAG run has started it"


def test_operator_that_does_not_wait_leaves_the_span_to_who_does(flora, generate, one_task, collector, provider):
    one_task(generate()).run()
    assert collector.runs == []


def test_technique_is_named(flora, one_task, collector, provider):
    one_task(
        FloraRunTechniqueOperator(
            task_id="tech", technique="jingle", inputs={"brand": "Fern"}, wait_for_completion=True
        )
    ).run()
    (span,) = collector.runs
    assert (span.attributes["flora.kind"], span.attributes["flora.technique"]) == ("technique", "jingle")


def test_each_run_that_moderation_refused_is_a_span_too(flora, generate, one_task, collector, provider):
    flora.inject(route="/generate", behavior=RunBehavior(error_code="LLM_REFUSAL"), times=1)
    options = {"model": MODEL, "model_params": {"sandbox": {"seconds": 0}}, "on_moderated": "new_seed"}
    one_task(generate(wait_for_completion=True, deferrable=False, **options)).run()
    assert [span.attributes["flora.status"] for span in collector.runs] == ["failed", "completed"]
    assert len({span.attributes["flora.run_id"] for span in collector.runs}) == 2


def test_each_row_of_a_batch_is_a_span_below_the_triggers(flora, one_task, collector, task_span, tmp_path):
    flora.inject(route="/generate", containing="fern 3", behavior=RunBehavior(error_code="provider_error"))
    rows = [{"type": "image", "model": MODEL, "prompt": f"fern {number}"} for number in range(5)]
    one_task(
        FloraGenerateBatchOperator(
            task_id="batch", requests=rows, save_outputs_to=str(tmp_path), min_success=4, poll_interval=0.05
        )
    ).run()
    assert sorted(span.attributes["flora.status"] for span in collector.runs) == ["completed"] * 4 + ["failed"]
    assert {span.attributes["flora.model"] for span in collector.runs} == {MODEL}
    assert {span.parent_id for span in collector.runs} == {f"{task_span.span_id:016x}"}


def test_retry_that_finds_the_run_makes_one_span(flora, generate, one_task, collector, provider):
    waiting = {"wait_for_completion": True, "deferrable": False, "timeout": 0.2}
    task = one_task(generate(behavior={"seconds": 2, "no_estimate": True}, **waiting))
    task.fails(match="a larger timeout")
    flora.sandbox.clock.advance(60)
    task.retry()
    assert len(collector.runs) == 1


def test_run_from_the_build_cache_is_no_span(flora, generate, one_task, collector, provider, tmp_path):
    options = {"wait_for_completion": True, "reuse_from": str(tmp_path), "retries": 2}
    one_task(generate(**options)).run()
    one_task(generate(**options)).run()
    assert len(collector.runs) == 1


def test_neither_key_nor_prompt_nor_signed_address_is_sent(flora, generate, one_task, collector, provider):
    params = {"sandbox": {"seconds": 0}, "image": "https://cdn.example/fern.png?signature=s3cr3t"}
    one_task(
        generate(prompt="a fern, confidential", model_params=params, validate_params=False, wait_for_completion=True)
    ).run()
    sent = json.dumps([span.attributes for span in collector.runs])
    for secret in ("confidential", "s3cr3t", "cdn.example", flora.sandbox.api_key):
        assert secret not in sent


class Broken:
    """A provider whose tracers fail."""

    def get_tracer(self, *_, **__):
        raise OSError("no route to collector.example, key sk-secret")


@waits
@pytest.mark.parametrize("error_code", [None, "provider_error"])
def test_tracer_that_fails_fails_no_task(flora, generate, one_task, monkeypatch, caplog, waiting, error_code):
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", Broken())
    caplog.set_level(logging.DEBUG, logger="flora_provider")
    task = one_task(generate(behavior={"error_code": error_code}, **waiting))
    if error_code:
        task.fails(match="provider_error")
    else:
        assert task.run()["status"] == "completed"
    assert "A span was not recorded: OSError was raised" in caplog.text
    assert "sk-secret" not in caplog.text


def test_nothing_is_asked_of_airflow_where_no_provider_is_set_up(monkeypatch):
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    run = {"run_id": "run_1", "status": "completed", "charged_cost": 1.0, "created_at": None, "completed_at": None}
    spans.trace_completed(run, lambda: pytest.fail("XCom was asked"))
    assert not spans.is_traced()


@pytest.mark.parametrize("times", [(None, None), ("2026-01-01T00:00:00+00:00", None), (None, "2026-01-01T00:00:00Z")])
def test_span_of_a_run_whose_times_are_unknown_is_sent(collector, provider, times):
    created, completed = times
    run = {"run_id": "run_1", "status": "completed", "charged_cost": None}
    spans.trace_completed({**run, "created_at": created, "completed_at": completed}, lambda: None)
    (span,) = collector.runs
    assert span.attributes == {"flora.run_id": "run_1", "flora.status": "completed"}
    assert span.start <= span.end
