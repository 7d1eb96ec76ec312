"""The kind of a file by its address."""

from __future__ import annotations

import mimetypes

from flora_provider.api.files.media_types import ending_for
from flora_provider.catalog.values import Kind, kind_of_media_type


def kind_of_address(address: str) -> Kind | None:
    """The kind that the ending of an address's path tells; None for a text, and for an address that tells none."""
    if "://" not in address:
        return None
    return kind_of_media_type(mimetypes.guess_type(f"file{ending_for('', address)}", strict=False)[0])
