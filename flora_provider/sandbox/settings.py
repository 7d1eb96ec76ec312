"""What can be chosen about a sandbox, at the start and (but for the seed) while it runs."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, cast, get_type_hints

from pydantic import AfterValidator, create_model

from flora_provider.sandbox.error_families import ErrorFamily
from flora_provider.sandbox.http.responses import invalid
from flora_provider.sandbox.http.validation import Body, Flag, HeaderText, Integer, Number, check, find_problems

IdempotencyMode = Literal["duplicate_409", "replay", "current_state", "none"]


def _number(least: float, words: str, most: float = sys.float_info.max) -> AfterValidator:
    def check(value: float) -> float:
        if not least <= value <= most:
            raise ValueError(f"must be a number {words}; got {value!r}")
        return value

    return AfterValidator(check)


_Positive = Annotated[Number, _number(1e-9, "above 0")]
_NotNegative = Annotated[Number, _number(0.0, "not below 0")]
_Share = Annotated[Number, _number(0.0, "from 0 to 1", 1.0)]


@dataclass(slots=True)
class Settings:
    """The settings of a sandbox.

    Attributes:
        api_key: The one valid key; None makes one from the seed. A new value is a rotation: the old key is refused.
        seed: Same seed and same requests in the same order: same ids, durations, costs and media.
        speed: Factor > 0 by which runs are faster than their models; estimates shrink with them.
        idempotency: What a repeated key means; the accounts of the contract's section 4.1: `duplicate_409` A and D,
            `replay` B, `current_state` C, `none` a server that ignores keys.
        idempotency_window: Seconds for which a key is remembered (accounts A and D: 7200).
        replay_failures: In `replay`, remember failed answers too; FLORA does not say whether it does.
        webhook_secret: Signs the webhooks; None makes one from the seed.
        webhook_secret_before: Signs them, too, as long as it is set: a secret that is being rotated.
        requests_per_second: Token bucket of one second's size per workspace; None for no limit. FLORA publishes none.
        bill_lag: Seconds, divided by `speed`, after its end for which the bill of every fifth run is missing. FLORA's
            bills come about a minute late; 0, the default, has all of them at once.
        latency_ms: How long every answer takes at least, in milliseconds. `Sandbox.handle` does not wait.
        failure_rate: Share of the runs that fail, from 0 to 1; which ones depends on the seed. They cost nothing.
        failure_family: What these fail with.
        credits_usd: USD that are left on the account, less as runs end; None for unlimited. A new value is a top-up.
        listing_delay: Seconds after its start for which no list shows a run (see `RunBehavior.listed_after`).
        controls: Whether `/_sandbox/*` and the page at `/` exist.
    """

    api_key: HeaderText | None = None
    seed: Integer = 0
    speed: _Positive = 1.0
    idempotency: IdempotencyMode = "duplicate_409"
    idempotency_window: _NotNegative = 7200.0
    replay_failures: Flag = False
    webhook_secret: HeaderText | None = None
    webhook_secret_before: HeaderText | None = None
    requests_per_second: _Positive | None = None
    bill_lag: _NotNegative = 0.0
    latency_ms: _NotNegative = 0.0
    failure_rate: _Share = 0.0
    failure_family: ErrorFamily = "retry_now"
    credits_usd: _NotNegative | None = None
    listing_delay: _NotNegative = 0.0
    controls: Flag = True

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for problem in find_problems(_MODEL, asdict(self)):
            raise ValueError(": ".join(problem))

    def update(self, changes: Any) -> None:
        """Change some settings, or refuse all of `changes` with a 400 that names what is unknown, fixed or wrong."""
        check(_MODEL, changes)
        if "seed" in changes:
            raise invalid(("seed", "It is fixed at the start."))
        for name, value in changes.items():
            setattr(self, name, value)


_TYPES = get_type_hints(Settings, include_extras=True)
_MODEL = create_model("Settings", __base__=Body, **cast("Any", {name: (hint, None) for name, hint in _TYPES.items()}))
