"""Width, height and duration of a file, where its first bytes tell; never an error."""

from __future__ import annotations

from contextlib import suppress
from typing import IO, Any, BinaryIO, cast

import imagesize
from tinytag import TinyTag


def measures(file: IO[bytes], media_type: str) -> dict[str, Any]:
    """`width` and `height` of a picture in pixels, `duration` of a sound or a video in seconds; {} if unknown."""
    with suppress(Exception):  # a damaged file may do anything to a parser
        file.seek(0)
        if media_type.startswith("image/"):
            width, height = imagesize.get(file)
            return {"width": width, "height": height} if width > 0 and height > 0 else {}
        if media_type.startswith(("audio/", "video/")):
            duration = TinyTag.get(file_obj=cast("BinaryIO", file), tags=False).duration
            return {"duration": round(duration, 3)} if duration and duration > 0 else {}
    return {}
