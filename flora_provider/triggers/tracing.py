"""The span of a run whose task ends in the triggerer: what was asked for is read from XCom."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from flora_provider.runs.event import RunEvent
from flora_provider.telemetry.facts import REQUEST
from flora_provider.telemetry.spans import is_traced, trace_ended
from flora_provider.triggers.supervisor import in_thread

log = logging.getLogger(__name__)

TRACED_WITHIN = 10.0  # seconds; the task waits for it


async def trace_end(event: RunEvent, ti: Any, source: str | None) -> None:
    """Record a run as a span, where there are spans.

    Args:
        event: how the run ended.
        ti: the task instance, as the triggerer has it.
        source: id of the task that started the run, if that is another one.
    """
    if not is_traced():
        return
    try:
        async with asyncio.timeout(TRACED_WITHIN):
            await in_thread(lambda: trace_ended(event, lambda: _request(event.run_id, ti, source)))
    except TimeoutError:
        log.debug("A span was not recorded: Airflow did not answer")


def _request(run_id: str, ti: Any, source: str | None) -> Mapping[str, Any] | None:
    """XCom `request` of the task that started the run; of a mapped one, of the instance with the same map index."""
    from airflow.providers.common.compat.sdk import XCom

    for map_index in dict.fromkeys((ti.map_index, -1)):
        where = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": source or ti.task_id, "map_index": map_index}
        request = XCom.get_one(key=REQUEST, **where)
        if isinstance(request, Mapping) and request.get("run_id") == run_id:
            return request
    return None
