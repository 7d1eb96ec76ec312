"""Actions on pictures: shape, size and composition. `images_color` has those on colors."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from flora_provider.sandbox.world.effects.params import Params

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE = 2048

ImageAction: TypeAlias = "Callable[[list[Image], Params], Image]"


def _crop(images: list[Image], params: Params) -> Image:
    image = _turned(images[0], params.number("rotation", 0, -360, 360), "#000000")
    (x, y), (width, height) = params.point("center", 0.5, 0.5), params.point("size", 0.8, 0.8)
    wide, high = max(1, round(image.width * width)), max(1, round(image.height * height))
    left = min(max(round(image.width * x - wide / 2), 0), image.width - wide)
    top = min(max(round(image.height * y - high / 2), 0), image.height - high)
    return image.crop((left, top, left + wide, top + high))


def _rotate(images: list[Image], params: Params) -> Image:
    from PIL import ImageOps  # noqa: PLC0415 - only pictures need Pillow

    image = images[0]
    direction = params.choice("direction", "none", "horizontal", "vertical", "both")
    if direction in ("horizontal", "both"):
        image = ImageOps.mirror(image)
    if direction in ("vertical", "both"):
        image = ImageOps.flip(image)
    turned = _turned(image, params.number("angle", 0, -360, 360), params.string("background", "#000000"))
    mode = params.choice("canvas_mode", "expand", "keep", "shrink")
    return turned if mode == "expand" else ImageOps.fit(turned, image.size)


def _turned(image: Image, angle: float, background: str) -> Image:
    """Turn clockwise, as people count; the picture grows to hold all of it."""
    return image.rotate(-angle, expand=True, fillcolor=Params({"color": background}).color("color", "#000000"))


def _resize(images: list[Image], params: Params) -> Image:
    from PIL import ImageOps  # noqa: PLC0415 - as above

    image = images[0]
    mode = params.choice("mode", "exact", "percent", "longest")
    if mode == "exact":
        size = params.integer("width", image.width, 1, MAX_SIDE), params.integer("height", image.height, 1, MAX_SIDE)
    else:
        factor = params.number("percent", 100, 1, 400) / 100
        if mode == "longest":
            factor = params.integer("longest", 512, 1, MAX_SIDE) / max(image.size)
        size = _bounded(image.width * factor, image.height * factor)
    fit = params.choice("fit", "contain", "cover", "stretch")
    if fit == "stretch":
        return image.resize(size)
    if fit == "cover":
        return ImageOps.fit(image, size)
    return ImageOps.pad(image, size, color=params.color("bg_color", "#000000"))


def _bounded(width: float, height: float) -> tuple[int, int]:
    shrink = min(1.0, MAX_SIDE / max(width, height, 1.0))
    return max(1, round(width * shrink)), max(1, round(height * shrink))


def _change_ratio(images: list[Image], params: Params) -> Image:
    from PIL import ImageFilter, ImageOps  # noqa: PLC0415 - as above

    image = images[0]
    ratio = params.choice("aspect_ratio", "1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9")
    wide, high = map(int, ratio.split(":"))
    if params.choice("fit", "crop", "pad") == "crop":
        unit = min(image.width / wide, image.height / high)
        return ImageOps.fit(image, _bounded(unit * wide, unit * high))
    unit = max(image.width / wide, image.height / high)
    size = _bounded(unit * wide, unit * high)
    if params.choice("background_mode", "solid", "blur") == "solid":
        return ImageOps.pad(image, size, color=params.color("pad_color", "#000000"))
    behind = ImageOps.fit(image, size).filter(ImageFilter.GaussianBlur(params.number("blur_amount", 20, 0, 50)))
    front = ImageOps.contain(image, size)
    behind.paste(front, ((size[0] - front.width) // 2, (size[1] - front.height) // 2))
    return behind


BLENDS = ("normal", "multiply", "screen", "overlay", "soft-light")


def blended(mode: str, base: Image, over: Image) -> Image:
    """Return two pictures of one size blended by one of `BLENDS`."""
    from PIL import ImageChops  # noqa: PLC0415 - as above

    blends: dict[str, Callable[[Image, Image], Image]] = {
        "multiply": ImageChops.multiply,
        "screen": ImageChops.screen,
        "overlay": ImageChops.overlay,
        "soft-light": ImageChops.soft_light,
    }
    return blends[mode](base, over) if mode in blends else over


def _overlay(images: list[Image], params: Params) -> Image:
    from PIL import Image as Images  # noqa: PLC0415 - as above

    base, top = images[0], images[-1]
    (x, y), (wide, high) = params.point("center", 0.5, 0.5), params.point("size", 0.5, 0.5)
    top = top.resize((max(1, round(base.width * wide)), max(1, round(base.height * high))))
    angle, opacity = params.number("rotation", 0, -360, 360), params.number("opacity", 1, 0, 1)
    form = Images.new("L", top.size, round(255 * opacity)).rotate(-angle, expand=True)
    top = top.rotate(-angle, expand=True)
    layer, mask = base.copy(), Images.new("L", base.size, 0)
    at = (round(base.width * x - top.width / 2), round(base.height * y - top.height / 2))
    layer.paste(top, at)
    mask.paste(form, at)
    return Images.composite(blended(params.choice("blend", *BLENDS), base, layer), base, mask)


def _side_by_side(images: list[Image], params: Params) -> Image:
    """Put pictures into a row, a column or a grid, whose cells are as large as the smallest of them."""
    from PIL import Image as Images  # noqa: PLC0415 - as above
    from PIL import ImageOps  # noqa: PLC0415 - as above

    layout = params.choice("layout", "horizontal", "vertical", "grid")
    columns = {"horizontal": len(images), "vertical": 1}.get(layout, math.ceil(len(images) ** 0.5))
    width, height = min(image.width for image in images), min(image.height for image in images)
    gap, background = params.integer("gap", 0, 0, 200), params.color("background", "#ffffff")
    rows = math.ceil(len(images) / columns)
    canvas = Images.new("RGB", ((width + gap) * columns - gap, (height + gap) * rows - gap), background)
    for number, image in enumerate(images):
        at = (number % columns * (width + gap), number // columns * (height + gap))
        canvas.paste(ImageOps.pad(image, (width, height), color=background), at)
    canvas.thumbnail((MAX_SIDE, MAX_SIDE))
    return canvas


def _add_text(images: list[Image], params: Params) -> Image:
    from PIL import Image as Images  # noqa: PLC0415 - as above
    from PIL import ImageDraw, ImageFont  # noqa: PLC0415 - as above

    image, (x, y) = images[0].copy(), params.point("center", 0.5, 0.5)
    at = (image.width * x, image.height * y)
    size = params.number("font_size", max(12, image.height / 10), 4, 400)
    font = ImageFont.load_default(size)
    room = int(image.width * params.number("max_width", 0.9, 0.05, 1) / (size * 0.55))
    text = textwrap.fill(params.string("text", "Text", 500), max(1, room), max_lines=20, placeholder="")
    angle, mask = params.number("rotation", 0, -360, 360), Images.new("L", image.size)
    canvas = ImageDraw.Draw(mask)
    if params.boolean("show_background"):
        box, pad = canvas.multiline_textbbox(at, text, font=font, anchor="mm"), size / 4
        canvas.rectangle((box[0] - pad, box[1] - pad, box[2] + pad, box[3] + pad), 255)
        image.paste(params.color("background", "#000000"), mask=mask.rotate(-angle, center=at))
        mask.paste(0, (0, 0, *mask.size))
    canvas.multiline_text(at, text, round(255 * params.number("opacity", 1, 0, 1)), font=font, anchor="mm")
    image.paste(params.color("color", "#ffffff"), mask=mask.rotate(-angle, center=at))
    return image


def _corners(count: int, radii: tuple[float, ...], start: float) -> list[tuple[float, float]]:
    """Return corners around the middle: radii alternate, `start` is where the first is, in degrees from the top."""
    turns = [math.radians(start + 360 * number / count) for number in range(count)]
    return [
        (radii[number % len(radii)] * math.sin(turn), -radii[number % len(radii)] * math.cos(turn))
        for number, turn in enumerate(turns)
    ]


_SHAPES = {
    "rectangle": [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)],
    "ellipse": _corners(90, (1.0,), 0),
    "circle": _corners(90, (1.0,), 0),
    "triangle": _corners(3, (1.0,), 0),
    "star": _corners(10, (1.0, 0.4), 0),
    "line": [(-1.0, -0.02), (1.0, -0.02), (1.0, 0.02), (-1.0, 0.02)],
}


def _add_shape(images: list[Image], params: Params) -> Image:
    from PIL import Image as Images  # noqa: PLC0415 - as above
    from PIL import ImageDraw  # noqa: PLC0415 - as above

    image, mask = images[0].copy(), Images.new("L", images[0].size)
    (x, y), (wide, high) = params.point("center", 0.5, 0.5), params.point("size", 0.3, 0.3)
    turn = math.radians(params.number("rotation", 0, -360, 360))
    points = [
        (
            image.width * x + image.width * wide * a * math.cos(turn) - image.height * high * b * math.sin(turn),
            image.height * y + image.width * wide * a * math.sin(turn) + image.height * high * b * math.cos(turn),
        )
        for a, b in ((a / 2, b / 2) for a, b in _SHAPES[params.choice("shape", *_SHAPES)])
    ]
    ImageDraw.Draw(mask).polygon(points, fill=round(255 * params.number("fill_opacity", 1, 0, 1)))
    image.paste(params.color("fill_color", params.string("color", "#ff5533", 9)), mask=mask)
    if stroke := params.integer("stroke_width", 0, 0, 100):
        outline = params.color("stroke_color", "#000000")
        ImageDraw.Draw(image).line([*points, *points[:2]], outline, stroke, joint="curve")
    return image


def _draw(images: list[Image], params: Params) -> Image:
    """Draw a wave across the picture, for nobody is there to hold the brush; with `erase` a white one."""
    from PIL import ImageDraw  # noqa: PLC0415 - as above

    image = images[0].copy()
    points = [
        (image.width * (0.1 + 0.8 * step / 60), image.height * (0.5 + 0.2 * math.sin(step / 60 * 4 * math.pi)))
        for step in range(61)
    ]
    color = params.color("color", "#ff0000") if not params.boolean("erase") else (255, 255, 255)
    ImageDraw.Draw(image).line(points, color, params.integer("size", 12, 1, 200), joint="curve")
    return image


def qr_code(text: str, params: Params) -> Image:
    """Return the QR code of a text."""
    import segno  # noqa: PLC0415 - only this needs it
    from PIL import Image as Images  # noqa: PLC0415 - as above

    level = params.choice("error_correction", "M", "L", "Q", "H")
    # 1,273 bytes are the most that a code of level H holds.
    short = text.encode()[:1000].decode(errors="ignore")
    code = segno.make_qr(short or " ", error=level)
    border = params.integer("border", 4, 0, 20)
    rows = list(code.matrix_iter(border=border))
    colors = params.color("bg_color", "#ffffff"), params.color("fg_color", "#000000")
    image = Images.new("RGB", (len(rows), len(rows)))
    image.putdata([colors[bool(module)] for row in rows for module in row])
    size = params.integer("size", 512, len(rows), MAX_SIDE)
    return image.resize((size, size), Images.Resampling.NEAREST)


IMAGE_ACTIONS: dict[str, ImageAction] = {
    "crop-image": _crop,
    "rotate-image": _rotate,
    "flip-image": lambda images, _: _rotate(images, Params({"direction": "horizontal"})),
    "resize-image": _resize,
    "change-image-ar": _change_ratio,
    "overlay-image": _overlay,
    "side-by-side-composite": _side_by_side,
    "add-text-to-image": _add_text,
    "add-shape-to-image": _add_shape,
    "draw-image": _draw,
    "scene-3d-image": _add_shape,
    "generate-shape-image": _add_shape,
    "generate-text-image": _add_text,
    "duplicate-image": lambda images, _: images[0],
}
"""By id without `-browser`."""
