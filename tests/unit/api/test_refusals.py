"""What FLORA would refuse, or bill for nothing, is refused before it is sent, with all problems at once."""

import io

import pytest

from flora_provider.api import calls
from flora_provider.api.errors import FloraInputError
from tests.unit.api.reference.common import SCOPE

TEXT = {"type": "text", "prompt": "p", **SCOPE}
ENDLESS = {}
ENDLESS["again"] = [ENDLESS]
REFUSED = {
    "all problems at once": (
        lambda: calls.generate(type="t2i", prompt=" ", workspace_id="", project_id="proj_1", model="Two Words"),
        ["type is 't2i'", "prompt is ' '", "workspace_id is ''", "project_id is 'proj_1'", "model is 'Two Words'"],
    ),
    "params that are no dict": (lambda: calls.generate(params=[1], **TEXT), ["params is [1]: give a dict"]),
    "params that are no JSON": (
        lambda: calls.generate(params={"a": [0, {"b": {1, 2}}]}, **TEXT),
        ["this cannot be sent as JSON: params.a[1].b is {1, 2}: use plain strings"],
    ),
    "params that are no number": (lambda: calls.generate(params={"a": float("nan")}, **TEXT), ["params.a is nan"]),
    "params with odd names": (
        lambda: calls.generate(params={"a": {(1,): 2}}, **TEXT),
        ["cannot be sent as JSON: keys"],
    ),
    "params that hold themselves": (
        lambda: calls.generate(params=ENDLESS, **TEXT),
        ["cannot be sent as JSON: Circular"],
    ),
    "params of 5,000 digits": (lambda: calls.generate(params={"a": 10**5000}, **TEXT), ["cannot be sent as JSON"]),
    "text without UTF-8": (lambda: calls.generate(type="text", prompt="\ud800", **SCOPE), ["cannot be sent as JSON"]),
    "a query without UTF-8": (lambda: calls.list_techniques(query="\ud800"), ["cannot be sent as JSON"]),
    "a callback inside": (
        lambda: calls.generate(callback_url="https://10.0.0.1/?token=secret", **TEXT),
        ["callback_url is https://10.0.0.1/…: FLORA calls back only to https:// on a public host"],
    ),
    "an id of None": (lambda: calls.get_run(None), ["run_id is None"]),
    "an unknown status": (lambda: calls.list_generations(status="done"), ["status is 'done': use one of pending"]),
    "and of techniques": (lambda: calls.list_technique_runs(status="done"), ["status is 'done': use one of pending"]),
    "a page of none": (lambda: calls.list_assets(limit=0), ["limit is 0: FLORA gives 1 to 100 items a page"]),
    "a page of True": (lambda: calls.list_nodes("prj_1", limit=True), ["limit is True"]),
    "no workspace": (lambda: calls.list_projects(workspace_id=None), ["workspace_id is None"]),
    "a slug where an id is asked": (
        lambda: calls.run_technique(technique_id="cctv-cam", workspace_id=None, inputs=[]),
        ["technique_id is 'cctv-cam'", "workspace_id is None", "inputs is []: give a dict"],
    ),
    "values of a technique's inputs": (
        lambda: calls.run_technique(technique_id="tech_1", workspace_id="ws_1", inputs={"a": "", "b": "None", "c": 5}),
        ["inputs.a is '': give a text", "inputs.b is 'None' (what a template of a missing value renders to)"],
    ),
    "action inputs": (
        lambda: calls.run_action(
            action_id="Ken Burns",
            inputs=[
                {"type": "imageUrl", "url": 5, "size": 1},
                "https://a",
                {"type": "image"},
                {"type": "image", "url": "./a.png"},
                {"type": "video", "url": "http://10.0.0.7/a"},
                {"type": "text", "text": 5, "name": ""},
            ],
            params=3,
            **SCOPE,
        ),
        [
            "action_id is 'Ken Burns': give an id as list_actions() shows it",
            "inputs[0].type is 'imageUrl': use one of image, video, audio, text",
            "inputs[0].url is no address: FLORA fetches only https://",
            "inputs[0] has the unknown members ['size']: remove them",
            "inputs[1] is 'https://a': give a dict",
            "inputs[2] has neither url nor text",
            "inputs[3].url is no address: FLORA fetches only https://",
            "inputs[4].url is http://10.0.0.7/…: FLORA fetches only https://",
            "inputs[5].text is 5: give a string",
            "inputs[5].name is ''",
            "params is 3: give a dict",
        ],
    ),
    "no action inputs": (lambda: calls.run_action(action_id="a", inputs=[], **SCOPE), ["inputs is empty"]),
    "one action input bare": (
        lambda: calls.run_action(action_id="a", inputs={"type": "image"}, **SCOPE),
        ["inputs[0] has neither url nor text"],
    ),
    "technique inputs": (
        lambda: calls.start_technique(
            "a b",
            inputs=[
                {"id": "a", "type": "text", "value": ""},
                3,
                {"id": "", "type": "IMAGE_URL", "value": "b", "c": "d"},
                {"id": "a", "type": "imageUrl", "value": "http://10.0.0.1/a?sig=1"},
                {"id": "a", "type": "videoUrl", "value": "./a.mp4"},
                {"id": "a", "type": "imageUrl", "value": None},
                {"id": "a", "type": "text", "value": "None"},
                {"id": "a"},
            ],
            callback_url="x",
        ),
        [
            "technique is 'a b'",
            "inputs[0].value is '': give a text",
            "inputs[1] is 3: give a dict of id, type, value",
            "inputs[2].id is '': give a text",
            "inputs[2].type is 'IMAGE_URL': use one of text, imageUrl, videoUrl",
            "inputs[2] has the unknown members ['c']: remove them",
            "inputs[3].value is http://10.0.0.1/…: FLORA fetches only https://",
            "inputs[4].value is no address: FLORA fetches only https://",
            "inputs[5].value is no address: FLORA fetches only",
            "inputs[6].value is 'None' (what a template of a missing value renders to)",
            "inputs[7].type is None: use one of text, imageUrl, videoUrl",
            "inputs[7].value is None: give a text",
            "callback_url",
        ],
    ),
    "no technique inputs": (lambda: calls.start_technique("a", inputs=[]), ["inputs is empty"]),
    "no list of technique inputs": (
        lambda: calls.start_technique("a", inputs=None),
        ["inputs[0] is None: give a dict"],
    ),
    "an asset from inside": (
        lambda: calls.create_asset(source="http://localhost/a?sig=1", workspace_id="ws_1"),
        ["source is http://localhost/…: FLORA fetches only https://"],
    ),
    "an asset from nowhere": (lambda: calls.create_asset(source=b"", workspace_id="ws_1"), ["source is no address"]),
    "an asset's description": (
        lambda: calls.create_asset(
            source="signed-url",
            workspace_id="ws_1",
            project_id="x",
            content_type="png\r\nX: y",
            file_name=" ",
            folder="",
        ),
        ["project_id is 'x'", "content_type is 'png\\r\\nX: y'", "file_name is ' '", "folder is ''"],
    ),
    "a large file": (
        lambda: calls.create_asset_from_file(
            file=io.BytesIO(bytes(4 * 1024 * 1024 + 1)),
            workspace_id="ws_1",
            content_type="image/png",
            file_name="b.png",
        ),
        ["the file has 4194305 bytes: FLORA takes 1 to 4194304 directly"],
    ),
    "feedback": (
        lambda: calls.send_feedback(kind="rant", summary="", detail=None, attempted_tools=[1], project_id="p"),
        ["kind is 'rant': use one of feature_request", "summary is ''", "detail is None", "attempted_tools[0] is 1"],
    ),
    "no list of tools": (
        lambda: calls.send_feedback(kind="bug", summary="s", detail="d", attempted_tools=None),
        ["attempted_tools[0] is None: give a text"],
    ),
    "a search for what is no text": (
        lambda: calls.list_techniques(query=["a"], cursor="", limit="5"),
        ["query is ['a']: give a string", "cursor is '': give a text", "limit is '5': FLORA gives 1 to 100"],
    ),
    "other cursors": (
        lambda: calls.list_projects(workspace_id="x", query=5, cursor=b"c"),
        ["workspace_id is 'x'", "query is 5: give a string", "cursor is b'c': give a text"],
    ),
    "a history's cursor": (lambda: calls.list_generations(cursor="None"), ["cursor is 'None' (what a template"]),
    "the other history's": (lambda: calls.list_technique_runs(cursor=5), ["cursor is 5: give a text"]),
    "a canvas's": (lambda: calls.list_nodes("prj_1", cursor=5), ["cursor is 5: give a text"]),
    "a library's": (lambda: calls.list_assets(cursor=5, query=5), ["query is 5: give a string", "cursor is 5"]),
    "a method": (lambda: calls.request("BREW", "coffee"), ["method is 'BREW': use one of GET"]),
    "a request with several problems": (
        lambda: calls.request(None, 5, "..", query={"a": [1], "b": True}, payload=[1]),
        [
            "method is None: use one of GET",
            "5 is no path segment",
            "'..' is no path segment",
            "query.a is [1]: give a string",
            "query.b is True: give a string",
            "payload is [1]: give a dict with string keys",
        ],
    ),
    "a query of odd names": (lambda: calls.request("GET", "x", query={5: "a"}), ["query is {5: 'a'}: give a dict"]),
    "a query that is no dict": (lambda: calls.request("GET", "x", query="a=b"), ["query is 'a=b': give a dict"]),
    "a request without a path": (lambda: calls.request("GET"), ["a path has at least one segment"]),
    "a body that is no JSON": (lambda: calls.request("POST", "x", payload={"a": object()}), ["cannot be sent as JSON"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_call_that_flora_would_refuse_is_refused_before_it_is_sent(name):
    make, problems = REFUSED[name]
    with pytest.raises(FloraInputError) as caught:
        make()
    for problem in problems:
        assert problem in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "sig=1" not in str(caught.value)


def test_inputs_that_flora_takes_are_let_through():
    element = {"id": "face", "type": "imageUrl", "value": "element-7"}  # a slot that accepts one
    assert calls.start_technique("a", inputs=[element, {"id": "a", "type": "text", "value": "b"}])
    for words in ("", "\n", "None"):  # to be joined with others, say; an action costs nothing
        assert calls.run_action(action_id="a", inputs=[{"type": "text", "text": words}], **SCOPE)
    assert calls.run_technique(technique_id="tech_1", workspace_id="ws_1", inputs={"a": 5, "b": ["c"], "d": None})
