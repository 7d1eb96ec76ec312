"""Triggers, run to their event."""

import asyncio
from contextlib import aclosing

from flora_provider.runs.event import RunEvent
from flora_provider.triggers.flora import FloraRunTrigger


def trigger_for(run_id, **kwargs):
    return FloraRunTrigger(**{"run_id": run_id, "flora_conn_id": "flora_default", "poll_interval": 0.05, **kwargs})


async def first_event(trigger):
    async with aclosing(trigger.run()) as events:
        return await anext(events)


async def wait_for(run_id, **kwargs):
    """How a trigger for a run ends."""
    return RunEvent.from_payload((await first_event(trigger_for(run_id, **kwargs))).payload)


async def wait_for_all(run_ids, **kwargs):
    return await asyncio.gather(*(wait_for(run_id, **kwargs) for run_id in run_ids))


def run_within(coroutine, seconds=30):
    """Run a coroutine on a loop of its own; nothing here takes a tenth of the time, but a loaded machine may."""
    return asyncio.run(asyncio.wait_for(coroutine, seconds))


async def until(condition):
    """Wait for what happens elsewhere: in the server's thread, or in a task that was asked to end."""
    while not condition():  # noqa: ASYNC110 - another thread changes it
        await asyncio.sleep(0.01)


async def cancel(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
