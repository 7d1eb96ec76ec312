"""How much the sandbox can answer at most, so that we know that it is not what the waits wait for.

As a process it asks as fast as it can: it reads a job as a line of JSON, and prints how many answers it got per second.
Requests are bytes made beforehand, and answers are not parsed, so that it can ask faster than the sandbox answers.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from benchmarks.processes import say, started

CONCURRENT_REQUESTS = 200  # requests on their way; with 30 ms of latency that allows for 6,600 a second
SECONDS = 5.0
KINDS = {
    "poll": "a poll of one run, over connections that are kept",
    "poll, reconnecting": "a poll of one run, each over a new connection",
    "page": "a page of 100 runs, over connections that are kept",
}


def measure() -> dict[str, dict[str, float]]:
    """Answers per second by kind, and the share of a processor that the sandbox took for them."""
    found = {}
    with started("benchmarks.server") as flora:
        card = flora.heard()
        flora.ask("start 10000 20 60")
        for kind in KINDS:
            flora.ask("start 0 20 60")
            with started("benchmarks.load") as asking:
                per_second = asking.ask(json.dumps(card | {"kind": kind}))
            found[kind] = {"per_second": per_second, "busy": flora.ask("report")["busy"]}
    return found


async def main() -> None:
    """Do the job that stdin tells."""
    job = json.loads(sys.stdin.readline())
    until = time.monotonic() + SECONDS
    counts = await asyncio.gather(*(ask(job, until) for _ in range(CONCURRENT_REQUESTS)))
    say(sum(counts) / SECONDS)


async def ask(job: dict[str, Any], until: float) -> int:
    """Ask again and again, one request after the other; how many were answered."""
    url = urlsplit(job["base_url"])
    path = (
        f"{url.path}/generations?limit=100" if job["kind"] == "page" else f"{url.path}/runs/{job['warm_up']['run_id']}"
    )
    ends = job["kind"] == "poll, reconnecting"
    lines = [f"GET {path} HTTP/1.1", f"Host: {url.netloc}", f"Authorization: Bearer {job['api_key']}"]
    request = "\r\n".join([*lines, "Connection: close" if ends else "Accept: */*", "", ""]).encode()
    answered, reader, writer = 0, *await asyncio.open_connection(url.hostname, url.port)
    while time.monotonic() < until:
        writer.write(request)
        headers = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(headers.partition(b"content-length:")[2].split(b"\r\n")[0]))
        answered += 1
        if ends:
            writer.close()
            reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.close()
    return answered


if __name__ == "__main__":
    asyncio.run(main())
