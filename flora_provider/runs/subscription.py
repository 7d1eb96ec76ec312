"""Who waits for a run, and is called when the wait ends."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from flora_provider.runs.event import RunEvent
from flora_provider.runs.poller import RunPoller


@dataclass(slots=True, eq=False)
class Subscription:
    """One wait for a run, and its callbacks.

    Attributes:
        poller: the run, and when to poll it.
        on_end: called with how the wait ended.
        on_refused: called when FLORA refuses to show the run and the wait goes on, for the connection may have changed.
        context: the subscriber's, so that log lines about its run go to its own log.
    """

    poller: RunPoller
    on_end: Callable[[RunEvent], None]
    on_refused: Callable[[], None] = lambda: None
    context: Context = field(default_factory=copy_context)
