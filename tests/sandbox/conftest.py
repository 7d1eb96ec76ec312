"""A sandbox whose clock moves only by hand, and a client that goes straight to it."""

import httpx
import pytest

from flora_provider.sandbox import Clock, Sandbox, Settings


class Flora(httpx.Client):
    """An HTTP client with the sandbox's key, and short words for the calls most tests make."""

    def __init__(self, sandbox, **more):
        super().__init__(
            transport=httpx.MockTransport(sandbox.handle),
            base_url="https://flora.test/api/v1",
            headers={"authorization": f"Bearer {sandbox.api_key}"},
            **more,
        )
        self.sandbox = sandbox

    def body(self, **more):
        scope = {"workspace_id": self.sandbox.workspace_id, "project_id": self.sandbox.project_id}
        return {"type": "image", "prompt": "A fox", **scope, **more}

    def generate(self, key=None, **more):
        headers = {"idempotency-key": key} if key else {}
        return self.post("/generate", json=self.body(**more), headers=headers)

    def start(self, key=None, **more):
        response = self.generate(key, **more)
        assert response.status_code == 201, response.text
        return response.json()["run_id"]

    def run(self, run_id):
        return self.get(f"/runs/{run_id}").json()


def make(**settings):
    return Flora(Sandbox(Settings(**settings), Clock(lambda: 1_750_000_000.0)))


@pytest.fixture(scope="session")  # it has no state, and hypothesis wants it that way
def make_flora():
    return make


@pytest.fixture
def flora():
    return make()


@pytest.fixture
def sandbox(flora):
    return flora.sandbox


@pytest.fixture
def canvas_path(flora):
    """The path of the project whose canvas a test changes."""
    return f"/workspaces/{flora.sandbox.workspace_id}/projects/{flora.sandbox.project_id}"


@pytest.fixture
def change(flora, canvas_path):
    """Send a changeset for that canvas."""
    return lambda **changes: flora.post(f"{canvas_path}/canvas/changeset", json=changes)
