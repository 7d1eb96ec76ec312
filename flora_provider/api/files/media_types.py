"""Media types and the endings of files, in one table. Pure."""

from __future__ import annotations

import mimetypes
import re
from pathlib import PurePath, PurePosixPath
from urllib.parse import unquote, urlsplit

# Python's table varies with version and machine and prefers rare endings; these are the ones that FLORA makes and what
# is near to them, each with its media type, and with the other names that hosts give it.
_ENDINGS = {
    ".png": "image/png image/x-png image/apng",
    ".jpg": "image/jpeg image/jpg image/pjpeg image/x-jpeg image/x-citrix-jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".tiff": "image/tiff image/tiff-fx image/x-tiff",
    ".bmp": "image/bmp image/x-bmp image/x-ms-bmp",
    ".svg": "image/svg+xml image/svg",
    ".mp4": "video/mp4 video/x-mp4 application/mp4 video/mpeg4",
    ".m4v": "video/x-m4v video/m4v",
    ".webm": "video/webm",
    ".mov": "video/quicktime video/mov video/x-quicktime",
    ".mkv": "video/x-matroska video/matroska",
    ".avi": "video/x-msvideo video/avi video/msvideo",
    ".mp3": "audio/mpeg audio/mp3 audio/x-mp3 audio/mpeg3 audio/x-mpeg audio/x-mpeg-3 audio/x-mpeg3 audio/mpg",
    ".wav": "audio/wav audio/x-wav audio/wave audio/vnd.wave audio/x-pn-wav",
    ".ogg": "audio/ogg audio/vorbis application/ogg audio/x-ogg",
    ".opus": "audio/opus",
    ".m4a": "audio/mp4 audio/x-m4a audio/m4a audio/mp4a-latm",
    ".aac": "audio/aac audio/x-aac audio/aacp",
    ".flac": "audio/flac audio/x-flac",
    ".weba": "audio/webm",
    ".aiff": "audio/aiff audio/x-aiff",
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".pdf": "application/pdf application/x-pdf",
    ".zip": "application/zip application/x-zip-compressed application/x-zip",
    ".json": "application/json text/json",
    ".md": "text/markdown text/x-markdown",
    ".txt": "text/plain",
}
_ENDING_OF = {kind: ending for ending, kinds in _ENDINGS.items() for kind in kinds.split()}
# Of addresses and files, besides those above.
_ALIASES = {".jpeg": ".jpg", ".jpe": ".jpg", ".tif": ".tiff", ".mpga": ".mp3", ".oga": ".ogg"}
# What a host says that does not know what it has.
_SAY_NOTHING = re.compile(r"|.*/octet-stream|application/(x-)?(force-)?download|.*/(unknown|\*)|unknown")
# What FLORA takes (its docs).
_UPLOADABLE = {
    *("image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "image/heic", "image/heif"),
    *("video/mp4", "video/webm", "video/quicktime", "audio/mpeg", "audio/wav", "audio/ogg", "application/pdf"),
}


def uploadable_type(file_name: str) -> str | None:
    """The media type of a file that FLORA takes, by its name; None for any other."""
    ending = PurePath(file_name).suffix.lower()
    kind = _ENDINGS.get(_ALIASES.get(ending, ending), "").partition(" ")[0]
    return kind if kind in _UPLOADABLE else None


def ending_for(content_type: str, address: str) -> str:
    """The ending of a file, with its dot: as its type says, else its address; `.bin` if neither says anything known.

    Args:
        content_type: as the file's host gave it.
        address: where the file came from.
    """
    kind = re.split("[;,]", content_type)[0].strip().lower()
    if kind in _ENDING_OF:
        return _ENDING_OF[kind]
    guessed = None if _SAY_NOTHING.fullmatch(kind) else mimetypes.guess_extension(kind)
    if guessed and re.fullmatch(r"\.[a-z0-9]{1,10}", guessed):
        return guessed
    return _ending_of(address) or ".bin"


def _ending_of(address: str) -> str | None:
    """The ending of an address's path, if it is one of a medium. The query may be a signature, and is not looked at."""
    try:
        path = urlsplit(address).path
    except ValueError:
        return None
    ending = PurePosixPath(unquote(path)).suffix.lower()
    return _ALIASES.get(ending) or (ending if ending in _ENDINGS else None)
