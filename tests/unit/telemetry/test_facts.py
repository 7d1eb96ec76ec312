"""What telemetry says of a run: nothing that is secret, and nothing long."""

from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api.errors import RunFailed
from flora_provider.runs.error_codes import RetryAdvice
from flora_provider.telemetry.facts import RunFacts

RUN = {"run_id": "run_1", "status": "completed", "charged_cost": 0.1, "outputs": [{"text": "s3cr3t"}]}
NAMES = ("kind", "type", "model", "technique", "action", "workspace_id", "project_id", "prompt", "inputs")


def signed(secret):
    """An address in a text, which is signed in one of the ways there are."""
    return st.builds(
        "{}{}".format,
        st.text(max_size=300),
        st.sampled_from(
            [
                f"https://cdn.example/fern.png?signature={secret}",
                f"s3://key:{secret}@bucket/fern.png",
                f"https://{secret}@cdn.example/fern.png",
                f"https://cdn.example/fern.png#{secret}",
            ]
        ),
    )


VALUES = signed("s3cr3t") | st.text() | st.floats() | st.integers() | st.none() | st.lists(st.just("s3cr3t"))
REQUESTS = st.none() | st.dictionaries(st.sampled_from([*NAMES, "quoted_cost_usd"]), VALUES)


@given(REQUESTS)
def test_facts_hold_no_signature_no_prompt_and_no_long_text(request):
    failure = RunFailed(run_id="run_1", code="c", reason="s3cr3t", advice=RetryAdvice.NEVER)
    prompted = {**(request or {}), "prompt": "s3cr3t", "inputs": ["s3cr3t"], "model_params": {"seed": "s3cr3t"}}
    for facts in (
        RunFacts.started("run_1", prompted),
        RunFacts.completed(RUN, prompted),
        RunFacts.failed(failure, prompted),
    ):
        for value in facts.known().values():
            assert isinstance(value, str | int | float)
            assert "s3cr3t" not in str(value)
            assert len(str(value)) <= 200


def test_unknown_members_are_left_out():
    assert RunFacts.started("run_1", None).known() == {"run_id": "run_1"}
    request = {"kind": "technique", "technique": "jingle", "model": None, "quoted_cost_usd": 0.25}
    assert RunFacts.completed({**RUN, "charged_cost": None, "reused_from": "ab/abcd"}, request).known() == {
        "run_id": "run_1",
        "status": "completed",
        "kind": "technique",
        "technique": "jingle",
        "quoted_cost_usd": 0.25,
        "reused": True,
    }
