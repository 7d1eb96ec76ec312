"""A canvas as a diagram, a graph and a definition."""

from contextlib import suppress

import hypothesis.strategies as st
import pytest
from hypothesis import given

from flora_provider.sandbox.world import mermaid

names = st.from_regex(r"[A-Za-z]\w{0,5}", fullmatch=True)
labels = st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1, max_size=20)


@pytest.fixture
def draw(flora):
    def draw(diagram, **node_params):
        body = {"diagram": diagram, "node_params": node_params}
        return flora.patch(f"/projects/{flora.sandbox.project_id}/canvas", json=body)

    return draw


def graph(flora, canvas_path):
    return flora.get(f"{canvas_path}/graph").json()


@given(st.dictionaries(names, labels, min_size=1, max_size=6), st.data())
def test_diagram_that_was_written_is_read_back(nodes, data):
    ends = st.sampled_from(list(nodes))
    links = data.draw(st.lists(st.tuples(ends, ends, st.none() | labels), max_size=4))
    diagram = mermaid.Diagram(nodes, links)
    assert mermaid.read(mermaid.write(diagram)) == diagram


@given(st.text(st.sampled_from('ab[]{}()"|-> %\n;<flowchart')) | st.text())
def test_any_text_is_a_diagram_or_a_value_error(text):
    for diagram in (text, f"flowchart LR\n{text}"):
        with suppress(ValueError):
            assert isinstance(mermaid.read(diagram), mermaid.Diagram)


@pytest.mark.parametrize(
    ("line", "links"),
    [
        ("a --> b", [("a", "b", None)]),
        ("a -->|image| b", [("a", "b", "image")]),
        ("a -- image --> b", [("a", "b", "image")]),
        ("a[A fern] --> b{B} --> c(C);", [("a", "b", None), ("b", "c", None)]),
        ("a -.-> b", [("a", "b", None)]),
        ("a ==> b", [("a", "b", None)]),
        ("a((A)) --> b([B]) --> c{{C}}", [("a", "b", None), ("b", "c", None)]),
        ("style --> end_1", [("style", "end_1", None)]),
    ],
)
def test_links_of_every_form_are_read(line, links):
    assert mermaid.read(f"%% a comment\ngraph TD\nsubgraph x\n{line}\nend").links == links


def test_text_of_a_node_may_have_brackets_of_another_kind():
    line = 'a[A fern (green)] --> b(B [1]) --> c{"C }"} --> d["(Image)"] --> e([E])'
    assert list(mermaid.read(f"graph TD\n{line}").nodes.values()) == ["A fern (green)", "B [1]", "C }", "(Image)", "E"]


def test_diagram_adds_nodes_and_links_with_their_params(flora, canvas_path, draw):
    answer = draw(
        "flowchart LR\n a[A fern] --> b[Greener (Image)]",
        b={
            "prompt": "A greener fern",
            "model": "t2i-flux-2-pro",
            "aspect_ratio": "16:9",
            "model_parameters": {"seed": 7},
        },
    ).json()
    assert (answer["created_node_count"], answer["created_edge_count"]) == (2, 1)
    assert "warnings" not in answer
    text, image = graph(flora, canvas_path)["nodes"]
    assert (text["type"], text["prompt"], text["status"]) == ("text", "A fern", "idle")
    assert (image["type"], image["prompt"], image["model_id"]) == ("image", "A greener fern", "t2i-flux-2-pro")
    assert image["params"] == {"aspect_ratio": "16:9", "seed": 7}
    assert graph(flora, canvas_path)["edges"] == [{"from": text["id"], "to": image["id"], "in": None}]


def test_node_that_exists_is_added_once_more_with_a_warning(flora, canvas_path, draw):
    draw("flowchart LR\n a[A fern]")
    diagram = flora.get(f"/projects/{flora.sandbox.project_id}/canvas").json()["diagram"]
    assert diagram == 'flowchart LR\n  n1["A fern (Text)"]'
    assert draw(diagram).json()["warnings"] == ["Node n1 exists already; another one was created."]
    assert len(graph(flora, canvas_path)["nodes"]) == 2


@pytest.mark.parametrize(
    ("diagram", "node_params", "field"),
    [
        ("no chart", {}, "diagram"),
        ("flowchart LR\n a[", {}, "diagram"),
        (f"flowchart LR\n a[{'x' * 2000}]", {}, "diagram"),
        ("flowchart LR\n a", {"b": {"prompt": "x"}}, "node_params.b"),
        ("flowchart LR\n a", {"a": {"prompt": "x", "content_url": "https://example.com/a.png"}}, "node_params.a"),
        ("flowchart LR\n a", {"a": {"content_url": "http://10.0.0.1/a.png"}}, "node_params.a.content_url"),
        ("flowchart LR\n a", {"a": {"promt": "x"}}, "node_params.a.promt"),
        ("flowchart LR\n a", {"a": {"model": "hologram"}}, "node_params.a.model"),
        ("flowchart LR\n a[Fern (Image)]", {"a": {"content_url": "https://example.com/a.png"}}, "node_params.a"),
        ("flowchart LR\n a[(Text)]", {"a": {"content_url": "https://example.com/a"}}, "node_params.a.content_url"),
    ],
)
def test_diagram_with_one_problem_adds_nothing(flora, canvas_path, draw, diagram, node_params, field):
    before = graph(flora, canvas_path)
    response = draw(diagram, **node_params)
    assert response.status_code == 400
    assert [problem["field"] for problem in response.json()["error"]["fields"]] == [field]
    assert graph(flora, canvas_path) == before


def test_link_to_a_node_that_exists_adds_it_no_second_time(flora, canvas_path, draw):
    draw("flowchart LR\n a[A fern]")
    answer = draw("flowchart LR\n n1 --> out[Greener (Image)]").json()
    assert (answer["created_node_count"], answer["created_edge_count"]) == (1, 1)
    assert "warnings" not in answer
    assert graph(flora, canvas_path)["edges"] == [{"from": "n1", "to": "n2", "in": None}]


def test_content_of_a_url_becomes_a_static_node(flora, canvas_path, draw):
    url = "https://example.com/a.mp4"
    draw('flowchart LR\n a["(Video)"]', a={"content_url": url})
    (node,) = graph(flora, canvas_path)["nodes"]
    assert (node["type"], node["output_url"], node["prompt"], node["status"]) == ("static_video", url, None, None)


def test_subgraph_is_left_out_with_a_warning(draw):
    answer = draw("flowchart LR\n subgraph board\n a[A fern]\n end").json()
    assert answer["created_node_count"] == 1
    assert answer["warnings"] == ["Subgraphs are not applied; their nodes were added without a group."]


def test_diagram_of_a_canvas_can_be_drawn_again_whatever_its_nodes_say(flora, canvas_path, draw):
    prompts = ('A "fern" | <b>', "x" * 50_000, "A\nB", "end", "#quot;", "(Image)")
    add = [{"ref": f"r{i}", "type": "text", "prompt": prompt} for i, prompt in enumerate(prompts)]
    flora.post(f"{canvas_path}/canvas/changeset", json={"add": add})
    diagram = flora.get(f"/projects/{flora.sandbox.project_id}/canvas").json()["diagram"]
    assert draw(diagram).json()["created_node_count"] == 6
    labels = [node["label"] for node in graph(flora, canvas_path)["nodes"][6:]]
    assert labels == [prompts[0], "x" * 79 + "…", *prompts[2:]]


def test_summary_counts_workflows_and_nodes_that_stand_alone(flora, draw):
    draw("flowchart LR\n a --> b --> c\n d --> e\n f")
    summary = flora.get(f"/projects/{flora.sandbox.project_id}/canvas").json()["summary"]
    assert summary == {
        "node_count": 6, "edge_count": 3, "group_count": 0, "isolated_node_count": 1, "workflow_count": 2,
    }  # fmt: skip


def test_definition_that_was_put_is_what_is_got(flora, canvas_path):
    definition = {
        "nodes": [
            {
                "id": "n1",
                "type": "textBlock",
                "data": {"prompt": "x", "odd": [1]},
                "position": {"x": 1, "y": 2},
                "width": 5,
            },
            {"id": "n2", "type": "group", "data": {}, "position": {"x": 10, "y": 10}},
            {"id": "a", "type": "comment", "data": {}, "position": {"x": 1, "y": 1}, "parent_id": "n2"},
        ],
        "edges": [{"id": "e", "source": "n1", "target": "n2", "source_handle": "out", "target_handle": None}],
        "node_inputs": {"n1": {"a": 1}},
        "node_outputs": {},
    }
    put = flora.put(f"{canvas_path}/canvas/definition", json={"definition": definition})
    assert put.json()["definition"] == definition
    assert put.json()["summary"]["group_count"] == 1
    got = flora.get(f"{canvas_path}/canvas/definition").json()
    assert got == put.json()
    first = graph(flora, canvas_path)
    assert [node["position"]["x"] for node in first["nodes"]] == [1, 10, 11]
    assert {node["id"] for node in first["nodes"]}.isdisjoint(["n1", "n2"])
    assert flora.put(f"{canvas_path}/canvas/definition", json={"definition": got["definition"]}).json() == got
    assert graph(flora, canvas_path) == first


def test_definition_with_any_problem_replaces_nothing(flora, canvas_path, draw):
    draw("flowchart LR\n a[A fern]")
    before = flora.get(f"{canvas_path}/canvas/definition").json()
    node = {"id": "n1", "type": "textBlock", "data": {}}
    edge = {"id": "e", "source": "n1", "target": "gone", "source_handle": None, "target_handle": None}
    child = {"id": "n2", "type": "comment", "data": {}, "parent_id": "n1"}
    twice = [{**edge, "id": name, "target": "n2"} for name in ("f", "f", "g")]
    nodes, edges = [node, node, child], [edge, *twice]
    definition = {"nodes": nodes, "edges": edges, "node_inputs": {"gone": {}}, "node_outputs": {}}
    response = flora.put(f"{canvas_path}/canvas/definition", json={"definition": definition})
    fields = [problem["field"] for problem in response.json()["error"]["fields"]]
    assert fields == [
        "definition.nodes[1].id", "definition.nodes[2].parent_id", "definition.edges[0].target",
        "definition.edges[2].id", "definition.edges[2]", "definition.edges[3]", "definition.node_inputs.gone",
    ]  # fmt: skip
    assert flora.get(f"{canvas_path}/canvas/definition").json() == before


def test_node_that_is_kept_keeps_its_run_and_one_that_goes_takes_its_documents_along(flora, canvas_path):
    nodes = [{"id": name, "type": "textBlock", "data": {"prompt": "x", "model": "t2t-writer"}} for name in "ab"]
    definition = {"nodes": nodes, "edges": [], "node_inputs": {"a": {}, "b": {}}, "node_outputs": {}}
    flora.put(f"{canvas_path}/canvas/definition", json={"definition": definition})
    flora.post(f"{canvas_path}/nodes/run", json={"node_ids": ["a"]})
    flora.put(f"{canvas_path}/canvas/definition", json={"definition": definition})
    assert [node["status"] for node in graph(flora, canvas_path)["nodes"]] == ["generating", "idle"]
    flora.post(f"{canvas_path}/canvas/changeset", json={"remove": [{"id": "a"}]})
    assert flora.get(f"{canvas_path}/canvas/definition").json()["definition"]["node_inputs"] == {"b": {}}


def test_node_without_a_position_is_placed_below_the_others(flora, canvas_path):
    nodes = [{"id": name, "type": "comment", "data": {}} for name in "abc"]
    definition = {"nodes": nodes, "edges": [], "node_inputs": {}, "node_outputs": {}}
    for _ in range(2):
        flora.put(f"{canvas_path}/canvas/definition", json={"definition": definition})
        assert [node["position"]["y"] for node in graph(flora, canvas_path)["nodes"]] == [0, 320, 640]


def test_revision_changes_with_what_the_graph_shows_only(flora, canvas_path, draw):
    empty = graph(flora, canvas_path)["revision"]
    assert graph(flora, canvas_path)["revision"] == empty
    draw("flowchart LR\n a[A fern]")
    one = graph(flora, canvas_path)["revision"]
    assert one not in ("", empty)
    flora.sandbox.clock.advance(60)
    assert graph(flora, canvas_path)["revision"] == one
    flora.post(f"{canvas_path}/nodes/run", json={"node_ids": ["n1"]})
    generating = graph(flora, canvas_path)["revision"]
    flora.sandbox.clock.advance(60)
    assert len({one, generating, graph(flora, canvas_path)["revision"]}) == 3


def test_project_of_another_workspace_is_not_found(flora):
    sandbox = flora.sandbox
    second = sandbox.state.add_workspace("Second").workspace_id
    foreign = sandbox.state.foreign_workspace.workspace_id
    for workspace_id in (second, foreign, "ws_unknown"):
        assert flora.get(f"/workspaces/{workspace_id}/projects/{sandbox.project_id}/graph").status_code == 404
    assert flora.get(f"/workspaces/nonsense/projects/{sandbox.project_id}/graph").status_code == 400


def test_canvas_takes_no_more_than_so_many_nodes_and_edges(flora, canvas_path, draw):
    nodes = [{"id": f"x{i}", "type": "group", "data": {}} for i in range(4998)]
    ends = [(f"x{i}", f"x{j}") for i in range(200) for j in range(100)][:19_999]
    edges = [
        {"id": f"{a}-{b}", "source": a, "target": b, "source_handle": None, "target_handle": None} for a, b in ends
    ]
    definition = {"nodes": nodes, "edges": edges, "node_inputs": {}, "node_outputs": {}}
    assert flora.put(f"{canvas_path}/canvas/definition", json={"definition": definition}).status_code == 200
    assert draw("flowchart LR\n a --> b").status_code == 200
    for diagram in ("c", "x0 --> x4000"):
        response = draw(f"flowchart LR\n {diagram}")
        assert response.json()["error"]["fields"][0]["field"] == "canvas"


@pytest.mark.parametrize(("depth", "status"), [(90, 200), (100, 400), (900, 400), (975, 400), (100_000, 400)])
def test_body_is_nested_a_hundred_levels_at_most(flora, canvas_path, depth, status):
    content = '{"add":[{"ref":"a","type":"image","params":{"x":%s}}]}' % ("[" * depth + "]" * depth)
    for _ in range(2):
        assert flora.post(f"{canvas_path}/canvas/changeset", content=content).status_code == status
    assert len(graph(flora, canvas_path)["nodes"]) == (2 if status == 200 else 0)


def test_unknown_route_and_method_are_answered_as_flora_does(flora):
    for method, path in (("GET", "/nonsense"), ("DELETE", f"/projects/{flora.sandbox.project_id}"), ("GET", "/")):
        response = flora.request(method, path)
        assert response.status_code == 404
        assert response.json() == {"error": {"code": "not_found", "message": "Not found."}}
