"""A batch in one process, beside others that want to go on with it."""

import asyncio

from flora_provider.batch.board import Board
from flora_provider.batch.commits import Commits
from flora_provider.batch.ledger import LedgerTaken
from flora_provider.batch.rules import BatchEnd, BatchOptions
from flora_provider.batch.runner import BatchRunner, Surroundings


class ContestedLedger:
    """One that another process claims at the same moment, as often as is said."""

    def __init__(self, taken):
        self.taken = taken
        self.claims = 0

    def rival(self):
        return None

    def claim(self):
        self.claims += 1
        if self.claims <= self.taken:
            raise LedgerTaken

    def read(self):
        return {}

    def beat(self):
        pass

    def leave(self):
        pass


async def no_news(_):
    pass


def run(ledger):
    options = BatchOptions(batch="b", connection="c http://flora", attempt=1, max_in_flight=2)
    commits = Commits()
    try:
        runner = BatchRunner(
            Board([], options), ledger, commits, Surroundings(clients=None, wait=None, tell=no_news, report=None)
        )
        return asyncio.run(runner.run())
    finally:
        commits.close()


def test_runner_waits_for_another_that_claims_the_ledger_at_the_same_moment():
    ledger = ContestedLedger(taken=2)
    assert run(ledger) == BatchEnd(reason="done")
    assert ledger.claims == 3
