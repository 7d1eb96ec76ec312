"""The interpreter of flows in tests, over a clock that only sleeps and answers move. No network, no threads."""

from dataclasses import dataclass
from typing import Any

from flora_provider.api.calls.sending import send_call
from flora_provider.api.http.flow import FlowContext, Sleep
from flora_provider.api.http.retry_policy import RetryPolicy

BEGIN = 1_750_000_000.0  # unix seconds at which virtual time begins


@dataclass(frozen=True)
class Returned:
    """The end of a flow, in place of another effect."""

    value: Any


def advance(flow, result=None):
    """Resume a flow with the result of its last effect, which is raised in it if it is an exception."""
    try:
        return flow.throw(result) if isinstance(result, Exception) else flow.send(result)
    except StopIteration as end:
        return Returned(end.value)


def run_flow(flow, execute):
    """What a flow returns when `execute(effect)` gives the result of each effect, or an exception to raise."""
    effect = advance(flow)
    while not isinstance(effect, Returned):
        effect = advance(flow, execute(effect))
    return effect.value


def run_with_response(flow, response):
    """What a flow returns when every request gets this response, and no sleep takes any time."""
    return run_flow(flow, lambda effect: None if isinstance(effect, Sleep) else response)


class FlowRunner:
    """Runs flows by a script.

    Attributes:
        now: unix seconds.
        sleeps: the seconds of every sleep.
        effects: all other effects.
        context: for the flows that are run; its random numbers are 0.
    """

    def __init__(self):
        self.now = BEGIN
        self.sleeps = []
        self.effects = []
        self.context = FlowContext(RetryPolicy(), lambda: self.now, lambda: 0.0)

    @property
    def requests(self):
        return [effect.request for effect in self.effects if hasattr(effect, "request")]

    def send(self, call, *script):
        return self.run(send_call(call, self.context), *script)

    def run(self, flow, *script):
        """Run a flow; each step of the script is a result, an exception, or a function from the effect to either."""
        steps = list(script)

        def execute(effect):
            if isinstance(effect, Sleep):
                self.sleeps.append(effect.seconds)
                self.now += effect.seconds
                return None
            self.effects.append(effect)
            assert steps, f"the script has ended, but the flow yields {effect}"
            step = steps.pop(0)
            return step(effect) if callable(step) else step

        try:
            return run_flow(flow, execute)
        finally:
            assert not steps, f"the flow has ended, but the script goes on: {steps}"
