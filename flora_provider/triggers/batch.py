"""A batch, in the triggerer: one deferral for all its rows, which are started and awaited here.

Its ledger is in the batch's folder, so it is as durable here as in a worker, and a worker would have to be started for
each handful of rows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from inspect import signature
from traceback import format_tb
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from flora_provider.api.errors import FloraError
from flora_provider.triggers.ending import hold_for
from flora_provider.triggers.payload import error_text, keepable, sendable
from flora_provider.triggers.supervisor import in_thread, is_cancelled

if TYPE_CHECKING:
    from flora_provider.batch.plan import PlannedRow
    from flora_provider.batch.progress import Progress
    from flora_provider.batch.rules import BatchEnd
    from flora_provider.runs.event import RunEvent

PROGRESS = "progress"
"""The XCom with the counts of a batch, renewed while it goes on: `flora_provider.batch.progress.Progress`."""


class FloraBatchTrigger(BaseTrigger):
    """Start and await the rows of a batch, then fire an event that says why that ended: `BatchEnd`.

    What became of each row is in the batch's ledger. It holds no secret and no row.

    Args:
        folder: of the batch: its plan and its ledger.
        plan: the name of the plan in it.
        options: the members of `flora_provider.batch.rules.BatchOptions` but `connection`.
        flora_conn_id: the connection.
        budget: the members of a `FloraBudget`; None for none.
        not_before: unix seconds before which no worker is asked to go on: see `hold_for`.
    """

    def __init__(
        self,
        *,
        folder: str,
        plan: str,
        options: dict[str, Any],
        flora_conn_id: str,
        budget: dict[str, Any] | None = None,
        not_before: float = 0.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.folder = folder
        self.plan = plan
        self.options = options
        self.flora_conn_id = flora_conn_id
        self.budget = budget
        self.not_before = not_before

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where to find this class, and what to make it with."""
        names = signature(FloraBatchTrigger).parameters
        return "flora_provider.triggers.batch.FloraBatchTrigger", {
            name: keepable(getattr(self, name)) for name in names
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Do it, and yield one event; nothing else leaves it, as of `FloraRunTrigger`."""
        taken_over, hold = time.monotonic(), hold_for(self.not_before)
        end = await self.end()
        if self.trigger_id is not None:
            await asyncio.sleep(max(0.0, taken_over + hold - time.monotonic()))
        payload = {"folder": self.folder, "plan": self.plan, "end": asdict(end)}
        yield TriggerEvent(sendable(payload))  # type: ignore[no-untyped-call]  # Airflow's

    async def end(self) -> BatchEnd:
        """Do it, and return why it ended, whatever is raised in it."""
        from flora_provider.batch.rules import BatchEnd
        from flora_provider.runs.errors import is_final

        try:
            return await self._run()
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except FloraError as error:
            return BatchEnd(reason="stopped", detail=str(error), is_final=is_final(error))
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                raise
            why = error_text(error)
            # Frames only: what an exception says may hold an address that is signed.
            frames = "".join(format_tb(error.__traceback__))
            self.log.error("The batch broke off with %s, raised at\n%s", why, frames)  # noqa: TRY400 - see above
            return BatchEnd(reason="stopped", detail=f"the batch broke off with {why}; the triggerer's log has more")

    async def _run(self) -> BatchEnd:
        from flora_provider.batch.board import Board
        from flora_provider.batch.commits import Commits
        from flora_provider.batch.ledger import BatchLedger
        from flora_provider.batch.plan import LARGEST_PLAN, load_plan
        from flora_provider.batch.rules import BatchOptions
        from flora_provider.batch.runner import BatchRunner, Surroundings
        from flora_provider.files.storage import open_folder
        from flora_provider.telemetry.metrics import connect
        from flora_provider.triggers.clients import ConnectionClients
        from flora_provider.triggers.shared_poller import waits_over

        await connect()
        commits = Commits()
        try:
            folder = await commits.call(lambda: open_folder(self.folder))
            plan = self.plan
            rows = await commits.call(
                lambda: list(load_plan(folder.read(plan, at_most=LARGEST_PLAN), folder.path(plan)))
            )
            async with ConnectionClients(self.flora_conn_id) as clients:
                connection = f"{self.flora_conn_id} {clients.current.settings.base_url}"
                options = BatchOptions(connection=connection, **self.options)
                self.log.info("%d rows; what is known of them is in %s", len(rows), folder.path(""))
                waits = waits_over(self.flora_conn_id)
                around = Surroundings(
                    clients=clients,
                    wait=lambda poller: waits.wait_for(poller, clients.current.settings),
                    tell=self._tell,
                    report=_report,
                    **(await commits.call(self._budget)),
                )
                runner = BatchRunner(Board(rows, options), BatchLedger(folder, connection), commits, around)
                with waits.kept_open(clients.current.settings):
                    return await runner.run()
        finally:
            commits.close()

    def _budget(self) -> dict[str, Any]:
        """The members of `Surroundings` about the budget."""
        if self.budget is None:
            return {}
        from flora_provider.batch.pricing import budget_of
        from flora_provider.budget import FloraBudget
        from flora_provider.budget.account import AddEntry, ListEntries
        from flora_provider.budget.storage import open_store

        budget = FloraBudget(**self.budget)
        store = open_store(budget.store)

        def of_row(row: PlannedRow) -> Any:
            return budget_of(row, budget)

        return {"budget": of_row, "handlers": {ListEntries: store.names, AddEntry: store.add}}

    async def _tell(self, progress: Progress) -> None:
        """To the task's log, and to XCom; the batch goes on if Airflow does not take that."""
        self.log.info("%s", progress)
        try:
            await in_thread(lambda: self._push(progress.to_dict()))
        except Exception as error:  # noqa: BLE001 - whatever it is, runs are being paid for
            self.log.warning("XCom %r was not pushed: %s", PROGRESS, error_text(error))

    def _push(self, value: dict[str, Any]) -> None:
        from airflow.providers.common.compat.sdk import XCom

        ti: Any = self.task_instance
        if ti is None:  # dag.test()
            return
        where = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": ti.map_index}
        XCom.set(key=PROGRESS, value=value, **where)

    async def on_kill(self) -> None:
        """Say what becomes of the batch; another triggerer may be going on with it, so this changes nothing."""
        self.log.info(
            "No longer going on with the batch in %s here. Runs that were started cannot be cancelled: they go on and "
            "are billed; a retry of the task takes them",
            self.folder,
        )


def _report(event: RunEvent, request: Mapping[str, Any]) -> None:
    """Count and trace a run that has ended."""
    from flora_provider.telemetry.metrics import count_ended
    from flora_provider.telemetry.spans import trace_ended

    count_ended(event)
    trace_ended(event, lambda: request)
