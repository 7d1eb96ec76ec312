"""Whatever a caller gives by mistake is refused as our error, or sent; it never fails in the middle."""

import inspect
import io
from datetime import UTC, datetime

import pytest

from flora_provider.api import calls
from flora_provider.api.calls.sending import send_call
from flora_provider.api.errors import FloraError, FloraInputError
from flora_provider.api.files.download import download
from flora_provider.api.files.upload import upload
from flora_provider.api.settings import Settings
from tests.unit.api.arguments import FUNCTIONS, asked


class Hostile:
    def __repr__(self):
        raise RuntimeError


ODD = [
    None, True, 0, -1, 1.5, float("nan"), 10**5000, b"x", b"", "", " ", "None", "\ud83d", "a\x00b", "x" * 100_000,
    [], [None], [[]], {}, {1: 2}, {"a": {1}}, {"\ud83d": 1}, (), {1}, object(), Hostile(), len,
    datetime(2026, 1, 1, tzinfo=UTC), io.StringIO("x"), io.BytesIO(),
]  # fmt: skip


def outcome(function):
    """What it returns; our error if it raises one; whatever else it raises fails the test."""
    try:
        return function()
    except FloraError as error:
        str(error).encode()
        return error


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("path", "query_of")])
def test_call_is_made_or_refused_whatever_its_arguments(name):
    assert isinstance(asked(name, {}), calls.Call)
    for parameter in inspect.signature(getattr(calls, name)).parameters:
        for odd in ODD:
            made = outcome(lambda parameter=parameter, odd=odd: asked(name, {parameter: odd}))
            if isinstance(made, calls.Call):
                for key in ODD:
                    assert isinstance(
                        outcome(lambda made=made, key=key: made.with_key(key)), calls.Call | FloraInputError
                    )
            else:
                assert isinstance(made, FloraInputError)


@pytest.mark.parametrize("text", ["half \ud83d", "\udc00", "a\udfff" * 1000])
@pytest.mark.parametrize(
    ("where", "make"),
    [
        ("prompt", lambda text: asked("generate", {"prompt": text})),
        ("params.a[1].b", lambda text: asked("generate", {"params": {"a": [1, {"b": text}]}})),
        ("a name in params", lambda text: asked("generate", {"params": {text: 1}})),
        ("name", lambda text: asked("create_project", {"name": text})),
        ("query", lambda text: asked("list_projects", {"query": text})),
        ("file_name", lambda text: asked("create_asset", {"file_name": text})),
        ("folder", lambda text: asked("create_asset_from_file", {"folder": text})),
        ("idempotency_key", lambda text: asked("generate", {}).with_key(text)),
        ("inputs.a", lambda text: asked("run_technique", {"inputs": {"a": text}})),
        ("detail", lambda text: asked("send_feedback", {"detail": text})),
        ("callback_url", lambda text: asked("generate", {"callback_url": f"https://example.com/{text}"})),
        ("host", lambda text: Settings(api_key="k", base_url=f"https://example.com/{text}")),
        ("API key", lambda text: Settings(api_key=text)),
        ("proxy", lambda text: Settings(api_key="k", proxy=f"http://example.com/{text}")),
    ],
)  # fmt: skip
def test_text_without_utf8_is_refused_by_name_before_it_is_sent(where, make, text):
    with pytest.raises(FloraInputError) as caught:
        make(text)
    assert where in str(caught.value)
    str(caught.value).encode()


@pytest.mark.parametrize("setting", inspect.signature(Settings).parameters)
def test_settings_are_made_or_refused_whatever_their_arguments(setting):
    for odd in ODD:
        made = outcome(lambda odd=odd: Settings(**{"api_key": "k", setting: odd}))
        assert isinstance(made, Settings | FloraInputError)


def test_send_call_refuses_what_is_no_call(context):
    for odd in ODD:
        with pytest.raises(FloraInputError, match="is no call"):
            next(send_call(odd, context))


def test_upload_begins_or_is_refused_whatever_its_arguments(context):
    good = {"source": io.BytesIO(b"x"), "workspace_id": "ws_1", "file_name": "a.png"}
    for parameter in (*good, "content_type", "folder", "project_id", "ready_timeout"):
        for odd in ODD:
            outcome(lambda parameter=parameter, odd=odd: next(upload(context=context, **{**good, parameter: odd})))


def test_download_begins_or_is_refused_whatever_its_arguments(context):
    good = {"url": "https://example.com/a", "file": io.BytesIO()}
    for parameter in (*good, "max_bytes", "referrer"):
        for odd in ODD:
            outcome(lambda parameter=parameter, odd=odd: next(download(context=context, **{**good, parameter: odd})))
