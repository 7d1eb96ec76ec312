"""What is measured while waits run: the loop's lag, CPU, memory. The meter's own CPU is measured first and left out."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterable
from typing import Any, Self

import psutil

BEAT = 0.05  # seconds between two beats


def quantiles(values: Iterable[float], *, of: tuple[float, ...] = (0.5, 0.95, 1.0)) -> list[float]:
    """The values below which these shares lie; 1.0 is the largest."""
    ordered = sorted(values) or [float("nan")]
    return [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in of]


class Meters:
    """Measures this process and its event loop for the length of an `async with` block.

    A beat every 50 ms sees by how much the loop is late; memory is looked at twice a second.

    Args:
        idle: seconds for which the meter runs alone first, to know what it costs.
    """

    def __init__(self, *, idle: float) -> None:
        self._idle = idle

    async def __aenter__(self) -> Self:
        """Begin."""
        self._own = await self._cost_of_beating()
        gc.collect()
        self._process = psutil.Process()
        self._before = self._peak = self._process.memory_info().rss
        self._late: list[float] = []
        self._beating = asyncio.create_task(self._beat(self._late))
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End."""
        wall = time.perf_counter() - self._wall
        self._cpu = time.process_time() - self._cpu - wall * self._own
        self._beating.cancel()

    def result(self) -> dict[str, Any]:
        """CPU in seconds, memory over that before in bytes, the loop's lag in milliseconds (p50, p99, max)."""
        lag = [late * 1000 for late in quantiles(self._late, of=(0.5, 0.99, 1.0))]
        return {"cpu": self._cpu, "memory": self._peak - self._before, "loop_lag": lag}

    async def _cost_of_beating(self) -> float:
        beating = asyncio.create_task(self._beat([]))
        self._process, self._peak = psutil.Process(), 0
        cpu = time.process_time()
        await asyncio.sleep(self._idle)
        beating.cancel()
        return (time.process_time() - cpu) / self._idle

    async def _beat(self, late: list[float]) -> None:
        while True:
            for _ in range(round(0.5 / BEAT)):
                due = time.perf_counter() + BEAT
                await asyncio.sleep(BEAT)
                late.append(time.perf_counter() - due)
            self._peak = max(self._peak, self._process.memory_info().rss)
