"""A misspelt argument of an operator or sensor is an error at parse time, as for every operator of Airflow."""

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowException

from flora_provider.operators.flora import FloraGenerateOperator
from flora_provider.sensors.flora import FloraRunSensor

REFUSALS = (TypeError, ValueError, AirflowException)  # the last one is what Airflow 2 raises for any operator
GENERATE = {"task_id": "picture", "type": "image"}
WAYS = {
    "operator": lambda: FloraGenerateOperator(**GENERATE, prompt="a fern", paramz={"seed": 1}),
    "sensor": lambda: FloraRunSensor(task_id="finished", run_id="run_1", paramz={"seed": 1}),
    "partial": lambda: FloraGenerateOperator.partial(**GENERATE, paramz={"seed": 1}).expand(prompt=["a fern"]),
    "expand": lambda: FloraGenerateOperator.partial(**GENERATE, prompt="a fern").expand(paramz=[{"seed": 1}]),
    "expand_kwargs": lambda: FloraGenerateOperator.partial(**GENERATE).expand_kwargs(
        [{"prompt": "a fern", "paramz": {"seed": 1}}]
    ),
    "partial of a sensor": lambda: FloraRunSensor.partial(task_id="finished", paramz=1).expand(run_id=["run_1"]),
}


@pytest.mark.parametrize("way", WAYS)
def test_misspelt_argument_is_refused_at_parse_time(way):
    with DAG("misspelt", schedule=None), pytest.raises(REFUSALS, match="paramz"):
        WAYS[way]()
