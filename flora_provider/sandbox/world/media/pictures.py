"""Pictures that show what they were made of: prompt, model, seed, and the pictures that went in."""

from __future__ import annotations

import colorsys
import hashlib
import io
import re
import textwrap
import unicodedata
from typing import TYPE_CHECKING

from flora_provider.sandbox.world.effects.params import Params

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

SIDE = 512
"""Longest side in pixels, unless the resolution asks for more."""
MAX_SIDE = 1024
MAX_PIXELS = 25_000_000
"""Largest picture that is read; a larger one is treated as one that cannot be."""
_MARGIN = 1 / 16
_STRIP = 0.45  # of the height, for the pictures that went in
_SHOWN = 6  # of them


def size_of(params: Params) -> tuple[int, int]:
    """Return the size that is asked for: by `aspect_ratio` (`16:9`), `resolution` (`1K`, `2K`), or width and height."""
    longest = SIDE if params.choice("resolution", "", "1K", "2K", "4K") == "" else MAX_SIDE
    wide, high = params.number("width", 0, 16, MAX_SIDE), params.number("height", 0, 16, MAX_SIDE)
    if wide and high:
        return round(wide), round(high)
    ratio = re.fullmatch(r"(\d{1,2}):(\d{1,2})", params.string("aspect_ratio", ""))
    wide, high = (max(1, int(ratio[1])), max(1, int(ratio[2]))) if ratio else (1, 1)
    unit = longest / max(wide, high)
    return max(16, round(wide * unit)), max(16, round(high * unit))


def read(content: bytes) -> Image | None:
    """Return the picture in a file, at most `MAX_SIDE` long; None if there is none that can be read."""
    from PIL import Image as Images  # noqa: PLC0415 - the API works without Pillow, only pictures need it
    from PIL import ImageOps  # noqa: PLC0415 - as above

    try:
        # Only what assets may hold: Pillow knows formats for which it starts other programs.
        with Images.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP", "GIF", "AVIF")) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            image.thumbnail((MAX_SIDE, MAX_SIDE))
            return ImageOps.exif_transpose(image).convert("RGB")  # upright, as a phone's camera was held
    except Exception:  # noqa: BLE001 - of what an upload holds, each of Pillow's readers raises its own kind
        return None


def png(image: Image) -> bytes:
    """Return a picture as a file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def draw(prompt: str, caption: str, seed: str, size: tuple[int, int], images: list[Image] | None = None) -> Image:
    """Draw a prompt and a caption, over the first of the pictures that went in, with all of them in a strip below.

    Args:
        prompt: written as large as it fits.
        caption: one small line at the bottom, such as the model.
        seed: chooses the color.
        size: width and height in pixels.
        images: what went in.
    """
    from PIL import Image as Images  # noqa: PLC0415 - as above
    from PIL import ImageDraw, ImageFilter, ImageOps  # noqa: PLC0415 - as above

    image = _ground(seed, size)
    width, height = size
    margin = max(1, round(min(size) * _MARGIN))
    bottom = height - 2 * margin
    if images:
        # Blurred and darkened, so that what is written on it does not get in the way of what is written here.
        behind = ImageOps.fit(images[0], size).filter(ImageFilter.GaussianBlur(min(size) / 24))
        image = Images.blend(behind, image, 0.7)
        cell, strip = (width - margin) // len(images[:_SHOWN]), max(1, round(height * _STRIP))
        for number, source in enumerate(images[:_SHOWN]):
            small = ImageOps.contain(source, (max(1, cell - margin), strip))
            image.paste(small, (margin + number * cell, bottom - small.height - margin // 2))
        bottom -= strip + margin
    canvas = ImageDraw.Draw(image)
    _write(canvas, _ascii(prompt), (margin, margin, width - margin, bottom), min(size) / 12)
    _write(
        canvas,
        _ascii(caption)[:200],
        (margin, height - 2 * margin, width - margin, height - margin // 2),
        min(size) / 32,
    )
    return image


def _ground(seed: str, size: tuple[int, int]) -> Image:
    """Return a calm, dark gradient between two neighboring colors, so that white text is readable on it."""
    from PIL import Image as Images  # noqa: PLC0415 - as above
    from PIL import ImageOps  # noqa: PLC0415 - as above

    first, second = hashlib.blake2b(seed.encode(errors="replace"), digest_size=2).digest()
    hue = first / 256
    dark, light = (
        tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue + turn, 0.5, value))
        for turn, value in ((0, 0.28), (0.08 + second / 2560, 0.5))
    )
    return ImageOps.colorize(Images.linear_gradient("L").resize(size), dark, light)


def _ascii(text: str) -> str:
    # Pillow's built-in font knows no accents: rather "Fuchse" than a box in the middle of the word.
    return "".join(sign for sign in unicodedata.normalize("NFKD", text[:5000]) if not unicodedata.combining(sign))


def _write(canvas: ImageDraw, text: str, box: tuple[int, int, int, int], largest: float) -> None:
    """Write a text into a box, as large as it fits; what does not fit at the smallest size is left out."""
    from PIL import ImageFont  # noqa: PLC0415 - as above

    left, top, right, bottom = box
    wide, high = right - left, bottom - top
    for share in (1, 0.75, 0.5, 0.33, 0.25):
        points = max(4.0, largest * share)
        font, spacing = ImageFont.load_default(points), points / 3
        # The widest letters fill about 0.6 of their size; the box check below catches what does not fit.
        most = max(1, int(high / (points * 1.5)))
        lines = "\n".join(textwrap.wrap(text, width=max(5, int(wide / (points * 0.58))), max_lines=most)) or " "
        found = canvas.multiline_textbbox((0, 0), lines, font=font, spacing=spacing)
        if found[2] - found[0] <= wide and found[3] - found[1] <= high:
            break
    canvas.multiline_text((left, top), lines, fill="white", font=font, spacing=spacing)
