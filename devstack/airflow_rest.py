"""What we ask Airflow over its REST API."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Self
from urllib.parse import quote

import httpx

FINISHED = {"success", "failed"}


class AirflowRest:
    """Airflow's `/api/v2`, as far as a demo or an end-to-end test needs it.

    Raises:
        httpx.HTTPStatusError: from every method, for an answer of 400 or more.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self._credentials = {"username": user, "password": password}
        self._client = httpx.Client(base_url=url, timeout=60)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def log_in(self) -> None:
        """Get a token and use it from here on."""
        response = self._client.post("/auth/token", json=self._credentials).raise_for_status()
        self._client.headers["Authorization"] = f"Bearer {response.json()['access_token']}"

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Send one request below `/api/v2` and return the JSON of its answer."""
        response = self._client.request(method, f"/api/v2/{path}", **options)
        if response.is_error:
            raise httpx.HTTPStatusError(
                f"{method} {path}: {response.status_code} {response.text[:500]}",
                request=response.request,
                response=response,
            )
        return response.json() if response.content else None

    def pages(self, path: str, items: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Iterate over a listing; `items` is the field of the answer that holds them."""
        offset, total = 0, 1
        while offset < total:
            answer = self.request("GET", path, params={**params, "limit": 100, "offset": offset})
            yield from answer[items]
            offset, total = offset + 100, answer["total_entries"]

    # The instance

    def health(self) -> dict[str, str | None]:
        """Return the status of each part by name; every one is "healthy" when Airflow is up."""
        return {part: state["status"] for part, state in self.request("GET", "monitor/health").items()}

    def create_connection(self, connection_id: str, conn_type: str, **fields: Any) -> None:
        """Store a connection in the metadata database; `extra` is the JSON text that the form would hold."""
        body = {"connection_id": connection_id, "conn_type": conn_type, **fields}
        self.request("POST", "connections", json=body)

    def pool(self, name: str = "default_pool") -> dict[str, Any]:
        """Return a pool: its `slots`, and how many are `occupied_slots`, `deferred_slots`, …."""
        pool: dict[str, Any] = self.request("GET", f"pools/{name}")
        return pool

    # DAGs and their runs

    def dags(self) -> list[dict[str, Any]]:
        """Return the DAGs that the dag-processor has found."""
        return list(self.pages("dags", "dags"))

    def import_errors(self) -> list[str]:
        """Return what went wrong in DAG files, each as one text."""
        found = self.pages("importErrors", "import_errors")
        return [f"{error['filename']}: {error['stack_trace']}" for error in found]

    def unpause(self, dag_id: str, timeout: float = 60) -> None:
        """Let a DAG run, as soon as the dag-processor has found it.

        Raises:
            TimeoutError: when it has not within `timeout` seconds; says which DAG files are broken.
        """

        def is_found() -> bool:
            return any(dag["dag_id"] == dag_id for dag in self.dags())

        if not wait_until(is_found, timeout):
            raise TimeoutError(f"no DAG {dag_id} after {timeout:.0f} s; import errors: {self.import_errors() or None}")
        self.request("PATCH", f"dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Start a run of an unpaused DAG with these params and return the run's id."""
        body = {"logical_date": None, "conf": conf}
        run: dict[str, str] = self.request("POST", f"dags/{dag_id}/dagRuns", json=body)
        return run["dag_run_id"]

    def dag_run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return one DAG run."""
        run: dict[str, Any] = self.request("GET", _run(dag_id, run_id))
        return run

    def wait_for_dag_run(self, dag_id: str, run_id: str, timeout: float) -> str:
        """Wait for the end of a DAG run and return its state, "success" or "failed".

        Raises:
            TimeoutError: when it is still going on after `timeout` seconds.
        """

        def state() -> str:
            return str(self.dag_run(dag_id, run_id)["state"])

        if not wait_until(lambda: state() in FINISHED, timeout):
            raise TimeoutError(f"DAG run {run_id} of {dag_id} is still {state()} after {timeout:.0f} s")
        return state()

    # Task instances

    def task_instances(self, dag_id: str, run_id: str, task_id: str | None = None) -> list[dict[str, Any]]:
        """Return a run's task instances, each mapped one by itself, in the order of their map index."""
        found = self.pages(f"{_run(dag_id, run_id)}/taskInstances", "task_instances")
        wanted = [ti for ti in found if task_id in {None, ti["task_id"]}]
        return sorted(wanted, key=lambda ti: (ti["task_id"], ti["map_index"]))

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Say that a task has ended as "success" or "failed", as a user can on its page."""
        self.request("PATCH", f"{_run(dag_id, run_id)}/taskInstances/{task_id}", json={"new_state": state})

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> list[dict[str, Any]]:
        """Return every try of one task instance, the current one too."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{task_id}"
        path += f"/{map_index}/tries" if map_index >= 0 else "/tries"
        history: list[dict[str, Any]] = self.request("GET", path)["task_instances"]
        return history

    def xcom(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, key: str = "return_value") -> Any:
        """Return one XCom value, deserialised."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.request("GET", path, params={"map_index": map_index, "deserialize": False})["value"]

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, try_number: int = 1
    ) -> list[dict[str, Any]]:
        """Return the log of one try: entries with `event`, mostly `timestamp` and `level`, perhaps `error_detail`."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{task_id}/logs/{try_number}"
        params = {"map_index": map_index, "full_content": True}
        entries: list[dict[str, Any]] = self.request("GET", path, params=params)["content"]
        return entries

    def events(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the audit log of a DAG run, oldest first."""
        return list(self.pages("eventLogs", "event_logs", dag_id=dag_id, run_id=run_id, order_by="event_log_id"))


def wait_until(condition: Callable[[], bool], timeout: float, pause: float = 0.5) -> bool:
    """Ask until the condition holds; say whether it did within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
    return True


def _run(dag_id: str, run_id: str) -> str:
    return f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
