"""Faults on request: what goes wrong, with which calls, how often (contract, appendix B)."""

from __future__ import annotations

import gzip
import math
import random
import re
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, ClassVar, get_args

from pydantic import AfterValidator, ConfigDict, Field

from flora_provider.sandbox.http.delivery import DeliveredResponse, Delivery
from flora_provider.sandbox.http.paging import cursor_of
from flora_provider.sandbox.http.responses import ApiError, ApiResponse, EncodedResponse, invalid
from flora_provider.sandbox.http.validation import CLOSED, AnyText, Flag, HeaderText, Integer, Number, check
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
MAX_FAULTS = 1000
"""Each call is compared with all of them."""
MAX_PAD = 100 * 1024 * 1024
"""Bytes; larger than what any client should read, and still no danger to this machine."""


def _header_name(value: str) -> str:
    """Accept the name of a header that does not say where a body ends; for a wrong end there is `cut`."""
    if not re.fullmatch("[A-Za-z0-9-]+", value) or value.lower() in ("content-length", "transfer-encoding"):
        raise ValueError(f"Expected a header's name other than content-length and transfer-encoding; got {value!r}.")
    return value


_Count = Annotated[Integer, Field(ge=0)]
_Seconds = Annotated[Number, Field(ge=0)]
_HeaderName = Annotated[str, AfterValidator(_header_name)]


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
        * each tenth call fails: `Fault(status=503, rate=0.1, times=None)`
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
        rate: Share of the matching calls it affects, from 0 to 1; which ones depends on the sandbox's seed. Calls it
            lets pass do not count for `times`.
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
    skip: _Count = 0
    times: _Count | None = 1
    rate: Annotated[Number, Field(ge=0, le=1)] = 1.0
    seconds: _Seconds | None = None
    status: Annotated[Integer, Field(ge=200, le=599)] | None = None
    code: AnyText | None = None
    message: AnyText | None = None
    headers: dict[_HeaderName, HeaderText] = field(default_factory=dict)
    body: AnyText | None = None
    content_type: HeaderText = "application/json"
    after: Flag = False
    edit: dict[AnyText, Any] = field(default_factory=dict)
    without: tuple[AnyText, ...] = ()
    omit: str | None = None
    overlap: _Count = 0
    dangling_cursor: Flag = False
    pad: Annotated[_Count, Field(le=MAX_PAD)] = 0
    gzip: Flag = False
    delay: _Seconds = 0.0
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
        body = dict(api_response.body)
        for name, rows in body.items():
            if self.omit is not None and isinstance(rows, list):
                body[name] = [row for row in rows if not isinstance(row, dict) or row.get("run_id") != self.omit]
        if self.dangling_cursor and "meta" in body:
            body["meta"] = {"next_cursor": body["meta"]["next_cursor"] or cursor_of(_BEYOND_ANY_LIST)}
        body = _merged(body, self.edit)  # last: it may put anything anywhere
        body = {name: value for name, value in body.items() if name not in self.without}
        return ApiResponse(body, api_response.status, headers)

    def send(self, response: EncodedResponse) -> DeliveredResponse:
        """Return the response with its delivery."""
        content, headers = response.content + b" " * self.pad, response.headers
        if self.gzip:
            content, headers = gzip.compress(content), {**headers, "content-encoding": "gzip"}
        response = EncodedResponse(response.status, headers, content)
        return DeliveredResponse(response, self.delay, self.delivery)


def check_list(value: Any) -> list[Fault]:
    """Build faults from a list of JSON, or refuse it with a 400 that names all its problems as `faults[2].status`."""
    if isinstance(value, list) and len(value) > MAX_FAULTS:
        raise invalid(("faults", f"Expected at most {MAX_FAULTS} faults; got {len(value)}."))
    return check(list[Fault], value, "faults")


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    objects = [name for name in new if isinstance(new[name], dict) and isinstance(old.get(name), dict)]
    return {**old, **new, **{name: _merged(old[name], new[name]) for name in objects}}


@dataclass(slots=True)
class _Armed:
    fault: Fault
    until: float
    random: random.Random
    seen: int = 0
    hits: int = 0

    def takes(self, now: float) -> bool:
        self.seen += 1
        fault = self.fault
        ready = self.seen > fault.skip and (fault.times is None or self.hits < fault.times) and now < self.until
        return ready and self.random.random() < fault.rate


class Faults:
    """The faults waiting for their calls. One fault affects a call: the first that matches and is not used up."""

    def __init__(self, clock: Clock, routes: Collection[str], seed: int = 0) -> None:
        self._clock = clock
        self.routes = sorted(routes)  # that a fault may name
        self._seed = seed  # of rates
        self._added = 0
        self._armed: list[_Armed] = []
        self._on_port = False
        self._on_change: Callable[[], None] = lambda: None

    def attach_port(self, on_change: Callable[[], None]) -> None:
        """Have `on_change` called after every change; from now on a fault must be one that a port can apply."""
        self._on_port, self._on_change = True, on_change
        self._check(*[armed.fault for armed in self._armed])

    def _check(self, *faults: Fault, where: str = "") -> None:
        known = {"route": self.routes, "delivery": get_args(Delivery)}
        problems = []
        for index, fault in enumerate(faults):
            prefix = f"{where}[{index}]." if where else ""
            for name, values in known.items():
                value = getattr(fault, name)
                if value is not None and value not in values:
                    problems.append((prefix + name, f"Got {value!r}; expected one of {', '.join(values)}."))
            if self._on_port and not fault.fits_port():
                advice = 'set `seconds`, set `times` to null and nothing else, or use "drop", which resets connections.'
                problems.append(
                    (prefix + "delivery", f"A port refuses connections before it sees any request: {advice}")
                )
        if problems:
            raise invalid(*problems)

    def add(self, *faults: Fault, where: str = "") -> None:
        """Script faults; they take effect with the next call. What cannot be applied is refused with a 400.

        `where` is the name of the list they come from, for complaints.
        """
        self._check(*faults, where=where)
        now = self._clock.now()
        for fault in faults:
            self._added += 1
            until = now + (math.inf if fault.seconds is None else fault.seconds)
            chance = random.Random(f"{self._seed}/fault/{self._added}")  # noqa: S311 - reproducible on purpose
            self._armed.append(_Armed(fault, until, chance))
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
