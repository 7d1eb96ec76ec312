import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from flora_provider.sandbox.__main__ import main

COMMAND = [sys.executable, "-m", "flora_provider.sandbox"]


@pytest.fixture
def launch():
    processes = []

    def launch(*options):
        process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process, json.loads(process.stdout.readline())

    yield launch
    for process in processes:
        process.kill()
        process.communicate()


def test_the_first_line_says_all_a_client_needs(launch):
    process, card = launch("--api-key", "sk_test_mine", "--speed", "50")
    connection = json.loads(card["AIRFLOW_CONN_FLORA_DEFAULT"])
    assert connection == {
        "conn_type": "flora",
        "password": "sk_test_mine",
        "host": card["base_url"],
        "extra": {"workspace_id": card["workspace_id"], "project_id": card["project_id"]},
    }
    assert card["base_url"] == f"{card['url']}/api/v1"
    headers = {"authorization": f"Bearer {card['api_key']}"}
    response = httpx.get(f"{card['base_url']}/workspaces", headers=headers, trust_env=False)
    assert response.json()["workspaces"][0]["workspace_id"] == card["workspace_id"]
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == 0


def test_sigterm_ends_it_quickly_even_with_an_answer_on_its_way(launch):
    process, card = launch("--latency-ms", "60000")
    with httpx.Client(trust_env=False) as client, pytest.raises(httpx.ReadTimeout):
        client.get(f"{card['url']}/_sandbox/stats", timeout=0.2)
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - start < 5
    assert (process.returncode, errors) == (0, "")


def test_options_become_settings(launch):
    _, card = launch("--idempotency", "replay", "--requests-per-second", "1", "--seed", "5")
    _, other = launch("--seed", "6")
    assert card["project_id"] != other["project_id"]
    headers = {"authorization": f"Bearer {card['api_key']}"}
    statuses = [httpx.get(f"{card['base_url']}/models", headers=headers, trust_env=False).status_code for _ in range(2)]
    assert statuses == [200, 429]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--port", "x"], "--port"),
        (["--port", "99999"], "--port must be 0 to 65535; got 99999"),
        (["--speed", "0"], "--speed: must be a number above 0"),
        (["--speed", "nan"], "--speed: must be a number above 0"),
        (["--api-key", ""], "--api-key: must be text that fits into a header"),
        (["--idempotency", "maybe"], "--idempotency"),
        (["--idempotency-window", "-1"], "--idempotency-window: must be a number not below 0"),
        (["--requests-per-second", "-1"], "--requests-per-second: must be"),
        (["--unknown"], "--unknown"),
    ],
)
def test_a_bad_option_is_one_line(options, words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(options)
    output = capsys.readouterr()
    assert output.out == ""
    assert words in output.err
    assert output.err.count("\n") == 1


def test_a_taken_port_is_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run([*COMMAND, "--port", str(port)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith(f"cannot listen on 127.0.0.1:{port}: Address already in use\n")


@pytest.mark.parametrize("missing", ["uvicorn", "PIL"])
def test_a_missing_extra_says_what_to_install(tmp_path, missing):
    (tmp_path / f"{missing}.py").write_text("raise ImportError('not here')")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"}
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert "pip install 'airflow-provider-flora[sandbox]'" in done.stderr
    assert done.stderr.count("\n") == 1
