"""How plans are tested: on a stage with a script and a clock."""

import json

import pytest

from flora_provider.api.http.context import FlowContext
from flora_provider.api.http.flow import Response, Sleep
from flora_provider.api.http.retry_policy import RetryPolicy


class Stage:
    """A world for plans: answers by a script, a clock that only sleeps move, and draws of the test's choice."""

    def __init__(self):
        self.now = 1_750_000_000.0
        self.drawn = 0.0
        self.sleeps = []
        self.effects = []

    def clock(self):
        return self.now

    def random(self):
        return self.drawn

    @property
    def requests(self):
        return [effect.request for effect in self.effects if hasattr(effect, "request")]

    def play(self, flow, *script):
        """Obey a plan. Each answer is a result, an exception, or a function from the effect to one of them."""
        script = list(script)
        try:
            effect = next(flow)
            while True:
                if isinstance(effect, Sleep):
                    self.sleeps.append(effect.seconds)
                    self.now += effect.seconds
                    effect = flow.send(None)
                    continue
                self.effects.append(effect)
                assert script, f"the script has ended, but the plan yields {effect}"
                answer = script.pop(0)
                if callable(answer):
                    answer = answer(effect)
                effect = flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer)
        except StopIteration as stop:
            return stop.value
        finally:
            assert not script, f"the plan ended, but the script goes on: {script}"


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
def context(stage):
    """What every plan is given."""
    return FlowContext(RetryPolicy(), stage.clock, stage.random)


@pytest.fixture(scope="session")
def answer():
    """Make a Response: `answer(200, {"run_id": …})`, `answer(429, retry_after=3)`."""

    def make(status=200, payload=None, body=None, **headers):
        content = (b"" if payload is None else json.dumps(payload).encode()) if body is None else body
        return Response(status, {name.replace("_", "-"): str(value) for name, value in headers.items()}, content)

    return make
