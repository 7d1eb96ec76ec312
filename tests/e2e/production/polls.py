"""How often FLORA is asked about a run by one triggerer, and by two that share the same waits."""

from devstack.airflow_rest import wait_until

DAG = "waits"
SECONDS = 45.0  # that each run takes
TIMEOUT = 400  # seconds
TRIES = 3
HEARTBEATS = (
    "SELECT count(*) FROM job WHERE job_type = 'TriggererJob' AND state = 'running' "
    "AND latest_heartbeat > now() - interval '6 seconds'"
)
POLLS = ("GET /runs/{run_id}", "GET /generations")


def measure(production):
    """By the number of triggerers, polls for each run of the same DAG."""
    production.rest.unpause(DAG)
    production.end("triggerer-2")
    try:
        found = {1: _polls_per_run(production)}
    finally:
        production.begin("triggerer-2")
    assert wait_until(lambda: _triggerers(production) == 2, timeout=60), "the second triggerer does not come up"
    return found | {2: _polls_per_run(production)}


def _polls_per_run(production):
    """Of a DAG run that has succeeded: its tasks have no retries, and the first one may find the api-server cold."""
    for _ in range(TRIES):
        polls, runs = _counted(production)
        run_id = production.rest.trigger(DAG, seconds=SECONDS, operators=0)
        if production.rest.wait_for_dag_run(DAG, run_id, TIMEOUT) == "success":
            polls_now, runs_now = _counted(production)
            return (polls_now - polls) / (runs_now - runs)
    raise AssertionError(f"{TRIES} DAG runs that nothing has struck have failed")


def _counted(production):
    stats = production.stage.sandbox.stats()
    return sum(stats["requests"].get(route, 0) for route in POLLS), stats["runs_started"]


def _triggerers(production):
    [[number]] = production.query(HEARTBEATS)
    return number
