"""`make stranger`: do what README.md says under "Use it", by the letter and twice, where only the wheel is installed.

Airflow loads its example DAGs, as it does by default. What counts as trouble is in `log_lines.py`.
"""
# ruff: noqa: T201 - it talks to a person at a terminal

import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.stranger.log_lines import trouble

README = Path(__file__).parents[2] / "README.md"
SECONDS = 900  # on a busy machine


def snippet(language, containing):
    found = re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (text,) = [one for one in found if containing in one]
    return text


def follow_readme(environment, folder):
    """The output of the commands, once the sandbox that they start and end has ended, too."""
    commands = snippet("bash", "airflow db migrate")
    with socket.create_server(("127.0.0.1", 0)) as free:
        commands = commands.replace("4711", str(free.getsockname()[1]))
    done = subprocess.run(
        ["/bin/bash", "-e", "-c", commands],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.stdout + (f"ERROR: exit code {done.returncode}\n" if done.returncode else "")


def main(prefix):
    folder = Path(tempfile.mkdtemp(prefix="flora-stranger-"))
    dags = folder / "airflow" / "dags"
    dags.mkdir(parents=True)
    saved = folder / "postcards"
    dag = snippet("python", "def postcards").replace("/tmp/postcards", str(saved))
    (dags / "postcards.py").write_text(dag, encoding="utf-8")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "FLORA_", "PYTHON"))
    } | {
        "HOME": str(folder),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "PATH": f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    for number in (1, 2):
        output = follow_readme(environment, folder)
        found = trouble(output)
        pictures = list(saved.glob("*.png"))
        if found or not pictures or "Dag run in success state" not in output:
            print(output)
            print(f"FAILED under {prefix.name}, time {number}: {len(pictures)} pictures, {len(found)} lines of trouble")
            print(*found, sep="\n")
            return 1
    print(f"ok: under {prefix.name}, twice, with a picture and without a line of trouble")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
