"""Fetching a file: whole, bounded, without credentials, and never from a public address into a private network."""

import io

import pytest

from flora_provider.api import errors
from flora_provider.api.files.download import Downloaded, download
from flora_provider.api.http.flow import Fetch, Resolve
from flora_provider.api.http.retry_policy import RetryPolicy
from tests.support.responses import response

URL = "https://media.flora.ai/node-outputs/a.png?signature=secret"
PUBLIC, PRIVATE = ["1.1.1.1"], ["10.1.2.3"]


@pytest.fixture
def fetch(context):
    """Make the flow that downloads into a file which the test also has."""

    def make(url=URL, file=None, max_bytes=1000, **options):
        return download(url, io.BytesIO() if file is None else file, max_bytes=max_bytes, context=context, **options)

    return make


def arrives(content=b"png", status=200, **headers):
    """An answer that writes into the file what a client would."""

    def write(effect):
        effect.file.seek(0)
        effect.file.truncate()
        effect.file.write(content)
        return response(status, body=b"", **headers)

    return write


def moved(location, status=302):
    return response(status, body=b"", location=location)


def test_file_arrives_with_its_size_and_type(runner, fetch):
    file = io.BytesIO(b"what was there before is replaced")
    got = runner.run(fetch(file=file), arrives(b"png", content_length=3, content_type="Image/PNG; charset=binary"))
    assert got == Downloaded(size=3, content_type="image/png")
    assert file.getvalue() == b"png"
    assert runner.effects == [Fetch(URL, file, 1000)]


@pytest.mark.parametrize("length", ["", "many", "-3", "3, 3", "\u0663", "1" * 5000])
def test_invalid_content_length_is_ignored(runner, fetch, length):
    assert runner.run(fetch(), arrives(content_length=length)).size == 3


def test_file_without_a_type_is_bytes(runner, fetch):
    assert runner.run(fetch(), arrives()).content_type == "application/octet-stream"


def test_truncated_or_empty_download_is_retried_from_its_start(runner, fetch):
    file = io.BytesIO()
    got = runner.run(
        fetch(file=file),
        arrives(b"pn", content_length=3),
        arrives(b""),
        errors.FloraConnectionError("broke"),
        response(503, retry_after=9),
        arrives(b"png", content_length=3),
    )
    assert got.size == 3
    assert file.getvalue() == b"png"
    assert runner.sleeps == [0.5, 1, 2, 9]


def test_compressed_file_may_be_longer_than_its_content_length(runner, fetch):
    assert runner.run(fetch(), arrives(b"png" * 9, content_length=20, content_encoding="gzip")).size == 27


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (lambda: arrives(b"pn", content_length=3), "media.flora.ai sent 2 bytes of 3"),
        (lambda: arrives(b""), "media.flora.ai sent an empty file"),
        (lambda: response(503), "media.flora.ai answered 503"),
    ],
)
def test_last_retry_of_a_download_raises_what_was_received(runner, fetch, context, last, message):
    context.policy = RetryPolicy(max_retries=1)
    with pytest.raises(errors.FloraDownloadError) as caught:
        runner.run(fetch(), response(500), last())
    assert str(caught.value) == message
    assert caught.value.may_retry


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_expired_url_is_not_retried(runner, fetch, status):
    with pytest.raises(errors.FloraDownloadError) as caught:
        runner.run(fetch(), response(status))
    assert str(caught.value) == (
        f"media.flora.ai answered {status}: its address may have expired; get the run again for a fresh one"
    )
    assert not caught.value.may_retry


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_by_hand(runner, fetch, status):
    got = runner.run(
        fetch(),
        moved("/b.png?signature=other", status),
        moved("https://cdn.example.com/c.png", status),
        PUBLIC,
        arrives(),
    )
    assert got.size == 3
    assert [effect.url for effect in runner.effects if isinstance(effect, Fetch)] == [
        URL,
        "https://media.flora.ai/b.png?signature=other",
        "https://cdn.example.com/c.png",
    ]


@pytest.mark.parametrize("location", ["//[", "https://[::1", "http://media.flora.ai/a"])
def test_redirect_to_nowhere_is_reported(runner, fetch, location):
    with pytest.raises(errors.FloraDownloadError, match="none that is followed"):
        runner.run(fetch(), moved(location))


@pytest.mark.parametrize("status", [204, 206, 302])  # a part of a file is no file, nor is a redirect to no location
def test_status_that_brings_no_whole_file_is_reported(runner, fetch, status):
    for answer in (arrives(status=status), response(status)):
        with pytest.raises(errors.FloraDownloadError, match=f"media.flora.ai answered {status}"):
            runner.run(fetch(), answer)


def test_more_than_three_redirects_are_too_many(runner, fetch):
    with pytest.raises(errors.FloraDownloadError, match=r"media.flora.ai redirects more than 3 times"):
        runner.run(fetch(), *[moved(f"/{number}") for number in range(4)])


@pytest.mark.parametrize(
    "url",
    [
        "http://media.flora.ai/a",
        "ftp://media.flora.ai/a",
        "file:///etc/passwd",
        "//media.flora.ai/a",
        "https://",
        "https://user:secret@media.flora.ai/a",
        "https://media.flora.ai:port/a",
        "https://[half/a",
        "http://localhost.evil.com/a",
        "https://media.flora.ai\0/a",
        "https://media.flora.ai/a\n",
        "",
    ],
)
def test_url_that_is_not_https_or_carries_a_password_is_not_followed(runner, fetch, url):
    with pytest.raises(errors.FloraDownloadError, match="none that is followed") as caught:
        runner.run(fetch(url))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/a", "http://localhost/a", "http://[::1]:1/a"])
def test_localhost_may_be_reached_over_plain_http(runner, fetch, url):
    assert runner.run(fetch(url, referrer="http://127.0.0.1:9000/api/v1"), arrives()).size == 3


INWARD = [
    "https://127.0.0.1/a",
    "http://127.0.0.1/latest/meta-data",
    "https://169.254.169.254/latest/meta-data",
    "https://[::ffff:10.0.0.1]/a",
    "https://[fd00::1]/a",
    "https://localhost./a",
    "https://db.internal/a",
]


@pytest.mark.parametrize("url", INWARD)
def test_redirect_from_a_public_host_to_a_private_one_is_refused(runner, fetch, url):
    with pytest.raises(errors.FloraDownloadError, match=r"media\.flora\.ai leads to .* inside a private network"):
        runner.run(fetch(), moved(url), PUBLIC)


def test_host_that_resolves_to_a_private_address_is_refused(runner, fetch):
    with pytest.raises(errors.FloraDownloadError, match=r"leads to evil\.example\.com, which is inside"):
        runner.run(fetch(), moved("https://evil.example.com/"), PUBLIC + PRIVATE, PUBLIC)
    assert [effect for effect in runner.effects if isinstance(effect, Resolve)] == [
        Resolve("evil.example.com"),
        Resolve("media.flora.ai"),
    ]


def test_first_url_is_checked_like_a_redirect_if_its_referrer_is_public(runner, fetch):
    flora = "https://app.flora.ai/api/v1"
    with pytest.raises(errors.FloraDownloadError, match=r"app.flora.ai leads to 10\.0\.0\.1"):
        runner.run(fetch("https://10.0.0.1/", referrer=flora), PUBLIC)
    assert runner.run(fetch(referrer=flora), PUBLIC, arrives()).size == 3
    assert runner.run(fetch("https://app.flora.ai/a", referrer=flora), arrives()).size == 3


def test_private_host_may_lead_to_a_private_host(runner, fetch):
    assert runner.run(fetch("https://10.0.0.1/", referrer="https://flora.internal"), arrives()).size == 3
    flow = fetch("https://10.0.0.1/", referrer="https://flora.example.com")
    assert runner.run(flow, PRIVATE, arrives()).size == 3


def test_host_that_only_a_proxy_resolves_is_not_refused(runner, fetch):
    unknown = errors.FloraConnectionError("its name is unknown", ambiguous=False)
    assert runner.run(fetch(), moved("https://cdn.example.com/"), unknown, arrives()).size == 3


def test_retries_are_logged_without_the_url(runner, fetch, caplog):
    runner.run(fetch(), response(503), arrives())
    assert caplog.messages == ["Download: media.flora.ai answered 503. Trying again in 0.5 s"]
