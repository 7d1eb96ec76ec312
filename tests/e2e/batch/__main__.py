"""`make campaign SEEDS=N SEED=S ROWS=R`: kill what runs batches, and count what was paid for each row."""
# ruff: noqa: T201 - it talks to a person at a terminal

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.batch.checker import figures, problems
from tests.e2e.batch.runner import run_batches, triggers_left
from tests.e2e.batch.workload import MODES
from tests.e2e.chaos.cluster import Cluster


def main():
    parser = argparse.ArgumentParser(prog="make campaign", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many batches")
    parser.add_argument("--seed", type=int, default=random.randrange(1000) * 4, help="of the first")  # noqa: S311
    parser.add_argument("--rows", type=int, default=500, help="of each batch")
    parser.add_argument("--together", type=int, default=len(MODES), help="batches that go on at a time")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="flora-batches-", dir=os.environ.get("FLORA_TEST_AIRFLOW_HOME")))
    print(f"{options.seeds} batches of {options.rows} rows, from seed {options.seed} on, in {folder}", flush=True)
    found, started, last = [], time.monotonic(), options.seed + options.seeds
    with Cluster(folder) as cluster:
        for first in range(options.seed, last, options.together):
            seeds = range(first, min(first + options.together, last))
            for result in run_batches(cluster, seeds, options.rows, say=lambda text: print(text, flush=True)):
                print(figures(result), flush=True)
                wrong = [f"seed {result.workload.seed}: {problem}" for problem in problems(result)]
                print("\n".join(f"  WRONG {problem}" for problem in wrong), end="\n" if wrong else "", flush=True)
                found += wrong
            if left := triggers_left(cluster):
                found.append(f"after seeds {list(seeds)}: {left} triggers are left")
                print(f"  WRONG {found[-1]}", flush=True)
    print(f"time: {time.monotonic() - started:.0f} s for {options.seeds} batches")
    if found:
        print(f"\nFAILED, {len(found)} problems; left behind: {folder}")
        return 1
    print("\nok: each row was paid for once")
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
