"""Run when `flora_asset_producer` has made a picture, and read from its event what it made."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, get_current_context, task

from flora_provider.assets.flora import project_asset

PICTURES = project_asset(workspace_id="ws_tea", project_id="prj_tea_shop")


@dag(
    description="Runs when flora_asset_producer has made a picture, and reads what it made from the event.",
    doc_md=__doc__,
    schedule=[PICTURES],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["flora"],
)
def flora_asset_consumer() -> None:
    """Say what is new."""

    @task
    def announce() -> list[str]:
        context: Any = get_current_context()
        events = context.get("triggering_asset_events") or context.get("triggering_dataset_events") or {}
        news = [
            f"{event.extra['run_id']}, {event.extra['charged_cost_usd']} USD: {', '.join(event.extra['files'])}"
            for of_asset in events.values()
            for event in of_asset
            if "run_id" in event.extra  # not of an event that somebody has made by hand
        ]
        print("\n".join(news) or "started by hand, so there is no news")  # noqa: T201 - a task's print goes to its log
        return news

    announce()


flora_asset_consumer()
