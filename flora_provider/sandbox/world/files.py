"""The files behind outputs and assets: made from a run and what went into it, when somebody fetches them."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from flora_provider.sandbox.world import media, pictures
from flora_provider.sandbox.world.actions import base_id
from flora_provider.sandbox.world.assets import Assets
from flora_provider.sandbox.world.effects import images, images_color, sounds
from flora_provider.sandbox.world.effects.params import Params
from flora_provider.sandbox.world.runs import Run, RunInput
from flora_provider.sandbox.world.state import State

if TYPE_CHECKING:
    from PIL.Image import Image

RUNTIME_HOSTS = ("media.flora.ai", "storage.googleapis.com", "ik.imagekit.io", ".amazonaws.com")
"""Where actions and techniques load inputs from, beside this sandbox (contract, section 9)."""
MAX_DEPTH = 20
"""Runs that a picture is traced back through; an older one is represented by its address."""
CACHED_BYTES = 64 * 1024 * 1024
_IMAGE_ACTIONS = {**images.IMAGE_ACTIONS, **images_color.COLOR_ACTIONS}


class Files:
    """Makes the files of outputs, and loads the files that inputs name. It reaches no network."""

    def __init__(self, state: State, assets: Assets) -> None:
        self._state = state
        self._assets = assets
        self._made: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._bytes = 0

    def can_load(self, url: str) -> bool:
        """Whether an action or a technique finds a file there: an output or a ready asset of ours, or a known host."""
        host, parts = urlsplit(url).hostname or "", _own(url)
        now = self._state.clock.now()
        if parts is None or host in RUNTIME_HOSTS:
            return host.endswith(RUNTIME_HOSTS)
        if parts[0] == "assets":
            asset = self._assets.get(parts[1].split(".")[0])
            return asset is not None and asset.status(now) == "ready"
        run = self._state.runs.get(parts[0])
        return run is not None and run.status(now) == "completed" and run.output_of(parts[1]) is not None

    def output(self, run: Run, number: int, depth: int = 0) -> bytes:
        """Return the file of a run's output, counted from 0."""
        key = (run.run_id, number)
        if key in self._made:
            self._made.move_to_end(key)
            return self._made[key]
        content = self._make(run, number, depth)
        self._made[key] = content
        self._bytes += len(content)
        while self._bytes > CACHED_BYTES:
            self._bytes -= len(self._made.popitem(last=False)[1])
        return content

    def _make(self, run: Run, number: int, depth: int) -> bytes:
        output, request, params = run.outputs[number], run.request, Params(run.request.params)
        asked = request.params.get("seed")
        seed = str(asked)[:40] if isinstance(asked, int | str) else run.run_id[-8:]
        if number:
            seed += f"/{number + 1}"
        if output.medium == "video":
            about = json.dumps({"params": request.params, "inputs": [item.value for item in request.inputs]})
            return media.mp4("\n".join([request.prompt, run.subject, seed, about[:10_000]]))
        action = base_id(run.subject)
        if output.medium == "audio":
            if run.run_type == "action" and action in sounds.SOUND_ACTIONS:
                return sounds.apply(action, self._load(request.inputs[0].value, depth) or b"", params)
            return media.wav(request.prompt, seed, params.number("duration", 2, 0.25, media.MAX_SECONDS))
        if run.run_type != "action":
            images_in = [self._picture(item, depth) for item in request.inputs if item.medium != "text"]
            size = pictures.size_of(params)
            return pictures.png(pictures.draw(request.prompt, f"{run.subject}  seed {seed}", seed, size, images_in))
        if action == "qr-code-generator":
            text = "".join(item.value for item in request.inputs if item.medium == "text")
            return pictures.png(images.qr_code(text, params))
        images_in = [self._picture(item, depth) for item in request.inputs if item.medium != "text"]
        if not images_in or action not in _IMAGE_ACTIONS:
            images_in = [pictures.draw(request.prompt, run.subject, seed, pictures.size_of(params), images_in)]
        effect = _IMAGE_ACTIONS.get(action)
        return pictures.png(effect(images_in, params) if effect is not None else images_in[0])

    def _picture(self, item: RunInput, depth: int) -> Image:
        """Return an input as a picture; one that is none, or that is elsewhere, is represented by its address."""
        content = self._load(item.value, depth) if item.medium == "image" else None
        image = pictures.read(content) if content else None
        address = item.value.partition("?")[0]
        return image or pictures.draw(address, item.medium, address, (pictures.SIDE, pictures.SIDE))

    def _load(self, url: str, depth: int) -> bytes | None:
        parts = _own(url)
        if parts is None or depth >= MAX_DEPTH:
            return None
        if parts[0] == "assets":
            asset = self._assets.get(parts[1].split(".")[0])
            return asset.content if asset is not None else None
        run = self._state.runs.get(parts[0])
        number = run.output_of(parts[1]) if run is not None else None
        return None if run is None or number is None else self.output(run, number, depth + 1)


def _own(url: str) -> tuple[str, str] | None:
    """Return folder and name of one of this sandbox's media, by the path of its address."""
    parts: list[Any] = unquote(urlsplit(url).path).split("/")
    return (parts[2], parts[3]) if len(parts) == 4 and parts[1] == "media" else None  # noqa: PLR2004 - /media/a/b
