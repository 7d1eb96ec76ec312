"""A request that starts a run: how it is sent, compared, stored, and searched for. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from flora_provider.api import calls
from flora_provider.api.calls.base import canonical_json
from flora_provider.api.calls.sending import send_call
from flora_provider.api.errors import FloraError, RunOutcomeOpen
from flora_provider.api.http.flow import Flow, FlowContext
from flora_provider.api.models import Page, Run, RunStatus
from flora_provider.api.text import short_repr
from flora_provider.api.urls import redact_urls
from flora_provider.runs.effects import SubmitFlow
from flora_provider.runs.ledger import LedgerRecord, fingerprint_of
from flora_provider.runs.moderation import NewSeeds
from flora_provider.runs.ref import RunRef


class RunBudget(Protocol):
    """What runs may cost together. Its flows yield effects of its own; `at` is the time of a record's intent."""

    def reserve(self, context: FlowContext, key: str, at: float) -> Generator[Any, Any, None]:
        """Reserve for the run of a key. Raises FloraError: nothing may be started now."""

    def settle(self, key: str, at: float, cost: float) -> Generator[Any, Any, None]:
        """Replace the reservation by what the run costs, in USD. Raises nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What is sent to start a run.

    Attributes:
        call: starts it; without its key.
        connection: id and base URL of the connection, one space between them.
        template: fingerprint of what its author wrote; empty if that is not known.
        check: finds what is wrong with it, one sentence each, before it is sent; None to send it unchecked.
        budget: where its price is reserved before it is sent; None for no limit.
        new_seeds: what follows a run that moderation has refused; None if nothing does.
        candidates: which call lists runs that may be a lost one; None when the history cannot be searched.
        search_for: what a row of that history must say, by attribute; a row that does not say it may be the run.
        technique: id or slug, if the nested route of that technique starts the run; else None.
    """

    call: calls.Call[Any]
    connection: str
    template: str = ""
    check: Callable[[FlowContext], Flow[list[str]]] | None = None
    budget: RunBudget | None = None
    new_seeds: NewSeeds | None = None
    candidates: calls.Call[Page[Any]] | None = None  # of Generation or TechniqueRun
    search_for: Mapping[str, str] = field(default_factory=dict)
    technique: str | None = None

    @property
    def fingerprint(self) -> str:
        """Equal for equal requests over the same connection only."""
        return fingerprint_of(self.connection, self.call.url, self.call.body)

    def ref(self, run_id: str) -> RunRef:
        """A run that this request has started."""
        return RunRef(run_id, self.technique)

    def send(self, context: FlowContext, record: LedgerRecord, *, fresh: bool) -> SubmitFlow[Any]:
        """Reserve what it costs, and send it with the key of its record; `fresh` if no earlier try has sent that."""
        if self.budget:
            try:
                yield from self.budget.reserve(context, record.key, record.intended_at)
            except FloraError as refusal:
                if fresh:
                    raise
                raise RunOutcomeOpen(
                    f"{refusal}. An earlier try may have started the run, which a retry finds once the budget allows",
                    run_id=None,
                ) from refusal
        try:
            return (yield from send_call(self._call(record.seed).with_key(record.key), context))
        except FloraError as error:
            if self.budget and error.started_nothing and fresh:
                yield from self.budget.settle(record.key, record.intended_at, 0.0)
            raise

    def _call(self, seed: Mapping[str, int]) -> calls.Call[Any]:
        """The call with another seed than its author asked for, if there is one."""
        if not seed:
            return self.call
        body = json.loads(self.call.body)
        return replace(self.call, body=canonical_json({**body, "params": {**(body.get("params") or {}), **seed}}))

    def settle(self, record: LedgerRecord, quote: float | None, run: Run | None) -> SubmitFlow[None]:
        """Charge what a run costs: nothing if it has failed, else its bill or, before that, FLORA's quote."""
        cost = quote if run is None or run.charged_cost is None else float(run.charged_cost)
        if run is not None and run.status == RunStatus.FAILED:
            cost = 0.0
        if self.budget and cost is not None:
            yield from self.budget.settle(record.key, record.intended_at, cost)

    def stored_members(self) -> dict[str, Any]:
        """What a record keeps of it. A body that holds an address with a query, which may be signed, is not kept."""
        body = self.call.body.decode()
        return {
            "fingerprint": self.fingerprint,
            "template": self.template,
            "connection": self.connection,
            "path": self.call.url,
            "body": self.call.body if redact_urls(body) == body else b"",
            "search_path": self.candidates.url if self.candidates else "",
            "search_query": self.candidates.query if self.candidates else (),
            "search_for": dict(self.search_for),
        }

    def as_stored(self, record: LedgerRecord) -> RunRequest | None:
        """The request of a record, to be sent again byte for byte; None if it went elsewhere or was not kept."""
        base_urls = {connection.rpartition(" ")[2] for connection in (record.connection, self.connection)}
        if not record.body or len(base_urls) > 1:
            return None
        candidates = self.candidates and replace(self.candidates, url=record.search_path, query=record.search_query)
        return replace(
            self,
            call=replace(self.call, url=record.path, body=record.body),
            connection=record.connection,
            template=record.template,
            candidates=candidates if record.search_path else None,
            search_for=record.search_for,
        )


def differences(record: LedgerRecord, request: RunRequest) -> str:
    """In words, how a request differs from the one of a record; without what addresses may be signed with."""
    found: list[tuple[str, Any, Any]] = []
    if record.connection != request.connection:
        found.append(("connection", record.connection, request.connection))
    if record.path != request.call.url:
        found.append(("path", record.path, request.call.url))
    old = dict(_members(json.loads(record.body))) if record.body else None
    new = dict(_members(json.loads(request.call.body)))
    if old is not None:
        names = dict.fromkeys((*old, *new))
        found += [(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]
    described = [f"{name} was {short_repr(before)}, is {short_repr(after)}" for name, before, after in found]
    if old is None:
        described.append("the earlier request held an address that may be signed, so its text was not kept")
    return redact_urls("; ".join(described))


def _members(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, member in value.items():
        if isinstance(member, dict):
            yield from _members(member, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", member
