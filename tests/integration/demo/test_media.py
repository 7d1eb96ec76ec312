import pytest

from demo.media import BrokenFileError, describe
from flora_provider.sandbox.world.media import clips, pictures

FILES = {
    "image": pictures.png(pictures.draw("A fern", "", "seed", (64, 64))),
    "audio": clips.wav("A fern", "seed"),
    "video": clips.mp4("A fern"),
    "text": b"A fern",
}


@pytest.mark.parametrize(
    ("medium", "description"), [("image", "PNG "), ("audio", "WAV "), ("video", "MP4"), ("text", "text")]
)
def test_output_of_the_sandbox_can_be_decoded(tmp_path, medium, description):
    file = tmp_path / "output"
    file.write_bytes(FILES[medium])
    assert describe(file, medium).startswith(description)


@pytest.mark.parametrize(
    ("medium", "share"),
    [("image", 0), ("audio", 0), ("video", 0), ("text", 0), ("image", 0.5), ("audio", 0.5), ("video", 0.5)],
)
def test_file_that_is_empty_or_cut_off_is_reported(tmp_path, medium, share):
    whole = FILES[medium]
    file = tmp_path / "output"
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BrokenFileError, match=f"output is no {medium}"):
        describe(file, medium)
