import io
import shutil
import subprocess
import wave

import httpx
import pytest
from PIL import Image, ImageChops

from flora_provider.sandbox.world.media import pictures

PROMPTS = ["A fox", "word " * 400, "x" * 900, "", "Füchse 狐狸 🦊\n\nzwei Zeilen\t.", "{}%s<script>"]


def output(flora, sandbox, medium, **more):
    run_id = flora.start(type=medium, **more)
    sandbox.clock.advance(1000)
    return flora.run(run_id)["outputs"][0]


def fetch(sandbox, url):
    return httpx.Client(transport=httpx.MockTransport(sandbox.handle)).get(url)


def boxes(content):
    while content:
        size = int.from_bytes(content[:4], "big")
        yield content[4:8].decode(), content[8:size]
        content = content[size:]


def test_an_image_is_a_png_that_differs_with_its_prompt(flora, sandbox):
    response = fetch(sandbox, output(flora, sandbox, "image")["url"])
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
    assert int(response.headers["content-length"]) == len(response.content)
    with Image.open(io.BytesIO(response.content)) as image:
        image.load()
        assert (image.format, image.size) == ("PNG", (512, 512))
    assert response.content != fetch(sandbox, output(flora, sandbox, "image", prompt="A dog")["url"]).content


@pytest.mark.parametrize("size", [(512, 512), (512, 288), (64, 512), (16, 16)])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_any_prompt_is_drawn_inside_the_picture(prompt, size):
    image = pictures.draw(prompt, "", "seed", size)
    box = ImageChops.difference(image, pictures.draw("", "", "seed", size)).getbbox()
    assert image.size == size
    if box is not None:
        assert 0 < box[0] < box[2] < size[0]
        assert 0 < box[1] < box[3] < size[1]
    if min(size) > 16:
        assert (box is not None) is bool(prompt)


def test_text_is_light_on_a_ground_that_is_dark_whatever_the_seed():
    for seed in map(str, range(100)):
        ground = pictures.draw("", "", seed, (64, 64)).convert("L").getextrema()
        assert ground[1] < 140


@pytest.mark.parametrize(
    ("params", "size"),
    [
        ({"aspect_ratio": "16:9"}, (512, 288)),
        ({"aspect_ratio": "9:16", "resolution": "2K"}, (576, 1024)),
        ({"width": 300, "height": 200}, (300, 200)),
        ({"width": 10**9, "height": 1}, (1024, 16)),
        ({"aspect_ratio": "nonsense"}, (512, 512)),
        ({"aspect_ratio": "0:0"}, (512, 512)),
        ({"aspect_ratio": ["16:9"], "width": "x", "height": None, "resolution": 4}, (512, 512)),
    ],
)
def test_image_has_the_size_that_was_asked_for(flora, sandbox, params, size):
    url = output(flora, sandbox, "image", params=params)["url"]
    with Image.open(io.BytesIO(fetch(sandbox, url).content)) as image:
        assert image.size == size


def test_seed_makes_the_same_picture_again_and_another_seed_another(flora, sandbox):
    def picture(**params):
        return fetch(sandbox, output(flora, sandbox, "image", params=params)["url"]).content

    assert picture(seed=7) == picture(seed=7)
    assert len({picture(seed=7), picture(seed=8), picture(), picture()}) == 4


def test_several_images_of_one_run_differ(flora, sandbox):
    run_id = flora.start(params={"num_images": 3, "seed": 7})
    sandbox.clock.advance(1000)
    urls = [item["url"] for item in flora.run(run_id)["outputs"]]
    assert len({fetch(sandbox, url).content for url in urls}) == len(urls) == 3


def test_audio_has_the_asked_duration_within_bounds(flora, sandbox):
    for asked, seconds in ((4, 4), (1e9, 30), ("x", 2)):
        url = output(flora, sandbox, "audio", params={"duration": asked})["url"]
        with wave.open(io.BytesIO(fetch(sandbox, url).content)) as sound:
            assert sound.getnframes() / sound.getframerate() == seconds


def test_audio_is_a_wav_that_plays(flora, sandbox):
    response = fetch(sandbox, output(flora, sandbox, "audio")["url"])
    assert response.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(response.content)) as sound:
        seconds = sound.getnframes() / sound.getframerate()
        frames = sound.readframes(sound.getnframes())
    assert seconds == 2
    assert len(set(frames)) > 100


def test_video_is_an_mp4_of_its_own(flora, sandbox):
    responses = [fetch(sandbox, output(flora, sandbox, "video", prompt="A fox runs")["url"]) for _ in range(2)]
    assert responses[0].headers["content-type"] == "video/mp4"
    assert responses[0].content != responses[1].content
    parts = list(boxes(responses[0].content))
    assert [name for name, _ in parts][:2] == ["ftyp", "moov"]
    assert parts[-1][0] == "free"
    assert parts[-1][1].startswith(b"A fox runs\n")


def test_a_real_decoder_plays_the_video_where_there_is_one(flora, sandbox, tmp_path):
    file = tmp_path / "clip.mp4"
    file.write_bytes(fetch(sandbox, output(flora, sandbox, "video")["url"]).content)
    if ffmpeg := shutil.which("ffmpeg"):
        subprocess.run([ffmpeg, "-v", "error", "-xerror", "-i", file, "-f", "null", "-"], check=True)


def test_text_stands_in_the_url_itself(flora, sandbox):
    assert output(flora, sandbox, "text", prompt="Tell me")["url"] == "A sandbox's answer to: Tell me"


def test_media_url_needs_its_whole_query(flora, sandbox):
    url = output(flora, sandbox, "image")["url"]
    assert "?sig=" in url
    assert fetch(sandbox, url.split("?")[0]).status_code == 403
    assert fetch(sandbox, url + "0").status_code == 403
    assert fetch(sandbox, url.replace("output_1", "output_2")).status_code == 404
    assert fetch(sandbox, url.replace("/run_", "/run_0")).status_code == 404


def test_nothing_is_served_before_the_run_is_completed(flora, sandbox):
    run_id = flora.start()
    url = "https://flora.test" + sandbox.state.runs[run_id].media_path(sandbox.state.runs[run_id].outputs[0])
    assert fetch(sandbox, url).status_code == 404


def test_stats_count_api_keys_sent_to_a_store(flora, sandbox):
    url = output(flora, sandbox, "image")["url"]
    fetch(sandbox, url)
    assert sandbox.stats()["keys_leaked"] == {"media": 0, "storage": 0}
    flora.get(url)
    flora.put("https://flora.test/_storage/up_1", content=b"x")
    assert sandbox.stats()["keys_leaked"] == {"media": 1, "storage": 1}


def test_equal_seeds_make_equal_files(make_flora):
    def files():
        flora = make_flora(seed=7)
        return [
            fetch(flora.sandbox, output(flora, flora.sandbox, m)["url"]).content for m in ("image", "audio", "video")
        ]

    assert files() == files()
