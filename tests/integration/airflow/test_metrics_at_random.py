"""Whatever FLORA answers, the counters say what was sent, what was refused, and which runs this process has got."""

from contextlib import suppress

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flora_provider.api import calls
from flora_provider.api.client import AsyncFloraClient
from flora_provider.api.errors import FloraError
from flora_provider.api.http import process
from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.faults import Fault
from flora_provider.sandbox.settings import Settings
from flora_provider.telemetry.metrics import RequestMetrics
from tests.support.virtual_time import run_in_virtual_time

KINDS = ("generation", "technique", "action")
MODES = ("duplicate_409", "replay", "current_state", "none")

faults = st.builds(
    lambda what, **when: Fault(**when, **what),
    what=st.sampled_from(
        [
            {"status": 429, "headers": {"retry-after": "2"}},
            {"status": 429},
            {"status": 503},
            {"status": 400},
            {"status": 500, "after": True},
            {"delivery": "drop"},
            {"delivery": "drop", "after": True},
            {"body": "<html>", "content_type": "text/html", "after": True},
        ]
    ),
    skip=st.integers(0, 4),
    times=st.integers(1, 6),
    rate=st.sampled_from([0.5, 1.0]),
)


def starting(kind, sandbox, key):
    """A call that starts a run of this kind."""
    scope = {"workspace_id": sandbox.workspace_id}
    if kind == "generation":
        call = calls.generate(type="image", prompt="a fern", project_id=sandbox.project_id, **scope)
    elif kind == "technique":
        call = calls.start_technique("jingle", inputs=[{"id": "brand", "type": "text", "value": "Fern"}])
    else:
        inputs = [{"type": "text", "text": "a fern"}]
        asked = {"action_id": "find-and-replace-text-browser", "inputs": inputs, "project_id": sandbox.project_id}
        call = calls.run_action(**asked, **scope)
    return call.with_key(key)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    mode=st.sampled_from(MODES),
    replay_failures=st.booleans(),
    injected=st.lists(faults, max_size=4),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    sends=st.integers(1, 3),
)
def test_counters_are_right_whatever_is_lost_refused_and_sent_again(
    statsd, mode, replay_failures, injected, kinds, sends
):
    process._throttles.clear()  # noqa: SLF001 - what earlier examples have learned
    statsd.forget()
    sandbox = Sandbox(Settings(idempotency=mode, replay_failures=replay_failures, speed=1000))
    sandbox.faults.add(*injected)
    answered, started = [], {}

    def answer(request):
        response = sandbox.handle(request)
        answered.append(response.status_code)
        return response

    async def main():
        options = {"api_key": sandbox.api_key, "base_url": "http://127.0.0.1:9/api/v1"}
        transport = httpx.MockTransport(answer)
        async with AsyncFloraClient(transport=transport, observer=RequestMetrics(), **options) as client:
            for number, kind in enumerate(kinds):
                for _ in range(sends):
                    try:
                        run_id = (await client.send(starting(kind, sandbox, f"key-{number}"))).run_id
                    except FloraError:
                        continue
                    started[run_id] = kind
                    break
            for run_id in started:
                with suppress(FloraError):
                    await client.send(calls.get_run(run_id))

    run_in_virtual_time(main())

    found = statsd.counters()
    assert found["flora.requests"] == sum(sandbox.stats()["requests"].values())
    assert found.get("flora.rate_limited", 0) == answered.count(429)
    assert found.get("flora.runs_started", 0) == len(started)
    for kind in KINDS:
        assert found.get(f"flora.runs_started.{kind}", 0) == list(started.values()).count(kind)
