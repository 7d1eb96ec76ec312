"""Every operator that starts runs, in every way to wait, and sensors for runs of both routes of techniques.

Another DAG follows one of the runs.
"""

import json

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from flora_provider.assets.flora import project_asset
from flora_provider.operators.flora import FloraGenerateOperator, FloraRunActionOperator, FloraRunTechniqueOperator
from flora_provider.sensors.flora import FloraRunSensor

ASKED = "{{ params.prompt }}"
KINDS = {
    "generation": (FloraGenerateOperator, {"type": "image"}, {"prompt": ASKED}),
    "technique_by_id": (
        FloraRunTechniqueOperator,
        {"technique": "tech_storybrd1"},
        {"inputs": {"instructions": ASKED}},
    ),
    "technique_by_slug": (FloraRunTechniqueOperator, {"technique": "jingle"}, {"inputs": {"brand": ASKED}}),
    "action": (FloraRunActionOperator, {"action_id": "qr-code-generator-browser"}, {"inputs": ASKED}),
}

PROJECT = project_asset(workspace_id="ws_followed", project_id="prj_followed")


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_tasks=32,
    params={"prompt": "", "folder": ""},
    default_args={"retries": 0, "flora_conn_id": "flora_every_operator"},
)
def every_operator():
    @task
    def rows(asked, params=None):
        # Airflow has rendered the arguments of this task.
        texts = [json.dumps(asked).replace(params["prompt"], f"{params['prompt']}, row {row}") for row in range(2)]
        return [json.loads(text) for text in texts]

    for kind, (operator, what, asked) in KINDS.items():
        waits = {**what, "wait_for_completion": True, "poll_interval": 1, "save_outputs_to": "{{ params.folder }}"}
        outlets = [PROJECT] if kind == "generation" else []
        operator(task_id=f"{kind}_deferred", outlets=outlets, **waits, **asked)
        operator(task_id=f"{kind}_in_worker", deferrable=False, **waits, **asked)
        operator.partial(task_id=f"{kind}_mapped", **waits).expand_kwargs(rows.override(task_id=f"{kind}_rows")(asked))

    for kind in ("technique_by_id", "technique_by_slug"):
        operator, what, asked = KINDS[kind]
        started = operator(task_id=f"{kind}_started", **what, **asked)
        route = what["technique"] if kind == "technique_by_slug" else None
        FloraRunSensor(task_id=f"{kind}_awaited", run_id=started.output, technique=route, poll_interval=1)


every_operator()


@dag(schedule=[PROJECT], start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False)
def follower():
    @task
    def read(triggering_asset_events=None):
        [[event]] = triggering_asset_events.values()
        return event.extra

    read()


follower()
