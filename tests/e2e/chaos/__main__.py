"""`make chaos ROUNDS=N SEED=S`: kill and change whatever can be, under real tasks; count what was paid for."""
# ruff: noqa: T201 - it talks to a person at a terminal

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.chaos.checker import problems, report
from tests.e2e.chaos.cluster import Cluster
from tests.e2e.chaos.runner import run_rounds


def main():
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))  # noqa: S311 - chance, not secrets
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="flora-chaos-"))
    print(f"{options.rounds} rounds, seed {options.seed}: starting Airflow and four sandboxes …", flush=True)
    started = time.monotonic()
    with Cluster(folder) as cluster:
        up = time.monotonic()
        results = run_rounds(cluster, options.seed, options.rounds, say=lambda text: print(text, flush=True))
        runs = {mode: cluster.runs(mode) for mode in cluster.sandboxes}
        took = time.monotonic() - up
    found = problems(results, runs)
    print("\n" + "\n".join(report(results, runs)))
    print(f"time:       {up - started:.0f} s to start, {took:.0f} s for {options.rounds} rounds")
    print(f"seed:       {options.seed}")
    if found:
        print(f"\nFAILED: {len(found)} of {len(results)} rounds\n" + "\n".join(found))
        print(f"left behind: {folder}")
        return 1
    print("\nok: every intended run was paid for once, by the task that meant it")
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
