"""What an output's file is called. Pure."""

from __future__ import annotations

import hashlib
import mimetypes
import re

# Python's table varies with the machine and prefers rare endings; these are the ones that FLORA makes.
_ENDINGS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/avif": ".avif",
    "image/svg+xml": ".svg",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "video/quicktime": ".mov",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/ogg": ".ogg",
    "audio/mp4": ".m4a",
    "application/pdf": ".pdf",
    "text/plain": ".txt",
}
_LONGEST = 120  # characters of a stem; file systems allow 255 bytes, and maybe a hash and an ending follow


def file_name(stem: str, content_type: str) -> str:
    """A name that is safe on every file system and in every object store, never hidden, never a path.

    Args:
        stem: what to call it, such as a run id and an output id. Characters other than letters, digits, `.`, `_` and
            `-` become `-`. One that had to be changed ends with its hash, so that two of them do not share a file.
        content_type: as the file's host gave it; `.bin` when it is unknown.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", stem)[:_LONGEST].strip(".-")
    if safe != stem or not safe:
        safe = f"{safe or 'output'}-{hashlib.sha256(stem.encode(errors='surrogatepass')).hexdigest()[:8]}"
    return safe + (_ENDINGS.get(content_type) or mimetypes.guess_extension(content_type, strict=True) or ".bin")
