"""What was measured, as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import batch, imports, load, mapping
from benchmarks.bounds import bounds
from benchmarks.cases import DEFAULT_INTERVAL, LONGEST_INTERVAL, PEER_INTERVALS, SAME_LAG_INTERVAL
from benchmarks.server import LATENCY_MS
from devstack.airflow_instance import WORKERS

RESULTS = Path(__file__).parent / "RESULTS.md"
COLUMNS = (
    "waits", "noticed", "requests per run", "connections per run", "lag p50 / p95 / max, s",
    "loop lag p50 / p99 / max, ms", "CPU per run, ms", "memory per run, KB", "answers 429", "sandbox busy",
)  # fmt: skip
PACKAGES = ("apache-airflow", "apache-airflow-providers-http", "aiohttp", "httpx", "pydantic", "uvicorn", "httptools")
INTRODUCTION = f"""\
# What waiting costs

`make bench` wrote this page. It starts runs of 20 to 60 s in the sandbox, all at once, and waits for them with triggers
on one event loop, as Airflow's triggerer does: with ours, and with `HttpEventTrigger` of apache-airflow-providers-http,
which is what one would use instead. The sandbox has a process of its own and answers after {LATENCY_MS:g} ms; FLORA's
estimates are right within 30 %, and progress comes in steps of 10 %.

*Lag* is the time from a run's end to its trigger's event. *Loop lag* is by how much a timer on the event loop is late.
CPU and memory are those of the whole process from the first wait's start on, over what it took before; the meter's own
CPU is left out, which leaves an error of up to half a second in all. All waits log as in a triggerer, into a file.
"""


def write(results: dict[str, Any]) -> None:
    """Make the page of all that was measured."""
    RESULTS.write_text("\n".join(page(results)), encoding="utf-8")


def page(results: dict[str, Any]) -> Iterator[str]:
    """The page's parts; what was not measured is left out."""
    yield INTRODUCTION
    yield from _machine()
    yield "## What must hold\n"
    yield from table(("", "measured", "at most", "holds"), bound_rows(results))
    yield f"## Alone, at our defaults (an interval of {DEFAULT_INTERVAL:g} s)\n"
    yield "Two hundred waits in groups of one, and of ten, each group with a connection of its own. They share nothing"
    yield "but the event loop: CPU, memory and connections are mostly those of two hundred, or twenty, clients.\n"
    yield from table(COLUMNS, [row(name, results[name]) for name in ("1 wait", "10 waits") if name in results])
    yield "## Side by side\n"
    yield f"Ours at its default of {DEFAULT_INTERVAL:g} s. `HttpEventTrigger` at {SAME_LAG_INTERVAL:g} s, where it is"
    yield f"about as late as ours; 10,000 of it at {LONGEST_INTERVAL:g} s, as they keep up with no interval.\n"
    yield from table(COLUMNS, side_by_side(results))
    yield "## 10,000 waits while FLORA answers 5 requests a second\n"
    limited = [(title, results.get(f"10000 {name}")) for title, name in (("no limit", "ours"), ("limit", "limited"))]
    yield from table(COLUMNS, [row(title, result) for title, result in limited if result])
    yield "A request that was on its way when a 429 left is not taken for one that came before `Retry-After` allows.\n"
    yield from _many_prompts(results)
    yield "## Why the sandbox is not the bottleneck\n"
    yield from _headroom(results)
    yield "## What importing the operators costs a DAG file\n"
    yield f"CPU over `import airflow.sdk`, medians of {imports.TIMES} processes each.\n"
    found = results.get("imports", {})
    least = min(found.values(), default=1.0)
    yield from table(("", "ms", ""), [(f"`{name}`", f"{ms:.0f}", _times(ms, least)) for name, ms in found.items()])
    yield "## For how long a worker is held\n"
    yield "On a real Airflow, per awaited run of 20 s; `python -m benchmarks.workers` measures it.\n"
    yield from table(("", "s"), [(name, f"{held:.2f}") for name, held in results.get("workers", {}).items()])


def _many_prompts(results: dict[str, Any]) -> Iterator[str]:
    yield "## Many prompts: mapped tasks beside a batch\n"
    yield f"On a real Airflow with {WORKERS} workers, one way after the other; runs take {mapping.SECONDS} s, and"
    yield f"{mapping.IN_FLIGHT} of the batch are in flight. CPU is that of all processes of Airflow (scheduler,"
    yield "workers, triggerer, dag-processor, api-server) from a DAG run's start to its end. It hardly depends on what"
    yield "else the machine does; wall time does, and is only indicative.\n"
    yield from table(mapping.COLUMNS, mapping.table_rows(results))
    for count in mapping.COUNTS:
        if found := results.get(f"{count} prompts"):
            yield f"Before those with {count} prompts, an idle Airflow took {found['idle']:.0%} of one processor.\n"
    yield "## A batch of 10,000 rows\n"
    yield f"Runs take {batch.SECONDS:g} s, and {batch.IN_FLIGHT} are in flight. Each step has a process of its own,"
    yield f"which has done a batch of {batch.WARM_UP} rows before. Memory is the most that a step took over that, files"
    yield "and manifest included. For a turn of the event loop nobody else on it has a turn; its lag is that of a timer"
    yield "on it, which also waits for whatever else the machine does.\n"
    yield from table(batch.COLUMNS, batch.table_rows(results["10000 rows"]) if "10000 rows" in results else ())


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A table, and an empty line."""
    head = tuple(head)
    for cells in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(cells)} |"
    yield ""


def row(title: str, result: dict[str, Any]) -> list[str]:
    """What one case has measured."""
    count = result["count"]
    return [
        title,
        f"{result['noticed']:,} of {count:,}",
        f"{result['requests'] / count:.2f}",
        f"{result['connections'] / count:.3f} ({result['connections']:,} in all)",
        " / ".join(f"{seconds:.1f}" for seconds in result["lag"]),
        " / ".join(f"{late:.1f}" for late in result["loop_lag"]),
        f"{result['cpu'] / count * 1000:.2f}",
        f"{result['memory'] / count / 1000:.1f}",
        f"{result['refused']}",
        f"{result['busy']:.0%}",
    ]


def side_by_side(results: dict[str, Any]) -> Iterator[list[str]]:
    """Both sides, and by how much ours is less."""
    for count in (100, 1_000, 5_000, 10_000):
        ours, peer = (results.get(f"{count} {side}") for side in ("ours", "HttpEventTrigger"))
        if ours:
            yield row(f"{count:,}, ours", ours)
        if not ours or not peer:
            continue
        yield row(f"{count:,}, `HttpEventTrigger` at {PEER_INTERVALS[count]:g} s", peer)
        yield [
            "*ours is less by*",
            "",
            _times(peer["requests"], ours["requests"]),
            _times(peer["connections"], ours["connections"]),
            " / ".join(_times(theirs, mine) for theirs, mine in zip(peer["lag"], ours["lag"], strict=True)),
            " / ".join(_times(theirs, mine) for theirs, mine in zip(peer["loop_lag"], ours["loop_lag"], strict=True)),
            _times(peer["cpu"], ours["cpu"]),
            _times(peer["memory"], ours["memory"]),
            "",
            "",
        ]


def bound_rows(results: dict[str, Any]) -> Iterator[list[str]]:
    """Each bound, and whether it holds."""
    for bound in bounds(results):
        measured, most = (f"{number:.3g}{bound.unit}" for number in (bound.measured, bound.most))
        yield [bound.promise, measured, most, "yes" if bound.holds else "**no**"]


def _times(theirs: float, mine: float) -> str:
    return f"{theirs / mine:,.0f}x" if theirs > 10 * mine > 0 else f"{theirs / mine:.1f}x" if mine > 0 else "—"


def _machine() -> Iterator[str]:
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    yield f"{datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} processors ({cpu}), {memory:.0f} GB;"
    yield f"{platform.system()}, Python {platform.python_version()}, {versions}.\n"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _headroom(results: dict[str, Any]) -> Iterator[str]:
    yield "A load generator in a process of its own asks the same sandbox, with 10,000 runs in it, as fast as it can:\n"
    rows = [
        (load.KINDS[kind], f"{found['per_second']:,.0f}", f"{found['busy']:.0%}")
        for kind, found in results.get("load", {}).items()
    ]
    yield from table(("", "answers per second", "sandbox busy"), rows)
    yield "The busiest second of each case, as a share of that. Above 1 the sandbox was what it waited for;"
    yield "how busy it was in all stands in the tables above.\n"
    yield from table(("", "requests in the busiest second", "share"), _peaks(results))


def _peaks(results: dict[str, Any]) -> Iterator[list[str]]:
    found = results.get("load", {})
    for name, result in results.items():
        if "busiest_second" in result:
            kind = "poll, reconnecting" if "HttpEventTrigger" in name else "poll" if "wait" in name else "page"
            share = result["busiest_second"] / found[kind]["per_second"] if found else float("nan")
            yield [name, f"{result['busiest_second']:,}", f"{share:.2f}"]
