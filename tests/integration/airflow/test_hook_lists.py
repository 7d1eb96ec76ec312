"""The lists of FLORA, walked from a hook."""

import pytest


@pytest.fixture
def technique(hook):
    return next(hook.iter_techniques())


def test_more_generations_than_a_page_holds_are_walked_once_each(hook):
    started = [
        hook.generate(type="text", prompt=f"{number}", idempotency_key=f"k{number}").run_id for number in range(103)
    ]
    assert [row.run_id for row in hook.iter_generations()] == started[::-1]
    assert [row.run_id for row in hook.iter_generations(max_items=2)] == started[:-3:-1]
    page = hook.list_generations(limit=100)
    assert [row.run_id for row in hook.list_generations(cursor=page.next_cursor).items] == started[2::-1]


def test_technique_runs_are_walked(hook, technique):
    inputs = {slot.id: "https://media.flora.ai/a.png" for slot in technique.inputs}
    run = hook.run_technique(technique_id=technique.technique_id, inputs=inputs, idempotency_key="k")
    assert [row.run_id for row in hook.iter_technique_runs(technique_id=technique.technique_id)] == [run.run_id]


def test_assets_and_the_nodes_of_a_canvas_are_walked(hook, tmp_path):
    file = tmp_path / "picture.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n123")
    asset = hook.upload_asset(file, project_id=hook.project())
    assert asset.asset_id in [row.asset_id for row in hook.iter_assets()]
    assert asset.asset_id in [node.asset_id for node in hook.iter_nodes()]


def test_projects_techniques_models_and_actions_are_there(hook, technique):
    assert hook.project() in [project.project_id for project in hook.iter_projects()]
    assert hook.get_technique(technique.technique_id) == technique
    assert {model.type for model in hook.list_models(type="image")} == {"image"}
    assert "ken-burns-video" in [action.action_id for action in hook.list_actions()]


def test_action_is_run(hook):
    action = hook.run_action(
        action_id="ken-burns-video",
        inputs=[{"type": "image", "url": "https://media.flora.ai/a.png"}],
        idempotency_key="k",
    )
    assert hook.get_run(action.run_id).run_id == action.run_id
