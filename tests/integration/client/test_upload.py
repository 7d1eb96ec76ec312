"""How both clients send a large file: streamed, again from its start, and without the key."""

import io
import tracemalloc

import httpx
import pytest

from flora_provider.api.files.upload import upload

STORAGE = "https://storage.googleapis.com/bucket"
PENDING = {"asset_id": "asset_1", "workspace_id": "ws_1", "status": "pending_upload", "url": None}
FORM = PENDING | {"upload": {"url": STORAGE, "file_field": "data", "form_fields": {"policy": "secret", "key": "k"}}}
BYTES = PENDING | {"upload_url": f"{STORAGE}?signature=secret"}
READY = PENDING | {"status": "ready", "url": "https://media.flora.ai/b.png"}


@pytest.fixture
def give(context):
    def make(source, **options):
        return upload(source, **{"workspace_id": "ws_1", "file_name": "b.PNG", "context": context, **options})

    return make


def answer(request, reserved, storage_status=204):
    if request.url.host != "app.flora.ai":
        return httpx.Response(storage_status)
    return httpx.Response(201, json=READY if request.url.path.endswith("complete") else reserved)


class FLORA:
    """Enough of FLORA and of its storage for one upload, both of which note what they are sent."""

    def __init__(self, reserved):
        self.reserved = reserved
        self.seen = []

    def __call__(self, request):
        request.read()
        self.seen.append(request)
        return answer(request, self.reserved, storage_status=503 if len(self.seen) == 2 else 204)


@pytest.mark.parametrize("reserved", [FORM, BYTES], ids=["form", "bytes"])
def test_both_clients_stream_a_large_file_without_the_key(any_client, give, reserved, api_key):
    content = bytes(range(256)) * 20_000
    flora = FLORA(reserved)
    client = any_client(flora)
    asset = client.run(give(io.BytesIO(content), context=client.client.context))
    assert asset.status == "ready"

    _, failed, stored, complete = flora.seen
    assert failed.content == stored.content
    assert content in stored.content
    assert stored.headers["content-length"] == str(len(stored.content))
    assert "transfer-encoding" not in stored.headers
    assert "authorization" not in stored.headers
    assert api_key not in str(stored.headers)
    assert complete.content == b"{}"
    if "upload" in reserved:
        assert stored.content.index(b'name="policy"') < stored.content.index(b'name="data"; filename="b.PNG"')
    else:
        assert stored.content == content
        assert stored.headers["content-type"] == "image/png"


def test_small_file_is_sent_again_as_it_was(any_client, give):
    file, seen = io.BytesIO(b"first"), []

    def flora(request):
        seen.append((request.headers["idempotency-key"], request.read()))
        file.write(b"later")
        return httpx.Response(503 if len(seen) == 1 else 201, json=READY)

    client = any_client(flora)
    client.run(give(file, context=client.client.context))
    assert seen[0] == seen[1]
    assert b"first" in seen[0][1]


class Pattern(io.RawIOBase):
    """A large file that takes no memory."""

    def __init__(self, size):
        self._size, self._at = size, 0

    def seek(self, offset, whence=0):
        self._at = offset + (self._size if whence == 2 else 0)
        return self._at

    def tell(self):
        return self._at

    def read(self, size=-1):
        taken = min(size, self._size - self._at)
        self._at += taken
        return bytes(taken)


class Swallow(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Takes a request piece by piece, as a network would."""

    def __init__(self, reserved):
        self.reserved = reserved
        self.taken = 0

    def handle_request(self, request):
        self.taken += sum(len(piece) for piece in request.stream)
        return answer(request, self.reserved)

    async def handle_async_request(self, request):
        async for piece in request.stream:
            self.taken += len(piece)
        return answer(request, self.reserved)


@pytest.mark.parametrize("reserved", [FORM, BYTES], ids=["form", "bytes"])
def test_both_clients_need_little_memory_for_a_large_file(any_client, give, reserved):
    size = 50 * 1024 * 1024
    network = Swallow(reserved)
    client = any_client(transport=network)
    tracemalloc.start()
    client.run(give(Pattern(size)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert network.taken > size
    assert peak < 4 * 1024 * 1024
