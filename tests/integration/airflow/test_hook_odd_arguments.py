"""Odd arguments of every method of the hook give an answer or a FloraError, nothing else."""

import inspect
import io

import pytest

from flora_provider.api import calls
from flora_provider.api.errors import FloraError
from flora_provider.hooks.flora import FloraHook

ODD = [None, True, 0, -1, 1.5, float("nan"), b"x", "", "None", "\ud83d", [], [None], {}, {1: 2}, object(), len]
GOOD = {
    "type": "image",
    "prompt": "a fern",
    "idempotency_key": "k",
    "technique_id": "tech_1",
    "technique": "cctv-cam",
    "action_id": "ken-burns-video",
    "inputs": {},
    "source": "https://example.com/a.png",
    "output": {"run_id": "run_1", "output_id": "o", "text": "words"},
    "asset_id": "asset_1",
    "name": "n",
    "folder_id": "libfolder_1",
    "kind": "bug",
    "summary": "s",
    "detail": "d",
    "content_type": "image/png",
    "file_name": "a.png",
    "diagram": "graph LR",
    "node_id": "n3",
    "node_ids": ["n3"],
    "definition": {"nodes": [], "edges": [], "node_inputs": {}, "node_outputs": {}},
    "call": calls.list_workspaces(),
}
OURS = [kind for kind in FloraHook.__mro__ if kind.__module__.startswith("flora_provider.")]
METHODS = {
    name
    for kind in OURS
    for name, method in vars(kind).items()
    if inspect.isfunction(method) and not name.startswith("_") and set(inspect.signature(method).parameters) > {"self"}
} - {"poll_until_done"}  # takes a poller, of the package itself


@pytest.mark.parametrize("name", sorted(METHODS))
def test_method_answers_or_refuses_odd_arguments(flora, tmp_path, monkeypatch, name):
    monkeypatch.setattr("flora_provider.api.files.upload.POLL_SECONDS", 0.05)
    good = {**GOOD, "run_id": flora.start(), "folder": tmp_path, "ready_timeout": 1.0, "file": io.BytesIO(b"x")}
    with FloraHook() as hook:
        method = getattr(hook, name)
        parameters = inspect.signature(method).parameters
        arguments = {
            key: good[key] for key, it in parameters.items() if it.default is it.empty or key == "ready_timeout"
        }
        for parameter in parameters:
            for odd in ODD:
                try:
                    result = method(**{**arguments, parameter: odd})
                    if inspect.isgenerator(result):
                        next(result, None)
                except FloraError as error:
                    str(error).encode()


@pytest.mark.parametrize("conn_id", [None, 5, b"flora_default", "", "None", [], {}])
def test_connection_refuses_odd_connection_id(conn_id):
    works, sentence = FloraHook(conn_id).test_connection()
    assert not works
    assert "flora_conn_id is" in sentence
