"""The files behind outputs and assets: made from a run and what went into it, when somebody fetches them."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from flora_provider.sandbox.world.actions import base_id
from flora_provider.sandbox.world.assets import Asset, Assets
from flora_provider.sandbox.world.effects import images, images_color, sounds
from flora_provider.sandbox.world.effects.params import Params
from flora_provider.sandbox.world.media import clips, pictures
from flora_provider.sandbox.world.runs import Run, RunInput, RunRequest
from flora_provider.sandbox.world.state import State

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_INPUTS = 16
"""Pictures of a run's inputs that are looked at."""
MAX_HISTORY = 100
"""Runs that a file is made of, its own included; with more, inputs are represented by their addresses."""
CACHED_BYTES = 64 * 1024 * 1024
# Where actions and techniques load inputs from, beside this sandbox (contract, section 9).
_RUNTIME_URL = re.compile(
    r"https://(media\.flora\.ai|storage\.googleapis\.com|ik\.imagekit\.io|[a-z0-9.-]+\.amazonaws\.com)(:443)?/.*",
    re.IGNORECASE | re.DOTALL,
)
_IMAGE_ACTIONS = {**images.IMAGE_ACTIONS, **images_color.COLOR_ACTIONS}


class Files:
    """Makes the files of outputs, and loads the files that inputs name. It reaches no network.

    It is called under the sandbox's lock.
    """

    def __init__(self, state: State, assets: Assets) -> None:
        self._state = state
        self._assets = assets
        self._made: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._bytes = 0

    def can_load(self, url: str) -> bool:
        """Whether an action or a technique finds a file there: an output or a ready asset of ours, or a known host."""
        now, source = self._state.clock.now(), self._source(url)
        if isinstance(source, Asset):
            return source.status(now) == "ready"
        if source is None:
            return _RUNTIME_URL.fullmatch(url) is not None
        run, number = source
        # The query is part of the address.
        return run.status(now) == "completed" and url.endswith(run.media_path(run.outputs[number]))

    def history(self, request: RunRequest) -> int:
        """Return how many runs the files of a run will be made of, its own included; at most `MAX_HISTORY`.

        A file opens those of runs with a shorter history only: so there is no circle, and an end.
        """
        sources = {source[0].run_id: source[0] for source in self._sources(request) if isinstance(source, tuple)}
        history = 1 + sum(run.request.history for run in sources.values())
        return history if history <= MAX_HISTORY else 1

    def output(self, run: Run, number: int) -> bytes:
        """Return the file of a run's output, counted from 0."""
        key = (run.run_id, number)
        if key in self._made:
            self._made.move_to_end(key)
            return self._made[key]
        content = self._make(run, number)
        self._made[key] = content
        self._bytes += len(content)
        while self._bytes > CACHED_BYTES:
            self._bytes -= len(self._made.popitem(last=False)[1])
        return content

    def _make(self, run: Run, number: int) -> bytes:
        output, request, params = run.outputs[number], run.request, Params(run.request.params)
        asked = request.params.get("seed")
        seed = str(asked)[:40] if isinstance(asked, int | str) else run.run_id[-8:]
        if number:
            seed += f"/{number + 1}"
        if output.medium == "video":
            about = json.dumps({"params": request.params, "inputs": [item.value for item in request.inputs]})
            url = next((item.value for item in request.inputs if item.medium == "video"), "")
            note = "\n".join([request.prompt, run.subject, seed, about[:10_000]])
            return clips.mp4(note, self._load(url, run) or b"")
        action = base_id(run.subject)
        if output.medium == "audio":
            if run.run_type == "action" and action in sounds.SOUND_ACTIONS:
                url = request.inputs[0].value
                return sounds.apply(action, self._load(url, run) or clips.wav(url.partition("?")[0], "fetched"), params)
            return clips.wav(request.prompt, seed, params.number("duration", 2, 0.25, clips.MAX_SECONDS))
        if run.run_type != "action":
            images_in = self._pictures(run)
            size = pictures.size_of(params)
            return pictures.png(pictures.draw(request.prompt, f"{run.subject}  seed {seed}", seed, size, images_in))
        if action == "qr-code-generator":
            text = "".join(item.value for item in request.inputs if item.medium == "text")
            return pictures.png(images.qr_code(text, params))
        images_in = self._pictures(run)
        if not images_in or action not in _IMAGE_ACTIONS:
            images_in = [pictures.draw(request.prompt, run.subject, seed, pictures.size_of(params), images_in)]
        effect = _IMAGE_ACTIONS.get(action)
        return pictures.png(effect(images_in, params) if effect is not None else images_in[0])

    def _pictures(self, run: Run) -> list[Image]:
        items = [item for item in run.request.inputs if item.medium != "text"]
        return [self._picture(item, run) for item in items[:MAX_INPUTS]]

    def _picture(self, item: RunInput, run: Run) -> Image:
        """Return an input as a picture; one that is none, or that is elsewhere, is represented by its address."""
        content = self._load(item.value, run) if item.medium == "image" else None
        image = pictures.read(content) if content else None
        address = item.value.partition("?")[0]
        return image or pictures.draw(address, item.medium, address, (pictures.SIDE, pictures.SIDE))

    def _load(self, url: str, run: Run) -> bytes | None:
        """Return the file behind an input of a run, if it is one of ours."""
        source = self._source(url)
        if isinstance(source, Asset):
            return source.content
        is_older = source is not None and source[0].request.history < run.request.history
        return self.output(*source) if source is not None and is_older else None

    def _sources(self, request: RunRequest) -> list[Asset | tuple[Run, int] | None]:
        return [self._source(item.value) for item in request.inputs if item.medium != "text"]

    def _source(self, url: str) -> Asset | tuple[Run, int] | None:
        """Return the asset, or the run and the number of its output, that an address of ours names by its path."""
        try:
            parts = unquote(urlsplit(url).path).split("/")
        except ValueError:  # e.g. half an IPv6 address
            return None
        if len(parts) != 4 or parts[1] != "media":  # noqa: PLR2004 - /media/a/b
            return None
        if parts[2] == "assets":
            return self._assets.get(parts[3].split(".")[0])
        run = self._state.runs.get(parts[2])
        number = run.output_of(parts[3]) if run is not None else None
        return None if run is None or number is None else (run, number)
