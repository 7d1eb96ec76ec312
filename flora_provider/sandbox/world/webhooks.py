"""The webhooks FLORA sends when a run ends: what is in them, how they are signed, and when they are tried again.

Contract, section 8. Pure but for the clock; `sandbox/sending.py` sends them.
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
import itertools
import json
import math
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from flora_provider.sandbox.http.validation import LOOPBACK
from flora_provider.sandbox.settings import Settings
from flora_provider.sandbox.world.clock import Clock
from flora_provider.sandbox.world.runs import Run

API_VERSION = "2026-06-11"
RETRY_PAUSES = (10.0, 60.0, 300.0)
"""Seconds between two attempts at speed 1; `Settings.speed` shortens them as it shortens runs."""
TIMEOUT = 10.0
"""Seconds that a receiver has to answer, whatever the speed."""
STALE_SECONDS = 3600
KEPT = 1000
"""Deliveries that are listed, and that are kept when they are over."""

DeliveryState = Literal["pending", "delivered", "failed", "not_sent"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: unix seconds on the sandbox's clock, and the receiver's status or why there was none."""

    at: float
    status: int | None = None
    error: str = ""

    @property
    def is_acknowledged(self) -> bool:
        """Whether the receiver took it: any 2xx does."""
        return self.status is not None and self.status // 100 == 2  # noqa: PLR2004 - the HTTP success class


@dataclass(slots=True)
class Delivery:
    """A webhook on its way; `body` is the same in all its attempts."""

    number: int  # counted from 0
    delivery_id: str
    run: Run
    event: str
    body: bytes
    state: DeliveryState = "pending"
    due: float | None = None
    attempts: list[Attempt] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return how it went; the receiver's address without user and query, which may be secrets."""
        url = httpx.URL(self.run.request.callback_url)
        return {
            "id": self.delivery_id,
            "type": self.event,
            "run_id": self.run.run_id,
            "url": str(url.copy_with(userinfo=b"", query=None, fragment=None)),
            "state": self.state,
            "next_attempt": self.due,
            "attempts": [{"at": item.at, "status": item.status, "error": item.error} for item in self.attempts],
        }


class Webhooks:
    """The deliveries of a sandbox. Calls may come from several threads."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._numbers = itertools.count()
        self._waiting: list[tuple[float, int, Delivery]] = []  # a heap by due time
        self._on_the_way: dict[str, Delivery] = {}
        self._over: deque[Delivery] = deque(maxlen=KEPT)
        self._states: Counter[str] = Counter()
        self._lock = threading.Lock()

    def register(self, run: Run, delivery_id: str) -> None:
        """Call back when a run ends, if it ever does."""
        if not math.isfinite(run.seconds):
            return
        event, body = _body(run, delivery_id)
        with self._lock:
            delivery = Delivery(next(self._numbers), delivery_id, run, event, body)
            if httpx.URL(run.request.callback_url).host in LOOPBACK:
                self._wait(delivery, run.created_at + run.seconds)
            else:
                self._end(delivery, "not_sent")

    def take_due(self, most: float = math.inf) -> list[Delivery]:
        """Return what is to be sent now; each is to be reported with `record` afterwards.

        What is more than `most` on the way, the earlier ones included, stays due.
        """
        now, found = self._clock.now(), []
        with self._lock:
            while self._waiting and self._waiting[0][0] <= now and len(self._on_the_way) < most:
                delivery = heapq.heappop(self._waiting)[2]
                if len(delivery.attempts) < delivery.run.behavior.webhook_failures:
                    self._record(delivery, Attempt(now, 500, "as the run's behavior asks"))
                else:
                    self._on_the_way[delivery.delivery_id] = delivery
                    found.append(delivery)
        return found

    def headers(self, delivery: Delivery, t: int) -> dict[str, str]:
        """Return the headers of an attempt that is made at `t`, in unix seconds."""
        form = delivery.run.behavior.webhook_signature
        secrets = [self._settings.webhook_secret or ""]
        if self._settings.webhook_secret_before:
            secrets.append(self._settings.webhook_secret_before)
        if form == "bad":
            secrets = ["whsec_of_somebody_else"]
        return {
            "content-type": "application/json",
            "Flora-Signature": sign_webhook(t - (STALE_SECONDS if form == "stale" else 0), delivery.body, *secrets),
            "Flora-Webhook-Id": delivery.delivery_id,
            "Flora-Event": delivery.event,
        }

    def record(self, delivery: Delivery, status: int | None, error: str = "") -> None:
        """Take note of an attempt, and plan the next one: after a failure, or for a duplicate that was asked for."""
        with self._lock:
            del self._on_the_way[delivery.delivery_id]
            self._record(delivery, Attempt(self._clock.now(), status, error))

    def _record(self, delivery: Delivery, attempt: Attempt) -> None:
        delivery.attempts.append(attempt)
        acknowledged = sum(item.is_acknowledged for item in delivery.attempts)
        failed = len(delivery.attempts) - acknowledged
        if acknowledged > delivery.run.behavior.webhook_duplicates:
            self._end(delivery, "delivered")
        elif acknowledged and attempt.is_acknowledged:
            self._wait(delivery, attempt.at)
        elif failed <= len(RETRY_PAUSES):
            self._wait(delivery, attempt.at + RETRY_PAUSES[failed - 1] / self._settings.speed)
        else:
            self._end(delivery, "delivered" if acknowledged else "failed")

    def newest_first(self) -> list[Delivery]:
        """Return the newest `KEPT` deliveries."""
        with self._lock:
            rows = [*(row[2] for row in self._waiting), *self._on_the_way.values(), *self._over]
        return heapq.nlargest(KEPT, rows, key=lambda row: row.number)

    def count_by_state(self) -> dict[str, int]:
        """Return how many deliveries came to which end, and how many have not."""
        with self._lock:
            return {**self._states, "pending": len(self._waiting) + len(self._on_the_way)}

    def _wait(self, delivery: Delivery, due: float) -> None:
        delivery.due = due
        heapq.heappush(self._waiting, (due, delivery.number, delivery))

    def _end(self, delivery: Delivery, state: DeliveryState) -> None:
        delivery.state, delivery.due = state, None
        self._states[state] += 1
        self._over.append(delivery)


def _body(run: Run, delivery_id: str) -> tuple[str, bytes]:
    """Return event and body of the webhook of a run's end."""
    failed = run.behavior.error_code is not None
    event = "run.failed" if failed else "run.completed"
    data: dict[str, Any] = {
        "run_id": run.run_id,
        "run_type": run.run_type,
        "workspace_id": run.request.workspace_id,
        "status": "failed" if failed else "completed",
    }
    if failed:
        data["error_code"] = run.behavior.error_code
        if run.behavior.error_message is not None:
            data["error_message"] = run.behavior.error_message
    created_at = round((run.created_at + run.seconds) * 1000)
    envelope = {"id": delivery_id, "type": event, "api_version": API_VERSION, "created_at": created_at, "data": data}
    return event, json.dumps(envelope, separators=(",", ":")).encode()


def sign_webhook(t: int, body: bytes, *secrets: str) -> str:
    """Return the `Flora-Signature` header of a body sent at `t` (unix seconds), under one or more `whsec_…` secrets."""
    message = f"{t}.".encode() + body
    digests = [hmac.new(secret.encode(), message, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={t}", *(f"v1={digest}" for digest in digests)])
