"""Actions on pictures: shape, size and composition. `images_color` has those on colors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from flora_provider.sandbox.world.effects.params import Params

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE = 2048
MAX_COPIES = 8

ImageAction: TypeAlias = "Callable[[list[Image], Params], Image]"


def _crop(images: list[Image], params: Params) -> Image:
    image = _turned(images[0], params.number("rotation", 0, -360, 360), "#000000")
    (x, y), (width, height) = params.point("center", 0.5, 0.5), params.point("size", 0.5, 0.5)
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
    turned = _turned(image, params.number("angle", 0, -360, 360), params.text("background", "#000000"))
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
        size = params.count("width", image.width, 1, MAX_SIDE), params.count("height", image.height, 1, MAX_SIDE)
    else:
        factor = params.number("percent", 100, 1, 400) / 100
        if mode == "longest":
            factor = params.count("longest", 512, 1, MAX_SIDE) / max(image.size)
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


def _overlay(images: list[Image], params: Params) -> Image:
    from PIL import Image as Images  # noqa: PLC0415 - as above
    from PIL import ImageChops  # noqa: PLC0415 - as above

    base, top = images[0], images[-1]
    (x, y), (wide, high) = params.point("center", 0.5, 0.5), params.point("size", 0.5, 0.5)
    top = top.resize((max(1, round(base.width * wide)), max(1, round(base.height * high))))
    layer, mask = base.copy(), Images.new("L", base.size, 0)
    at = (round(base.width * x - top.width / 2), round(base.height * y - top.height / 2))
    layer.paste(top, at)
    mask.paste(round(255 * params.number("opacity", 1, 0, 1)), (*at, at[0] + top.width, at[1] + top.height))
    blends: dict[str, Callable[[Image, Image], Image]] = {
        "normal": lambda _, over: over,
        "multiply": ImageChops.multiply,
        "screen": ImageChops.screen,
        "overlay": ImageChops.overlay,
        "soft-light": ImageChops.soft_light,
    }
    return Images.composite(blends[params.choice("blend", *blends)](base, layer), base, mask)


def _side_by_side(images: list[Image], params: Params) -> Image:
    from PIL import Image as Images  # noqa: PLC0415 - as above

    is_row = params.choice("layout", "horizontal", "vertical") == "horizontal"
    gap, images = params.count("gap", 0, 0, 200), images[:MAX_COPIES]
    side = min(image.height if is_row else image.width for image in images)
    small = [
        image.resize(_bounded(image.width * side / image.height, side) if is_row
                     else _bounded(side, image.height * side / image.width))
        for image in images
    ]  # fmt: skip
    length = sum(image.width if is_row else image.height for image in small) + gap * (len(small) - 1)
    canvas = Images.new("RGB", (length, side) if is_row else (side, length), params.color("background", "#000000"))
    position = 0
    for image in small:
        canvas.paste(image, (position, 0) if is_row else (0, position))
        position += (image.width if is_row else image.height) + gap
    canvas.thumbnail((MAX_SIDE, MAX_SIDE))
    return canvas


def _add_text(images: list[Image], params: Params) -> Image:
    from PIL import ImageDraw, ImageFont  # noqa: PLC0415 - as above

    image = images[0].copy()
    x, y = params.point("center", 0.5, 0.5)
    size = params.number("font_size", max(12, image.height / 10), 4, 400)
    canvas, at = ImageDraw.Draw(image), (image.width * x, image.height * y)
    font, text = ImageFont.load_default(size), params.text("text", "Text", 500)
    if params.flag("show_background"):
        box = canvas.multiline_textbbox(at, text, font=font, anchor="mm")
        canvas.rectangle((box[0] - 8, box[1] - 8, box[2] + 8, box[3] + 8), params.color("background", "#000000"))
    canvas.multiline_text(at, text, params.color("color", "#ffffff"), font=font, anchor="mm")
    return image


def _add_shape(images: list[Image], params: Params) -> Image:
    from PIL import ImageDraw  # noqa: PLC0415 - as above

    image = images[0].copy()
    (x, y), (wide, high) = params.point("center", 0.5, 0.5), params.point("size", 0.4, 0.4)
    wide, high = image.width * wide / 2, image.height * high / 2
    box = (image.width * x - wide, image.height * y - high, image.width * x + wide, image.height * y + high)
    fill = params.color("fill_color", params.text("color", "#ff5533", 7))
    outline = params.color("stroke_color", "#ffffff")
    canvas, is_round = ImageDraw.Draw(image), params.choice("shape", "rectangle", "circle", "ellipse") != "rectangle"
    draw = canvas.ellipse if is_round else canvas.rectangle
    draw(box, fill, outline, params.count("stroke_width", 0, 0, 100))
    return image


def qr_code(text: str, params: Params) -> Image:
    """Return the QR code of a text."""
    import segno  # noqa: PLC0415 - only this needs it
    from PIL import Image as Images  # noqa: PLC0415 - as above

    level = params.choice("error_correction", "M", "L", "Q", "H")
    code = segno.make_qr(text[:1000] or " ", error=level)
    border = params.count("border", 4, 0, 20)
    rows = list(code.matrix_iter(border=border))
    colors = params.color("bg_color", "#ffffff"), params.color("fg_color", "#000000")
    image = Images.new("RGB", (len(rows), len(rows)))
    image.putdata([colors[bool(module)] for row in rows for module in row])
    size = params.count("size", 512, len(rows), MAX_SIDE)
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
    "draw-image": _add_shape,
    "scene-3d-image": _add_shape,
    "duplicate-image": lambda images, _: images[0],
}
"""By id without `-browser`."""
