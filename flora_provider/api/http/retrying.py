"""Retries of a request, as a flow. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from flora_provider.api.errors import FloraError
from flora_provider.api.http.flow import Flow, FlowContext, Sleep
from flora_provider.api.http.retry_policy import surely_untouched

T = TypeVar("T")
log = logging.getLogger(__name__)


def with_retries(attempt: Callable[[], Flow[T]], context: FlowContext, *, what: object, resendable: bool) -> Flow[T]:
    """Make attempts until one succeeds or the policy gives up; then its failure is raised.

    Args:
        attempt: one try, as a flow.
        context: whose policy says how often and how long.
        what: named in the log.
        resendable: whether trying twice does no more than trying once.
    """
    started, tried, untouched = context.steady(), 0, True
    while True:
        try:
            return (yield from attempt())
        except FloraError as failure:
            elapsed, random = context.steady() - started, context.random()
            wait = context.policy.delay(failure, attempt=tried, elapsed=elapsed, resendable=resendable, random=random)
            untouched = untouched and surely_untouched(failure)
            if wait is None:
                failure.started_nothing = untouched
                raise
            log.warning("%s: %s. Trying again in %.1f s", what, failure, wait)
        yield Sleep(wait)
        tried += 1
