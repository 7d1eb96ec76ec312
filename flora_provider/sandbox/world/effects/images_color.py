"""Actions on the colors of pictures."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from flora_provider.sandbox.world.effects.images import BLENDS, blended
from flora_provider.sandbox.world.effects.params import Params

if TYPE_CHECKING:
    from PIL.Image import Image

    from flora_provider.sandbox.world.effects.images import ImageAction


def _grade(images: list[Image], params: Params) -> Image:
    from PIL import Image as Images  # noqa: PLC0415 - only pictures need Pillow
    from PIL import ImageEnhance  # noqa: PLC0415 - as above

    image = images[0]
    for name, enhance in (
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ):
        image = enhance(image).enhance(1 + params.number(name, 0, -100, 100) / 100)
    if shift := round(params.number("hue_shift", 0, -180, 180) / 360 * 256):
        hue, saturation, value = image.convert("HSV").split()
        hue = hue.point([(level + shift) % 256 for level in range(256)])
        image = Images.merge("HSV", (hue, saturation, value)).convert("RGB")
    shadows, highlights, warmth, tint = (
        params.number(name, 0, -100, 100) for name in ("shadows", "highlights", "warmth", "tint")
    )
    # Per channel: warm is more red and less blue, a tint is more or less green.
    table = [
        level * factor + shadows / 2 * (1 - level / 255) ** 2 + highlights / 2 * (level / 255) ** 2
        for factor in (1 + warmth / 300, 1 - tint / 300, 1 - warmth / 300)
        for level in range(256)
    ]
    return image.point([min(255, max(0, round(level))) for level in table])


def _tint(images: list[Image], params: Params) -> Image:
    from PIL import Image as Images  # noqa: PLC0415 - as above

    image = images[0]
    color = Images.new("RGB", image.size, params.color("color", "#ff8800"))
    tinted = blended(params.choice("blend_mode", "multiply", *BLENDS), image, color)
    return Images.blend(image, tinted, params.number("intensity", 0.5, 0, 1))


def _filter(images: list[Image], params: Params) -> Image:
    """Apply the filter whose own param was given, then grain and vignette; black and white without any."""
    from PIL import Image as Images  # noqa: PLC0415 - as above
    from PIL import ImageChops  # noqa: PLC0415 - as above

    image = images[0]
    grain, vignette = params.number("grain", 0, 0, 100) / 100, params.number("vignette_strength", 0, 0, 100) / 100
    made = _recolored(image, params, is_plain=bool(grain or vignette))
    if grain:
        # Always the same, as the files of a run are; twice the middle gray lets a pixel as it is.
        noise = Images.frombytes("L", image.size, random.Random(0).randbytes(image.width * image.height))  # noqa: S311 - as said
        made = Images.blend(made, ImageChops.overlay(made, noise.convert("RGB")), grain)
    if vignette:
        edges = Images.radial_gradient("L").resize(image.size).point([round(level * vignette) for level in range(256)])
        made = Images.composite(Images.new("RGB", image.size), made, edges)
    return Images.blend(image, made, params.number("intensity", 1, 0, 1))


def _recolored(image: Image, params: Params, *, is_plain: bool) -> Image:
    from PIL import Image as Images  # noqa: PLC0415 - as above
    from PIL import ImageOps  # noqa: PLC0415 - as above

    gray = ImageOps.grayscale(image)
    if params.has("posterize_bits"):
        return ImageOps.posterize(image, params.integer("posterize_bits", 4, 1, 8))
    if params.has("solarize_threshold"):
        return ImageOps.solarize(image, params.integer("solarize_threshold", 128, 0, 255))
    if params.has("sepia_warmth"):
        sepia = ImageOps.colorize(gray, "#20130a", "#ffe9c4")
        return Images.blend(gray.convert("RGB"), sepia, params.number("sepia_warmth", 50, 0, 100) / 100)
    if params.has("shadow_color") or params.has("highlight_color"):
        return ImageOps.colorize(
            gray, params.color("shadow_color", "#101040"), params.color("highlight_color", "#ffe0a0")
        )
    if params.has("bw_threshold"):
        threshold = params.number("bw_threshold", 128, 0, 255)
        gray = gray.point([255 * (level >= threshold) for level in range(256)])
    elif is_plain:
        return image
    return gray.convert("RGB")


def _filter_color(images: list[Image], params: Params) -> Image:
    """Keep, remove or replace what is near a color."""
    from PIL import Image as Images  # noqa: PLC0415 - as above
    from PIL import ImageChops, ImageOps  # noqa: PLC0415 - as above

    image, target = images[0], params.color("target_color", "#00ff00")
    distance = ImageOps.grayscale(ImageChops.difference(image, Images.new("RGB", image.size, target)))
    near = distance.point([255 * (level <= params.number("tolerance", 30, 0, 100) * 2.55) for level in range(256)])
    if params.boolean("invert"):
        near = ImageOps.invert(near)
    others: dict[str, tuple[Image, Image]] = {
        "remove": (Images.new("RGB", image.size, "black"), image),
        "replace": (Images.new("RGB", image.size, params.color("replacement_color", "#ffffff")), image),
        "keep": (image, ImageOps.grayscale(image).convert("RGB")),
    }
    return Images.composite(*others[params.choice("mode", *others)], near)


def _blur(images: list[Image], params: Params) -> Image:
    from PIL import ImageFilter  # noqa: PLC0415 - as above

    return images[0].filter(ImageFilter.GaussianBlur(params.number("radius", 12, 0, 200)))


def _shader(images: list[Image], params: Params) -> Image:
    from PIL import Image as Images  # noqa: PLC0415 - as above
    from PIL import ImageChops, ImageFilter  # noqa: PLC0415 - as above

    image, amount = images[0], params.number("intensity", 0.5, 0, 1)
    shift = 1 + round(amount * image.width / 30)

    def pixelated() -> Image:
        small = image.resize([max(1, round(side / (1 + shift))) for side in image.size])
        return small.resize(image.size, Images.Resampling.NEAREST)

    def shifted() -> Image:
        red, green, blue = image.split()
        return Images.merge("RGB", (ImageChops.offset(red, shift, 0), green, ImageChops.offset(blue, -shift, 0)))

    effects: dict[str, Callable[[], Image]] = {
        "chromatic": shifted,
        "glitch": shifted,
        "edges": lambda: image.filter(ImageFilter.FIND_EDGES),
        "bloom": lambda: ImageChops.screen(image, image.filter(ImageFilter.GaussianBlur(shift))),
        "pixelate": pixelated,
        "crt": pixelated,
        "ripple": lambda: ImageChops.offset(image, shift, shift),
        "kaleidoscope": lambda: ImageChops.lighter(image, image.transpose(Images.Transpose.FLIP_LEFT_RIGHT)),
    }
    return effects[params.choice("effect", *effects)]()


COLOR_ACTIONS: dict[str, ImageAction] = {
    "color-grade-image": _grade,
    "color-tint-image": _tint,
    "color-filter-image": _filter,
    "filter-color-image": _filter_color,
    "blur-image": _blur,
    "shader-effect": _shader,
}
"""By id without `-browser`."""
