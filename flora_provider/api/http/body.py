"""What arrives, bounded in bytes and in time, whatever a server sends."""

from __future__ import annotations

import time
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import IO, Any

import httpx

from flora_provider.api.errors import FloraAnswerError, FloraConnectionError, FloraDownloadError, FloraTimeoutError
from flora_provider.api.http.flow import Response
from flora_provider.api.settings import Settings

MAX_ANSWER = 16 * 1024 * 1024  # bytes, decompressed; FLORA's largest page is far below
MAX_ERROR = 64 * 1024  # bytes of an error's body that are read at all
CHUNK = 64 * 1024
MIN_REDACTABLE_KEY = 8  # characters; shorter keys would match ordinary words
MIN_BYTES_PER_SECOND = 16 * 1024  # bytes a second, on average; a file that moves more slowly is given up


class BodyReader:
    """An answer while it arrives: bounded in bytes, whatever the server sends."""

    def __init__(self, answer: httpx.Response, settings: Settings) -> None:
        self._answer = answer
        self._settings = settings
        self._coding = _GzipDecoder(answer)
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> bool:
        """Take a chunk; False when no more is needed.

        Raises:
            FloraAnswerError: a success larger than any of FLORA's.
            FloraConnectionError: a success that cannot be decompressed.
        """
        try:
            for piece in self._coding.undone(chunk):
                self._parts.append(piece)
                self._size += len(piece)
                if self._size > (MAX_ANSWER if self._answer.is_success else MAX_ERROR):
                    break
        except FloraConnectionError:
            if self._answer.is_success:
                raise
            return False  # an error's status says enough
        if self._answer.is_success and self._size > MAX_ANSWER:
            raise FloraAnswerError(f"the answer is larger than {MAX_ANSWER // 2**20} MB, so it is not FLORA's")
        return self._size <= MAX_ERROR or self._answer.is_success

    def whole(self) -> Response:
        """The answer, once all of it is there. Should an error quote the key, it is blotted out.

        Raises:
            FloraConnectionError: a success that ends in the middle of its compression.
        """
        body, key = b"".join(self._parts), self._settings.api_key.encode()
        if self._answer.is_success:
            self._coding.end()
        elif len(key) >= MIN_REDACTABLE_KEY:
            body = body.replace(key, b"(the API key)")
        return as_response(self._answer, body)


class FileSink:
    """A file while it arrives, written to disk piece by piece, bounded in bytes and in time.

    Raises:
        FloraDownloadError: the file is announced as larger than allowed.
    """

    def __init__(self, answer: httpx.Response, file: IO[bytes], *, max_bytes: int, timeout: float) -> None:
        self._coding = _GzipDecoder(answer)
        self._file = file
        self._max = max_bytes
        self._written = 0
        self._received = 0
        self._until = time.monotonic() + timeout
        file.seek(0)
        file.truncate()
        self._bound(as_response(answer).content_length or 0)

    def add(self, chunk: bytes) -> None:
        """Write a chunk.

        Raises:
            FloraDownloadError: the file is larger than allowed.
            FloraTimeoutError: it trickles in too slowly.
        """
        self._received += len(chunk)
        if time.monotonic() > self._until + self._received / MIN_BYTES_PER_SECOND:
            raise FloraTimeoutError(f"the file arrives more slowly than {MIN_BYTES_PER_SECOND // 1024} kB a second")
        for piece in self._coding.undone(chunk):
            self._written += len(piece)
            self._bound(self._written)
            self._file.write(piece)

    def end(self) -> None:
        """Say that no chunk follows.

        Raises:
            FloraConnectionError: it ends in the middle of its compression.
        """
        self._coding.end()

    def _bound(self, size: int) -> None:
        if size > self._max:
            raise FloraDownloadError(f"the file is larger than {self._max} bytes: raise max_bytes if that is right")


class _GzipDecoder:
    """Decompresses incrementally, so the size limit also stops decompression bombs."""

    def __init__(self, answer: httpx.Response) -> None:
        name = answer.headers.get("content-encoding", "").strip().lower()
        # What was made in memory (`httpx.MockTransport`) is already decompressed.
        self._name = "" if name == "identity" or answer.is_stream_consumed else name
        self._inflate: Any = None

    def undone(self, chunk: bytes) -> Iterator[bytes]:
        """The pieces of a chunk, at most `CHUNK` bytes each if it was compressed.

        Raises:
            FloraConnectionError: it was compressed in a way that was not asked for, or damaged.
        """
        if not self._name:
            yield chunk
            return
        if self._name != "gzip":
            raise FloraConnectionError(f"the answer is compressed in an unknown way: {self._name[:40]}")
        try:
            full = False
            while chunk or full:
                if self._inflate is None or (self._inflate.eof and chunk):  # gzip's members may follow one another
                    self._inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
                piece = self._inflate.decompress(chunk, CHUNK)
                yield piece
                chunk, full = self._inflate.unconsumed_tail or self._inflate.unused_data, len(piece) == CHUNK
        except zlib.error:
            raise FloraConnectionError("the answer arrived damaged: it cannot be decompressed") from None

    def end(self) -> None:
        """Say that no chunk follows.

        Raises:
            FloraConnectionError: some had to.
        """
        if self._inflate is not None and not self._inflate.eof:
            raise FloraConnectionError("the answer broke off: it ends in the middle of its compression")


def iter_raw(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The bytes as they come in. What was made in memory (`httpx.MockTransport`) is already read and decompressed."""
    return answer.aiter_bytes() if answer.is_stream_consumed else answer.aiter_raw()


def as_response(answer: httpx.Response, body: bytes = b"") -> Response:
    """An httpx response as a Response."""
    return Response(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, body)
