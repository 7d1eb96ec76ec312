"""What an output's file is called. Pure."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from flora_provider.api.errors import FloraInputError

# Python's table varies with the machine and prefers rare endings; these are the ones that FLORA makes, under the names
# that hosts give them, and what is near to them.
_ENDINGS = {
    ".png": "image/png image/x-png image/apng",
    ".jpg": "image/jpeg image/jpg image/pjpeg image/x-jpeg image/x-citrix-jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".avif": "image/avif",
    ".heic": "image/heic image/heif",
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
# Of addresses, besides those above.
_ALIASES = {".jpeg": ".jpg", ".jpe": ".jpg", ".tif": ".tiff", ".heif": ".heic", ".mpga": ".mp3", ".oga": ".ogg"}
# What a host says that does not know what it has.
_SAY_NOTHING = re.compile(r"|.*/octet-stream|application/(x-)?(force-)?download|.*/(unknown|\*)|unknown")

_LONGEST = 120  # characters of a stem; file systems allow 255 bytes, and maybe a hash and an ending follow
# Windows takes these for machines, whatever follows a dot after them.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)
_HASH = 8  # characters


def file_name(stem: str, content_type: str, address: str = "") -> str:
    """A name that is safe on every file system and in every object store, never hidden, never a path.

    No two stems share a name, also where `A` and `a` are the same file. A stem of at most 120 small letters, digits,
    `.`, `_` and `-` is kept. One with other characters (which become `-`), with capitals, or with what Windows takes
    for a machine (`con`, `com1`) ends with its hash.

    Args:
        stem: what to call it, such as a run id and an output id.
        content_type: as the file's host gave it.
        address: where the file came from; its ending is taken if the type says nothing, or nothing that is known.
            `.bin` if it says nothing either.

    Raises:
        FloraInputError: the stem is no text.
    """
    if not isinstance(stem, str):
        raise FloraInputError(f"a file's name is of type {type(stem).__name__}: give a text")
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", stem)[:_LONGEST].strip(".-")
    if _DEVICE.match(safe):
        safe = f"output-{safe}"
    # A stem that ends as a hash does gets one, too, for it may be the name of another.
    if safe != stem or not safe or safe != safe.lower() or re.search(rf"-[0-9a-f]{{{_HASH}}}$", safe):
        safe = f"{safe or 'output'}-{hashlib.sha256(stem.encode(errors='surrogatepass')).hexdigest()[:_HASH]}"
    return safe + _ending(content_type, address)


def _ending(content_type: str, address: str) -> str:
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
