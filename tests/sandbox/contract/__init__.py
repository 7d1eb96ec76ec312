"""The shapes of FLORA's answers, written from the contract and the types of FLORA's SDK 0.11.0, for every operation.

Closed and strict: a member that the contract does not name, or names otherwise, is an error. A default stands for a
member that may be absent, `| None` for one that may be null.
"""

from pydantic import TypeAdapter

from tests.sandbox.contract.assets import Assets, AssetUpload, CreatedAsset, SingleAsset
from tests.sandbox.contract.base import Error
from tests.sandbox.contract.canvas import (
    ActionNode,
    Attached,
    Canvas,
    CanvasDefinition,
    CanvasExtended,
    Changed,
    Graph,
    NodeRuns,
    Nodes,
)
from tests.sandbox.contract.catalog import (
    Action,
    Actions,
    Feedback,
    Models,
    Project,
    Projects,
    Technique,
    Techniques,
    Workspaces,
)
from tests.sandbox.contract.library import DeletedFolder, LibraryFolder, LibraryItem
from tests.sandbox.contract.runs import Generations, RunStarted, RunState, TechniqueRuns

OPERATIONS = {
    "POST /generate": RunStarted,
    "GET /runs/{run_id}": RunState,
    "GET /generations": Generations,
    "POST /runs/generation": RunStarted,
    "POST /runs/technique": RunStarted,
    "POST /runs/action": RunStarted,
    "POST /techniques/{technique_id}/runs": RunState,
    "GET /techniques/{technique_id}/runs/{run_id}": RunState,
    "GET /technique-runs": TechniqueRuns,
    "GET /techniques": Techniques,
    "GET /techniques/{technique_id}": Technique,
    "GET /actions": Actions,
    "GET /actions/{action_id}": Action,
    "GET /models": Models,
    "GET /workspaces": Workspaces,
    "GET /projects": Projects,
    "POST /projects": Project,
    "GET /projects/{project_id}": Project,
    "GET /projects/{project_id}/nodes": Nodes,
    "POST /projects/{project_id}/assets/{asset_id}/attach": Attached,
    "GET /projects/{project_id}/canvas": Canvas,
    "PATCH /projects/{project_id}/canvas": CanvasExtended,
    "POST /projects/{project_id}/actions": ActionNode,
    "POST /projects/{project_id}/actions/{node_id}/run": RunStarted,
    "POST /assets": CreatedAsset,
    "GET /assets": Assets,
    "GET /assets/{asset_id}": SingleAsset,
    "POST /assets/{asset_id}/complete": AssetUpload,
    "POST /assets/{asset_id}/retry": AssetUpload,
    "POST /feedback": Feedback,
    "POST /workspaces/{workspace_id}/projects": Project,
    "POST /workspaces/{workspace_id}/folders/{folder_id}/projects": Project,
    "GET /workspaces/{workspace_id}/projects/{project_id}/graph": Graph,
    "POST /workspaces/{workspace_id}/projects/{project_id}/nodes/run": NodeRuns,
    "POST /workspaces/{workspace_id}/projects/{project_id}/canvas/changeset": Changed,
    "GET /workspaces/{workspace_id}/projects/{project_id}/canvas/definition": CanvasDefinition,
    "PUT /workspaces/{workspace_id}/projects/{project_id}/canvas/definition": CanvasDefinition,
    "POST /workspaces/{workspace_id}/library/folders": LibraryFolder,
    "DELETE /workspaces/{workspace_id}/library/folders/{folder_id}": DeletedFolder,
    "POST /workspaces/{workspace_id}/library/folders/{folder_id}/items": LibraryItem,
}
"""The 40 operations of the contract's table 2.1, in its order, and what each answers if it succeeds."""

ADAPTERS = {name: TypeAdapter(shape) for name, shape in OPERATIONS.items()}


def check_answer(operation, response):
    """Hold an answer to the contract, whether it is a success or an error."""
    assert response.headers["request-id"].startswith("req_")
    assert response.headers["content-type"] == "application/json"
    if response.is_success:
        assert response.status_code in (200, 201)
        return ADAPTERS[operation].validate_json(response.content)
    assert response.status_code in (400, 401, 402, 403, 404, 409, 413, 422, 429), response.text
    return Error.model_validate_json(response.content)
