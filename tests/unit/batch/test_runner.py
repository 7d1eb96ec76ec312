"""A batch in one process, beside others that want to go on with it."""

import asyncio

import pytest

from flora_provider.batch.board import Board
from flora_provider.batch.commits import Commits
from flora_provider.batch.ledger import LedgerTaken
from flora_provider.batch.plan import PlannedRow
from flora_provider.batch.records import RowRecord
from flora_provider.batch.rules import BatchEnd, BatchOptions
from flora_provider.batch.runner import BatchRunner, Surroundings
from flora_provider.runs.event import RunEvent


class ContestedLedger:
    """One with some records, which another process claims at the same moment, as often as is said."""

    def __init__(self, taken=0, records=()):
        self.taken = taken
        self.claims = 0
        self.records = {record.row: record for record in records}
        self.added = []

    def rival(self):
        return None

    def claim(self):
        self.claims += 1
        if self.claims <= self.taken:
            raise LedgerTaken

    def read(self):
        return dict(self.records)

    def add(self, records):
        self.added.extend(records)

    def beat(self):
        pass

    def leave(self):
        pass


async def no_news(_):
    pass


def run(ledger, rows=(), *, wait=None, reports=None):
    options = BatchOptions(batch="b", connection="c http://flora", attempt=2, max_in_flight=2)
    commits = Commits()

    def report(event, _):
        reports.append(event)

    try:
        around = Surroundings(clients=None, wait=wait, tell=no_news, report=report)
        return asyncio.run(BatchRunner(Board(list(rows), options), ledger, commits, around).run())
    finally:
        commits.close()


def test_runner_waits_for_another_that_claims_the_ledger_at_the_same_moment():
    ledger = ContestedLedger(taken=2)
    assert run(ledger) == BatchEnd(reason="done")
    assert ledger.claims == 3


ROW = PlannedRow(number=1, row="a", request={"type": "image", "prompt": "fern"})
UNBILLED = RowRecord(row="a", state="completed", run_id="run_1", quoted_cost=0.04, attempt=1)
RUN = {"run_id": "run_1", "status": "completed", "outputs": [{"output_id": "out_1"}], "charged_cost": 0.05}


def test_bill_that_another_process_waited_for_is_awaited():
    async def billed(poller):
        return RunEvent(kind="ended", run_id=poller.ref.run_id, run=RUN)

    ledger, reports = ContestedLedger(records=[UNBILLED]), []
    assert run(ledger, [ROW], wait=billed, reports=reports) == BatchEnd(reason="done")
    assert [(record.state, record.cost, record.run) for record in ledger.added] == [("completed", 0.05, RUN)]
    assert len(reports) == 1


def test_run_is_reported_when_its_bill_is_there_and_not_before():
    events = [RunEvent(kind="ended", run_id="run_1", run={**RUN, "charged_cost": cost}) for cost in (None, 0.05)]
    billed = events[-1]

    async def wait(_):
        return events.pop(0)

    ledger, reports = ContestedLedger(records=[UNBILLED.with_(state="started")]), []
    assert run(ledger, [ROW], wait=wait, reports=reports) == BatchEnd(reason="done")
    assert [record.charged_cost for record in ledger.added] == [None, 0.05]
    assert reports == [billed]


@pytest.mark.parametrize(
    "event",
    [
        RunEvent(kind="refused", run_id="run_1", detail="403"),
        RunEvent(kind="ended", run_id="run_1", run={**RUN, "status": "failed"}, error_code="provider_error"),
        RunEvent(kind="ended", run_id="run_1", run={**RUN, "outputs": []}),
        RunEvent(kind="ended", run_id="run_1", run={**RUN, "charged_cost": None}),
    ],
)
def test_row_that_completed_stays_so_whatever_comes_instead_of_its_bill(event):
    async def wait(_):
        return event

    ledger = ContestedLedger(records=[UNBILLED])
    assert run(ledger, [ROW], wait=wait, reports=[]) == BatchEnd(reason="done")
    assert ledger.added == []
