"""What changes while tasks wait: keys, connections, a vault that is away. One Airflow, everything at once."""

import time
from collections import Counter

import pytest

from devstack.airflow_rest import wait_until
from tests.e2e.deployment import connection_to, control, rotate_key
from tests.e2e.scenarios import ConcurrentScenarios, ObservedDagRun, buy, prompts_billed

concurrent = ConcurrentScenarios()


@pytest.fixture(scope="module")
def begun(request, cluster):
    yield from concurrent.begin(request, cluster)


SENSORS = ("sensor", "resuming_sensor", "sensor_in_worker")
OPERATORS = ("operator", "in_worker", "resuming")
WAITS = (*SENSORS, *OPERATORS)
WORKER_WAITS = {"sensor_in_worker", "in_worker"}
WAITING = {name: "running" if name in WORKER_WAITS else "deferred" for name in WAITS}
LONG = 3600.0  # seconds, on the sandbox's clock
ONCE = dict.fromkeys(("start", *WAITS), 1)


def begin_every_wait(cluster, conn_id, sandbox, prompt):
    """Start a DAG run that waits in every way for runs that end when `end_runs` says so."""
    behavior = {"seconds": LONG, "estimated_seconds": 30}
    runs = {name: buy(sandbox, f"{prompt}, {name}", key=f"{prompt}, {name}", **behavior) for name in SENSORS}
    conf = {"prompt": prompt, "runs": runs, "model_params": {"sandbox": behavior}}
    return ObservedDagRun(cluster, f"every_wait_{conn_id}", **conf)


def wait_until_all_wait(observed, sandbox, runs=6):
    """Wait until every run is started, `runs` of them, and every wait has read the connection and polled."""
    observed.wait_for(WAITING, timeout=150)
    assert wait_until(lambda: control(sandbox, "GET", "stats")["runs_started"] == runs, timeout=150)
    before = asked(sandbox)
    assert wait_until(lambda: asked(sandbox) >= before + 4 * len(WAITS), timeout=150), asked(sandbox) - before


def asked(sandbox):
    return sum(control(sandbox, "GET", "stats")["requests"].values())


def end_runs(sandbox):
    """Have all runs end that go on, however busy this machine was until now."""
    control(sandbox, "POST", "clock", json={"advance": LONG})


def check_paid_once(observed, *sandboxes):
    """Every run of this DAG run's was paid for once, and every task got the outputs of its own."""
    billed = sum(map(prompts_billed, sandboxes), Counter())
    for name in WAITS:
        run = observed.xcom(name)
        [prompt] = [words for words in billed if run["outputs"][0]["text"].endswith(words)]
        assert billed[prompt] == 1


@concurrent
def test_waits_outlive_a_key_that_is_rotated_without_overlap(cluster):
    sandbox = cluster.new_sandbox("flora_rotated")
    waiting = begin_every_wait(cluster, "flora_rotated", sandbox, "The key is rotated")
    wait_until_all_wait(waiting, sandbox)
    new = rotate_key(sandbox)
    time.sleep(20)
    cluster.edit_connection("flora_rotated", password=new)
    end_runs(sandbox)

    waiting.wait_well(timeout=120)
    assert waiting.tries() == ONCE
    check_paid_once(waiting, sandbox)
    assert control(sandbox, "GET", "stats")["runs_billed"] == len(WAITS)


@concurrent
def test_waits_whose_key_stays_refused_are_left_to_retries_that_cost_nothing(cluster):
    sandbox = cluster.new_sandbox("flora_rotated_late")
    waiting = begin_every_wait(cluster, "flora_rotated_late", sandbox, "The key comes late")
    wait_until_all_wait(waiting, sandbox)
    new = rotate_key(sandbox)
    ended = {}

    def each_ended_once():
        ended.update({name: ti["state"] for name, ti in waiting.tasks().items() if ti["try_number"] > 1})
        ended.update({name: state for name, state in waiting.states().items() if state in {"failed", "up_for_retry"}})
        return set(ended) == set(WAITS) or "failed" in ended.values()

    assert wait_until(each_ended_once, timeout=330), (ended, waiting.states())
    assert "failed" not in ended.values()
    cluster.edit_connection("flora_rotated_late", password=new)
    end_runs(sandbox)

    waiting.wait_well(timeout=240)
    check_paid_once(waiting, sandbox)
    assert control(sandbox, "GET", "stats")["runs_billed"] == len(WAITS)


@concurrent
def test_new_waits_take_the_connection_as_it_is_now_and_old_ones_end_well(cluster):
    old, new = cluster.new_sandbox("flora_moved"), cluster.new_sandbox()
    before = begin_every_wait(cluster, "flora_moved", old, "Before the move")
    wait_until_all_wait(before, old)
    fields = connection_to(new)
    del fields["conn_type"]
    cluster.edit_connection("flora_moved", **fields)
    after = begin_every_wait(cluster, "flora_moved", new, "After the move")
    wait_until_all_wait(after, new)
    end_runs(new)

    after.wait_well(timeout=120)
    assert after.tries() == ONCE
    check_paid_once(after, new)
    assert before.states() == {"start": "success", **WAITING}
    end_runs(old)
    before.wait_well(timeout=120)
    check_paid_once(before, old)
    assert [control(sandbox, "GET", "stats")["runs_billed"] for sandbox in (old, new)] == [len(WAITS)] * 2


@concurrent
def test_waits_survive_a_secrets_backend_that_is_away(cluster):
    sandbox = cluster.new_sandbox()
    cluster.vault.put("flora_vault", **connection_to(sandbox))
    before = begin_every_wait(cluster, "flora_vault", sandbox, "Before the outage")
    wait_until_all_wait(before, sandbox)
    cluster.vault.close()
    during = begin_every_wait(cluster, "flora_vault", sandbox, "During the outage")
    during.wait_for({"start": "success", "sensor": "deferred"}, timeout=150)
    time.sleep(18)
    cluster.vault.open()
    wait_until_all_wait(during, sandbox, runs=2 * len(WAITS))
    end_runs(sandbox)

    before.wait_well(timeout=150)
    during.wait_well(timeout=150)
    # What waits in the triggerer is not ended by an outage: it reads again. What starts in a worker may take a retry.
    assert before.tries() == ONCE
    assert during.tries()["sensor"] == 1
    check_paid_once(before, sandbox)
    check_paid_once(during, sandbox)
    assert control(sandbox, "GET", "stats")["runs_billed"] == 2 * len(WAITS)


@concurrent
def test_pool_of_one_slot_is_never_overdrawn_by_sensors_that_need_no_worker(cluster):
    cluster.rest.request("POST", "pools", json={"name": "one_slot", "slots": 1, "include_deferred": True})
    sandbox = cluster.stage.sandbox
    runs = [buy(sandbox, f"Slot {number}", key=f"slot {number}", seconds=12) for number in range(3)]
    observed = ObservedDagRun(cluster, "one_slot", runs=runs)
    open_slots = []

    def is_over():
        open_slots.append(cluster.rest.pool("one_slot")["open_slots"])
        return all(observed.states().get(f"sensor_{number}") in {"success", "failed"} for number in range(3))

    assert wait_until(is_over, timeout=180, pause=0.2), observed.states()
    assert min(open_slots) == 0
    observed.wait_well(timeout=30)
    for number, run_id in enumerate(runs):
        assert observed.xcom(f"sensor_{number}")["run_id"] == run_id


@concurrent
def test_ending_in_the_triggerer_does_all_that_a_worker_does(cluster):
    observed = ObservedDagRun(cluster, "endings")
    observed.wait_well(timeout=180)

    for name in ("operator", "sensor"):
        run = observed.xcom(name)
        assert {key: observed.xcom(name, key) for key in run} == run
        assert observed.xcom(f"received_by_{name}") == {"run_id": run["run_id"], "outputs": run["outputs"]}
        assert each_member(observed, f"each_of_{name}") == run
        shouting = observed.xcom(f"shouting_{name}")
        assert shouting["shouted"] == shouting["outputs"][0]["text"].upper()
        assert observed.xcom(f"shouted_by_{name}") == shouting["shouted"]
    assert each_member(observed, "each_of_plain") == observed.xcom("plain")


def each_member(observed, task_id):
    """What the instances of a task that is mapped over a dict have made of its members, as a dict again."""
    return dict(observed.xcom(name) for name in observed.tasks() if name.startswith(f"{task_id}["))
