"""What all clients of one process share, and what a fork of it begins anew.

A fork copies memory and no threads: in the child nobody runs the parent's event loop or releases a lock that another
thread held, and its sockets are still the parent's. So nothing of that is used there, and nothing of it is closed: the
selector of an event loop is one for both processes, and what the child takes from it is gone for the parent.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import os
import selectors
import threading
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from flora_provider.api.http.throttle import Throttle

if TYPE_CHECKING:
    from flora_provider.api.settings import Settings

T = TypeVar("T")

# By base URL, limit and a salted hash of the key: clients that agree in all three share one, for FLORA counts requests
# and knows no clients. The latest are kept without a client, too, for clients often follow one another.
_throttles: WeakValueDictionary[tuple[str, float | None, bytes], Throttle] = WeakValueDictionary()
_latest: deque[Throttle] = deque(maxlen=16)
_SALT = os.urandom(16)


def throttle_for(settings: Settings, inherited: Throttle | None = None) -> Throttle:
    """The throttle of all clients with these settings.

    Args:
        settings: of a client.
        inherited: of the same client in the parent process, if it was made before a fork; a new one starts as it is.
    """
    digest = hashlib.blake2b(settings.api_key.encode(), key=_SALT).digest()
    limit = settings.requests_per_second
    made = inherited.copy() if inherited else Throttle(limit)
    throttle = _throttles.setdefault((settings.base_url, limit, digest), made)
    if throttle not in _latest:
        _latest.append(throttle)
    return throttle


class _Process:
    """The event loop of all blocking clients of this process, in a thread of its own, made when it is first needed.

    Attributes:
        number: another one in each child, by which clients know that they have been forked.
    """

    def __init__(self) -> None:
        self.number = 0
        self._left: list[Any] = []
        self._begin()

    def _begin(self) -> None:
        self._starting = threading.Lock()
        self._selector: selectors.BaseSelector | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def forked(self) -> None:
        """Begin anew, in a child."""
        self.number += 1
        if self._selector:
            self._selector.close()  # this process' end of it; the parent's stays as it is
        self._left.append(self._loop)  # kept, for what is thrown away may be closed on its way
        self._begin()
        _latest.clear()
        _throttles.clear()  # a thread that held the lock of one is not there

    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, running."""
        with self._starting:
            if self._loop is None:
                self._selector = selectors.DefaultSelector()
                self._loop = asyncio.SelectorEventLoop(self._selector)
                threading.Thread(target=self._loop.run_forever, name="flora", daemon=True).start()
            return self._loop


PROCESS = _Process()
os.register_at_fork(after_in_child=PROCESS.forked)

# What httpx loads at its first request, which is made in the thread of the loop: a child that is forked meanwhile would
# wait for ever for a module that nobody goes on loading.
for _name in (
    "anyio._backends._asyncio",
    "anyio.streams.tls",
    "sniffio",
    "concurrent.futures.thread",
    "encodings.idna",
):
    with suppress(ImportError):
        importlib.import_module(_name)


def awaited(work: Coroutine[Any, Any, T]) -> T:
    """The result of work that is done on the loop of all blocking clients."""
    future = asyncio.run_coroutine_threadsafe(work, PROCESS.loop())
    try:
        return future.result()
    except BaseException:  # a signal may raise anything here, such as Airflow's timeouts
        future.cancel()
        raise
