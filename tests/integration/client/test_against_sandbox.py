"""Both clients against the sandbox on a real port: whole flows instead of single requests."""

import io
import uuid

import pytest

from flora_provider.api import calls, errors
from flora_provider.api.files.download import download
from flora_provider.api.files.upload import upload
from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.faults import Fault
from flora_provider.sandbox.server import SandboxServer
from flora_provider.sandbox.settings import Settings
from flora_provider.sandbox.world.media import pictures

PNG = pictures.png(pictures.draw("A fern", "", "a", (64, 64)))


@pytest.fixture(scope="module")
def server():
    with SandboxServer(Sandbox(Settings(speed=1e6))) as server:
        yield server


@pytest.fixture
def scope(server):
    return {"workspace_id": server.sandbox.workspace_id, "project_id": server.sandbox.project_id}


@pytest.fixture
def flora(server, any_client):
    leaked = dict(server.sandbox.stats()["keys_leaked"])
    yield any_client(api_key=server.sandbox.api_key, base_url=server.base_url)
    assert server.sandbox.stats()["keys_leaked"] == leaked


@pytest.fixture
def fail(server):
    return lambda route, **what: server.sandbox.faults.add(Fault(route, **what))


@pytest.fixture
def key():
    return lambda: uuid.uuid4().hex


def generate(scope, kind="image"):
    return calls.generate(type=kind, prompt="a fern", **scope)


def test_run_is_started_polled_and_downloaded(flora, server, scope, key, context):
    started = flora.send(generate(scope).with_key(key()))
    assert started.type == "generation"
    assert started.charged_cost > 0
    run = flora.send(calls.get_run(started.run_id))
    assert run.status == "completed"
    (output,) = run.outputs
    file = io.BytesIO()
    got = flora.run(download(output.url, file, max_bytes=10_000_000, referrer=server.base_url, context=context))
    assert got.content_type == "image/png"
    assert got.size == len(file.getvalue())
    assert file.getvalue().startswith(b"\x89PNG")


def test_answer_lost_after_the_run_was_created_costs_nothing_twice(flora, server, scope, key, fail):
    billed = server.sandbox.stats()["runs_billed"]
    fail("/generate", delivery="drop", after=True)
    with pytest.raises(errors.FloraDuplicateError) as caught:
        flora.send(generate(scope).with_key(key()))
    assert caught.value.request_id
    assert server.sandbox.stats()["runs_billed"] == billed + 1


@pytest.mark.parametrize(
    "outages",
    [
        {"delivery": "drop"},
        {"delivery": "cut"},
        {"status": 503},
        {"status": 502, "body": "<html>Bad gateway</html>", "content_type": "text/html"},
        {"status": 429, "headers": {"retry-after-ms": "1"}},
    ],
    ids=str,
)
def test_outage_is_retried(flora, server, fail, outages):
    fail("/workspaces", times=1, **outages)
    assert [workspace.workspace_id for workspace in flora.send(calls.list_workspaces())] == [
        server.sandbox.workspace_id
    ]


def test_wrong_key_is_reported(server, any_client):
    with pytest.raises(errors.FloraAuthenticationError, match="invalid_api_key: Invalid API key"):
        any_client(api_key="sk_test_wrong", base_url=server.base_url).send(calls.list_workspaces())


def test_every_catalog_can_be_read(flora, scope):
    assert {model.type for model in flora.items(calls.list_models())} == {"image", "video", "audio", "text"}
    assert len(flora.send(calls.list_actions())) == 40
    techniques = flora.items(calls.list_techniques(limit=1))
    assert len({technique.technique_id for technique in techniques}) == len(techniques) > 1
    assert flora.send(calls.get_technique(techniques[0].technique_id)) == techniques[0]
    projects = flora.items(calls.list_projects(workspace_id=scope["workspace_id"]))
    assert scope["project_id"] in {project.project_id for project in projects}


def test_history_is_walked_page_by_page(flora, scope, key):
    started = [flora.send(generate(scope, "text").with_key(key())).run_id for _ in range(5)]
    walked = flora.items(calls.list_generations(project_id=scope["project_id"], limit=2), max_items=5)
    assert {generation.run_id for generation in walked} == set(started)
    assert all(generation.outputs[0].text for generation in walked)


@pytest.mark.parametrize("size", [len(PNG), 5_000_000])
def test_file_uploaded_is_a_file_that_runs_can_use(flora, server, scope, context, size):
    content = PNG + bytes(size - len(PNG))
    asset = flora.run(upload(io.BytesIO(content), file_name="fern.png", **scope, context=context))
    assert asset.status == "ready"
    file = io.BytesIO()
    flora.run(download(asset.url, file, max_bytes=size, referrer=server.base_url, context=context))
    assert file.getvalue() == content


def test_file_is_uploaded_through_outages(flora, fail, scope, context):
    for route in ("/assets", "/assets/{asset_id}/complete"):
        fail(route, method="POST", delivery="drop", after=True)
    asset = flora.run(upload(io.BytesIO(PNG + bytes(5_000_000)), file_name="fern.png", **scope, context=context))
    assert asset.status == "ready"


@pytest.mark.parametrize("change", [-1_000_000, 1_000_000], ids=["shorter", "longer"])
def test_file_that_changes_while_it_is_sent_is_sent_anew(flora, server, scope, context, change):
    class Restless(io.BytesIO):
        """Somebody else writes to it when a part of it was sent."""

        changed = False

        def read(self, size=-1):
            if self.tell() > 2_000_000 and not self.changed:
                self.changed, at, end = True, self.tell(), len(self.getbuffer()) + change
                self.truncate(end)  # shortens only
                self.seek(end - 1)
                self.write(b"\0")
                self.seek(at)
            return super().read(size)

    file = Restless(PNG + bytes(6_000_000))
    asset = flora.run(upload(file, file_name="fern.png", **scope, context=context))
    stored = io.BytesIO()
    flora.run(download(asset.url, stored, max_bytes=10_000_000, referrer=server.base_url, context=context))
    assert file.changed
    assert stored.getvalue() == file.getvalue()
