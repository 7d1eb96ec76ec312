"""What can be chosen about a sandbox, at the start and (but for the seed) while it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from flora_provider.sandbox.http.reading import find_problems
from flora_provider.sandbox.http.responses import invalid

IdempotencyMode = Literal["duplicate_409", "replay", "current_state", "none"]
IDEMPOTENCY_MODES: tuple[str, ...] = get_args(IdempotencyMode)


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
        requests_per_second: Token bucket of one second's size per workspace; None for no limit. FLORA publishes none.
        latency_ms: How long every answer takes at least, in milliseconds. `Sandbox.handle` does not wait.
    """

    api_key: str | None = None
    seed: int = 0
    speed: float = 1.0
    idempotency: IdempotencyMode = "duplicate_409"
    idempotency_window: float = 7200.0
    replay_failures: bool = False
    requests_per_second: float | None = None
    latency_ms: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for problem in _problems({field.name: getattr(self, field.name) for field in fields(self)}):
            raise ValueError(": ".join(problem))

    def update(self, changes: dict[str, Any]) -> None:
        """Change some settings.

        Raises:
            ApiError: 400, naming every member that is unknown, fixed or out of range; then nothing is changed.
        """
        problems = find_problems(Settings, changes) or _problems(changes)
        if "seed" in changes:
            problems.append(("seed", "It is fixed at the start."))
        if problems:
            raise invalid(*problems)
        for name, value in changes.items():
            setattr(self, name, value)


def _problems(values: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, f"{rule}; got {value!r}") for name, value in values.items() for rule in _broken_rule(name, value)]


def _broken_rule(name: str, value: Any) -> list[str]:
    if name in ("speed", "requests_per_second"):
        unlimited = name == "requests_per_second" and value is None
        return [] if unlimited or (math.isfinite(value) and value > 0) else ["must be a number above 0"]
    if name in ("idempotency_window", "latency_ms"):
        return [] if math.isfinite(value) and value >= 0 else ["must be a number not below 0"]
    if name == "idempotency":
        return [] if value in IDEMPOTENCY_MODES else [f"must be one of {', '.join(IDEMPOTENCY_MODES)}"]
    if name == "api_key":
        right = value is None or (value.isascii() and value.isprintable() and value.strip())
        return [] if right else ["must be text that fits into a header"]
    return []
