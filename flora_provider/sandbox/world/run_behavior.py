"""What is to become of a run, when it should not simply succeed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from flora_provider.sandbox.error_families import ErrorFamily
from flora_provider.sandbox.http.validation import CLOSED, AnyText, Flag, Integer, Number
from flora_provider.sandbox.world.clock import LAST

_Seconds = Annotated[Number, Field(ge=0, le=LAST)]


@dataclass(frozen=True, slots=True)
class RunBehavior:
    """The future of one run, fixed when it starts.

    A client asks for one through `params: {"sandbox": {"error_code": "GPU_PROVIDER_ERROR"}}`; a test, for runs
    somebody else starts, through `Fault(behavior=RunBehavior(...))`.

    Attributes:
        error_code: Not None: the run ends `failed` with this code, `progress: 100` and `completed_at`.
        error_family: Not None: it fails with a code and a message of this family, chosen by its id; not beside
            `error_code`, which wins.
        error_message: Sentence beside `error_code`; None leaves it out, as FLORA sometimes does.
        seconds: Exact duration in seconds, whatever estimate, seed and speed say. None: estimate +- 30 %.
        estimated_seconds: The estimate to state, whatever the model and speed say.
        no_estimate: State `estimated_seconds: null`.
        never_ends: Stay `running` for ever, at 90 %.
        cost_lag: Seconds after the end for which `charged_cost` is missing (measured at FLORA: about a minute).
        hidden_for: Seconds after the start for which FLORA does not know the run: 404, and in no list.
        listed_after: Seconds after the start for which no list shows the run, although FLORA knows it.
        outputs: Number of outputs on completion; 0 gives an empty array. None: as many as its request asks for.
        output_type: Type to state instead of the true one, e.g. `modelUrl`.
        webhook_signature: How its webhook is signed: `good`, `bad` under another secret, or `stale` an hour ago.
        webhook_duplicates: How many times more its webhook comes after it was acknowledged.
        webhook_failures: Attempts that fail before one is sent; 4 use all of FLORA's up.
        text: What a text output says. It and `error_message` may hold any character, also half a surrogate pair and
            U+0000, which travel as JSON's escapes. A test sends such a behavior by the control endpoint; as a client's
            `params` it is refused, as any text that is none.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CLOSED

    error_code: AnyText | None = None
    error_family: ErrorFamily | None = None
    error_message: AnyText | None = None
    seconds: _Seconds | None = None
    estimated_seconds: Integer | None = None
    no_estimate: Flag = False
    never_ends: Flag = False
    cost_lag: _Seconds = 0.0
    hidden_for: _Seconds = 0.0
    listed_after: _Seconds = 0.0
    outputs: Annotated[Integer, Field(ge=0, le=100)] | None = None
    output_type: AnyText | None = None
    webhook_signature: Literal["good", "bad", "stale"] = "good"
    webhook_duplicates: Annotated[Integer, Field(ge=0, le=100)] = 0
    webhook_failures: Annotated[Integer, Field(ge=0, le=100)] = 0
    text: AnyText | None = None
