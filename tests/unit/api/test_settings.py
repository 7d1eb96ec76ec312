"""How to reach FLORA: what is accepted, completed or refused, and never shown."""

import pytest
from hypothesis import given

from flora_provider.api.errors import FloraInputError
from flora_provider.api.settings import Settings
from flora_provider.api.urls import DEFAULT_BASE_URL, canonical_base_url
from tests.support.strategies import texts


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("https://app.flora.ai", DEFAULT_BASE_URL),
        ("https://app.flora.ai/", DEFAULT_BASE_URL),
        (" app.flora.ai/api/v1/ ", DEFAULT_BASE_URL),
        ("HTTPS://APP.flora.ai:443/api/v2", "https://app.flora.ai:443/api/v2"),
        ("http://localhost:8000", "http://localhost:8000/api/v1"),
        ("http://flora.localhost", "http://flora.localhost/api/v1"),
        ("http://127.0.0.9:1/api/v1", "http://127.0.0.9:1/api/v1"),
        ("http://[::1]:8000", "http://[::1]:8000/api/v1"),
        ("http://::1", "http://[::1]/api/v1"),
        ("::1/api/v2", "https://[::1]/api/v2"),
    ],
)
def test_base_url_gets_its_canonical_form(url, meant):
    assert canonical_base_url(url) == meant
    assert Settings(api_key="k", base_url=meant).base_url == meant


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://app.flora.ai", "plain http would send the API key in clear"),
        ("http://10.0.0.1", "plain http"),
        ("http://localhost.example.com", "plain http"),
        ("ftp://app.flora.ai", "give an address such as"),
        ("https://", "give an address such as"),
        ("https://app flora.ai", "give an address such as"),
        ("https://user:secret@app.flora.ai", "carries a user, a query or a fragment"),
        ("https://app.flora.ai/?key=secret", "carries a user, a query or a fragment"),
        ("https://app.flora.ai:port", "is not an address"),
        ("https://[half", "is not an address"),
        ("", "give an address such as"),
    ],
)
def test_base_url_that_cannot_be_right_is_refused(url, why):
    with pytest.raises(FloraInputError, match=why) as caught:
        Settings(api_key="k", base_url=url)
    assert "secret" not in str(caught.value)


def test_settings_report_all_problems_at_once_and_no_secret():
    with pytest.raises(FloraInputError) as caught:
        Settings(
            api_key="secret key",
            base_url="http://example.com",
            timeout=0,
            max_retries=-1,
            requests_per_second=float("inf"),
            verify="",
            proxy="secret:secret@proxy",
        )
    assert len(caught.value.problems) == 7
    assert "secret" not in str(caught.value)
    for name in ("API key", "timeout is 0", "max_retries is -1", "requests_per_second is inf", "verify is ''", "proxy"):
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("api_key", ["", "a b", "ä", "a\n", "\x7f", "Bearer sk_1", "'sk_1'", 'sk_1"', 5, None]),
        ("base_url", [None, 5]),
        ("proxy", [5, "http://[::1", "http://proxy:port", "socks5://proxy", "proxy:3128", "http:// proxy", "https://"]),
        ("timeout", [True, "60", -1, float("nan")]),
        ("max_retries", [True, 2.0, 21, None]),
        ("requests_per_second", [0, "5", False]),
        ("verify", [None, 1]),
    ],
)
def test_settings_of_the_wrong_kind_are_refused(name, values):
    for value in values:
        with pytest.raises(FloraInputError):
            Settings(**{"api_key": "k", name: value})


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("bearer sk_1", "begins with 'Bearer': give the key alone"),
        ('"sk_1"', "is in quotes: leave them out"),
        ("sk_1\n", "holds spaces, line breaks or other characters"),
    ],
)
def test_key_that_was_copied_with_more_is_refused_for_what_it_is(key, problem):
    with pytest.raises(FloraInputError, match=problem) as refused:
        Settings(api_key=key)
    assert "sk_1" not in str(refused.value)


def test_settings_have_good_defaults():
    settings = Settings(api_key="sk_live_x")
    assert (settings.timeout, settings.max_retries) == (60, 4)
    assert (settings.requests_per_second, settings.verify) == (None, True)
    assert "sk_live_x" not in repr(settings)
    assert "secret" not in repr(Settings(api_key="k", proxy="http://user:secret@proxy:3128"))


def test_settings_default_to_the_environment():
    environ = {"FLORA_API_KEY": " k ", "FLORA_BASE_URL": " "}
    assert Settings.from_environment(environ) == Settings(api_key="k")
    assert Settings.from_environment(environ, api_key="mine").api_key == "mine"
    elsewhere = Settings.from_environment({"FLORA_BASE_URL": "https://e.com"}, api_key="mine")
    assert elsewhere.base_url == "https://e.com/api/v1"
    with pytest.raises(FloraInputError, match="FLORA_API_KEY is not set: export it, or pass api_key"):
        Settings.from_environment({"FLORA_API_KEY": " "})


@given(texts())
def test_any_host_becomes_a_valid_base_url_or_is_refused(typed):
    try:
        url = canonical_base_url(typed)
    except ValueError:
        return
    assert url.startswith(("https://", "http://"))
    assert canonical_base_url(url) == url
