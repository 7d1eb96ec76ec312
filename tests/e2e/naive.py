"""What is written without knowing the race: a task that defers, and comes back as soon as its trigger is done."""

import asyncio

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent


class NaiveTrigger(BaseTrigger):
    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def serialize(self):
        return "tests.e2e.naive.NaiveTrigger", {"seconds": self.seconds}

    async def run(self):
        await asyncio.sleep(self.seconds)
        yield TriggerEvent("done")


class NaiveOperator(BaseOperator):
    def __init__(self, *, seconds, **kwargs):
        super().__init__(**kwargs)
        self.seconds = seconds

    def execute(self, context):
        self.defer(trigger=NaiveTrigger(self.seconds), method_name="execute_complete")

    def execute_complete(self, context, event):
        return event
