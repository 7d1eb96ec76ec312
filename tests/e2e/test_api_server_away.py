"""The api-server is restarted right after FLORA has said which run it started, while others start and wait."""

import re
import time
from collections import Counter

from devstack.airflow_rest import wait_until
from tests.e2e.deployment import control
from tests.e2e.scenarios import ObservedDagRun, prompts_billed
from tests.e2e.test_change import WAITS, begin_every_wait, check_paid_once, end_runs, wait_until_all_wait

AWAY = 10  # seconds, and those that it takes to start
MODES = ("none", "duplicate_409")
STYLES = {
    "no wait": {},
    "deferred": {"wait_for_completion": True},
    "in a worker": {"wait_for_completion": True, "deferrable": False},
}


def test_paid_runs_and_waits_survive_an_api_server_that_is_restarted(cluster):
    rows = [
        {
            "prompt": f"Paid under {mode}, {style}",
            "flora_conn_id": f"flora_{mode}",
            "model_params": {"sandbox": {"seconds": 6, "estimated_seconds": 20}},
            **how,
        }
        for mode in MODES
        for style, how in STYLES.items()
    ]
    others = control(cluster.stage.sandbox, "GET", "stats")["runs_started"]
    waiting = begin_every_wait(cluster, "flora_default", cluster.stage.sandbox, "The api-server is away")
    wait_until_all_wait(waiting, cluster.stage.sandbox, runs=others + len(WAITS))
    for mode in MODES:
        # Held back, so that the api-server is away when the answer comes, and back before the client gives up.
        held_back = {"route": "/generate", "containing": f"Paid under {mode}", "delay": 4, "times": len(STYLES)}
        control(cluster.sandboxes[mode], "POST", "faults", json=[held_back])
    paid = ObservedDagRun(cluster, "paid", rows=rows)

    assert wait_until(lambda: started(cluster) == {row["prompt"]: 1 for row in rows}, timeout=90, pause=0.1)
    during = time.monotonic()
    cluster.api_server_away(AWAY)
    assert time.monotonic() - during > AWAY
    end_runs(cluster.stage.sandbox)

    paid.wait_well(timeout=240)
    assert started(cluster) == {row["prompt"]: 1 for row in rows}
    for number, row in enumerate(rows):
        name = f"paid[{number}]"
        run_id = paid.xcom(name, "run_id")
        mode = row["flora_conn_id"].removeprefix("flora_")
        [its] = [run["run_id"] for run in cluster.runs(mode) if run["prompt"] == row["prompt"]]
        assert run_id == its
        # Whatever became of the ledger: a person finds the paid run in the log of the try that paid for it.
        assert re.search(run_id, paid.log(name, attempt=1)), paid.log(name, attempt=1)
    waiting.wait_well(timeout=240)
    assert {waiting.tries()[name] for name in WAITS if "worker" not in name} == {1}
    check_paid_once(waiting, cluster.stage.sandbox)


def started(cluster):
    billed = sum((prompts_billed(cluster.sandboxes[mode]) for mode in MODES), Counter())
    return {prompt: times for prompt, times in billed.items() if prompt.startswith("Paid under")}
