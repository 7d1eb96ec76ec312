"""Whatever a server answers, both clients end: with an answer, or with an error of ours, and soon."""

import asyncio
import gzip
import itertools
import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flora_provider.api import calls
from flora_provider.api.client import AsyncFloraClient, FloraClient
from flora_provider.api.errors import FloraError
from tests.support.strategies import json_values, scalars, texts

CALLS = [
    calls.get_run("run_1"),
    calls.generate(type="text", prompt="p", workspace_id="ws_1", project_id="prj_1").with_key("k"),
    calls.list_generations(),
    calls.list_models(),
    calls.list_actions(),
    calls.get_technique("cctv-cam"),
    calls.get_asset("asset_1"),
    calls.complete_asset("asset_1"),
    calls.send_feedback(kind="bug", summary="s", detail="d"),
    calls.get_graph(workspace_id="ws_1", project_id="prj_1"),
    calls.run_nodes(workspace_id="ws_1", project_id="prj_1", node_ids=["n1"]).with_key("k"),
    calls.request("GET", "anything"),
]
WORDS = [
    "run_id",
    "status",
    "error",
    "code",
    "message",
    "fields",
    "meta",
    "next_cursor",
    "generations",
    "models",
    "outputs",
    "upload",
    "asset_id",
    "progress",
    "created_at",
    "charged_cost",
    "type",
    "url",
    "actions",
    "technique_id",
    "runs",
    "nodes",
    "node_id",
]

values = json_values(
    scalars(st.floats(allow_nan=False)) | st.sampled_from(["completed", "x"]),
    st.sampled_from(WORDS) | texts(),
    max_size=6,
    max_leaves=20,
)
bodies = st.one_of(
    st.binary(max_size=200),
    values.map(lambda value: json.dumps(value).encode()),
    values.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass")),
    st.tuples(st.sampled_from([b"[", b'{"a":', b'{"error":']), st.integers(1, 5000)).map(
        lambda deep: deep[0] * deep[1]
    ),
    st.integers(1, 400).map(lambda depth: b"[" * depth + b"]" * depth),
    st.sampled_from(
        [b'{"run_id": "run_1", "status": "completed", "progress": 1e999}', b"1" * 5000, b"\xef\xbb\xbf{}", b"-"]
    ),
)
# Not 429, for it pauses the client's next request, as it should.
statuses = st.integers(200, 599).filter(lambda status: status != 429)
header_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
headers = st.dictionaries(
    st.sampled_from(
        ["retry-after-ms", "x-should-retry", "content-type", "request-id", "idempotent-replayed", "location", "x-any"]
    ),
    header_values,
)


@pytest.fixture
def flora(any_client):
    """A client whose server answers as it is asked to."""
    said = {}
    client = any_client(lambda _request: said["answer"](), max_retries=0)

    def ask(call, answer):
        said["answer"] = answer
        return client.send(call)

    return ask


def raised(flora, call, answer):
    """What the error of ours says; empty if the answer was read. Any other exception fails the test."""
    try:
        flora(call, answer)
    except FloraError as error:
        return str(error) or "nothing, which is too little"
    return ""


fixtures_keep_nothing = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@fixtures_keep_nothing
@given(st.sampled_from(CALLS), statuses, headers, bodies)
def test_any_answer_is_read_or_refused(flora, call, status, headers, body):
    reported = raised(flora, call, lambda: httpx.Response(status, headers=headers, content=body))
    assert reported or status < 300
    assert len(reported) < 10_000
    assert reported.isprintable()


@fixtures_keep_nothing
@given(st.sampled_from(CALLS), bodies, st.integers(0, 300), st.booleans(), st.integers(1, 50))
def test_any_compressed_answer_cut_anywhere_is_read_or_refused(flora, stream, call, body, cut, whole, size):
    packed = gzip.compress(body)
    packed = packed if whole else packed[:cut]
    raised(flora, call, lambda: httpx.Response(200, headers={"content-encoding": "gzip"}, stream=stream(packed, size)))


@pytest.mark.parametrize("status", [200, 400, 500])
def test_ten_megabytes_of_html_are_refused(flora, stream, status):
    page = b"<html>" + b"<p>sorry</p>" * 900_000
    with pytest.raises(FloraError):
        flora(CALLS[0], lambda: httpx.Response(status, stream=stream(page)))


def test_ten_megabytes_of_a_list_are_read(flora):
    row = {"run_id": "run_1", "status": "running", "generation_id": "g", "project_id": "p", "workspace_id": "w"}
    rows = [row | {"error_message": "x" * 100_000}] * 100
    assert len(flora(calls.list_generations(), lambda: httpx.Response(200, json={"generations": rows})).items) == 100


def test_both_clients_read_the_same():
    def outcome(send):
        try:
            return send()
        except FloraError as error:
            return type(error), str(error), getattr(error, "status", None)

    bodies = [b"{}", b"[]", b"<", b'{"run_id": "run_1", "status": "failed"}']
    for call, content, status in itertools.product(CALLS, bodies, [200, 404]):
        transport = httpx.MockTransport(lambda _r, s=status, c=content: httpx.Response(s, content=c))
        options = {"api_key": "k", "transport": transport, "verify": False}  # certificates take 40 ms to load
        with FloraClient(**options) as client:
            blocking = outcome(lambda: client.send(call))  # noqa: B023 - called at once

        async def ask(call=call, options=options):
            async with AsyncFloraClient(**options) as client:
                return await client.send(call)

        assert outcome(lambda: asyncio.run(ask())) == blocking
