import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from flora_provider.sandbox.http.paging import cursor_of, offset_of


def pages(flora, path, name, **query):
    cursor = None
    while True:
        response = flora.get(path, params={**query, **({"cursor": cursor} if cursor else {})})
        assert response.status_code == 200, response.text
        yield response.json()[name]
        cursor = response.json()["meta"]["next_cursor"]
        if not cursor:
            return


@settings(max_examples=40, deadline=None)
@given(total=st.integers(0, 60), limit=st.integers(1, 100))
def test_pages_of_any_size_show_every_run_once_newest_first(make_flora, total, limit):
    flora = make_flora()
    started = [flora.start() for _ in range(total)]
    found = list(pages(flora, "/generations", "generations", limit=limit))
    assert [row["run_id"] for rows in found for row in rows] == started[::-1]
    assert all(len(rows) == limit for rows in found[:-1])


@given(st.integers(0, 10**9))
def test_cursor_leads_back_to_its_offset_and_looks_like_floras_example(offset):
    assert offset_of(cursor_of(offset)) == offset
    assert cursor_of(20) == "eyJvZmZzZXQiOjIwfQ"


def test_a_row_shows_again_when_new_runs_arrive_between_pages(flora):
    old = flora.start()
    newer = flora.start()
    first = flora.get("/generations?limit=1").json()
    flora.start()
    second = flora.get(f"/generations?limit=1&cursor={first['meta']['next_cursor']}").json()
    assert first["generations"][0]["run_id"] == second["generations"][0]["run_id"] == newer != old


def test_generations_are_filtered_by_project_workspace_and_status(flora, sandbox):
    other = flora.post("/projects", json={"workspace_id": sandbox.workspace_id, "name": "Other"}).json()["project_id"]
    done = flora.start(project_id=other)
    sandbox.clock.advance(100)
    fresh = flora.start()

    def found(**query):
        return [row["run_id"] for row in flora.get("/generations", params=query).json()["generations"]]

    assert found() == [fresh, done]
    assert found(project_id=other) == [done]
    assert found(status="completed") == [done]
    assert found(status="pending", workspace_id=sandbox.workspace_id) == [fresh]
    assert found(status="pending", project_id=other) == []
    assert found(workspace_id=sandbox.state.foreign_workspace.workspace_id) == []
    assert flora.get("/generations?status=cancelled").status_code == 400


def test_a_row_has_what_the_run_has_and_where_it_belongs_but_not_the_prompt(flora, sandbox):
    run_id = flora.start(prompt="A secret fox", key="key-1")
    sandbox.clock.advance(100)
    row = flora.get("/generations").json()["generations"][0]
    assert row == {
        **flora.run(run_id),
        "generation_id": run_id,
        "project_id": sandbox.project_id,
        "workspace_id": sandbox.workspace_id,
        "model": {"model_id": "t2i-flux-2-pro"},
    }
    assert "secret" not in str(row)
    assert "key-1" not in str(row)


def test_the_key_sees_its_workspace_and_any_it_was_given(flora, sandbox):
    rows = flora.get("/workspaces").json()["workspaces"]
    assert [row["workspace_id"] for row in rows] == [sandbox.workspace_id]
    assert set(rows[0]) == {"workspace_id", "name", "role", "created_at"}
    second = sandbox.state.add_workspace("Second")
    rows = flora.get("/workspaces").json()["workspaces"]
    assert [row["workspace_id"] for row in rows] == [sandbox.workspace_id, second.workspace_id]


def test_projects_are_created_found_and_ordered_by_activity(flora, sandbox):
    sandbox.clock.advance(10)
    response = flora.post("/projects", json={"workspace_id": sandbox.workspace_id, "name": "Posters"})
    assert response.status_code == 201
    posters = response.json()
    assert set(posters) == {"project_id", "workspace_id", "name", "origin", "created_at", "last_modified"}
    assert flora.get(f"/projects/{posters['project_id']}").json() == posters

    def names(**query):
        rows = flora.get("/projects", params={"workspace_id": sandbox.workspace_id, **query}).json()["projects"]
        return [row["name"] for row in rows]

    assert names() == ["Posters", "Airflow"]
    assert names(query="AIR") == ["Airflow"]
    sandbox.clock.advance(10)
    flora.start()
    assert names() == ["Airflow", "Posters"]
    assert flora.get("/projects").status_code == 400


def test_models_can_be_narrowed_to_a_type(flora):
    every = flora.get("/models").json()["models"]
    video = flora.get("/models?type=video").json()["models"]
    assert {model["type"] for model in every} == {"image", "video", "audio", "text"}
    assert {model["type"] for model in video} == {"video"}
    members = "model_id name provider type capabilities estimated_credits estimated_seconds params"
    assert all(set(model) - {"beta"} == set(members.split()) for model in every)


def test_techniques_are_listed_and_found_by_id_or_slug(flora):
    rows = [row for rows in pages(flora, "/techniques", "techniques", limit=3) for row in rows]
    assert len({row["slug"] for row in rows}) == len(rows) == 9
    assert flora.get("/techniques/cctv-cam").json() == flora.get("/techniques/tech_cctvcam01").json() == rows[0]
    found = flora.get("/techniques", params={"query": "story"}).json()["techniques"]
    assert [row["name"] for row in found] == ["Storyboard"]


def test_all_forty_actions_are_listed_without_pages(flora):
    response = flora.get("/actions").json()
    assert set(response) == {"actions"}
    assert len({action["action_id"] for action in response["actions"]}) == 40
    assert flora.get("/actions/ken-burns-video").json() in response["actions"]
    fps = next(p for p in flora.get("/actions/ken-burns-video").json()["params"] if p["key"] == "fps")
    assert [value["value"] for value in fps["available_values"]] == ["24", "30", "60"]


@pytest.mark.parametrize("kind", ["feature_request", "bug", "technique_request", "missing_capability"])
def test_feedback_is_taken(flora, kind):
    response = flora.post("/feedback", json={"kind": kind, "summary": "s", "detail": "d", "attempted_tools": ["x"]})
    assert response.status_code == 201
    assert response.json()["feedback_id"].startswith("fb_")
    assert flora.post("/feedback", json={"kind": kind}).status_code == 400
