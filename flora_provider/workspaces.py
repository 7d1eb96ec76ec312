"""List what a connection's key may use: `python -m flora_provider.workspaces flora_default`.

The connection's Test button names a few of these for two seconds, and Airflow's command line none at all.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import TYPE_CHECKING

from flora_provider.api.errors import FloraError
from flora_provider.api.text import MAX_TEXT, one_line
from flora_provider.hooks.connection import LIST_COMMAND, naming

if TYPE_CHECKING:
    from flora_provider.api.client import FloraClient
    from flora_provider.api.models import Workspace


def main(arguments: list[str] | None = None) -> int:
    """Print workspaces and projects, one a line, the problems of the connection to stderr; return the exit code.

    Args:
        arguments: without the program's name; None for those of the process.
    """
    parser = argparse.ArgumentParser(
        prog=LIST_COMMAND,
        description="List the workspaces of a connection's key and their projects: each a line, its id first.",
    )
    default = "flora_default"
    parser.add_argument("conn_id", nargs="?", default=default, help="Airflow connection (default: %(default)s)")
    conn_id = parser.parse_args(arguments).conn_id
    # Airflow reads connections of its own database in its servers and command line only, and this tells them apart.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    from flora_provider.hooks import access, base  # noqa: PLC0415 - they load Airflow, which takes seconds

    try:
        settings, defaults, problems = access.read_without_ids(base.ConnectedHook(conn_id))
        with naming(conn_id), base.blocking_client(settings) as client:
            workspaces = _print_all(client)
            problems += access.default_problems(client, defaults, workspaces)
        sys.stdout.flush()
    except FloraError as error:
        print(error, file=sys.stderr)  # noqa: T201 - for people
        return 1
    except BrokenPipeError:  # of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    for problem in problems:
        print(f"connection {conn_id!r}: {problem}", file=sys.stderr)  # noqa: T201 - for people
    return 1 if problems else 0


def _print_all(client: FloraClient) -> tuple[Workspace, ...]:
    from flora_provider.api import calls  # noqa: PLC0415 - see above

    workspaces = client.send(calls.list_workspaces())
    for workspace in workspaces:
        _print("", workspace.workspace_id, workspace.name, f"({workspace.role})")
        for project in client.items(calls.list_projects(workspace_id=workspace.workspace_id)):
            _print("  ", project.project_id, project.name)
    return workspaces


def _print(indent: str, *words: str) -> None:
    # A name may hold anything, and a terminal obeys some of it.
    print(indent + "  ".join(one_line(word, MAX_TEXT) for word in words))  # noqa: T201 - what the program is for


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # up to 3.0, Airflow logs to stdout, from its import on; scripts read our output
    sys.exit(main())
