"""What the libraries below log of our requests, with everything at DEBUG: no key, no query, no signature."""

import asyncio
import io
import logging
import logging.config
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpcore
import httpx
import pytest

from flora_provider.api import calls, errors
from flora_provider.api.client import AsyncFloraClient, FloraClient
from flora_provider.api.files.download import download
from flora_provider.api.http.flow import Request, Send
from tests.support.servers import http_server

SECRETS = ("X-Goog-Signature", "s3cret", "sk_test_do_not_show", "/private/", "find-me")


class Signed(BaseHTTPRequestHandler):
    """Redirects to a signed address, sets a signed cookie, and echoes the key."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        moved = "signature" not in self.path.lower() and not self.path.startswith("/api/v1/runs")
        self.send_response(302 if moved else 200)
        self.send_header("Location", "/private/a.png?X-Goog-Signature=s3cret")
        self.send_header("Set-Cookie", "session=s3cret")
        self.send_header("X-Echo", self.headers.get("Authorization", "none"))
        body = b'{"run_id": "run_1", "status": "running"}'
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()


def use(client, context, url):
    """A call, a query, a redirect that is not followed, a download over a redirect, an upload to a signed address."""

    def store():
        yield Send(Request(method="PUT", url=f"{url}/private/a?X-Goog-Signature=s3cret", body=b"x"))

    client.send(calls.get_run("run_1"))
    with pytest.raises(errors.FloraRequestError, match="a redirect"):
        client.send(calls.list_techniques(query="find-me"))
    client.run(download(f"{url}/a.png?s3cret", io.BytesIO(), context))
    client.run(store())


def set_up_by_config(stream):
    """As a user's settings do, after our modules were imported."""
    handler = {"class": "logging.StreamHandler", "stream": stream}
    loggers = {name: {"level": "DEBUG", "handlers": ["all"]} for name in ("httpx", "httpcore", "httpcore.http11")}
    config = {"version": 1, "handlers": {"all": handler}, "root": {"level": "DEBUG", "handlers": ["all"]}}
    logging.config.dictConfig(config | {"loggers": loggers, "disable_existing_loggers": False})


def set_up_basically(stream):
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("http")]:
        logging.getLogger(name).setLevel(logging.NOTSET)  # Airflow, which other tests import, sets some
    logging.basicConfig(stream=stream, level=logging.DEBUG, force=True)


@pytest.fixture
def log():
    """What all loggers write; theirs levels and handlers are as before afterwards."""
    names = [None, *(name for name in logging.root.manager.loggerDict if name.startswith(("http", "asyncio")))]
    before = [
        (logging.getLogger(name), logging.getLogger(name).level, logging.getLogger(name).handlers[:]) for name in names
    ]
    yield io.StringIO()
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.mark.parametrize("set_up", [set_up_by_config, set_up_basically])
def test_debug_logs_of_the_libraries_show_nothing_of_ours(any_client, context, log, set_up):
    set_up(log)
    with http_server(Signed) as url:
        use(any_client(base_url=url, max_retries=0), context, url)
        assert not [secret for secret in SECRETS if secret in log.getvalue()], log.getvalue()
        assert "receive_response_headers.complete\n" in log.getvalue()  # what happened is logged, and nothing of it
        with httpx.Client(follow_redirects=True) as other:
            other.get(f"{url}/private/theirs?s3cret")
    assert "/private/theirs?s3cret" in log.getvalue()  # theirs, by httpx
    assert "X-Goog-Signature=s3cret" in log.getvalue()  # theirs, by httpcore


def test_asyncio_in_debug_mode_shows_nothing_of_ours(log, context):
    set_up_basically(log)

    async def main(url):
        asyncio.get_running_loop().slow_callback_duration = 0
        async with AsyncFloraClient(api_key="sk_test_do_not_show", base_url=url, max_retries=0) as client:
            await client.send(calls.get_run("run_1"))
            with pytest.raises(errors.FloraRequestError):
                await client.send(calls.list_techniques(query="find-me"))
            await client.run(download(f"{url}/a.png?s3cret", io.BytesIO(), context))

    with http_server(Signed) as url:
        asyncio.run(main(url), debug=True)
    assert "took" in log.getvalue()  # asyncio did speak
    assert not [secret for secret in SECRETS if secret in log.getvalue()], log.getvalue()


def test_loggers_below_httpx_are_those_that_have_our_filter():
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(httpcore.__file__).parent.rglob("*.py"))
    names = set(re.findall(r'getLogger\("([\w.]+)"\)', sources))
    assert names
    unfiltered = [name for name in {"httpx", *names} if not logging.getLogger(name).filters]
    assert unfiltered == []


def test_script_that_sets_up_logging_first_shows_nothing_either(api_key):
    with http_server(Signed) as url:
        script = f"""if True:
            import logging
            logging.basicConfig(level=logging.DEBUG)
            import httpcore, httpx
            from flora_provider.api import calls
            from flora_provider.api.client import FloraClient
            with FloraClient(api_key={api_key!r}, base_url={url!r}, max_retries=0) as client:
                print(client.send(calls.get_run("run_1")).run_id)
        """
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert "run_1" in done.stdout
    assert "DEBUG:" in done.stderr
    assert not [secret for secret in SECRETS if secret in done.stderr], done.stderr


def test_blocking_client_shows_nothing_of_ours_either_when_it_closes(log, api_key):
    set_up_basically(log)
    with http_server(Signed) as url, FloraClient(api_key=api_key, base_url=url) as client:
        client.send(calls.get_run("run_1"))
    assert not [secret for secret in SECRETS if secret in log.getvalue()], log.getvalue()
