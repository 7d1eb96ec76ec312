"""Every function of `calls` with arguments that it takes."""

import inspect
import io

from flora_provider.api import calls

GOOD = {
    "workspace_id": "ws_1",
    "project_id": "prj_1",
    "technique_id": "tech_1",
    "run_id": "run_1",
    "asset_id": "asset_1",
    "type": "image",
    "prompt": "p",
    "technique": "cctv-cam",
    "action_id": "ken-burns-video",
    "source": "https://example.com/a.png",
    "file": io.BytesIO(b"x"),
    "file_name": "a.png",
    "content_type": "image/png",
    "kind": "bug",
    "summary": "s",
    "detail": "d",
    "name": "n",
    "method": "GET",
    "segments": "projects",
    "inputs": {"a": "b"},
    "folder_id": "libfolder_1",
    "node_id": "n3",
    "node_ids": ["n3"],
    "diagram": "graph LR",
    "definition": {"nodes": [], "edges": [], "node_inputs": {}, "node_outputs": {}},
    "remove": [{"id": "n3"}],
    "text": "t",
}
# What is not required alone, but some of which is.
ALSO = {"apply_changeset": ("remove",), "save_library_item": ("text",)}
INPUTS = {"run_action": [{"type": "text", "text": "t"}], "start_technique": [{"id": "a", "type": "text", "value": "t"}]}
FUNCTIONS = [name for name in calls.__all__ if inspect.isfunction(getattr(calls, name))]


def asked(name, changes):
    """The call of the function of this name, with these changes to its arguments."""
    function = getattr(calls, name)
    parameters = inspect.signature(function).parameters
    values = GOOD | {"inputs": INPUTS.get(name, GOOD["inputs"])}
    needed = [key for key, it in parameters.items() if it.default is it.empty or key in ALSO.get(name, ())]
    arguments = {key: values[key] for key in needed} | changes
    several = [arguments.pop(key) for key, it in parameters.items() if it.kind is it.VAR_POSITIONAL]
    ordered = [arguments.pop(key) for key, it in parameters.items() if several and it.kind is it.POSITIONAL_OR_KEYWORD]
    return function(*ordered, *several, **arguments)
