"""Real files for the outputs of runs, made when somebody fetches them: a PNG, a WAV, an MP4."""

from __future__ import annotations

import array
import colorsys
import functools
import hashlib
import importlib.resources
import io
import math
import random
import sys
import textwrap
import unicodedata
import wave

from flora_provider.sandbox.world.runs import Medium

CONTENT_TYPES: dict[Medium, str] = {
    "image": "image/png",
    "video": "video/mp4",
    "audio": "audio/wav",
    "text": "text/plain; charset=utf-8",
}
_SIZE = 512
_MARGIN = 32
_SAMPLE_RATE = 16_000
_NOTES = 8
_NOTE_SAMPLES = _SAMPLE_RATE // 4


@functools.lru_cache(maxsize=64)
def render(medium: Medium, prompt: str, seed: str) -> bytes:
    """Return a file that shows its prompt, or sounds like it; `seed` makes files of equal prompts differ."""
    makers = {"image": _png, "video": _mp4, "audio": _wav, "text": _text}
    return makers[medium](prompt, seed)


def _png(prompt: str, seed: str) -> bytes:
    # Imported here: the API works without Pillow, only pictures need it.
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415

    hue = hashlib.blake2b(seed.encode(), digest_size=1).digest()[0] / 256
    background = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.55, 0.4))
    image = Image.new("RGB", (_SIZE, _SIZE), background)
    canvas = ImageDraw.Draw(image)
    room = _SIZE - 2 * _MARGIN
    # Pillow's built-in font knows no accents: rather "Fuchse" than a box in the middle of the word.
    prompt = "".join(sign for sign in unicodedata.normalize("NFKD", prompt) if not unicodedata.combining(sign))
    for points in (40, 32, 24, 18, 14, 11):
        font = ImageFont.load_default(points)
        # The widest letters fill about 0.6 of their size; the box check below catches what does not fit.
        lines = "\n".join(textwrap.wrap(prompt, width=max(1, int(room / (points * 0.58))), max_lines=30)) or " "
        left, top, right, bottom = canvas.multiline_textbbox((0, 0), lines, font=font, spacing=points // 3)
        if right - left <= room and bottom - top <= room:
            break
    canvas.multiline_text((_MARGIN, _MARGIN), lines, fill="white", font=font, spacing=points // 3)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _wav(prompt: str, seed: str) -> bytes:
    chance = random.Random(prompt + seed)  # noqa: S311 - the same prompt and run sound the same
    samples = array.array("h")
    for _ in range(_NOTES):
        step = 2 * math.pi * 220 * 2 ** (chance.choice((0, 2, 4, 7, 9, 12, 14, 16)) / 12) / _SAMPLE_RATE
        # A fading sine per note of a pentatonic scale: no clicks, and nothing to be afraid of in headphones.
        fade = (1 - i / _NOTE_SAMPLES for i in range(_NOTE_SAMPLES))
        samples.extend(int(9000 * loud * math.sin(step * i)) for i, loud in enumerate(fade))
    if sys.byteorder == "big":
        samples.byteswap()
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_SAMPLE_RATE)
        sound.writeframes(samples.tobytes())
    return file.getvalue()


def _mp4(prompt: str, seed: str) -> bytes:
    # clip.mp4 is 1.5 s of a test picture, made with
    #   ffmpeg -f lavfi -i testsrc2=size=160x90:rate=12:duration=1.5 -c:v libx264 -profile:v baseline -pix_fmt yuv420p
    #     -crf 38 -preset veryslow -movflags +faststart -map_metadata -1 -fflags +bitexact -flags:v +bitexact clip.mp4
    # A `free` box behind the last one is ignored by players and makes every run's file its own.
    note = f"{prompt}\n{seed}".encode()
    clip = importlib.resources.files(__package__).joinpath("clip.mp4").read_bytes()
    return clip + (len(note) + 8).to_bytes(4, "big") + b"free" + note


def _text(prompt: str, seed: str) -> bytes:
    return f"{prompt}\n{seed}\n".encode()
