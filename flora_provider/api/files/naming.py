"""What an output's file is called. Pure."""

from __future__ import annotations

import hashlib
import re

from flora_provider.api.errors import FloraInputError
from flora_provider.api.files.media_types import ending_for

_LONGEST = 120  # characters of a stem; file systems allow 255 bytes, and maybe a hash and an ending follow
# Windows takes these for machines, whatever follows a dot after them.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)
_HASH = 8  # characters


def file_name(stem: str, content_type: str, address: str = "") -> str:
    """A name that is safe on every file system and in every object store, never hidden, never a path.

    Args:
        stem: what to call it, such as a run id and an output id; changed as `safe_stem` says.
        content_type: as the file's host gave it.
        address: where the file came from; its ending is taken if the type says nothing, or nothing that is known.
            `.bin` if it says nothing either.

    Raises:
        FloraInputError: the stem is no text.
    """
    return safe_stem(stem) + ending_for(content_type, address)


def safe_stem(stem: str) -> str:
    """A file's name without its ending, safe everywhere.

    No two stems share a name, also where `A` and `a` are the same file. A stem of at most 120 small letters, digits,
    `.`, `_` and `-` is kept. One with other characters (which become `-`), with capitals, or with what Windows takes
    for a machine (`con`, `com1`) ends with its hash.

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
    return safe
