"""What a DAG file pays for importing operators, over what `import airflow.sdk` costs it anyway."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from statistics import median

TIMES = 5
# Each as a DAG file would import it.
MODULES = (
    "flora_provider.operators.flora",
    "flora_provider.sensors.flora",
    "airflow.providers.http.operators.http",
    "airflow.providers.http.sensors.http",
)
PROGRAM = """
import time
import airflow.sdk
before = time.process_time()
import {module}
print(time.process_time() - before)
"""


def measure() -> dict[str, float]:
    """Milliseconds of CPU by module; medians of processes that import nothing else."""
    with tempfile.TemporaryDirectory(prefix="flora-bench-") as home:
        # Once for nothing: bytecode and the settings of a new home are made.
        return {module: median([_once(module, home) for _ in range(TIMES + 1)][1:]) for module in MODULES}


def _once(module: str, home: str) -> float:
    program = [sys.executable, "-W", "ignore", "-c", PROGRAM.format(module=module)]
    done = subprocess.run(program, env={**os.environ, "AIRFLOW_HOME": home}, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1]) * 1000
