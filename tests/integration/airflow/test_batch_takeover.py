"""Triggerers that die, freeze or own one batch at the same time start no row twice."""

import asyncio
import random

import pytest

from flora_provider.batch import ledger, runner, starter
from flora_provider.batch.ledger import BatchLedger
from flora_provider.operators.flora import FloraGenerateBatchOperator
from flora_provider.sandbox.world.run_behavior import RunBehavior
from tests.support.airflow_tasks import revived
from tests.support.triggers import first_event

MODES = ["duplicate_409", "replay", "current_state"]


@pytest.fixture
def fast(flora, monkeypatch):
    flora.sandbox.settings.speed = 100
    monkeypatch.setattr(runner, "LEASE", 0.6)
    monkeypatch.setattr(runner, "BEAT", 0.1)
    monkeypatch.setattr(runner, "_WATCH", 0.05)
    monkeypatch.setattr(starter, "_LONGEST_PAUSE", 0.05)
    monkeypatch.setattr("flora_provider.runs.start.LISTED_WITHIN", 0.0)
    return flora


@pytest.fixture
def task(one_task, tmp_path):
    requests = [{"type": "image", "prompt": f"fern {number}"} for number in range(30)]
    operator = FloraGenerateBatchOperator(
        task_id="batch",
        requests=requests,
        save_outputs_to=str(tmp_path),
        poll_interval=0.05,
        retries=2,
        on_unknown_outcome="adopt",
        max_in_flight=4,
        min_success=0.5,
    )
    return one_task(operator)


def check(flora, task, deferral, payload):
    result = task.resume(deferral, payload)
    # Of several runs whose answers are lost at the same moment, nobody can say which one is whose.
    can_be_lost = flora.sandbox.settings.idempotency == "duplicate_409"
    assert result["completed"] + (result["unknown"] if can_be_lost else 0) == 30
    prompts = [run.request.prompt for run in flora.runs]
    assert sorted(prompts) == sorted(set(prompts)), "no row was started twice"
    assert flora.billed == 30


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(3))
def test_triggerer_that_dies_at_any_moment_is_followed_by_another(fast, task, monkeypatch, mode, seed):
    fast.sandbox.settings.update({"idempotency": mode})
    fast.inject(route="/generate", status=503, rate=0.1, times=None)
    monkeypatch.setattr(BatchLedger, "leave", lambda _: None)  # who is killed takes no leave
    dice = random.Random(seed)  # noqa: S311 - the same moments for the same seed
    deferral = task.defers()

    async def live():
        for _ in range(4):
            trigger = asyncio.create_task(first_event(revived(deferral.trigger)))
            await asyncio.sleep(dice.uniform(0.0, 1.5))
            trigger.cancel()
            await asyncio.wait([trigger])
        return (await first_event(revived(deferral.trigger))).payload

    check(fast, task, deferral, asyncio.run(live()))


@pytest.mark.parametrize("mode", [*MODES, "none"])
def test_two_triggerers_at_once_start_each_row_once(fast, task, mode):
    fast.sandbox.settings.update({"idempotency": mode})
    deferral = task.defers()

    async def live():
        events = await asyncio.gather(*(first_event(revived(deferral.trigger)) for _ in range(2)))
        return events[0].payload

    check(fast, task, deferral, asyncio.run(live()))


@pytest.mark.parametrize("mode", MODES)
def test_triggerer_that_was_frozen_finds_that_another_goes_on(fast, task, monkeypatch, mode):
    fast.sandbox.settings.update({"idempotency": mode})
    fast.inject(route="/generate", behavior=RunBehavior(seconds=0.5), times=None)
    deferral = task.defers()
    add, frozen = BatchLedger.add, []

    def freeze(self, records):
        if not frozen:
            frozen.append(self.writer)
        if self.writer == frozen[0] and len(frozen) < 12:
            frozen.append(self.writer)
            if len(frozen) == 10:
                import time

                time.sleep(2.0)  # its signs of life stop, too: they come from the same thread
        return add(self, records)

    monkeypatch.setattr(BatchLedger, "add", freeze)

    async def live():
        first = asyncio.create_task(first_event(revived(deferral.trigger)))
        await asyncio.sleep(0.3)
        second = asyncio.create_task(first_event(revived(deferral.trigger)))
        return [(await one).payload for one in (first, second)]

    payloads = asyncio.run(live())
    assert payloads[0] == payloads[1]
    check(fast, task, deferral, payloads[0])
    assert ledger.LEASE > ledger.BEAT * 2
