"""Models, techniques and actions: their shapes, and what a run of each takes, makes and costs."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from flora_provider.sandbox.world.actions import ACTIONS
from flora_provider.sandbox.world.catalog import MODELS, TECHNIQUES
from flora_provider.sandbox.world.runs import RunInput
from tests.sandbox.contract import RunStarted
from tests.sandbox.contract import catalog as contract

URL = "https://media.flora.ai/cat.png"
OLD_ACTIONS = [
    "split-text", "find-and-replace-text", "concat-text", "color-grade-image",
    "change-image-ar", "rotate-image", "flip-image", "color-filter-image",
    "color-tint-image", "filter-color-image", "blur-image", "duplicate-image",
    "side-by-side-composite", "add-shape-to-image", "generate-shape-image", "add-text-to-image",
    "generate-text-image", "qr-code-generator",
]  # fmt: skip


def models(flora):
    return contract.Models.model_validate(flora.get("/models").json()).models


def techniques(flora):
    return contract.Techniques.model_validate(flora.get("/techniques").json()).techniques


def actions(flora):
    return contract.Actions.model_validate(flora.get("/actions").json()).actions


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=5,
)


def last_run(flora):
    return list(flora.sandbox.state.runs.values())[-1]


def problems(response):
    assert response.status_code == 400, response.text
    return [problem["field"] for problem in response.json()["error"]["fields"]]


class TestModels:
    def test_models_use_all_kinds_of_param_and_have_defaults_in_range(self, flora):
        params = [param for model in models(flora) for param in model.params]
        assert {param.type for param in params} == set(contract.ModelParam.model_fields["type"].annotation.__args__)
        assert any(param.required for param in params)
        for param in params:
            if param.options:
                assert param.default in [option.value for option in param.options]
            if {"min", "max", "default"} <= param.model_fields_set:
                assert param.min <= param.default <= param.max
            for member in param.properties.values():
                assert member.min <= member.default <= member.max

    def test_models_are_of_all_families_and_some_are_beta_or_report_no_price(self, flora):
        found = models(flora)
        assert len({model.model_id for model in found}) == len(found) >= 20
        families = {model.model_id.split("-")[0] for model in found}
        assert families == {"t2i", "i2i", "is2i", "t2v", "i2v", "v2v", "t2a", "t2s", "t2t", "i2t", "v2t"}
        assert any(model.beta for model in found)
        assert [model.model_id for model in found if model.estimated_credits == 0] == ["t2i-gpt-image"]

    @pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
    def test_model_can_be_run(self, flora, sandbox, model):
        run_id = flora.start(type=model.medium, model=model.id)
        sandbox.clock.advance(1000)
        assert flora.run(run_id)["status"] == "completed"
        assert flora.run(run_id)["charged_cost"] > 0

    @pytest.mark.parametrize(
        ("type_", "model", "params", "inputs"),
        [
            ("image", "i2i-flux-kontext", {"image_url": URL}, [("image_url", "image")]),
            ("video", "i2v-kling-2", {"image_url": URL}, [("image_url", "image")]),
            ("image", "is2i-seedream-4", {"image_urls": [URL, URL]}, [("image_urls", "image")] * 2),
            ("text", "i2t-describe", {"image_urls": [URL]}, [("image_urls", "image")]),
            ("text", "v2t-gemini-video", {"video_urls": [URL]}, [("video_urls", "video")]),
            ("image", "i2i-flux-kontext", {"image_urls": [URL]}, []),
            ("image", "i2i-flux-kontext", {"image_url": [URL]}, []),
            ("image", "is2i-seedream-4", {"image_url": URL, "image_urls": URL}, []),
            ("text", "i2t-describe", {"image_urls": [7, None, {}]}, []),
            ("video", "v2v-luma-modify", {"video_url": URL, "video_urls": [URL]}, []),
            ("image", "t2i-flux-2-pro", {"image_url": URL, "image_urls": [URL]}, []),
        ],
    )
    def test_media_are_inputs_in_the_familys_form_and_else_ignored_and_billed(
        self, flora, type_, model, params, inputs
    ):
        flora.start(type=type_, model=model, params=params)
        assert last_run(flora).request.inputs == tuple(RunInput(name, medium, URL) for name, medium in inputs)
        assert flora.sandbox.stats()["runs_billed"] == 1

    def test_more_media_than_a_model_takes_are_ignored(self, flora):
        flora.start(model="is2i-seedream-4", params={"image_urls": [URL] * 10_000})
        assert len(last_run(flora).request.inputs) == 16

    def test_unknown_params_and_wrong_values_are_accepted_and_billed(self, flora):
        params = {"aspect_ratio": "7:5", "seed": "red", "num_images": 10**9, "resolution": ["4K"], "no_such": None}
        for model in MODELS:
            quote = flora.generate(type=model.medium, model=model.id).json()["charged_cost"]
            response = flora.generate(type=model.medium, model=model.id, params=params)
            assert (response.status_code, response.json()["charged_cost"]) == (201, quote)

    @settings(max_examples=50, deadline=None)
    @given(st.sampled_from(MODELS), st.data())
    def test_params_of_any_json_start_a_run(self, make_flora, model, data):
        names = st.sampled_from(["image_url", "image_urls", "video_urls", "num_images", "duration", "resolution"])
        params = data.draw(st.dictionaries(names, json_values))
        flora = make_flora()
        RunStarted.model_validate(flora.generate(type=model.medium, model=model.id, params=params).json())

    @pytest.mark.parametrize(
        ("type_", "model", "params", "usd"),
        [
            ("video", "t2v-sora-2", {}, 0.4),
            ("video", "t2v-sora-2", {"duration": 12}, 1.2),
            ("video", "t2v-sora-2", {"duration": True}, 0.4),
            ("video", "i2v-wan-2.5", {"duration": 10, "resolution": "1080p"}, 0.75),
            ("image", "t2i-nano-banana-pro", {"num_images": 2, "resolution": "4K"}, 0.4824),
            ("image", "t2i-gpt-image", {}, 0.06),
        ],
    )
    def test_quote_depends_on_params(self, flora, type_, model, params, usd):
        assert flora.generate(type=type_, model=model, params=params).json()["charged_cost"] == usd

    @pytest.mark.parametrize(("number", "count"), [(3, 3), (4, 4), (5, 1), (0, 1), ("2", 1), (None, 1)])
    def test_number_of_images_is_the_number_of_outputs(self, flora, sandbox, number, count):
        run_id = flora.start(model="is2i-seedream-4", params={"num_images": number})
        sandbox.clock.advance(100)
        outputs = flora.run(run_id)["outputs"]
        assert [output["output_id"] for output in outputs] == [f"output_{n}" for n in range(1, count + 1)]
        assert all(flora.get(output["url"]).status_code == 200 for output in outputs)

    def test_text_of_one_model_comes_in_markdown_fences(self, flora, sandbox):
        plain, fenced = flora.start(type="text"), flora.start(type="text", model="t2t-claude")
        sandbox.clock.advance(100)
        plain, fenced = (flora.run(run_id)["outputs"][0]["url"] for run_id in (plain, fenced))
        assert fenced == f"```markdown\n{plain}\n```"


class TestBillLag:
    def test_every_fifth_bill_comes_later_than_its_run_ends(self, make_flora):
        flora = make_flora(bill_lag=60, speed=2)
        runs = [flora.start(params={"sandbox": {"seconds": 1}}) for _ in range(100)]
        flora.sandbox.clock.advance(30.9)
        late = [run_id for run_id in runs if "charged_cost" not in flora.run(run_id)]
        assert 10 <= len(late) <= 30
        flora.sandbox.clock.advance(0.2)
        assert all("charged_cost" in flora.run(run_id) for run_id in runs)

    def test_bill_lag_changes_neither_durations_nor_costs(self, make_flora):
        def bills(**settings):
            flora = make_flora(**settings)
            runs = [flora.start() for _ in range(20)]
            flora.sandbox.clock.advance(1000)
            return [flora.run(run_id) for run_id in runs]

        assert bills() == bills(bill_lag=60)


class TestTechniques:
    def run(self, flora, technique_id, inputs):
        body = {"technique_id": technique_id, "workspace_id": flora.sandbox.workspace_id, "inputs": inputs}
        return flora.post("/runs/technique", json=body)

    def nested(self, flora, slug, *items):
        inputs = [dict(zip(("id", "type", "value"), item, strict=True)) for item in items]
        return flora.post(f"/techniques/{slug}/runs", json={"inputs": inputs, "mode": "async"})

    def test_techniques_use_all_that_slots_can_be(self, flora):
        found = techniques(flora)
        assert len(found) >= 8
        slots = [slot for technique in found for slot in (*technique.inputs, *technique.outputs)]
        assert set().union(*(slot.model_fields_set for slot in slots)) == set(contract.TechniqueSlot.model_fields)
        types = {slot.type for technique in found for slot in technique.inputs}
        assert types == {"imageUrl", "videoUrl", "audioUrl", "documentUrl", "text"}
        assert all(technique.description for technique in found)
        assert flora.get("/techniques/jingle").json()["run_cost"] == 0.15

    @pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.slug)
    def test_technique_makes_the_outputs_of_its_definition(self, flora, sandbox, technique):
        shape = contract.Technique.model_validate(flora.get(f"/techniques/{technique.slug}").json())
        inputs = {slot.id: "A text" if slot.type == "text" else URL for slot in shape.inputs if not slot.optional}
        response = self.run(flora, technique.id, inputs)
        if technique.archived:
            assert self.nested(flora, technique.slug, ("x", "text", "y")).status_code == 403
            assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")
            assert technique.id not in flora.get("/techniques").text
            return
        sandbox.clock.advance(1000)
        outputs = flora.run(response.json()["run_id"])["outputs"]
        assert [(o["output_id"], o["type"]) for o in outputs] == [(slot.id, slot.type) for slot in shape.outputs]
        assert response.json()["charged_cost"] == shape.run_cost

    def test_several_values_are_inputs_of_one_run(self, flora):
        assert self.run(flora, "tech_lookbook1", {"garments": [URL, URL], "person": URL}).status_code == 201
        assert [item.name for item in last_run(flora).request.inputs] == ["garments", "garments", "person"]
        assert self.run(flora, "tech_lookbook1", {"garments": URL, "person": URL}).status_code == 201
        garment = ("garments", "imageUrl", URL)
        person = ("person", "imageUrl", "elem_1")
        assert self.nested(flora, "lookbook", garment, person, garment).status_code == 201
        assert [item.name for item in last_run(flora).request.inputs] == ["garments", "garments", "person"]

    def test_element_is_accepted_by_the_slots_that_say_so(self, flora):
        assert self.run(flora, "tech_lookbook1", {"garments": URL, "person": "elem_1"}).status_code == 201
        assert last_run(flora).request.inputs[-1] == RunInput("person", "image", "elem_1")
        assert problems(self.run(flora, "tech_cctvcam01", {"input_image": "elem_1"})) == ["inputs.input_image"]
        assert problems(self.run(flora, "tech_lookbook1", {"garments": URL, "person": "http://x/a"})) == [
            "inputs.person"
        ]

    def test_all_problems_of_inputs_are_reported_at_once(self, flora):
        inputs = {"garments": [URL, "ftp://x"], "notes": "", "color": "red"}
        wrong = ["inputs.garments[1]", "inputs.person", "inputs.notes[0]", "inputs.color"]
        assert problems(self.run(flora, "tech_lookbook1", inputs)) == wrong
        items = [("person", "text", URL), ("person", "imageUrl", URL), ("notes", "text", "x"), ("color", "text", "x")]
        wrong = ["inputs.person", "inputs.person", "inputs.garments", "inputs.color"]
        assert problems(self.nested(flora, "lookbook", *items)) == wrong

    @pytest.mark.parametrize("value", [[], [URL] * 17, None, 7, {}, [[URL]]])
    def test_odd_values_are_refused(self, flora, value):
        assert problems(self.run(flora, "tech_lookbook1", {"garments": value, "person": URL}))
        assert problems(self.run(flora, "tech_cctvcam01", {"input_image": value}))


class TestActions:
    def run(self, flora, action_id, *inputs, **params):
        body = {key: value for key, value in flora.body().items() if key.endswith("_id")}
        items = [{"type": item[0], "text" if item[0] == "text" else "url": item[1]} for item in inputs]
        return flora.post("/runs/action", json={"action_id": action_id, "inputs": items, "params": params, **body})

    def test_params_say_what_they_may_be(self, flora):
        for param in (param for action in actions(flora) for param in action.params):
            present = param.model_fields_set
            assert {"label", "default_value"} <= present
            assert (param.type == "enum") == ("available_values" in present)
            if param.type in ("number", "integer"):
                assert param.min_number_value <= param.default_value <= param.max_number_value
            if param.type == "enum":
                assert param.default_value in [value.value for value in param.available_values]

    @pytest.mark.parametrize("action", ACTIONS.values(), ids=lambda action: action.id)
    def test_action_takes_what_its_slots_need_and_its_own_defaults(self, flora, sandbox, action):
        inputs = []
        for slot in action.inputs:
            multiple = slot.get("multiple")
            inputs += [(slot["type"], URL)] * (multiple["min"] if isinstance(multiple, dict) else 1)
        params = {param["key"]: param["default_value"] for param in action.params}
        response = self.run(flora, action.id, *inputs, **params)
        assert response.status_code == 201, response.text
        assert [item.medium for item in last_run(flora).request.inputs] == [medium for medium, _ in inputs]
        sandbox.clock.advance(100)
        assert flora.run(response.json()["run_id"])["charged_cost"] == 0

    @pytest.mark.parametrize(
        ("action_id", "params", "wrong"),
        [
            ("rotate-image-browser", {"angle": "90", "canvas_mode": "grow", "transparent": 1},
             ["params.angle", "params.canvas_mode", "params.transparent"]),
            ("rotate-image-browser", {"angle": 361, "background": "red"}, ["params.angle", "params.background"]),
            ("crop-image-browser", {"center": {"x": 1}, "size": [1, 1]}, ["params.center.y", "params.size"]),
            ("duplicate-image-browser", {"count": 2.5}, ["params.count"]),
            ("duplicate-image-browser", {"count": 21}, ["params.count"]),
            ("duplicate-image-browser", {"count": None}, ["params.count"]),
        ],
    )  # fmt: skip
    def test_params_are_checked_against_the_schema(self, flora, action_id, params, wrong):
        assert sorted(problems(self.run(flora, action_id, ("image", URL), **params))) == wrong

    @settings(max_examples=50, deadline=None)
    @given(st.sampled_from(list(ACTIONS.values())), st.data())
    def test_params_of_any_json_are_taken_or_named(self, make_flora, action, data):
        values = {param["key"]: json_values | st.just(param["default_value"]) for param in action.params}
        params = data.draw(st.fixed_dictionaries({}, optional=values))
        flora = make_flora()
        body = {"action_id": action.id, "params": params}
        response = flora.post(f"/projects/{flora.sandbox.project_id}/actions", json=body)
        if response.status_code != 201:
            assert {name.split(".")[1] for name in problems(response)} <= set(params)

    def test_params_that_an_action_does_not_have_are_let_pass(self, flora):
        assert self.run(flora, "rotate-image-browser", ("image", URL), angle=90, color="red").status_code == 201

    @pytest.mark.parametrize(
        ("action_id", "media", "wrong"),
        [
            ("rotate-image-browser", ["video"], ["inputs[0]", "inputs"]),
            ("rotate-image-browser", ["image", "image"], ["inputs[1]"]),
            ("overlay-image-browser", ["image"], ["inputs"]),
            ("side-by-side-composite-browser", ["image"], ["inputs"]),
            ("side-by-side-composite-browser", ["image"] * 17, ["inputs[16]"]),
            ("merge-audio-into-video", ["image", "audio"], ["inputs[0]", "inputs"]),
        ],
    )
    def test_inputs_are_checked_against_the_slots(self, flora, action_id, media, wrong):
        assert problems(self.run(flora, action_id, *[(medium, URL) for medium in media])) == wrong

    def test_inputs_are_checked_together_with_params(self, flora):
        body = {key: value for key, value in flora.body().items() if key.endswith("_id")}
        inputs = [{"type": "image"}, {"type": "audio", "url": URL}]
        body |= {"action_id": "ken-burns-video", "inputs": inputs, "params": {"fps": "25"}}
        assert problems(flora.post("/runs/action", json=body)) == ["inputs[0]", "inputs[1]", "params.fps"]

    def test_item_goes_to_the_slot_it_names(self, flora):
        body = {key: value for key, value in flora.body().items() if key.endswith("_id")}
        inputs = [{"type": "image", "url": f"{URL}?{name}", "name": name} for name in ("overlay", "base")]
        flora.post("/runs/action", json={"action_id": "overlay-image-browser", "inputs": inputs, **body})
        assert last_run(flora).request.inputs == tuple(
            RunInput(name, "image", f"{URL}?{name}") for name in ("overlay", "base")
        )

    def test_copies_are_as_many_outputs(self, flora, sandbox):
        run_id = self.run(flora, "duplicate-image-browser", ("image", URL), count=5).json()["run_id"]
        sandbox.clock.advance(100)
        assert len(flora.run(run_id)["outputs"]) == 5

    @pytest.mark.parametrize("old_id", OLD_ACTIONS)
    def test_older_id_is_the_same_action_but_not_listed(self, flora, old_id):
        action = flora.get(f"/actions/{old_id}").json()
        assert action in flora.get("/actions").json()["actions"]
        assert old_id not in [action.action_id for action in actions(flora)]
        inputs = [(slot["type"], URL) for slot in action["inputs"] for _ in range(2 if slot.get("multiple") else 1)]
        response = self.run(flora, old_id, *inputs)
        assert response.json()["action"] == {"action_id": action["action_id"]}
