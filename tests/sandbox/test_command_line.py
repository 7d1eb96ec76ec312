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
        (["--failure-rate", "2"], "--failure-rate: must be a number from 0 to 1; got 2.0"),
        (["--failure-family", "luck"], "--failure-family"),
        (["--credits-usd", "-1"], "--credits-usd: must be a number not below 0"),
        (["--listing-delay", "-1"], "--listing-delay: must be a number not below 0"),
        (["--clock", "tomorrow"], "--clock: must be a time from 1970 to 9892, in unix seconds or ISO 8601"),
        (["--clock", "nan"], "--clock: must be a time"),
        (["--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid:0: "),
        (["--host", "x" * 100], "cannot listen on xxx"),
        (["--faults", "/dev/null"], "--faults /dev/null: is not JSON: Expecting value"),
        (["--faults", "/"], "--faults /: cannot be read: Is a directory"),
        (["--faults", "/no\nfile"], "--faults /no\\nfile: cannot be read: No such file or directory"),
        (["--bill-lag", "-1"], "--bill-lag: must be a number not below 0"),
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


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (
            '[{}, {"delivery": "knot"}]',
            "faults[1].delivery: Expected 'refuse', 'drop', 'cut' or 'trickle'; got ",
        ),
        ('[{"route": "/generate", "delivery": "refuse"}]', "faults[0].delivery: A port refuses connections before"),
        ("[" * 100_000, "is not JSON: "),
    ],
)
def test_a_bad_faults_file_is_one_line(tmp_path, capsys, faults, words):
    file = tmp_path / "faults.json"
    file.write_text(faults)
    with pytest.raises(SystemExit, match="2"):
        main(["--faults", str(file)])
    output = capsys.readouterr()
    assert output.out == ""
    assert f"--faults {file}: {words}" in output.err
    assert output.err.count("\n") == 1


def test_faults_clock_and_credits_come_from_the_command_line(launch, tmp_path):
    file = tmp_path / "faults.json"
    fault = {"route": "/generate", "method": "POST", "times": 3, "after": True, "delivery": "drop"}
    file.write_text(json.dumps([fault]))
    _, card = launch("--faults", str(file), "--clock", "2026-01-01T00:00:00Z", "--credits-usd", "0.1")
    headers = {"authorization": f"Bearer {card['api_key']}"}
    body = {"type": "image", "prompt": "A fox", **{name: card[name] for name in ("workspace_id", "project_id")}}
    with httpx.Client(base_url=card["base_url"], headers=headers, trust_env=False) as client:
        for _ in range(2):
            with pytest.raises(httpx.ReadError):
                client.post("/generate", json=body)
        rows = client.get("/generations").json()["generations"]
        assert [(row["created_at"], row["status"]) for row in rows] == [(1_767_225_600_000, "pending")] * 2
        with pytest.raises(httpx.ReadError):  # refused for credits, as nobody hears
            client.post("/generate", json=body)
        assert client.post("/generate", json=body).status_code == 402
        assert client.get(f"{card['url']}/_sandbox/clock").json() == {"now": 1_767_225_600, "frozen": True}


def test_a_host_beyond_loopback_is_warned_about(launch):
    process, card = launch("--host", "0.0.0.0")  # noqa: S104 - the warning is about it
    assert card["url"].startswith("http://127.0.0.1:")
    assert httpx.get(f"{card['url']}/_sandbox/stats", trust_env=False).status_code == 200
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10)[1] == (
        "warning: 0.0.0.0 is not loopback, and there is no TLS; "
        "everybody who reaches it can change everything by /_sandbox (--no-controls)\n"
    )


def test_no_controls_leaves_only_floras_api(launch):
    process, card = launch("--no-controls", "--host", "0.0.0.0")  # noqa: S104 - the warning is about it
    assert httpx.get(f"{card['url']}/_sandbox/stats", trust_env=False).status_code == 404
    headers = {"authorization": f"Bearer {card['api_key']}"}
    assert httpx.get(f"{card['base_url']}/models", headers=headers, trust_env=False).status_code == 200
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10)[1] == "warning: 0.0.0.0 is not loopback, and there is no TLS\n"
