"""Make 200 pictures in one task, and stop before a limit of costs is passed.

Each of twenty things is shown in each of ten settings. One worker checks all rows and defers once; the triggerer starts
them, six at a time, and awaits them; a worker saves their files, and a manifest that says what became of each row.

When the next row might pass `max_cost_usd`, nothing more is started, and what goes on is awaited. With
`on_budget="partial"` the task then succeeds with what there is, if 95 % of the rows that were started completed; the
manifest lists the others as `not_started`.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import Param, dag, task

from flora_provider.operators.flora import FloraGenerateBatchOperator

THINGS = (
    *("teapot", "lamp", "vase", "chair", "mirror", "basket", "blanket", "candle", "clock", "mug"),
    *("bowl", "tray", "stool", "rug", "kettle", "jug", "shelf", "cushion", "plate", "spoon"),
)
SETTINGS = (
    *("on a beach", "in the rain", "on a roof at dusk", "in a greenhouse", "in the snow"),
    *("under a lemon tree", "on a train", "in an empty hall", "by a window", "on a market stall"),
)


@dag(
    description="200 pictures in one task, which stops before a limit of costs is passed.",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["flora"],
    params={
        "folder": Param("/tmp/flora", type="string", description="Where to put the files."),  # noqa: S108 - a demo
        "max_cost_usd": Param(10.0, type="number", exclusiveMinimum=0, description="The most that a run may cost."),
    },
)
def flora_batch() -> None:
    """Prompts in, files out."""

    @task
    def rows() -> list[dict[str, Any]]:
        return [{"prompt": f"A {thing} {setting}, product photo"} for thing, setting in product(THINGS, SETTINGS)]

    @task
    def report(summary: Any) -> str:
        made, left = summary["completed"], summary["not_started"]
        return f"{made} pictures for {summary['cost_usd']:.2f} USD, {left} left out: {summary['manifest']}"

    pictures = FloraGenerateBatchOperator(
        task_id="pictures",
        requests=rows(),
        defaults={"type": "image", "model": "t2i-flux-2-pro"},
        save_outputs_to="{{ params.folder }}",
        max_cost_usd="{{ params.max_cost_usd }}",
        on_budget="partial",
        min_success=0.95,
        retries=2,
    )
    report(pictures.output)


flora_batch()
