"""`make production SEED=N`: strike a production deployment of Airflow, and count what was paid for."""
# ruff: noqa: T201 - it talks to a person at a terminal

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.production.checker import problems
from tests.e2e.production.report import table
from tests.e2e.production.runner import run_seed
from tests.e2e.production.topology import Production


def main():
    parser = argparse.ArgumentParser(prog="make production", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-polls", action="store_true", help="do not compare one triggerer with two")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="flora-production-", dir=os.environ.get("FLORA_TEST_AIRFLOW_HOME")))
    print(f"seed {options.seed}, in {folder}: starting PostgreSQL, Redis and eight parts of Airflow …", flush=True)
    started = time.monotonic()
    with Production(folder) as production:
        print(f"up after {time.monotonic() - started:.0f} s", flush=True)
        history = run_seed(
            production, options.seed, with_polls=not options.without_polls, say=lambda text: print(text, flush=True)
        )
    print("\n" + "\n".join(table(history)))
    print(json.dumps(history.figures()))
    if found := problems(history):
        print(f"\nFAILED, {len(found)} problems:\n" + "\n".join(found) + f"\nleft behind: {folder}")
        return 1
    print("\nok: each intended result was paid for once, and nothing was lost")
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
