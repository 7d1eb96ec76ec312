"""Run the sandbox: `python -m flora_provider.sandbox --port 4711`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn, get_args

from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.error_families import ErrorFamily
from flora_provider.sandbox.faults.file import add_faults
from flora_provider.sandbox.server import MissingExtraError, SandboxServer
from flora_provider.sandbox.settings import IdempotencyMode, Settings
from flora_provider.sandbox.world.clock import Clock, unix_seconds

MAX_PORT = 65535


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # One line that says what is wrong; --help has the rest.
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m flora_provider.sandbox",
        description="A small FLORA on this machine. Its first line of output is a JSON object with address, key and a "
        "ready-made AIRFLOW_CONN_FLORA_DEFAULT; Ctrl-C ends it.",
    )
    parser.add_argument("--port", type=int, default=0, help="port; 0, the default, takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--api-key", help="the valid API key; made from the seed if not given")
    parser.add_argument("--speed", type=float, help="how many times faster than FLORA runs are")
    parser.add_argument("--seed", type=int, help="same seed and same requests, same answers")
    meaning = "what a repeated Idempotency-Key means (default: %(default)s)"
    parser.add_argument("--idempotency", choices=get_args(IdempotencyMode), help=meaning)
    parser.add_argument("--idempotency-window", type=float, metavar="S", help="seconds (%(default)s)")
    parser.add_argument("--requests-per-second", type=float, metavar="R", help="rate limit (default: none)")
    parser.add_argument("--webhook-secret", metavar="S", help="signs webhooks; made from the seed if not given")
    parser.add_argument("--bill-lag", type=float, metavar="S", help="how late bills may come (default: %(default)s)")
    parser.add_argument("--latency-ms", type=float, metavar="MS", help="delay of each answer")
    parser.add_argument("--failure-rate", type=float, metavar="SHARE", help="share of runs that fail, from 0 to 1")
    parser.add_argument("--failure-family", choices=get_args(ErrorFamily), help="what they fail with (%(default)s)")
    parser.add_argument("--credits-usd", type=float, metavar="USD", help="what runs may cost (default: unlimited)")
    parser.add_argument("--listing-delay", type=float, metavar="S", help="seconds before a list shows a run")
    parser.add_argument("--no-controls", dest="controls", action="store_false", help="no /_sandbox/*, no page at /")
    meaning = "stop the clock at this time, ISO 8601 or unix seconds; POST /_sandbox/clock moves it"
    parser.add_argument("--clock", type=_time, metavar="TIME", help=meaning)
    meaning = "JSON list of faults, as POST /_sandbox/faults takes; see flora_provider.sandbox.faults"
    parser.add_argument("--faults", type=Path, metavar="FILE", help=meaning)
    parser.set_defaults(**asdict(Settings()))
    return parser


def _time(text: str) -> float:
    try:
        return unix_seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None  # argparse shows no other error's text


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code. `arguments` come without the program's name."""
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    host, port, clock, file = (options.pop(name) for name in ("host", "port", "clock", "faults"))
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
        server = SandboxServer(Sandbox(settings, Clock(frozen_at=clock)), port, host=host)
        if file is not None:
            _add_faults(parser, file, server.sandbox)
        with server:
            if not server.is_loopback:
                _warn(host, controls=settings.controls)
            print(json.dumps(_card(server)), flush=True)  # noqa: T201 - this line is the program's answer
            stop.wait()
    except MissingExtraError as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"cannot listen on {host}:{port}: {error.strerror}")
    return 0


def _add_faults(parser: argparse.ArgumentParser, file: Path, sandbox: Sandbox) -> None:
    try:
        add_faults(sandbox.faults, file)
    except ValueError as error:
        parser.error(f"--faults {ascii(str(file))[1:-1]}: {error}")


def _warn(host: str, *, controls: bool) -> None:
    risk = "; everybody who reaches it can change everything by /_sandbox (--no-controls)" if controls else ""
    print(f"warning: {host} is not loopback, and there is no TLS{risk}", file=sys.stderr)  # noqa: T201 - for people


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
