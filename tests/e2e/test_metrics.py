"""A real Airflow sends our metrics from its workers and from its triggerer, and they agree with what FLORA has seen."""

import pytest


def test_metrics_of_workers_and_triggerer_agree_with_what_flora_has_seen(on_sqlite):
    rest, sandbox, statsd = on_sqlite.rest, on_sqlite.stage.sandbox, on_sqlite.statsd
    before = sandbox.stats()
    rest.unpause("counted")
    statsd.forget()
    dag_run = rest.trigger("counted")
    rest.wait_for_dag_run("counted", dag_run, timeout=300)

    states = {ti["task_id"]: ti["state"] for ti in rest.task_instances("counted", dag_run)}
    assert states == dict.fromkeys(states, "success") | {"failed": "failed"}
    after = sandbox.stats()
    assert statsd.counters() == {
        "flora.runs_started": 4,
        "flora.runs_started.generation": 4,
        "flora.runs_failed": 1,
        "flora.runs_failed.change_input": 1,
        "flora.cost_usd": pytest.approx(after["usd_billed"] - before["usd_billed"]),
        "flora.requests": sum(after["requests"].values()) - sum(before["requests"].values()),
    }
    assert sorted(statsd.timings("flora.wait_seconds")) == pytest.approx([2000, 10_000, 15_000], abs=50)
