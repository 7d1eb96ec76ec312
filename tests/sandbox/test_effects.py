"""Actions do what they say, and techniques use what they are given."""

import io
import wave

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from PIL import ExifTags, Image

from flora_provider.sandbox.world.actions import ACTIONS
from flora_provider.sandbox.world.effects import sounds
from flora_provider.sandbox.world.effects.params import Params
from flora_provider.sandbox.world.media import clips
from flora_provider.sandbox.world.run_behavior import RunBehavior
from flora_provider.sandbox.world.runs import RunInput, RunRequest

RED, BLUE = (200, 30, 30), (30, 30, 200)
FOREIGN = "https://storage.googleapis.com/bucket/a.png"


@pytest.fixture
def upload(flora):
    """Return a function that makes an asset of a file and returns its address."""

    def upload(content, content_type="image/png"):
        files, data = {"file": ("a", content, content_type)}, {"workspace_id": flora.sandbox.workspace_id}
        return flora.post("/assets", files=files, data=data).json()["url"]

    return upload


@pytest.fixture
def picture(upload):
    """Return the address of a picture whose left half is red and whose right half is blue."""
    image = Image.new("RGB", (200, 100), RED)
    image.paste(BLUE, (100, 0, 200, 100))
    file = io.BytesIO()
    image.save(file, "PNG")
    return upload(file.getvalue())


@pytest.fixture
def run_action(flora):
    """Return a function that runs an action and returns its outputs."""

    def run_action(action_id, *urls, texts=(), medium="image", **params):
        inputs = [{"type": medium, "url": url} for url in urls] + [{"type": "text", "text": text} for text in texts]
        scope = {"workspace_id": flora.sandbox.workspace_id, "project_id": flora.sandbox.project_id}
        started = flora.post("/runs/action", json={"action_id": action_id, "inputs": inputs, "params": params, **scope})
        assert started.status_code == 201, started.text
        flora.sandbox.clock.advance(1000)
        run = flora.run(started.json()["run_id"])
        assert run["status"] == "completed", run
        return [output["url"] for output in run["outputs"]]

    return run_action


def opened(flora, url):
    content = flora.get(url).content
    with Image.open(io.BytesIO(content)) as image:
        return image.convert("RGB")


@pytest.fixture
def pixels(flora, run_action):
    """Return a function that runs an action on pictures and returns the picture it makes."""

    def pixels(action_id, *urls, **more):
        return opened(flora, run_action(action_id, *urls, **more)[0])

    return pixels


def is_near(color, other, by=12):
    return all(abs(a - b) <= by for a, b in zip(color, other, strict=True))


def test_rotate_turns_clockwise_and_swaps_the_sides(pixels, picture):
    image = pixels("rotate-image-browser", picture, angle=90)
    assert image.size == (100, 200)
    assert is_near(image.getpixel((50, 10)), RED)
    assert is_near(image.getpixel((50, 190)), BLUE)


def test_rotate_mirrors(pixels, picture):
    image = pixels("rotate-image-browser", picture, direction="horizontal")
    assert is_near(image.getpixel((10, 50)), BLUE)


def test_crop_keeps_the_part_around_its_center(pixels, picture):
    image = pixels("crop-image-browser", picture, center={"x": 0.25, "y": 0.5}, size={"x": 0.5, "y": 0.5})
    assert image.size == (100, 50)
    assert {image.getpixel((x, 25)) for x in range(100)} == {RED}


def test_resize_by_each_mode(pixels, picture):
    assert pixels("resize-image-browser", picture, mode="exact", width=50, height=80, fit="cover").size == (50, 80)
    assert pixels("resize-image-browser", picture, mode="percent", percent=50).size == (100, 50)
    assert pixels("resize-image-browser", picture, mode="longest", longest=400).size == (400, 200)
    padded = pixels("resize-image-browser", picture, width=100, height=100, bg_color="#00ff00")
    assert padded.getpixel((50, 2)) == (0, 255, 0)


def test_aspect_ratio_is_cropped_or_padded(pixels, picture):
    assert pixels("change-image-ar-browser", picture, aspect_ratio="1:1").size == (100, 100)
    padded = pixels("change-image-ar-browser", picture, aspect_ratio="1:1", fit="pad", pad_color="#0f0")
    assert (padded.size, padded.getpixel((100, 5))) == ((200, 200), (0, 255, 0))


def test_tint_moves_every_color_towards_its_own(pixels, picture):
    image = pixels("color-tint-image-browser", picture, color="#00ff00", intensity=0.5, blend_mode="normal")
    assert is_near(image.getpixel((10, 50)), (100, 142, 15))


def test_filters_without_color_make_gray(pixels, picture):
    red, green, blue = pixels("color-filter-image-browser", picture).getpixel((10, 50))
    assert red == green == blue


def test_grain_and_vignette_keep_the_colors_and_darken_the_edges(pixels, picture):
    image = pixels("color-filter-image-browser", picture, grain=10, vignette_strength=100)
    assert is_near(image.getpixel((90, 50)), RED, by=50)
    assert is_near(image.getpixel((1, 1)), (0, 0, 0))
    assert image.tobytes() == pixels("color-filter-image-browser", picture, grain=10, vignette_strength=100).tobytes()


def test_filter_at_no_intensity_changes_nothing(pixels, picture):
    plain = pixels("resize-image-browser", picture)
    assert pixels("color-filter-image-browser", picture, sepia_warmth=80, intensity=0).tobytes() == plain.tobytes()


def test_grade_turns_the_hue_and_changes_saturation_and_brightness(pixels, picture):
    def red_half(**params):
        return pixels("color-grade-image-browser", picture, **params).getpixel((10, 50))

    assert is_near(red_half(), RED)
    assert is_near(red_half(hue_shift=120), (30, 200, 30))
    assert len(set(red_half(saturation=-100))) == 1
    assert is_near(red_half(brightness=-50), (100, 15, 15))
    assert red_half(warmth=100)[0] > RED[0]
    assert sum(red_half(shadows=100)) > sum(RED)


def test_blur_mixes_what_is_near_and_not_what_is_far(pixels, picture):
    image = pixels("blur-image-browser", picture, radius=5)
    assert is_near(image.getpixel((100, 50)), (115, 30, 115), by=20)
    assert is_near(image.getpixel((10, 50)), RED)


@pytest.mark.parametrize("shape", ["rectangle", "ellipse", "triangle", "star", "line"])
def test_shape_is_drawn_around_its_center_in_its_color(pixels, picture, shape):
    params = {"shape": shape, "fill_color": "#00ff00", "center": {"x": 0.25, "y": 0.5}, "size": {"x": 0.4, "y": 0.8}}
    image = pixels("add-shape-to-image-browser", picture, **params)
    assert image.getpixel((50, 50)) == (0, 255, 0)
    assert is_near(image.getpixel((150, 50)), BLUE)
    assert is_near(image.getpixel((1, 1)), RED)


def test_drawing_leaves_a_line_of_the_asked_color_and_size(pixels, picture):
    def drawn(**params):
        image = pixels("draw-image-browser", picture, color="#00ff00", **params)
        return sum(count for count, color in image.getcolors(1 << 16) if color == (0, 255, 0))

    assert 0 < drawn(size=2) * 2 < drawn(size=10)


def test_side_by_side_puts_pictures_in_a_row(pixels, picture):
    image = pixels("side-by-side-composite-browser", picture, picture, gap=10, background="#00ff00")
    assert image.size == (410, 100)
    assert image.getpixel((205, 50)) == (0, 255, 0)


def test_side_by_side_makes_a_grid(pixels, picture):
    assert pixels("side-by-side-composite-browser", *[picture] * 3, layout="grid").size == (400, 200)


def test_overlay_puts_one_picture_on_another(pixels, picture):
    image = pixels("overlay-image-browser", picture, picture, size={"x": 0.2, "y": 0.5}, center={"x": 0.25, "y": 0.5})
    assert is_near(image.getpixel((60, 50)), BLUE)
    assert is_near(image.getpixel((10, 50)), RED)


def test_text_is_written_in_its_color(pixels, picture):
    plain = pixels("resize-image-browser", picture)
    image = pixels("add-text-to-image-browser", picture, text="FERN", color="#00ff00", font_size=40)
    assert image.size == plain.size
    assert (0, 255, 0) in [color for _, color in image.getcolors(1 << 16)]


def test_text_of_any_size_is_written(pixels, picture):
    for size, text in ((400, "A long text " * 40), (4, "x" * 500), (168, "Text")):
        assert pixels("add-text-to-image-browser", picture, text=text, font_size=size).size == (200, 100)


def test_qr_code_has_its_colors_and_differs_with_its_text(pixels):
    code = pixels("qr-code-generator-browser", texts=["https://flora.ai"], size=300, fg_color="#102030")
    assert code.size == (300, 300)
    assert {color for _, color in code.getcolors(1 << 16)} == {(0x10, 0x20, 0x30), (255, 255, 255)}
    other = pixels("qr-code-generator-browser", texts=["https://flora.ai/2"], size=300, fg_color="#102030")
    assert code.tobytes() != other.tobytes()


@pytest.mark.parametrize("level", ["L", "H"])
def test_qr_code_of_a_long_text_is_made_of_its_beginning(pixels, level):
    assert pixels("qr-code-generator-browser", texts=["狐" * 3000], error_correction=level).size == (512, 512)


def test_duplicate_makes_as_many_as_asked_for(run_action, picture):
    assert len(run_action("duplicate-image-browser", picture, count=3)) == 3
    assert len(run_action("duplicate-image-browser", picture, count=8)) == 8


@pytest.mark.parametrize(
    ("action_id", "texts", "params", "expected"),
    [
        ("split-text-browser", ["a, b,,c"], {}, ["a", "b", "c"]),
        ("split-text-browser", ["a|b|c"], {"separator": "|", "max_parts": 2}, ["a", "b"]),
        ("split-text-browser", ["one\n\ntwo\nthree"], {"split_mode": "paragraph"}, ["one", "two\nthree"]),
        ("split-text-browser", ["- one\n- two"], {"split_mode": "bullets"}, ["one", "two"]),
        ("split-text-browser", ["abcde"], {"split_mode": "charCount", "chars_per_part": 2}, ["ab", "cd", "e"]),
        ("find-and-replace-text-browser", ["Fern fern"], {"find": "fern", "replace": "moss"}, ["moss moss"]),
        (
            "find-and-replace-text-browser",
            ["fernery"],
            {"find": "fern", "replace": "x", "whole_word": True},
            ["fernery"],
        ),
        ("find-and-replace-text-browser", ["a.b"], {"find": ".", "replace": r"\1"}, [r"a\1b"]),
        ("concat-text-browser", ["one", " two "], {"separator": "-", "prefix": "<", "suffix": ">"}, ["<one-two>"]),
    ],
)
def test_texts_are_split_replaced_and_joined(run_action, action_id, texts, params, expected):
    assert run_action(action_id, texts=texts, **params) == expected


def test_wav_is_sped_up_slowed_down_and_reversed(flora, run_action, upload):
    sound = upload(sounds.write(sounds.samples([100] * 8000 + [-100] * 8000), 1, 2, 8000), "audio/wav")

    def frames(action_id, **params):
        (url,) = run_action(action_id, sound, medium="audio", **params)
        with wave.open(io.BytesIO(flora.get(url).content)) as made:
            return made.readframes(made.getnframes())

    assert len(frames("speed-up-video", factor=2)) == 16_000
    assert len(frames("slow-down-video", factor=2)) == 64_000
    assert frames("reverse-video")[:2] == (-100).to_bytes(2, "little", signed=True)


def test_video_that_goes_in_comes_out_with_a_note(flora, run_action, upload):
    clip = clips.mp4("Mine")
    video = upload(clip, "video/mp4")
    (first,) = run_action("reverse-video", video, medium="video")
    (second,) = run_action("stitch-videos", first, FOREIGN, medium="video", transition="fade")
    content = flora.get(second).content
    assert content.startswith(flora.get(first).content)
    assert content.startswith(clip)
    assert b'"transition": "fade"' in content


def test_video_that_is_no_mp4_is_replaced_by_the_test_picture(flora, run_action, upload):
    (url,) = run_action("reverse-video", upload(b"no video", "video/mp4"), medium="video")
    assert flora.get(url).content.startswith(clips.mp4("")[:-8])


def test_wav_that_cannot_be_played_is_left_as_it_is():
    sound = bytearray(sounds.write(sounds.samples([1, 2, 3]), 1, 2, 8000))
    sound[24:28] = bytes(4)  # frames per second
    for content in (bytes(sound), b"", b"RIFF", bytes(sound[:30])):
        assert sounds.apply("reverse-video", content, Params({})) == content


def test_chain_shows_its_history_in_the_last_picture(flora, picture, run_action):
    params = {"image_url": picture, "seed": 7}
    generated = flora.start(model="i2i-flux-kontext", params=params)
    flora.sandbox.clock.advance(1000)
    first = flora.run(generated)["outputs"][0]["url"]
    body = {
        "technique_id": "tech_cctvcam01",
        "workspace_id": flora.sandbox.workspace_id,
        "inputs": {"input_image": first},
    }
    technique = flora.post("/runs/technique", json=body).json()["run_id"]
    flora.sandbox.clock.advance(1000)
    second = flora.run(technique)["outputs"][0]["url"]
    (last,) = run_action("rotate-image-browser", second, angle=90)
    seen = opened(flora, last).getcolors(1 << 20)
    for color in (RED, BLUE):
        assert sum(count for count, other in seen if is_near(color, other)) > 100


def test_media_in_the_wrong_form_are_ignored_and_billed(flora, picture):
    run_id = flora.start(model="i2i-flux-kontext", params={"image_urls": [picture]})
    assert flora.sandbox.state.runs[run_id].request.inputs == ()
    assert flora.sandbox.stats()["runs_billed"] == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a.png",
        "https://storage.googleapis.com.example.com/a.png",
        "https://evilstorage.googleapis.com/a.png",
        "https://media.flora.ai@example.com/a.png",
        "http://media.flora.ai/a.png",
        "https://flora.test/media/assets/asset_0.png",
        "https://flora.test/media/run_0/output_1.png",
        "http://[x",
        "no address",
    ],
)
def test_action_on_a_file_it_cannot_load_fails_as_a_run(flora, url):
    scope = {"workspace_id": flora.sandbox.workspace_id, "project_id": flora.sandbox.project_id}
    body = {"action_id": "rotate-image-browser", "inputs": [{"type": "image", "url": url}], **scope}
    run_id = flora.post("/runs/action", json=body).json()["run_id"]
    flora.sandbox.clock.advance(1000)
    run = flora.run(run_id)
    assert (run["error_code"], run["error_message"]) == ("input_unreachable", "Failed to load inputs")


def test_action_on_an_altered_address_of_an_output_fails_as_a_run(flora):
    made = flora.start()
    flora.sandbox.clock.advance(1000)
    url = flora.run(made)["outputs"][0]["url"]
    scope = {"workspace_id": flora.sandbox.workspace_id, "project_id": flora.sandbox.project_id}
    statuses = []
    for address in (url, url.partition("?")[0], url + "0"):
        body = {"action_id": "rotate-image-browser", "inputs": [{"type": "image", "url": address}], **scope}
        run_id = flora.post("/runs/action", json=body).json()["run_id"]
        flora.sandbox.clock.advance(1000)
        statuses.append(flora.run(run_id)["status"])
    assert statuses == ["completed", "failed", "failed"]


def generate_from(flora, url):
    small = {"width": 16, "height": 16, "seed": 1}
    run = flora.sandbox.state.runs[flora.start(model="i2i-flux-kontext", params={"image_url": url, **small})]
    return f"https://flora.test{run.media_path(run.outputs[0])}"


def test_picture_after_a_very_long_chain_is_made(make_flora):
    flora = make_flora()
    url = FOREIGN
    for _ in range(400):
        url = generate_from(flora, url)
    flora.sandbox.clock.advance(1000)
    assert opened(flora, url).size == (16, 16)


def test_picture_of_a_run_is_the_same_whichever_was_fetched_before(make_flora):
    def last(*fetched_before):
        flora = make_flora()
        urls = [FOREIGN]
        for _ in range(30):
            urls.append(generate_from(flora, urls[-1]))
        flora.sandbox.clock.advance(1000)
        return [flora.get(urls[number]).content for number in (*fetched_before, 30)][-1]

    assert last() == last(3, 1) == last(*range(30))


def test_run_that_is_given_its_own_address_makes_a_picture(make_flora):
    url = generate_from(make_flora(), FOREIGN)
    flora = make_flora()
    assert generate_from(flora, url) == url
    flora.sandbox.clock.advance(1000)
    assert opened(flora, url).size == (16, 16)


def test_photo_is_shown_upright_as_its_camera_was_held(pixels, upload):
    image, exif, file = Image.new("RGB", (60, 30), RED), Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = 6  # turned by 90 degrees
    image.save(file, "JPEG", exif=exif)
    assert pixels("rotate-image-browser", upload(file.getvalue(), "image/jpeg")).size == (30, 60)


def test_file_that_is_no_picture_is_shown_by_its_address(pixels, upload):
    assert pixels("rotate-image-browser", upload(b"no picture"), angle=90).size == (512, 512)


odd = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.just({"x": 1e308, "y": -1})


@settings(max_examples=60, deadline=None)
@given(action_id=st.sampled_from(sorted(ACTIONS)), data=st.data())
def test_action_with_any_params_makes_a_file(make_flora, action_id, data):
    # As a canvas may hold them: a route that runs an action by its id refuses most of these.
    flora, action = make_flora(), ACTIONS[action_id]
    params = data.draw(st.fixed_dictionaries({}, optional={param["key"]: odd for param in action.params}))
    slots = [slot for slot in action.inputs for _ in range(2 if slot.get("multiple") else 1)]
    inputs = [RunInput(s["name"], s["type"], "A fern" if s["type"] == "text" else FOREIGN) for s in slots]
    scope = flora.sandbox.workspace_id, flora.sandbox.project_id
    run = flora.sandbox.state.start_run(action, RunRequest("A fern", *scope, params, tuple(inputs)), RunBehavior())
    flora.sandbox.clock.advance(1000)
    for output in flora.run(run.run_id)["outputs"]:
        assert output["type"] == "text" or flora.get(output["url"]).status_code == 200
