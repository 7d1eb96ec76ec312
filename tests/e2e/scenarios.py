"""What the tests of change share: runs that are paid for, observed DAG runs, and tests that run concurrently."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx

from devstack.airflow_rest import FINISHED, wait_until
from tests.e2e.deployment import control

REPLACED = "\N{REPLACEMENT CHARACTER}"


class ConcurrentScenarios:
    """Tests that wait for minutes in all, and for each other in nothing: those of a module that were selected run at
    the same time, and each reports for itself.

        concurrent = ConcurrentScenarios()

        @concurrent
        def test_something(cluster): ...

        @pytest.fixture(scope="module")
        def begun(request, cluster):
            yield from concurrent.begin(request, cluster)
    """

    def __init__(self):
        self._scenarios = {}

    def __call__(self, scenario):
        name = scenario.__name__
        self._scenarios[name] = scenario

        def test(begun):
            begun[name].result()

        test.__name__ = test.__qualname__ = name
        return test

    def begin(self, request, cluster):
        """Start the selected ones; yield their futures by name."""
        wanted = {item.name for item in request.session.items if item.module is request.module}
        with ThreadPoolExecutor(max_workers=16) as pool:
            yield {name: pool.submit(scenario, cluster) for name, scenario in self._scenarios.items() if name in wanted}


def buy(sandbox, prompt, *, key, **behavior):
    """Start a run over the API, as somebody did beside the test; return its id."""
    answer = httpx.post(
        f"{sandbox.base_url}/generate",
        headers={"authorization": f"Bearer {sandbox.api_key}", "idempotency-key": key},
        json={
            "type": "text",
            "prompt": prompt,
            "workspace_id": sandbox.workspace_id,
            "project_id": sandbox.project_id,
            "params": {"sandbox": behavior},
        },
    )
    return answer.raise_for_status().json()["run_id"]


class ObservedDagRun:
    """A DAG run under observation.

    Args:
        cluster: where it runs: what has `stage` and `rest`.
        dag_id: of an unpaused DAG, or of one that is to be unpaused.
        conf: of the DAG run.
    """

    def __init__(self, cluster, dag_id, **conf):
        self._airflow = cluster.stage.airflow
        self._rest = cluster.rest
        self._dag_id = dag_id
        self._rest.unpause(dag_id)
        self.run_id = self._rest.trigger(dag_id, **conf)

    def tasks(self):
        """Every task instance by its id, with its map index where it has one."""
        return {_name(ti): ti for ti in self._rest.task_instances(self._dag_id, self.run_id)}

    def states(self):
        return {name: ti["state"] for name, ti in self.tasks().items()}

    def wait_for(self, wanted, timeout):
        """Wait for the states of some tasks, each one or a set of them."""
        wanted = {name: {states} if isinstance(states, str) else states for name, states in wanted.items()}
        seen = {}

        def is_so():
            seen.update(self.states())
            return all(seen.get(name) in states for name, states in wanted.items())

        assert wait_until(is_so, timeout), {name: seen.get(name) for name in wanted}

    def wait_over(self, timeout):
        """Wait for the end of the DAG run; return how its tasks ended."""

        def is_over():
            self._airflow.check_alive()
            return self._rest.dag_run(self._dag_id, self.run_id)["state"] in FINISHED

        assert wait_until(is_over, timeout), Counter(self.states().values())
        return self.states()

    def wait_well(self, timeout):
        """Wait for the end of the DAG run, which every task of it ends with success."""
        bad = {name: state for name, state in self.wait_over(timeout).items() if state != "success"}
        failed = [name for name, state in bad.items() if state == "failed"]
        assert not bad, f"{bad}; the log of the first ends with: {self.log(failed[0])[-1500:] if failed else None}"

    def tries(self):
        return {name: ti["try_number"] for name, ti in self.tasks().items()}

    def xcom(self, name, key="return_value"):
        task_id, map_index = _task_address(name)
        return self._rest.xcom(self._dag_id, self.run_id, task_id, map_index, key=key)

    def log(self, name, attempt=None):
        """What the log of one try says, of the last one by default; empty if there is none."""
        task_id, map_index = _task_address(name)
        attempt = attempt or self.tries()[name]
        with suppress(httpx.HTTPStatusError):
            entries = self._rest.task_log(self._dag_id, self.run_id, task_id, map_index, try_number=attempt)
            return "\n".join(str(entry) for entry in entries)
        return ""


def prompts_billed(sandbox):
    """How often each prompt was paid for."""
    return Counter(run["prompt"] for run in control(sandbox, "GET", "runs")["runs"] if run["billed"])


def _name(ti):
    return ti["task_id"] if ti["map_index"] < 0 else f"{ti['task_id']}[{ti['map_index']}]"


def _task_address(name):
    task_id, _, index = name.partition("[")
    return task_id, int(index[:-1]) if index else -1
