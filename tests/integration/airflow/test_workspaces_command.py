"""`python -m flora_provider.workspaces`: what the key of a connection may use, listed for people and scripts."""

import json
import logging
import os
import subprocess
import sys

import pytest
from airflow.models.connection import Connection
from airflow.utils.session import create_session

from flora_provider.workspaces import main


@pytest.fixture(autouse=True)
def _command_line_of_airflow(monkeypatch):
    # The command sets both for its process, which is that of all tests here.
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def stored_connection(airflow_db, flora, monkeypatch):
    """A connection that is in the metadata database only."""
    monkeypatch.delenv("AIRFLOW_CONN_FLORA_DEFAULT")
    parts = json.loads(flora.server.connection_uri)
    connection = Connection(conn_id="flora_stored", **{**parts, "extra": json.dumps(parts["extra"])})
    with create_session() as session:
        session.add(connection)
    yield "flora_stored"
    with create_session() as session:
        session.delete(connection)


def test_command_lists_every_project_of_every_workspace(flora, capsys):
    state, workspace_id = flora.sandbox.state, flora.sandbox.workspace_id
    ids = {state.add_project(workspace_id, f"Ferns {number}").project_id for number in range(250)}
    other = state.add_workspace("Other \x1b[31m\n")
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{workspace_id}  Sandbox  (owner)"
    assert lines[-1] == f"{other.workspace_id}  Other [31m  (owner)"
    assert {line.split()[0] for line in lines[1:-1]} == ids | {flora.sandbox.project_id}
    assert f"  {flora.sandbox.project_id}  Airflow" in lines


def test_command_says_what_the_connection_names_and_the_key_does_not_see(flora, capsys):
    flora.connect("other", extra={"project_id": "prj_x"})
    assert main(["other"]) == 1
    out, err = capsys.readouterr()
    assert flora.sandbox.project_id in out
    assert err == "connection 'other': the key sees no project 'prj_x', which the extra's project_id names\n"


def test_command_lists_the_ids_there_are_where_one_is_malformed(flora, capsys):
    flora.connect(extra={"workspace_id": "Marketing"})
    assert main([]) == 1
    out, err = capsys.readouterr()
    assert flora.sandbox.project_id in out
    assert err.startswith("connection 'flora_default': workspace_id is 'Marketing', but such an id starts with 'ws_'")


def test_command_says_in_one_line_what_is_wrong(flora, capsys):
    flora.connect(password="sk_live_of_somebody_else")
    assert main([]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("FLORA answered 401 invalid_api_key")
    assert err.count("\n") == 1
    assert "sk_live" not in err


def test_command_reads_connections_of_the_metadata_database(flora, stored_connection):
    command = [sys.executable, "-m", "flora_provider.workspaces", stored_connection]
    environ = {name: value for name, value in os.environ.items() if name != "_AIRFLOW_PROCESS_CONTEXT"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert flora.sandbox.project_id in done.stdout


def test_command_ends_quietly_where_nobody_reads_on(flora):
    for _ in range(3000):
        flora.sandbox.state.add_project(flora.sandbox.workspace_id, "A name that fills the pipe " * 4)
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "flora_provider.workspaces"],  # Airflow 2 warns of itself
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline().startswith(flora.sandbox.workspace_id)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 0
