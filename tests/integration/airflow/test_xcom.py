"""What a task of the user's returns is what the next one gets."""

import json
import subprocess
import sys

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from flora_provider.api import calls
from tests.support.airflow_features import XCOMS_TAKE_MODELS

TEXT = {"output_id": "o", "type": "text", "url": "words"}

takes_models = pytest.mark.skipif(not XCOMS_TAKE_MODELS, reason="XComs of Airflow 3.0 take no model of pydantic")


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    """What a user has to set before 3.3; since then the hook lets its own answers pass."""
    try:
        from airflow.sdk import serde
    except ImportError:  # Airflow before 3.2
        from airflow.serialization import serde
    if not hasattr(serde, "allow_class"):
        monkeypatch.setenv("AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES", "airflow.* flora_provider.*")
        for cached in (serde._get_patterns, serde._match_glob):  # noqa: SLF001 - there is no other way to change it in a process
            cached.cache_clear()


@takes_models
def test_run_that_a_task_returns_reaches_the_next_one_whole(flora, run_dag):
    seen = []
    with DAG("returned", schedule=None) as dag:

        @task
        def read():
            from flora_provider.hooks.flora import FloraHook

            with FloraHook() as hook:
                started = hook.generate(
                    type="text", prompt="a fern", params={"sandbox": {"seconds": 0}}, idempotency_key="k"
                )
                hook.wait_for_run(started.run_id)
                run = hook.get_run(started.run_id)
                seen.append(run)
                return run

        @task
        def use(run):
            seen.append(run)

        use(read())
    assert run_dag(dag).state == "success"
    sent, arrived = seen
    assert arrived == sent
    assert arrived.outputs
    assert arrived.outputs == sent.outputs
    assert arrived.raw == sent.raw


@takes_models
def test_result_of_the_hook_is_read_from_an_xcom_as_it_was():
    try:
        from airflow.sdk.serde import deserialize, serialize
    except ImportError:  # Airflow before 3.2
        from airflow.serialization.serde import deserialize, serialize

    row = {"run_id": "r", "status": "completed", "generation_id": "g", "project_id": "p", "workspace_id": "w"}
    page = calls.list_generations().read({"generations": [row | {"outputs": [TEXT]}], "next_cursor": "c"})
    for value in (page, page.items[0], page.items[0].outputs[0], [page.items[0]], {"a": page.items[0]}):
        assert deserialize(json.loads(json.dumps(serialize(value)))) == value


def test_hook_is_imported_after_answers_without_a_name_of_their_own_were_made():
    code = (
        "from typing import get_type_hints\n"
        "from flora_provider.api import AsyncFloraClient\n"
        "from flora_provider.api.models import Page, Run\n"
        "kept = [Page[Run], get_type_hints(AsyncFloraClient.items), type('Mine', (Run,), {})]\n"
        "import flora_provider.hooks.flora\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
