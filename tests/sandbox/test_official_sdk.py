import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.sandbox.contract import OPERATIONS

SDK = "@flora-ai/flora@0.11.0"
NODE, NPM = shutil.which("node"), shutil.which("npm")


@pytest.fixture(scope="module")
def sdk(tmp_path_factory):
    if not (NODE and NPM):
        missing = "FLORA's official SDK needs node and npm, and this machine lacks them"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("sdk")
    (folder / "package.json").write_text("{}")
    install = [NPM, "install", "--no-audit", "--no-fund", "--ignore-scripts", SDK]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    shutil.copy(Path(__file__).with_name("official_sdk.mjs"), folder)
    return folder


def test_floras_own_sdk_does_all_its_operations(sdk, flora_sandbox):
    sandbox = flora_sandbox.sandbox
    sandbox.settings.speed = 200
    environment = {
        "PATH": os.environ["PATH"],
        "FLORA_API_KEY": sandbox.api_key,
        "FLORA_BASE_URL": flora_sandbox.base_url,
        "WORKSPACE_ID": sandbox.workspace_id,
        "PROJECT_ID": sandbox.project_id,
        "FOLDER_ID": sandbox.state.add_folder(sandbox.workspace_id),
        "FLORA_WEBHOOK_SECRET": sandbox.webhook_secret,
        "SANDBOX_URL": flora_sandbox.url,
    }
    script = [NODE, "official_sdk.mjs"]
    done = subprocess.run(script, cwd=sdk, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "types": ["imageUrl", "videoUrl", "audioUrl", "text"],
        "paged": True,
        "technique": True,
        "action": "action",
        "uploads": [["direct", "ready", True], ["signed_url", "ready", True], ["url", "ready", True]],
        "duplicate": [409, "idempotency_duplicate"],
        "refused": "BadRequestError",
        "models": True,
        "workspace": True,
        "technique_runs": 2,
        "actions": 40,
        "project": "Ferns",
        "expired": "failed",
        "retried": "pending_upload",
        "nodes": True,
        "drawn": 1,
        "canvas": 3,
        "changed": [1, 1],
        "action_node": "action",
        "ran": "started",
        "revision": True,
        "replaced": True,
        "item": True,
        "deleted": True,
        "webhook": ["run.completed", True],
        "forged": True,
    }
    assert set(OPERATIONS) <= set(sandbox.stats()["requests"])
    assert sandbox.stats()["runs_started"] == 12
    assert sandbox.stats()["keys_leaked"] == {"media": 0, "storage": 0}
