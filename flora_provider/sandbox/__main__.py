"""Run the sandbox: `python -m flora_provider.sandbox --port 4711`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from dataclasses import asdict
from typing import NoReturn, get_args

from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.server import MissingExtraError, SandboxServer
from flora_provider.sandbox.settings import IdempotencyMode, Settings

MAX_PORT = 65535


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # One line that says what is wrong; --help has the rest.
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m flora_provider.sandbox",
        description="A small FLORA on 127.0.0.1. Its first line of output is a JSON object with address, key and a "
        "ready-made AIRFLOW_CONN_FLORA_DEFAULT; Ctrl-C ends it.",
    )
    parser.add_argument("--port", type=int, default=0, help="port; 0, the default, takes a free one")
    parser.add_argument("--api-key", help="the valid API key; made from the seed if not given")
    parser.add_argument("--speed", type=float, help="how many times faster than FLORA runs are")
    parser.add_argument("--seed", type=int, help="same seed and same requests, same answers")
    meaning = "what a repeated Idempotency-Key means (default: %(default)s)"
    parser.add_argument("--idempotency", choices=get_args(IdempotencyMode), help=meaning)
    parser.add_argument("--idempotency-window", type=float, metavar="S", help="seconds (%(default)s)")
    parser.add_argument("--requests-per-second", type=float, metavar="R", help="rate limit (default: none)")
    parser.add_argument("--webhook-secret", metavar="S", help="signs webhooks; made from the seed if not given")
    parser.add_argument("--latency-ms", type=float, metavar="MS", help="delay of each answer")
    parser.set_defaults(**asdict(Settings()))
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code. `arguments` come without the program's name."""
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    port = options.pop("port")
    if not 0 <= port <= MAX_PORT:
        parser.error(f"--port must be 0 to {MAX_PORT}; got {port}")
    try:
        settings = Settings(**options)
    except ValueError as error:
        name, _, problem = str(error).partition(":")
        parser.error(f"--{name.replace('_', '-')}:{problem}")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with SandboxServer(Sandbox(settings), port) as server:
            print(json.dumps(_card(server)), flush=True)  # noqa: T201 - this line is the program's answer
            stop.wait()
    except MissingExtraError as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"cannot listen on 127.0.0.1:{port}: {error.strerror}")
    return 0


def _card(server: SandboxServer) -> dict[str, str]:
    return {
        "url": server.url,
        "base_url": server.base_url,
        "api_key": server.sandbox.api_key,
        "workspace_id": server.sandbox.workspace_id,
        "project_id": server.sandbox.project_id,
        "webhook_secret": server.sandbox.webhook_secret,
        "AIRFLOW_CONN_FLORA_DEFAULT": server.connection_uri,
    }


if __name__ == "__main__":
    sys.exit(main())
