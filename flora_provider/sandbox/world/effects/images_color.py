"""Actions on the colors of pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flora_provider.sandbox.world.effects.params import Params

if TYPE_CHECKING:
    from PIL.Image import Image

    from flora_provider.sandbox.world.effects.images import ImageAction


def _grade(images: list[Image], params: Params) -> Image:
    from PIL import ImageEnhance  # noqa: PLC0415 - only pictures need Pillow

    image = images[0]
    for name, enhance in (
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ):
        image = enhance(image).enhance(1 + params.number(name, 0, -100, 100) / 100)
    warmth = params.number("warmth", 0, -100, 100)
    return _scaled(image, (1 + warmth / 300, 1.0, 1 - warmth / 300)) if warmth else image


def _scaled(image: Image, factors: tuple[float, float, float]) -> Image:
    """Return the picture with each of its channels multiplied."""
    table = [min(255, round(level * factor)) for factor in factors for level in range(256)]
    return image.point(table)


def _tint(images: list[Image], params: Params) -> Image:
    from PIL import Image as Images  # noqa: PLC0415 - as above

    color = params.color("color", "#ff8800")
    return Images.blend(images[0], Images.new("RGB", images[0].size, color), _share(params, "intensity", 50))


def _share(params: Params, name: str, percent: float) -> float:
    return params.number(name, percent, 0, 100) / 100


def _filter(images: list[Image], params: Params) -> Image:
    """Apply the filter whose own param was given; black and white without any."""
    from PIL import ImageOps  # noqa: PLC0415 - as above

    image, gray = images[0], ImageOps.grayscale(images[0])
    if params.text("posterize_bits", "") or params.number("posterize_bits", 0, 0, 8):
        return ImageOps.posterize(image, params.count("posterize_bits", 3, 1, 8))
    if params.number("solarize_threshold", -1, -1, 255) >= 0:
        return ImageOps.solarize(image, params.count("solarize_threshold", 128, 0, 255))
    if params.number("sepia_warmth", 0, 0, 100):
        return ImageOps.colorize(gray, "#20130a", "#ffe9c4")
    if params.text("shadow_color", "") or params.text("highlight_color", ""):
        return ImageOps.colorize(
            gray, params.color("shadow_color", "#101040"), params.color("highlight_color", "#ffe0a0")
        )
    threshold = params.number("bw_threshold", -1, -1, 255)
    return (gray if threshold < 0 else gray.point([255 * (level >= threshold) for level in range(256)])).convert("RGB")


def _filter_color(images: list[Image], params: Params) -> Image:
    """Keep, remove or replace what is near a color."""
    from PIL import Image as Images  # noqa: PLC0415 - as above
    from PIL import ImageChops, ImageOps  # noqa: PLC0415 - as above

    image, target = images[0], params.color("target_color", "#00ff00")
    distance = ImageOps.grayscale(ImageChops.difference(image, Images.new("RGB", image.size, target)))
    near = distance.point([255 * (level <= params.number("tolerance", 30, 0, 100) * 2.55) for level in range(256)])
    if params.flag("invert"):
        near = ImageOps.invert(near)
    others: dict[str, tuple[Image, Image]] = {
        "remove": (Images.new("RGB", image.size, "black"), image),
        "replace": (Images.new("RGB", image.size, params.color("replacement_color", "#ffffff")), image),
        "keep": (image, ImageOps.grayscale(image).convert("RGB")),
    }
    return Images.composite(*others[params.choice("mode", *others)], near)


def _blur(images: list[Image], params: Params) -> Image:
    from PIL import ImageFilter  # noqa: PLC0415 - as above

    return images[0].filter(ImageFilter.GaussianBlur(params.number("radius", 8, 0, 50)))


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
