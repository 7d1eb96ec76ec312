"""How both clients fetch a file: streamed, bounded, and without credentials."""

import gzip
import io

import httpx
import pytest

from flora_provider.api import errors
from flora_provider.api.files.download import Downloaded, download
from flora_provider.api.http.flow import Resolve

URL = "https://media.flora.ai/node-outputs/a.png?signature=secret"


@pytest.fixture
def fetch(context):
    """Make the flow that downloads into a file which the test also has."""

    def make(url=URL, file=None, max_bytes=1000):
        return download(url, io.BytesIO() if file is None else file, max_bytes=max_bytes, context=context)

    return make


def test_both_clients_write_the_file_and_send_no_credentials(any_client, fetch):
    seen = []

    def host(request):
        seen.append(request)
        if request.url.path == "/node-outputs/a.png":
            return httpx.Response(302, headers={"location": "/whole"})
        return httpx.Response(
            200, content=b"png" * 100, headers={"content-type": "image/png", "set-cookie": "id=1; Domain=flora.ai"}
        )

    file = io.BytesIO(b"longer than what comes" * 100)
    client = any_client(host)
    assert client.run(fetch(file=file)) == Downloaded(300, "image/png")
    assert file.getvalue() == b"png" * 100
    client.run(fetch(file=file))
    assert [str(request.url) for request in seen[:2]] == [URL, "https://media.flora.ai/whole"]
    for request in seen:
        assert "authorization" not in request.headers
        assert "cookie" not in request.headers
        assert request.headers["accept-encoding"] == "identity"


def test_address_is_asked_for_exactly_as_it_was_given(any_client, fetch):
    seen = []

    def host(request):
        seen.append(str(request.url))
        return httpx.Response(200, content=b"png")

    url = (
        "https://media.flora.ai/node-outputs/a%20b+c%2Fd.png?tr=orig-true&X-Goog-Signature=a%2Fb%2Bc%3D%3D&e=a/b+c==&x"
    )
    any_client(host).run(fetch(url))
    assert seen == [url]


def test_both_clients_stop_at_the_size_bound(any_client, fetch, stream):
    file = io.BytesIO()
    client = any_client(lambda _request: httpx.Response(200, stream=stream(b"x" * 5000, size=300)))
    with pytest.raises(errors.FloraDownloadError, match="larger than 1000 bytes: raise max_bytes") as caught:
        client.run(fetch(file=file))
    assert not caught.value.may_retry
    assert len(file.getvalue()) == 900


def test_file_announced_as_too_large_is_not_begun(any_client, fetch):
    file = io.BytesIO()
    client = any_client(lambda _request: httpx.Response(200, content=b"x" * 1001))
    with pytest.raises(errors.FloraDownloadError, match="larger than 1000 bytes"):
        client.run(fetch(file=file))
    assert file.getvalue() == b""


def test_decompression_bomb_is_stopped_by_max_bytes(any_client, fetch, stream, bomb):
    file = io.BytesIO()
    client = any_client(lambda _request: httpx.Response(200, headers={"content-encoding": "gzip"}, stream=stream(bomb)))
    with pytest.raises(errors.FloraDownloadError, match="larger than"):
        client.run(fetch(file=file, max_bytes=1_000_000))
    assert len(file.getvalue()) <= 1_000_000


def test_compressed_file_is_saved_decompressed(any_client, fetch, stream):
    content = b"a text of a run, " * 10_000
    packed = gzip.compress(content)
    headers = {"content-encoding": "gzip", "content-length": str(len(packed))}
    client = any_client(lambda _request: httpx.Response(200, headers=headers, stream=stream(packed)))
    file = io.BytesIO()
    assert client.run(fetch(file=file, max_bytes=10**6)).size == len(content)
    assert file.getvalue() == content


def test_full_disk_is_not_taken_for_a_broken_connection(any_client, fetch):
    class Full(io.BytesIO):
        def write(self, _data):
            raise OSError(28, "No space left on device")

    client = any_client(lambda _request: httpx.Response(200, content=b"png"))
    with pytest.raises(OSError, match="No space left") as caught:
        client.run(fetch(file=Full()))
    assert not isinstance(caught.value, errors.FloraError)


def test_both_clients_resolve_names(any_client):
    def resolve(host):
        return (yield Resolve(host))

    client = any_client(lambda _request: None)
    assert set(client.run(resolve("127.0.0.1"))) == {"127.0.0.1"}
    with pytest.raises(errors.FloraConnectionError, match="cannot be reached: its name is unknown") as caught:
        client.run(resolve("x" * 70 + ".com"))
    assert not caught.value.ambiguous


def test_address_that_httpx_cannot_read_is_refused_and_not_retried(any_client, fetch):
    with pytest.raises(errors.FloraInputError, match=r"an address at media\.flora\.ai cannot be right"):
        any_client(lambda _request: None).run(fetch("https://media.flora.ai/" + "a" * 70_000))
