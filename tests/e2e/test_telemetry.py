"""A real Airflow sends metrics and spans from workers and triggerer, and they agree with what FLORA has seen."""

import pytest

from tests.e2e.scenarios import ObservedDagRun
from tests.e2e.traces import Trace


class Counted:
    """A DAG run, what FLORA has seen of it, and what was sent of it."""

    def __init__(self, cluster, statsd, collector):
        sandbox = cluster.stage.sandbox
        before, known = sandbox.stats(), len(sandbox.runs())
        statsd.forget()
        self.states = ObservedDagRun(cluster, "counted").wait_over(timeout=300)
        after = sandbox.stats()
        self.billed = after["usd_billed"] - before["usd_billed"]
        self.requests = sum(after["requests"].values()) - sum(before["requests"].values())
        self.runs = sandbox.runs()[known:]
        self.counters, self.waits = statsd.counters(), statsd.timings("flora.wait_seconds")
        self.trace = Trace(collector, "counted", runs=4)


@pytest.fixture(scope="module")
def counted(on_sqlite, statsd, collector):
    return Counted(on_sqlite, statsd, collector)


def test_only_the_task_of_a_refused_prompt_fails(counted):
    assert counted.states == dict.fromkeys(counted.states, "success") | {"failed": "failed"}


def test_metrics_of_workers_and_triggerer_agree_with_what_flora_has_seen(counted):
    assert counted.counters == {
        "flora.runs_started": 4,
        "flora.runs_started.generation": 4,
        "flora.runs_failed": 1,
        "flora.runs_failed.moderated": 1,
        "flora.cost_usd": pytest.approx(counted.billed),
        "flora.requests": counted.requests,
    }
    assert sorted(counted.waits) == pytest.approx([2000, 10_000, 15_000], abs=50)


def test_each_run_is_one_span_that_agrees_with_what_flora_has_seen(counted):
    said = [attributes for _, attributes in counted.trace.runs]
    seen = {(run["run_id"], run["status"]) for run in counted.runs}
    assert sorted((one["flora.run_id"], one["flora.status"]) for one in said) == sorted(seen)
    assert sum(one.get("flora.charged_cost_usd", 0) for one in said) == pytest.approx(counted.billed)
    assert {one["flora.kind"] for one in said} == {"generation"}, "it is read from XCom, in the triggerer too"


def test_span_is_below_that_of_the_task_or_of_the_trigger_that_had_the_run(counted):
    prompts = {run["run_id"]: run["prompt"] for run in counted.runs}
    above = {prompts[one["flora.run_id"]]: name for name, one in counted.trace.runs}
    assert "/sensor/" in above.pop("Counted, started."), "that of a wait which began in the triggerer, by Airflow's id"
    assert above == {
        "Counted, in_worker.": "worker.in_worker",
        "Counted, failed.": "worker.failed",
        "Counted, in_triggerer.": "trigger.in_triggerer",
    }


def test_airflow_sends_no_span_of_a_task_that_ended_in_the_triggerer(counted):
    tasks = {name for name in counted.trace.airflows if name.startswith("task_run.")}
    assert tasks == {"task_run.in_worker", "task_run.failed", "task_run.started"}
