"""Whatever comes in, an answer in FLORA's envelope goes out."""

import re
from json import dumps

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from flora_provider.sandbox.app import ROUTES

WORDS = """
type prompt workspace_id project_id model params callback_url inputs mode source technique_id action_id idempotency_key
name kind summary detail id value url text route times edit behavior delivery speed idempotency advance sandbox limit
cursor diagram node_params content_url node_ids add update connect disconnect remove ref from to definition nodes edges
node_inputs node_outputs data position x y""".split()  # noqa: SIM905 - a list of its own would take 54 lines
VALUES = (
    *("image", "A fox", "t2i-flux-2-pro", "async", "signed-url", "https://[", "https://example.com/x.png", "bug"),
    *("tech_storybrd1", "storyboard", "ken-burns-video", "instructions", "text", "asset_1", "run_1", "prj_1", "ws_1"),
    *("eyJvZmZzZXQiOjIwfQ", "9" * 5000, "1", "drop", "/generate", "\ud800", "", " ", "\x00"),
)
texts = st.sampled_from(VALUES) | st.text(max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.sampled_from(["$workspace", "$project"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=12,
)
FLAGS = {"key": st.booleans(), "own": st.booleans()}
HOLES = {"$workspace": "workspace_id", "$project": "project_id"}


def filled(value, sandbox):
    if isinstance(value, dict):
        return {name: filled(item, sandbox) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, sandbox) for item in value]
    return getattr(sandbox, HOLES[value]) if isinstance(value, str) and value in HOLES else value


@settings(max_examples=400, deadline=None)
@given(route=st.sampled_from(ROUTES), body=values, words=st.lists(texts, min_size=2, max_size=2), **FLAGS)
@example(route=ROUTES[0], body={"prompt": "\ud800"}, words=["a", "b"], key=True, own=False)
def test_every_request_is_answered(make_flora, route, body, words, key, own):
    flora = make_flora()
    path = route.prefix + route.template
    if own:
        path = path.replace("{workspace_id}", flora.sandbox.workspace_id)
        path = path.replace("{project_id}", flora.sandbox.project_id)
    for name, word in zip(re.findall(r"{\w+}", path), words * 2, strict=False):
        path = path.replace(name, word.encode(errors="replace").hex() if word not in VALUES[8:17] else word)
    query = {name: word.encode(errors="replace") for name, word in zip(("limit", "cursor"), words, strict=True)}
    content = dumps(filled(body, flora.sandbox))
    headers = {"idempotency-key": "k"} if key else {}
    response = flora.request(route.method, f"https://flora.test{path}", content=content, params=query, headers=headers)
    assert response.status_code in {200, 201, 400, 403, 404, 409}
    assert response.headers["request-id"].startswith("req_")
    # Stores answer as stores do, and pages (without a prefix) with a page.
    if response.status_code >= 400 and route.prefix and not route.prefix.startswith("/_storage"):
        assert set(response.json()["error"]) <= {"code", "message", "fields"}


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"\x00", b'"\\ud800"', b"NaN", b"9" * 5000])
def test_any_bytes_are_answered(flora, content):
    assert flora.post("/generate", content=content).status_code == 400
