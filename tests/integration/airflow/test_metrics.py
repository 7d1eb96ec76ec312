"""What a StatsD server receives, over UDP, from a process whose Airflow is set up for it."""

import logging
import os
import socket
import subprocess
import sys
import threading

import pytest

from flora_provider.hooks.flora import FloraHook
from flora_provider.operators.flora import (
    FloraGenerateBatchOperator,
    FloraRunActionOperator,
    FloraRunTechniqueOperator,
)
from flora_provider.sandbox.error_families import FAMILIES
from flora_provider.sandbox.faults import Fault
from flora_provider.sandbox.world.run_behavior import RunBehavior
from flora_provider.telemetry import metrics
from tests.support.statsd import read_settings
from tests.support.triggers import first_event, run_within

WAITS = {
    "in the worker": {"wait_for_completion": True, "deferrable": False},
    "deferred": {"wait_for_completion": True, "deferrable": True},
}
waits = pytest.mark.parametrize("waiting", WAITS.values(), ids=WAITS)
SENSORS = {"poking": {"mode": "poke"}, "deferred": {"deferrable": True}}
STARTED = {"flora.runs_started": 1, "flora.runs_started.generation": 1}


def bill(flora):
    return round(flora.sandbox.stats()["usd_billed"], 6)


@waits
def test_awaited_run_is_counted_once_with_its_requests_its_bill_and_its_duration(
    flora, generate, one_task, statsd, waiting
):
    flora.sandbox.clock.speed = 1
    run = one_task(generate(behavior={"seconds": 1.5, "no_estimate": True, "estimated_seconds": None}, **waiting)).run()

    assert statsd.counters() == {**STARTED, "flora.requests": flora.requests, "flora.cost_usd": bill(flora)}
    assert run["charged_cost"] == bill(flora) > 0
    assert statsd.timings("flora.wait_seconds") == [pytest.approx(1500, abs=20)]


@pytest.mark.parametrize(
    ("operator", "arguments", "kind"),
    [
        (FloraRunTechniqueOperator, {"technique": "tech_storybrd1", "inputs": {"instructions": "a"}}, "technique"),
        (FloraRunTechniqueOperator, {"technique": "jingle", "inputs": {"brand": "Fern"}}, "technique"),
        (FloraRunActionOperator, {"action_id": "find-and-replace-text-browser", "inputs": "a"}, "action"),
    ],
    ids=["technique by id", "technique by slug", "action"],
)
def test_started_run_is_counted_by_its_kind(flora, one_task, statsd, operator, arguments, kind):
    one_task(operator(task_id="made", **arguments)).run()
    expected = {"flora.requests": flora.requests, "flora.runs_started": 1, f"flora.runs_started.{kind}": 1}
    assert statsd.counters() == expected


def test_run_of_a_hook_in_a_function_of_the_author_is_counted_as_started(flora, statsd):
    with FloraHook() as hook:
        hook.generate(type="image", prompt="a fern", idempotency_key="fern-1")
    assert statsd.counters() == {**STARTED, "flora.requests": 1}


@pytest.mark.parametrize("family", ["retry_now", "retry_later", "moderated", "never"])
@waits
def test_failed_run_is_counted_by_what_helps(flora, generate, one_task, statsd, waiting, family):
    code = next(iter(FAMILIES["change_input" if family == "moderated" else family]))
    one_task(generate(behavior={"error_code": code}, **waiting)).fails()
    failed = {"flora.runs_failed": 1, f"flora.runs_failed.{family}": 1}
    assert statsd.counters() == {**STARTED, **failed, "flora.requests": flora.requests}
    assert not statsd.timings("flora.wait_seconds")


@pytest.mark.parametrize("mode", SENSORS.values(), ids=SENSORS)
@pytest.mark.parametrize("error_code", [None, "provider_error"])
def test_sensor_counts_the_run_once_in_each_mode(flora, wait_for, one_task, statsd, mode, error_code):
    run_id = flora.start(seconds=0.3, error_code=error_code)
    asked = flora.requests
    task = one_task(wait_for(run_id, **mode))
    taken = {"flora.cost_usd": bill(flora)}
    if error_code:
        task.fails()
        taken = {"flora.runs_failed": 1, "flora.runs_failed.retry_now": 1}
    else:
        task.run()
    assert statsd.counters() == {**taken, "flora.requests": flora.requests - asked}
    assert len(statsd.timings("flora.wait_seconds")) == (error_code is None)


def test_poll_of_the_shared_poller_and_429_are_counted(flora, wait_for, one_task, statsd):
    flora.inject(status=429, headers={"retry-after": "0"}, route="/runs/{run_id}", skip=1, times=2)
    run_id = flora.start(seconds=1)
    asked = flora.requests
    one_task(wait_for(run_id)).run()
    assert flora.requests - asked > 3
    assert statsd.counters()["flora.requests"] == flora.requests - asked
    assert statsd.counters()["flora.rate_limited"] == flora.sandbox.stats()["statuses"]["429"] == 2


@pytest.mark.parametrize("store", [True, False], ids=["ledger", "key alone"])
def test_retry_that_finds_the_run_counts_no_start_and_the_bill_once(flora, generate, one_task, statsd, store):
    flora.sandbox.settings.idempotency = "replay"
    behavior = {"seconds": 2, "no_estimate": True}
    waiting = {"wait_for_completion": True, "deferrable": False, "timeout": 0.2}
    task = one_task(generate(behavior=behavior, **waiting), store=store)
    task.fails(match="a larger timeout")
    assert statsd.counters() == {**STARTED, "flora.requests": flora.requests}
    flora.sandbox.clock.advance(60)

    task.retry()
    assert statsd.counters() == {**STARTED, "flora.requests": flora.requests, "flora.cost_usd": bill(flora)}


def test_run_whose_answer_was_lost_is_counted_when_flora_repeats_it(flora, generate, one_task, statsd):
    flora.sandbox.settings.idempotency = "replay"
    flora.connect(extra={"max_retries": 2})
    flora.inject(Fault("/generate", delivery="drop", after=True), Fault("/generate", status=503, after=True))
    one_task(generate()).run()
    assert (flora.posts, flora.started) == (3, 1)
    assert statsd.counters() == {**STARTED, "flora.requests": flora.requests}


@pytest.mark.parametrize("on_clear", ["new_run", "reuse"])
def test_run_that_a_cleared_task_takes_again_adds_no_cost(flora, generate, one_task, statsd, on_clear):
    task = one_task(generate(wait_for_completion=True, on_clear=on_clear))
    task.run()
    task.clear()
    assert statsd.counters()["flora.cost_usd"] == bill(flora)
    assert statsd.counters()["flora.runs_started"] == len(statsd.timings("flora.wait_seconds")) == flora.started


def test_run_from_the_build_cache_adds_nothing(flora, generate, one_task, statsd, tmp_path):
    options = {"wait_for_completion": True, "reuse_from": str(tmp_path), "retries": 2}
    one_task(generate(**options)).run()
    before = statsd.counters()
    reused = one_task(generate(**options)).run()
    assert reused["reused_from"]
    assert statsd.counters() == before


def test_result_that_could_not_be_saved_is_counted_when_a_retry_has_saved_it(
    flora, generate, one_task, statsd, tmp_path
):
    (tmp_path / "file").touch()
    task = one_task(generate(wait_for_completion=True, save_outputs_to=str(tmp_path / "file" / "below")))
    task.fails()
    assert "flora.cost_usd" not in statsd.counters()
    (tmp_path / "file").unlink()
    task.retry()
    assert statsd.counters()["flora.cost_usd"] == bill(flora)


def test_bill_that_flora_has_not_settled_adds_no_cost(flora, generate, statsd):
    run = {"charged_cost": None, "created_at": None, "completed_at": "2026-01-01T00:00:00+00:00"}
    metrics.count_completed(run)
    assert statsd.lines() == []


def test_tags_name_kind_and_family_where_the_backend_has_tags(flora, generate, one_task, statsd, metrics_settings):
    metrics_settings(AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED="True")
    one_task(generate(behavior={"error_code": "LLM_REFUSAL"}, wait_for_completion=True)).fails()
    found = statsd.counters()
    assert found["flora.runs_started,kind=generation"] == found["flora.runs_failed,family=moderated"] == 1


class Broken:
    """A backend of which each call fails, and the name of whose host is unknown."""

    def __getattr__(self, name):
        raise OSError("no route to metrics.example, key sk-secret")


@pytest.mark.parametrize("waiting", WAITS.values(), ids=WAITS)
@pytest.mark.parametrize("error_code", [None, "provider_error"])
def test_backend_that_fails_fails_no_task(flora, generate, one_task, monkeypatch, caplog, waiting, error_code):
    monkeypatch.setattr(metrics, "Stats", Broken())
    caplog.set_level(logging.DEBUG, logger="flora_provider")
    task = one_task(generate(behavior={"error_code": error_code}, **waiting))
    if error_code:
        task.fails(match="provider_error")
    else:
        assert task.run()["status"] == "completed"
    assert "A metric was not sent: OSError was raised" in caplog.text
    assert "sk-secret" not in caplog.text


def test_host_of_the_statsd_server_is_resolved_in_a_thread_of_the_triggerer(
    flora, wait_for, one_task, statsd, monkeypatch
):
    deferral = one_task(wait_for(flora.start(seconds=2.0))).defers()
    resolved_in, resolve = [], socket.getaddrinfo

    def listen(host, port, *arguments, **options):
        if port == statsd.port:
            resolved_in.append(threading.current_thread())
        return resolve(host, port, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", listen)
    read_settings()  # as in a new process
    statsd.forget()
    run_within(first_event(deferral.trigger))
    assert len(resolved_in) == 1
    assert threading.main_thread() not in resolved_in
    assert statsd.counters()["flora.requests"] > 0


def test_process_sends_metrics_by_airflows_settings_alone(flora, statsd_server, tmp_path):
    """No test has a hand in this process' Airflow: `dag.test()` runs the task as a worker does."""
    statsd_server.forget()
    dag_file = tmp_path / "one_picture.py"
    dag_file.write_text(
        "import pendulum\n"
        "from airflow.providers.common.compat.sdk import DAG\n"
        "from flora_provider.operators.flora import FloraGenerateOperator\n"
        "with DAG('one_picture', schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:\n"
        "    FloraGenerateOperator(task_id='picture', type='image', prompt='a fern', wait_for_completion=True,\n"
        "                          model_params={'sandbox': {'seconds': 8}})\n"
        "if __name__ == '__main__':\n"
        "    from airflow.utils.db import initdb\n"
        "    initdb()\n"
        "    print(dag.test().state)\n"
    )
    (tmp_path / "airflow").mkdir()  # 3.0 does not make it
    home = {"AIRFLOW_HOME": str(tmp_path / "airflow"), "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(dag_file)],
        env={**os.environ, **statsd_server.environment, **home},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "success" in done.stdout.splitlines()[-1], done.stderr
    found = statsd_server.counters()
    assert found == {**STARTED, "flora.requests": flora.requests, "flora.cost_usd": bill(flora)}
    assert len(statsd_server.timings("flora.wait_seconds")) == 1


def test_each_row_of_a_batch_is_counted_once(flora, one_task, statsd, tmp_path):
    flora.inject(route="/generate", containing="fern 3", behavior=RunBehavior(error_code="provider_error"))
    rows = [{"type": "image", "prompt": f"fern {number}"} for number in range(5)]
    one_task(
        FloraGenerateBatchOperator(
            task_id="batch", requests=rows, save_outputs_to=str(tmp_path), min_success=4, poll_interval=0.05
        )
    ).run()

    counted = statsd.counters()
    assert counted["flora.runs_started.generation"] == 5
    assert counted["flora.runs_failed.retry_now"] == 1
    assert counted["flora.cost_usd"] == pytest.approx(bill(flora))
    assert counted["flora.requests"] == flora.requests - 4, "four files were fetched"
    assert len(statsd.timings("flora.wait_seconds")) == 4
