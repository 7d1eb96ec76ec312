"""The judge of `make stranger` tells our trouble from Airflow's own."""

import pytest

from tests.stranger.log_lines import trouble

EXAMPLE = """Traceback (most recent call last):
  File "/venv/lib/python3.11/site-packages/airflow/example_dags/example_kubernetes.py", line 38, in <module>
    from kubernetes.client import models as k8s
ModuleNotFoundError: No module named 'kubernetes'
"""


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-27T15:42:26.147926Z [error    ] XCom not found                 [airflow.sdk.api.client] key=request",
        "2026-11-27T15:42:26.147926Z [warning  ] XCom 'run_id' was not pushed   [flora_provider.tasks.xcom]",
        "[2026-11-27T15:43:24.249+0000] {xcom.py:39} WARNING - XCom 'run_id' was not pushed",
        "[2026-11-27T15:43:24.249+0000] {taskinstance.py:39} ERROR - Task failed with exception",
        "/venv/lib/python3.11/site-packages/flora_provider/hooks/flora.py:22: DeprecationWarning: gone tomorrow",
        "python -m flora_provider.sandbox: cannot listen on 127.0.0.1:4711: Address already in use",
        "ImportError: cannot import name 'flora'",
    ],
)
def test_line_of_trouble_is_found(line):
    assert trouble(f"fine\n{line}\nfine\n") == [line]


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-27T15:42:16.984842Z [info     ] FLORA run run_1 is this task's [flora_provider.runs.start]",
        "2026-11-27T15:42:10.020719Z [warning  ] Using `httpx` [py.warnings] category=StarletteDeprecationWarning",
        "/venv/airflow/cli/commands/dag_command.py:48 UserWarning: Could not import graphviz.",
        "[2026-11-27T15:43:24.530+0000] {workday.py:41} WARNING - Could not import pandas.",
        "Dag run in success state",
    ],
)
def test_line_of_airflows_own_is_none(line):
    assert trouble(line) == []


def test_traceback_is_trouble_unless_all_of_it_is_in_airflows_examples():
    ours = EXAMPLE.replace("airflow/example_dags", "flora_provider")
    assert trouble(EXAMPLE + "fine\n") == []
    assert trouble(ours + "fine\n") == [ours.rstrip("\n")]
