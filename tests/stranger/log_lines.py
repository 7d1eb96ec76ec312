"""What a terminal shows of a first try that somebody new would take for trouble: errors, warnings and tracebacks."""

import re

_TROUBLE = re.compile(
    r"\[(warning|error|critical)\s*\]|\b(WARNING|ERROR|CRITICAL)\b|^\w*Warning: |: \w*Warning: |^\S*(Error|Exception): "
    r"|: cannot |^Traceback ",
    re.IGNORECASE,
)

# What Airflow says for itself, with any provider or none, where only the wheel and what it needs are installed.
_AIRFLOWS_OWN = re.compile(
    r"Could not import graphviz|StarletteDeprecationWarning|RemovedInAirflow3Warning"
    r"|\{(example_\w+|tutorial_\w+|workday)\.py:\d+\} WARNING - "  # of Airflow 2's example DAGs
)
_EXAMPLES = "/airflow/example_dags/"


def trouble(output: str) -> list[str]:
    """The lines of trouble in what commands have printed, but for Airflow's own; a traceback is one of them."""
    found: list[str] = []
    lines = iter(output.splitlines())
    for line in lines:
        if line.startswith("Traceback "):
            frames: list[str] = []
            error = next((one for one in lines if not one.startswith(" ") or frames.append(one)), "")
            files = [frame for frame in frames if frame.lstrip().startswith("File ")]
            if not all(_EXAMPLES in file for file in files):
                found.append("\n".join([line, *frames, error]))
        elif _TROUBLE.search(line) and not _AIRFLOWS_OWN.search(line):
            found.append(line)
    return found
