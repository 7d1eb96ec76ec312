"""Flows that check a request against the catalog, which is read at most once per hour and process. Pure.

A catalog that cannot be had refuses nothing: the request is then sent unchecked, after one warning.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar

from flora_provider.api import calls
from flora_provider.api.calls.base import Call
from flora_provider.api.calls.pagination import PageWalk
from flora_provider.api.calls.sending import send_call
from flora_provider.api.errors import FloraError, FloraInputError, FloraNotFoundError
from flora_provider.api.http.flow import Flow, FlowContext
from flora_provider.api.http.retry_policy import RetryPolicy
from flora_provider.api.models import Action, Model, Technique
from flora_provider.api.settings import Settings
from flora_provider.catalog.messages import safe_repr
from flora_provider.catalog.reading import read_action, read_models, read_technique

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

MAX_AGE = 3600.0  # seconds after which a copy is read again
REFUSING_AGE = 60.0  # seconds after which a copy is read again before it refuses a request
UNAVAILABLE_FOR = 60.0  # seconds for which a catalog that could not be had is not asked for again
_POLICY = RetryPolicy(max_retries=1, max_retry_after=10.0, budget=60.0)

Judge: TypeAlias = Callable[[T | None], tuple[R, list[str]]]


@dataclass(frozen=True, slots=True)
class CatalogCopy(Generic[T]):
    """A part of the catalog as it was read; `definition` is None if it could not be had. `at` as of `steady()`."""

    definition: T | None
    at: float


class CatalogCache:
    """Parts of the catalog by account, path and query.

    Args:
        max_entries: the oldest is dropped when there are more.
    """

    def __init__(self, max_entries: int = 256) -> None:
        self._max_entries = max_entries
        self._copies: dict[tuple[Any, ...], CatalogCopy[Any]] = {}

    def __len__(self) -> int:
        """How many parts it holds."""
        return len(self._copies)

    def get(self, key: tuple[Any, ...], *, now: float) -> CatalogCopy[Any] | None:
        """The copy under this key, unless it is too old; a failure grows old sooner."""
        copy = self._copies.get(key)
        if copy is None:
            return None
        max_age = UNAVAILABLE_FOR if copy.definition is None else MAX_AGE
        return copy if 0 <= now - copy.at <= max_age else None

    def put(self, key: tuple[Any, ...], copy: CatalogCopy[Any]) -> None:
        """Keep a copy; threads may do so at the same time."""
        self._copies.pop(key, None)
        self._copies[key] = copy
        for oldest in list(self._copies)[: -self._max_entries]:
            self._copies.pop(oldest, None)

    def clear(self) -> None:
        """Forget everything."""
        self._copies.clear()


CACHE = CatalogCache()


def account_of(settings: Settings) -> tuple[str, str]:
    """What a cache knows a connection by: its base URL and a hash of its key, for keys see different techniques."""
    return settings.base_url, hashlib.sha256(settings.api_key.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup(Generic[T]):
    """Where a part of the catalog is found.

    Attributes:
        name: of what it is, for messages.
        call: asks for it; its answer is the definition or, where `pages` is set, one page of it.
        remedy: what to do if there is no such thing.
        pages: whether it is a list in pages, whose items are the definition.
    """

    name: str
    call: Call[Any]
    remedy: str = ""
    pages: bool = False


def model_lookup() -> Lookup[tuple[Model, ...]]:
    """All models, of every type."""
    return Lookup(name="the list of models", call=replace(calls.list_models(), read=read_models), pages=True)


def technique_lookup(technique: str) -> Lookup[Technique]:
    """One technique's definition, by id or slug.

    Raises:
        FloraInputError: it is neither.
    """
    call = replace(calls.get_technique(technique), read=read_technique)
    remedy = "hook.iter_techniques() names those that this API key sees"
    return Lookup(name=f"technique {safe_repr(technique)}", call=call, remedy=remedy)


def action_lookup(action_id: str) -> Lookup[Action]:
    """One action's definition.

    Raises:
        FloraInputError: it is no id.
    """
    call = replace(calls.get_action(action_id), read=read_action)
    return Lookup(
        name=f"action {safe_repr(action_id)}", call=call, remedy="hook.list_actions() names those that there are"
    )


def models(
    context: FlowContext, account: tuple[str, str], *, cache: CatalogCache = CACHE
) -> Flow[tuple[Model, ...] | None]:
    """All models; None, after a warning, if they cannot be had."""
    return (yield from read_copy(model_lookup(), context, account, cache=cache)).definition


def technique(
    technique: str, context: FlowContext, account: tuple[str, str], *, cache: CatalogCache = CACHE
) -> Flow[Technique | None]:
    """A technique's definition, by id or slug; None, after a warning, if it cannot be had.

    Raises:
        FloraInputError: FLORA knows no such technique, or does not show it to this key.
    """
    return (yield from read_copy(technique_lookup(technique), context, account, cache=cache)).definition


def action(
    action_id: str, context: FlowContext, account: tuple[str, str], *, cache: CatalogCache = CACHE
) -> Flow[Action | None]:
    """An action's definition; None, after a warning, if it cannot be had.

    Raises:
        FloraInputError: FLORA knows no such action.
    """
    return (yield from read_copy(action_lookup(action_id), context, account, cache=cache)).definition


def checked(
    lookup: Lookup[T],
    judge: Judge[T, R],
    context: FlowContext,
    account: tuple[str, str],
    *,
    cache: CatalogCache = CACHE,
) -> Flow[tuple[R, list[str]]]:
    """What `judge` says of a definition. Before it refuses by a copy older than a minute, the copy is read again.

    Args:
        lookup: what to judge by.
        judge: from the definition, None if it could not be had, to its result and all problems; called up to twice.
        context: the client's.
        account: the connection, as `account_of` names it.
        cache: of the process.
    """
    copy, unknown = yield from _read_or_problems(lookup, context, account, cache=cache, afresh=False)
    result, found = judge(copy.definition)
    if found and copy.definition is not None and context.steady() - copy.at > REFUSING_AGE:
        copy, unknown = yield from _read_or_problems(lookup, context, account, cache=cache, afresh=True)
        result, found = judge(copy.definition)
    return result, [*unknown, *found]


def _read_or_problems(
    lookup: Lookup[T], context: FlowContext, account: tuple[str, str], *, cache: CatalogCache, afresh: bool
) -> Flow[tuple[CatalogCopy[T], tuple[str, ...]]]:
    """The copy and no problem, or a copy of nothing and the problem that there is no such thing."""
    try:
        return (yield from read_copy(lookup, context, account, cache=cache, afresh=afresh)), ()
    except FloraInputError as unknown:
        return CatalogCopy(None, context.steady()), unknown.problems


def read_copy(
    lookup: Lookup[T],
    context: FlowContext,
    account: tuple[str, str],
    *,
    cache: CatalogCache = CACHE,
    afresh: bool = False,
) -> Flow[CatalogCopy[T]]:
    """The copy in the cache, or else a new one.

    Args:
        lookup: what to read.
        context: the client's; of its policy, at most one retry is left.
        account: the connection, as `account_of` names it.
        cache: of the process.
        afresh: read it, whatever the cache has. If that fails, a copy in the cache is returned all the same.

    Raises:
        FloraInputError: FLORA has answered that there is no such thing.
    """
    key = (*account, lookup.call.url, lookup.call.query)
    kept = cache.get(key, now=context.steady())
    if kept is not None and not afresh:
        return kept
    once = replace(context, policy=replace(_POLICY, max_retries=min(context.policy.max_retries, _POLICY.max_retries)))
    definition: T | None
    try:
        definition = yield from (_read_pages(lookup, once) if lookup.pages else send_call(lookup.call, once))
    except FloraError as failure:
        # Without a code, a proxy or another host has answered.
        if isinstance(failure, FloraNotFoundError) and failure.code and lookup.remedy:
            raise FloraInputError(f"{lookup.name} is unknown to FLORA: {lookup.remedy}") from failure
        if kept is not None:
            log.warning(
                "%s could not be read again (%s); the request is checked by an older copy", lookup.name, failure
            )
            return kept
        log.warning("%s could not be read, so the request is sent unchecked: %s", lookup.name, failure)
        definition = None
    copy = CatalogCopy(definition, context.steady())
    cache.put(key, copy)
    return copy


def _read_pages(lookup: Lookup[Any], context: FlowContext) -> Flow[Any]:
    walk = PageWalk(lookup.call)
    items: list[Any] = []
    while walk.call is not None:
        items += walk.take((yield from send_call(walk.call, context)))
    return tuple(items)
