"""Assets: files a workspace keeps as inputs for runs (contract, 2.15 to 2.17)."""

from __future__ import annotations

import datetime as dt
import mimetypes
from dataclasses import dataclass
from typing import Any, Literal

from flora_provider.sandbox.http.responses import ApiError, not_found
from flora_provider.sandbox.world.media import clips, pictures
from flora_provider.sandbox.world.runs import Medium
from flora_provider.sandbox.world.state import State

CONTENT_TYPES = frozenset(
    [f"image/{kind}" for kind in ("jpeg", "png", "webp", "gif", "avif", "heic", "heif")]
    + [f"video/{kind}" for kind in ("mp4", "webm", "quicktime")]
    + [f"audio/{kind}" for kind in ("mpeg", "wav", "ogg")]
    + ["application/pdf"]
)
RESERVATION_SECONDS = 3600.0
"""How long a signed upload may take; FLORA publishes no number."""
FETCH_SECONDS = 1.0
"""How long a server-side fetch takes at speed 1; FLORA's own answer may be `pending_upload` at first."""


Via = Literal["direct", "url", "signed_url"]


@dataclass(slots=True)
class Asset:
    """One asset; its times are unix seconds."""

    asset_id: str
    workspace_id: str
    name: str
    content_type: str
    uploaded_via: Via
    created_at: float
    ready_at: float | None = None  # when it is or will be ready
    content: bytes | None = None  # once it is uploaded
    expires_at: float | None = None  # end of the upload's reservation
    upload_id: str | None = None  # of a signed upload, at the store
    failure: str | None = None

    def failure_at(self, now: float) -> str | None:
        """Return why the asset has failed by `now`; an upload that never came fails with its reservation."""
        late = self.content is None and self.expires_at is not None and now >= self.expires_at
        return self.failure or ("The upload reservation expired." if late else None)

    def status(self, now: float) -> str:
        """Return `pending_upload`, `ready` or `failed`."""
        if self.failure_at(now) is not None:
            return "failed"
        return "ready" if self.ready_at is not None and now >= self.ready_at else "pending_upload"

    def url(self, root: str) -> str:
        """Return where the file is served."""
        return f"{root}/media/assets/{self.asset_id}{mimetypes.guess_extension(self.content_type) or ''}"

    def upload(self, now: float, root: str) -> dict[str, Any]:
        """Return the members that say how to upload; none unless an upload is awaited."""
        if self.upload_id is None or self.expires_at is None or self.status(now) != "pending_upload":
            return {}
        url = f"{root}/_storage/{self.upload_id}"
        form = {
            "url": url,
            "method": "POST",
            "content_type": "multipart/form-data",
            "file_field": "file",
            "form_fields": self.form_fields(),
        }
        return {"expires_at": iso(self.expires_at), "upload": form, "upload_url": url}

    def form_fields(self) -> dict[str, str]:
        """Return what the store wants to see in front of the file; named as Google's does (contract, 2.15)."""
        return {
            "key": f"uploads/{self.asset_id}",
            "Content-Type": self.content_type,
            "policy": f"policy-{self.upload_id}",
            "x-goog-signature": f"signature-{self.upload_id}",
        }

    def row(self, now: float, root: str) -> dict[str, Any]:
        """Return the members that a list's item and a single asset have in common (2.17)."""
        return {
            "asset_id": self.asset_id,
            "name": self.name,
            "description": None,
            "workspace_id": self.workspace_id,
            "url": self.url(root),
            "content_type": self.content_type,
            "upload_content_type": self.content_type,
            "uploaded_via": self.uploaded_via,
            "status": self.status(now),
            "width": None,
            "height": None,
            "size_bytes": len(self.content) if self.content is not None else None,
        }


class Assets:
    """The assets of a sandbox."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._by_id: dict[str, Asset] = {}
        self._by_upload: dict[str, Asset] = {}

    def newest_first(self) -> list[Asset]:
        """Return all assets."""
        return list(reversed(self._by_id.values()))

    def get(self, asset_id: str) -> Asset | None:
        """Return one asset, if there is such."""
        return self._by_id.get(asset_id)

    def find(self, asset_id: str) -> Asset:
        """Return one asset, or refuse with a 404."""
        if asset_id not in self._by_id:
            raise not_found(f"Asset {asset_id}")
        return self._by_id[asset_id]

    def awaited(self, upload_id: str) -> Asset | None:
        """Return the asset whose upload is expected under this name."""
        return self._by_upload.get(upload_id)

    def add_direct(self, workspace_id: str, name: str, content_type: str, content: bytes) -> Asset:
        """Keep bytes that came with the request."""
        return self._add("direct", workspace_id, name, content_type, content=content, ready_at=self._state.clock.now())

    def add_fetched(self, workspace_id: str, name: str, content_type: str, source: str) -> Asset:
        """Keep what a URL leads to. The sandbox reaches no network: it draws a picture of the URL instead."""
        medium: Medium = "video" if content_type[:5] == "video" else "audio" if content_type[:5] == "audio" else "image"
        ready_at = self._state.clock.now() + FETCH_SECONDS / self._state.settings.speed
        content = fetched(medium, source)
        return self._add("url", workspace_id, name, clips.CONTENT_TYPES[medium], content=content, ready_at=ready_at)

    def add_signed(self, workspace_id: str, name: str, content_type: str) -> Asset:
        """Reserve an upload."""
        asset = self._add("signed_url", workspace_id, name, content_type)
        self._reserve(asset)
        return asset

    def complete(self, asset: Asset) -> None:
        """Finish a signed upload, or refuse with a 409; without its bytes it stays `pending_upload`."""
        now = self._state.clock.now()
        if asset.upload_id is None or asset.status(now) == "ready" or asset.failure is not None:
            raise ApiError(409, "conflict", f"Asset is {asset.status(now)}.")
        if asset.content is not None:
            asset.ready_at = now
            asset.failure = None if asset.content else "The uploaded file is empty."

    def retry(self, asset: Asset) -> None:
        """Reserve a failed or expired upload again, or refuse with a 409."""
        status = asset.status(self._state.clock.now())
        if asset.upload_id is None or status != "failed":
            raise ApiError(409, "conflict", f"Asset is {status}.")
        del self._by_upload[asset.upload_id]
        self._reserve(asset)

    def _reserve(self, asset: Asset) -> None:
        asset.upload_id = self._state.new_id("up")
        asset.expires_at = self._state.clock.now() + RESERVATION_SECONDS
        asset.content = asset.failure = asset.ready_at = None
        self._by_upload[asset.upload_id] = asset

    def _add(self, via: Via, workspace_id: str, name: str, content_type: str, **more: Any) -> Asset:
        now = self._state.clock.now()
        asset = Asset(self._state.new_id("asset"), workspace_id, name, content_type, via, now, **more)
        self._by_id[asset.asset_id] = asset
        return asset


def fetched(medium: Medium, source: str) -> bytes:
    """Return a file that stands for what an address leads to."""
    address = source.partition("?")[0]
    if medium == "video":
        return clips.mp4(address)
    if medium == "audio":
        return clips.wav(address, "fetched")
    return pictures.png(pictures.draw(address, "fetched", address, (pictures.SIDE, pictures.SIDE)))


def iso(seconds: float) -> str:
    """Return unix seconds as ISO 8601 in UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
