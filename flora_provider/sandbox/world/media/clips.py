"""Sounds and videos: real files, made when somebody fetches them."""

from __future__ import annotations

import importlib.resources
import math
import random

from flora_provider.sandbox.world.effects import sounds
from flora_provider.sandbox.world.runs import Medium

CONTENT_TYPES: dict[Medium, str] = {
    "image": "image/png",
    "video": "video/mp4",
    "audio": "audio/wav",
    "text": "text/plain; charset=utf-8",
}
_SAMPLE_RATE = 16_000
_NOTE_SAMPLES = _SAMPLE_RATE // 4
MAX_SECONDS = 30


def wav(prompt: str, seed: str, seconds: float = 2.0) -> bytes:
    """Return a tune; the same prompt and seed sound the same."""
    chance = random.Random(prompt + seed)  # noqa: S311 - as said
    values: list[int] = []
    for _ in range(max(1, round(min(seconds, MAX_SECONDS) * 4))):
        step = 2 * math.pi * 220 * 2 ** (chance.choice((0, 2, 4, 7, 9, 12, 14, 16)) / 12) / _SAMPLE_RATE
        # A fading sine per note of a pentatonic scale: no clicks, and nothing to be afraid of in headphones.
        fade = (1 - i / _NOTE_SAMPLES for i in range(_NOTE_SAMPLES))
        values.extend(int(9000 * loud * math.sin(step * i)) for i, loud in enumerate(fade))
    return sounds.write(sounds.samples(values), channels=1, width=2, rate=_SAMPLE_RATE)


def mp4(note: str, video: bytes = b"") -> bytes:
    """Return a video with a note about what was asked for: the MP4 that went in, or else a test picture.

    Nothing is done to its pictures, for that needs a video's codec; the note makes every run's file its own.
    """
    # clip.mp4 is 1.5 s of a test picture, made with
    #   ffmpeg -f lavfi -i testsrc2=size=160x90:rate=12:duration=1.5 -c:v libx264 -profile:v baseline -pix_fmt yuv420p
    #     -crf 38 -preset veryslow -movflags +faststart -map_metadata -1 -fflags +bitexact -flags:v +bitexact clip.mp4
    # A `free` box behind the last one is ignored by players.
    content = note.encode(errors="replace")
    if video[4:8] != b"ftyp":
        video = importlib.resources.files(__package__).joinpath("clip.mp4").read_bytes()
    return video + (len(content) + 8).to_bytes(4, "big") + b"free" + content
