"""What all clients of one process share, and what a fork of it begins anew.

A fork copies memory and no threads: in the child nobody runs the parent's event loop or releases a lock that another
thread held, and its sockets are still the parent's. So nothing of that is used there, and nothing of it is closed: the
selector of an event loop is one for both processes, and what the child takes from it is gone for the parent.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import selectors
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from flora_provider.api.pace import Pacer

T = TypeVar("T")

# By address, key and limit: all clients of this process share one, for FLORA counts requests and knows no clients.
PACERS: dict[tuple[str, str, float | None], Pacer] = {}


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
        for place, pacer in PACERS.items():
            PACERS[place] = pacer.copy()

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
