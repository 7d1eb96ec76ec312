"""How FLORA's JSON becomes types.

Frozen, and tolerant in one direction: unknown members survive (`model_extra`), unknown enum values stay plain strings,
an optional member that cannot be read counts as absent, and so does a row of a member that is a list, for FLORA adds
values at any time and a paid run must not be lost to a typo of the server. `calls.request` and `Run.raw` show what was
left out. Only members that FLORA always sends are required. A page with a row that lacks one is refused: whoever looks
for a lost run there must not overlook it.

Money is `Decimal`, in USD. Times are aware `pendulum.DateTime`s. Whatever `model_dump` or `model_dump_json` gives is
read back by `model_validate` as what it was, also by Airflow, on the way from one task to the next.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Generic, Self, TypeAlias, TypeVar, get_origin

import pendulum
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core.core_schema import ValidationInfo

from flora_provider.api.errors import FloraAnswerError
from flora_provider.api.text import bounded, storable
from flora_provider.api.urls import redact_urls

T = TypeVar("T")

_MAX_DEPTH = 100  # of an answer's JSON; FLORA's deepest are below 10
_SECONDS_BELOW = 1e11  # as a unix time: in seconds the year 5138, in milliseconds 1973
_CONTAINERS = (dict, list)
# A number of more than 64 bits has at least 19 digits; found in a body whose digits are made one and the same.
_TO_ZEROS = bytes(ord("0") if chr(byte).isdecimal() else ord(" ") for byte in range(256))
_LONG_NUMBER = b"0" * 19
# What JSON must hold to say half a surrogate pair or U+0000: an escape of either, a half pair in UTF-8 (Python's `json`
# takes it), or a zero byte, which only UTF-16 and UTF-32 have. Most bodies hold none, nor what one begins with.
_MARKS = (b"\\u", b"\xed", b"\x00")
_MAY_BE_UNSTORABLE = re.compile(rb"\\u0000|\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]|\x00")


def parse_json(body: bytes) -> Any:
    """A JSON value; an empty body (204) is None.

    What Airflow's wire, XCom or database cannot hold is replaced in it: characters by U+FFFD, a whole number of more
    than 64 bits by the nearest float, and NaN and a number beyond all floats by None.

    Raises:
        FloraAnswerError: not JSON, or nested as only a hostile server does it.
    """
    if not body.strip():
        return None
    try:
        # Reading every whole number by a function of ours takes as long as all the rest; few bodies hold a long one.
        is_odd = b"\x00" in body or _LONG_NUMBER in body.translate(_TO_ZEROS)
        value = json.loads(body, parse_constant=_float, parse_float=_float, parse_int=_int if is_odd else None)
        _check_depth(value)
    except (ValueError, RecursionError) as error:
        is_deep, is_html = isinstance(error, RecursionError), body.lstrip()[:1] == b"<"
        what = "nested too deeply" if is_deep else "HTML" if is_html else "no JSON"
        raise FloraAnswerError(
            f"the body is {what} ({type(error).__name__}): a proxy may stand between, or the host is not FLORA's"
        ) from None
    return storable(value) if any(mark in body for mark in _MARKS) and _MAY_BE_UNSTORABLE.search(body) else value


def _check_depth(value: Any) -> None:
    """Raise RecursionError if whoever walks through the value later would run out of stack."""
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(_MAX_DEPTH):
        if not level:
            return
        children = [item.values() if type(item) is dict else item for item in level]
        level = [item for group in children for item in group if type(item) in _CONTAINERS]
    raise RecursionError


def _float(text: str) -> float | None:
    return number if math.isfinite(number := float(text)) else None


def _int(digits: str) -> float | None:
    return int(digits) if len(digits) <= len(str(-(2**63))) and -(2**63) <= int(digits) < 2**63 else _float(digits)


def _instant(value: object) -> pendulum.DateTime:
    """FLORA's times are unix milliseconds (documented for webhooks only), or ISO 8601 for single assets and uploads."""
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return pendulum.instance(value).in_timezone("UTC")
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _utc(value if abs(value) < _SECONDS_BELOW else value / 1000)
    except (OverflowError, OSError, ValueError):
        pass
    raise ValueError("neither a unix time nor an ISO 8601 date and time")


def _utc(seconds: float) -> pendulum.DateTime:
    """`pendulum.from_timestamp`, ten times as fast: a page of runs holds three hundred instants."""
    at = datetime.fromtimestamp(seconds, UTC)
    return pendulum.DateTime(
        at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond, tzinfo=pendulum.UTC
    )


def _exact(value: object) -> object:
    """A JSON number by its shortest decimal text, so that 0.1 is 0.1; never through binary arithmetic."""
    if isinstance(value, bool):
        raise ValueError("not a number")  # noqa: TRY004 - pydantic collects ValueError
    return Decimal(str(value)) if isinstance(value, int | float) else value


def _short(text: str) -> str:
    return bounded(text)


def _readable(rows: list[Any], read: Callable[[list[Any]], Iterable[Any]]) -> Iterator[Any]:
    for row in rows:
        with suppress(ValidationError):
            yield from read([row])


Instant: TypeAlias = Annotated[pendulum.DateTime, PlainValidator(_instant)]
# Nothing of FLORA's costs a billion: the bound keeps what is no price out of everything that computes with prices.
Usd: TypeAlias = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, lt=10**9)]
# What goes into errors, events and logs; texts that runs wrote are never cut.
Message: TypeAlias = Annotated[str, AfterValidator(_short)]


class FloraModel(BaseModel):
    """Base of everything FLORA answers."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
        hide_input_in_errors=True,
    )

    # The member that names a row of a list, by which a row that shows up twice is known.
    IDENTITY: ClassVar[str] = ""

    @field_validator("*", mode="wrap")
    @classmethod
    def _lose_no_more_than_needed(cls, value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        try:
            return read(value)
        except ValidationError:
            field = cls.model_fields[info.field_name or ""]
            if isinstance(value, list) and get_origin(field.annotation) is tuple:
                return tuple(_readable(value, read))
            if field.is_required():
                raise
            return field.get_default(call_default_factory=True)

    @classmethod
    def read(cls, data: object) -> Self:
        """Build from parsed JSON.

        Raises:
            FloraAnswerError: a member that FLORA always sends is missing or of another type. Values are not shown.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, problem['loc']))[:80] or 'the answer'}: {problem['msg'][:200]}"
                for problem in error.errors(include_input=False, include_url=False, include_context=False)[:5]
            )
            kind = cls.__name__.partition("[")[0]
            raise FloraAnswerError(f"FLORA's answer is no {kind}: {problems}") from None

    def __repr__(self) -> str:
        """Without signatures: members whose type says nothing may hold signed addresses, too."""
        return redact_urls(super().__repr__())

    __str__ = __repr__

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """Show the members with a declared type only, and no addresses: they may be signed."""
        return [(name, getattr(self, name)) for name, field in type(self).model_fields.items() if field.repr]


class Page(FloraModel, Generic[T]):
    """One page of a list, and in `model_extra` what else FLORA says of it, such as `meta`.

    Attributes:
        items: in FLORA's order, newest first for histories.
        next_cursor: opaque; None or empty at the end.
        total_estimate: FLORA's estimate of all items; None when it gives none.
    """

    items: tuple[T, ...]
    next_cursor: str | None = None
    total_estimate: int | None = None
