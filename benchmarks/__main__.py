"""`make bench`: measure everything and write RESULTS.md. Or some of it: `python -m benchmarks "1 wait" "1000 ours"`."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import batch, imports, load, mapping, report, sandbox, workers
from benchmarks.cases import ALONE, LIMITED, OURS_ALONE, SIDE_BY_SIDE

PARTS: dict[str, Callable[[], Any]] = {
    **{name: case.measure for name, case in ALONE.items()},
    **{f"{count} {side}": case.measure for count, pair in SIDE_BY_SIDE.items() for side, case in pair.items()},
    **{name: case.measure for name, case in OURS_ALONE.items()},
    "10000 limited": LIMITED.measure,
    "10000 rows": batch.measure,
    **{f"{count} prompts": partial(mapping.measure, count) for count in mapping.COUNTS},
    "load": load.measure,
    "sandbox": sandbox.measure,
    "imports": imports.measure,
    "workers": lambda: {workers.WAYS[way]: held for way, held in workers.measure().items()},
}


def main() -> None:
    """Measure, and print it; keep it for a page if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--keep", type=Path, help="a JSON file to which results are added")
    parser.add_argument("--write", action="store_true", help=f"write {report.RESULTS.name} of all that was kept")
    options = parser.parse_args()
    results = json.loads(options.keep.read_text()) if options.keep and options.keep.exists() else {}
    for part in options.parts or ([] if results else PARTS):
        began = time.monotonic()
        results[part] = PARTS[part]()
        print(f"{part} ({time.monotonic() - began:.0f} s): {json.dumps(results[part])}", flush=True)
        if options.keep:
            options.keep.write_text(json.dumps(results))
    print(*(" ".join(cells) for cells in report.bound_rows(results)), sep="\n")
    if options.write:
        report.write(results)


if __name__ == "__main__":
    main()
