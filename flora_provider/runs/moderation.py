"""What follows a run that moderation has refused: another one with another seed, a few times. Pure."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict

from flora_provider.api.http.flow import Flow, FlowContext
from flora_provider.api.models import Run

if TYPE_CHECKING:
    from flora_provider.runs.ledger import LedgerRecord

log = logging.getLogger(__name__)


class ModeratedRun(BaseModel):
    """A run that moderation has refused.

    Attributes:
        run_id: its id.
        seed: that it had; None if its request gave none.
        code: FLORA's `error_code`.
        charged_cost_usd: as FLORA says; None where it does not, which is mostly so, for failed runs are not charged.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    seed: int | float | str | None = None
    code: str | None = None
    charged_cost_usd: float | None = None


class SeedParam(Protocol):
    """The parameter of a model that is its seed."""

    @property
    def name(self) -> str:
        """Its name among the model's parameters."""

    def derive(self, key: str, used: Collection[object]) -> int | None:
        """The seed of a key: always the same, and none of the used ones; None if there is no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSeeds:
    """How a run that moderation has refused is followed by one with another seed.

    Attributes:
        limit: how many runs may follow the first one.
        find: the seed of the request's model, or None, and why it has none; raises FloraError if that is not known now.
    """

    limit: int
    find: Callable[[FlowContext], Flow[tuple[SeedParam | None, list[str]]]]

    def members(
        self, context: FlowContext, record: LedgerRecord, run: Run, *, body: bytes, key: str
    ) -> Flow[dict[str, Any] | None]:
        """Members of the record of the next run; None if there is to be none.

        Args:
            context: the client's.
            record: of the run that was refused.
            run: that run.
            body: what its author has asked for.
            key: of the next run, which its seed is derived from.
        """
        if len(record.moderated) >= self.limit:
            before = _listed(record.moderated)
            log.warning("Moderation has refused %s, and %s before: no other seed is tried", run.run_id, before)
            return None
        param, found = yield from self.find(context)
        if param is None:
            log.warning("%s", "; ".join(found))
            return None
        asked = json.loads(body).get("params") or {}
        seed = record.seed.get(param.name, asked.get(param.name))
        log.info("Moderation has refused FLORA run %s (%s)", run.run_id, run.error_code)
        refused = ModeratedRun(
            run_id=run.run_id,
            seed=seed if isinstance(seed, int | float | str) else None,
            code=run.error_code,
            charged_cost_usd=None if run.charged_cost is None else float(run.charged_cost),
        )
        moderated = (*record.moderated, refused)
        following = param.derive(key, [one.seed for one in moderated])
        if following is None:
            log.warning("Moderation has refused every seed of the model: %s", _listed(moderated))
            return None
        log.info("Starting another run, with seed %d (%d of %d)", following, len(moderated), self.limit)
        return {"seed": {param.name: following}, "moderated": moderated}


def _listed(moderated: tuple[ModeratedRun, ...]) -> str:
    return ", ".join(f"{one.run_id} (seed {one.seed})" for one in moderated)
