"""Faults on request: what goes wrong, with which calls, how often (contract, appendix B)."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, get_args

from pydantic import ConfigDict

from flora_provider.sandbox.http.delivery import DeliveredResponse, Delivery
from flora_provider.sandbox.http.paging import cursor_of
from flora_provider.sandbox.http.responses import ApiError, ApiResponse, EncodedResponse, invalid
from flora_provider.sandbox.http.validation import CLOSED, AnyText, Flag, Integer, Number
from flora_provider.sandbox.world.clock import Clock
from flora_provider.sandbox.world.run_behavior import RunBehavior

_SENTENCES = {
    400: ("input_validation_error", "Invalid input."),
    401: ("invalid_api_key", "Invalid API key."),
    402: ("insufficient_credits", "Insufficient credits. available: 0.00"),
    403: ("forbidden", "Forbidden."),
    404: ("not_found", "Not found."),
    409: ("conflict", "Conflict."),
    429: ("rate_limited", "Rate limit exceeded."),
    500: ("internal_error", "An internal error occurred."),
    503: ("service_unavailable", "Service unavailable."),
}
_BEYOND_ANY_LIST = 1_000_000


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with some calls.

    Examples:
        * FLORA is overloaded twice: `Fault("/generate", status=429, headers={"retry-after": "2"}, times=2)`
        * a proxy's error page: `Fault(status=502, body="<html>Bad gateway</html>", content_type="text/html")`
        * the key is revoked during a wait: `Fault("/runs/{run_id}", status=401, skip=2, times=None)`
        * the run is created, the answer lost: `Fault("/generate", delivery="drop", after=True)`
        * 5xx after creation: `Fault("/generate", status=500, after=True)`
        * an answer later than the client waits: `Fault("/generate", delay=90)`
        * a cut-off body: `Fault("/generations", delivery="cut")`; a slow loris: `Fault(delivery="trickle", delay=1)`
        * 10 MB page, gzip bomb: `Fault(status=500, body="", pad=10_000_000)`, and `gzip=True`
        * an unknown status for three polls: `Fault("/runs/{run_id}", edit={"status": "thinking"}, times=3)`
        * wrong type, missing member: `Fault("/generate", edit={"run_id": 7}, without=("poll_url",))`
        * the next run fails: `Fault("/generate", behavior=RunBehavior(error_code="provider_error"))`
        * a page leaves a run out for 10 s: `Fault("/generations", omit=run_id, times=None, seconds=10)`
        * only one of many tasks is hit: `Fault("/generate", containing="A fern", delivery="drop", after=True)`
        * nobody listens for 10 s: `Fault(delivery="refuse", times=None, seconds=10)`
        * a run is gone for 10 s: `Fault(run_id=run_id, status=404, times=None, seconds=10)`

    Attributes:
        route: Template of the path below `/api/v1`, e.g. `/runs/{run_id}`; for the stores the whole path, e.g.
            `/media/{run_id}/{file}`. None: any but the sandbox's own controls.
        method: HTTP method; None: any.
        run_id: Only calls with this id in their path.
        containing: Only calls with this text in their body, e.g. their prompt.
        skip: Calls to let pass first.
        times: Calls it affects; None: all.
        seconds: How long it lasts on the sandbox's clock; None: until it has been used up.
        status: Answer this instead, with code and message that fit unless given.
        code: `error.code` of the answer.
        message: `error.message` of the answer.
        headers: Headers to add to the answer.
        body: Answer this text instead of JSON; status 200 unless given.
        content_type: Of `body`.
        after: Carry the call out first, then answer with the fault: what was created is created, and billed.
        edit: Members to put into the JSON answer; objects are merged, anything else replaces.
        without: Members to leave out of the JSON answer.
        omit: Id of a run whose row is left out of a list.
        overlap: Rows by which a page with a cursor starts too early, i.e. repeats the page before.
        dangling_cursor: The last page names a next one, and so does the empty page behind it.
        pad: Spaces to append to the body.
        gzip: Compress the body (with `pad`: a bomb).
        delay: Seconds before the answer; for `trickle` between its bytes.
        delivery: What happens to the connection; see `Delivery`. `refuse` and `drop` come before the call is carried
            out unless `after`.
        behavior: What becomes of a run that this call starts.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CLOSED

    route: str | None = None
    method: str | None = None
    run_id: str | None = None
    containing: AnyText | None = None
    skip: Integer = 0
    times: Integer | None = 1
    seconds: Number | None = None
    status: Integer | None = None
    code: AnyText | None = None
    message: AnyText | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: AnyText | None = None
    content_type: str = "application/json"
    after: Flag = False
    edit: dict[AnyText, Any] = field(default_factory=dict)
    without: tuple[AnyText, ...] = ()
    omit: str | None = None
    overlap: Integer = 0
    dangling_cursor: Flag = False
    pad: Integer = 0
    gzip: Flag = False
    delay: Number = 0.0
    delivery: Delivery | None = None
    behavior: RunBehavior | None = None

    def matches(self, method: str, route: str, path: dict[str, str], body: bytes) -> bool:
        """Whether this fault is about such a call."""
        return (
            self.route in (None, route)
            and self.method in (None, method)
            and self.run_id in (None, path.get("run_id"))
            and (self.containing is None or self.containing.encode(errors="surrogatepass") in body)
        )

    def fits_port(self) -> bool:
        """Whether a port can apply this fault: it refuses connections without having seen a request."""
        closed_port = Fault(delivery="refuse", times=None, seconds=self.seconds)
        return self.delivery != "refuse" or (self == closed_port and self.seconds is not None)

    def breaks_before(self) -> bool:
        """Whether the connection is gone before the call is carried out."""
        return self.delivery in ("refuse", "drop") and not self.after

    def instead(self) -> ApiResponse | None:
        """Return what is answered instead of FLORA's answer, if anything."""
        if self.body is not None:
            headers = {"content-type": self.content_type, **self.headers}
            return ApiResponse(self.body.encode(errors="backslashreplace"), self.status or 200, headers)
        if self.status is None:
            return None
        code, message = _SENTENCES.get(self.status, ("unknown_error", "An unknown error occurred."))
        return ApiError(self.status, self.code or code, self.message or message, headers=self.headers).api_response()

    def alter(self, api_response: ApiResponse) -> ApiResponse:
        """Return the answer with this fault's changes; the original may be needed again, for a replay."""
        headers = {**api_response.headers, **self.headers}
        if not isinstance(api_response.body, dict):
            return ApiResponse(api_response.body, api_response.status, headers)
        body = _merged(api_response.body, self.edit)
        body = {name: value for name, value in body.items() if name not in self.without}
        for name, rows in body.items():
            if self.omit is not None and isinstance(rows, list):
                body[name] = [row for row in rows if row.get("run_id") != self.omit]
        if self.dangling_cursor and "meta" in body:
            body["meta"] = {"next_cursor": body["meta"]["next_cursor"] or cursor_of(_BEYOND_ANY_LIST)}
        return ApiResponse(body, api_response.status, headers)

    def send(self, response: EncodedResponse) -> DeliveredResponse:
        """Return the response with its delivery."""
        content, headers = response.content + b" " * self.pad, response.headers
        if self.gzip:
            content, headers = gzip.compress(content), {**headers, "content-encoding": "gzip"}
        response = EncodedResponse(response.status, headers, content)
        return DeliveredResponse(response, self.delay, self.delivery)


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    objects = [name for name in new if isinstance(new[name], dict) and isinstance(old.get(name), dict)]
    return {**old, **new, **{name: _merged(old[name], new[name]) for name in objects}}


@dataclass(slots=True)
class _Armed:
    fault: Fault
    until: float
    seen: int = 0
    hits: int = 0

    def takes(self, now: float) -> bool:
        self.seen += 1
        fault = self.fault
        return self.seen > fault.skip and (fault.times is None or self.hits < fault.times) and now < self.until


class Faults:
    """The faults waiting for their calls. One fault affects a call: the first that matches and is not used up."""

    def __init__(self, clock: Clock, routes: Collection[str]) -> None:
        self._clock = clock
        self._routes = routes  # that a fault may name
        self._armed: list[_Armed] = []
        self._on_port = False
        self._on_change: Callable[[], None] = lambda: None

    def attach_port(self, on_change: Callable[[], None]) -> None:
        """Have `on_change` called after every change; from now on a fault must be one that a port can apply."""
        self._on_port, self._on_change = True, on_change
        self._check_port(*[armed.fault for armed in self._armed])

    def _check_port(self, *faults: Fault) -> None:
        if self._on_port and not all(fault.fits_port() for fault in faults):
            advice = 'set `seconds`, set `times` to null and nothing else, or use "drop", which resets connections.'
            raise invalid(("delivery", f"A port refuses connections before it sees any request: {advice}"))

    def add(self, *faults: Fault) -> None:
        """Script faults; they take effect with the next call. What cannot be applied is refused with a 400."""
        known = {"route": sorted(self._routes), "delivery": get_args(Delivery)}
        for name, value in ((name, getattr(fault, name)) for fault in faults for name in known):
            if value is not None and value not in known[name]:
                raise invalid((name, f"Got {value!r}; expected one of {', '.join(known[name])}."))
        self._check_port(*faults)
        now = self._clock.now()
        self._armed += [_Armed(fault, now + (math.inf if fault.seconds is None else fault.seconds)) for fault in faults]
        self._on_change()

    def clear(self) -> None:
        """Remove all faults. Runs that have a behavior keep it."""
        self._armed = []
        self._on_change()

    def refuses_connections(self) -> bool:
        """Whether a port is to refuse connections now."""
        now = self._clock.now()
        return any(armed.fault.delivery == "refuse" and now < armed.until for armed in self._armed)

    def take(self, method: str, route: str, path: dict[str, str], body: bytes) -> Fault | None:
        """Return the fault of a call, if there is one, and count it."""
        now, taken = self._clock.now(), None
        for armed in self._armed:
            if armed.fault.matches(method, route, path, body) and armed.takes(now) and taken is None:
                armed.hits += 1
                taken = armed.fault
        return taken

    def to_json(self) -> list[dict[str, Any]]:
        """Return the faults and how often each was applied; members at their defaults are left out."""
        blank = asdict(Fault()).items()
        rows = [(asdict(armed.fault), armed.hits) for armed in self._armed]
        return [{item[0]: item[1] for item in row.items() if item not in blank} | {"hits": hits} for row, hits in rows]
