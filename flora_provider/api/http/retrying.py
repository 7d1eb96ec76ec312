"""Retries of a request. Pure."""

from __future__ import annotations

import logging

from flora_provider.api.errors import FloraError
from flora_provider.api.http.flow import FlowContext, Sleep
from flora_provider.api.http.retry_policy import surely_untouched

log = logging.getLogger(__name__)


class Retries:
    """The retries of one request, from its first attempt on.

    Args:
        context: whose policy says how often and how long.
        what: named in the log.
        resendable: whether trying twice does no more than trying once.
    """

    def __init__(self, context: FlowContext, *, what: object, resendable: bool) -> None:
        self._context, self._what, self._resendable = context, what, resendable
        self._started, self._tried, self._untouched = context.steady(), 0, True

    def pause(self, failure: FloraError) -> Sleep:
        """What is to pass before the next attempt; raises the failure where the policy gives up."""
        elapsed, random = self._context.steady() - self._started, self._context.random()
        wait = self._context.policy.delay(
            failure, attempt=self._tried, elapsed=elapsed, resendable=self._resendable, random=random
        )
        self._tried += 1
        self._untouched = self._untouched and surely_untouched(failure)
        if wait is None:
            failure.started_nothing = self._untouched
            raise failure
        log.warning("%s: %s. Trying again in %.1f s", self._what, failure, wait)
        return Sleep(wait)
