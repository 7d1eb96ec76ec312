"""Models and techniques the sandbox offers. The ids are plausible, the prices and times invented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from flora_provider.sandbox.world.runs import Medium, RunInput, RunType

CREDITS_PER_USD = 1000
"""FLORA: 1,000 credits = $1 (contract, 1.5)."""

MAX_INPUTS = 16
# By family: the param that takes media, and whether it is a list (contract, 2.2). Others take none.
_MEDIA_PARAMS = {
    "i2i": ("image_url", False),
    "i2v": ("image_url", False),
    "is2i": ("image_urls", True),
    "i2t": ("image_urls", True),
    "v2t": ("video_urls", True),
}


@dataclass(frozen=True, slots=True)
class Model:
    """A model as `GET /models` shows it; `params` are the contract's P objects."""

    run_type: ClassVar[RunType] = "generation"
    id: str
    name: str
    provider: str
    medium: Medium
    credits: int
    seconds: int
    params: tuple[dict[str, Any], ...] = ()

    @property
    def family(self) -> str:
        """What goes in and what comes out, such as `i2v`: the first part of its id."""
        return self.id.partition("-")[0]

    def inputs(self, params: dict[str, Any]) -> tuple[RunInput, ...]:
        """Return the media among the params in the one form that this family takes; others are ignored and billed."""
        name, is_list = _MEDIA_PARAMS.get(self.family, ("", False))
        value = params.get(name)
        values = value if is_list and isinstance(value, list) else [] if is_list else [value]
        medium: Medium = "video" if name.startswith("video") else "image"
        return tuple(RunInput(name, medium, item) for item in values[:MAX_INPUTS] if isinstance(item, str) and item)

    @property
    def usd(self) -> float:
        """Price of a run in USD."""
        return self.credits / CREDITS_PER_USD

    def to_json(self) -> dict[str, Any]:
        """Return the contract's Model (2.12)."""
        return {
            "model_id": self.id,
            "name": self.name,
            "provider": self.provider,
            "type": self.medium,
            "capabilities": [self.id.split("-", 1)[0]],
            "estimated_credits": self.credits,
            "estimated_seconds": self.seconds,
            "params": list(self.params),
        }


def _choice(name: str, *values: str) -> dict[str, Any]:
    options = [{"label": value, "value": value} for value in values]
    return {"name": name, "type": "string", "required": False, "default": values[0], "options": options}


_SEED = {"name": "seed", "type": "seed", "required": False, "label": "Seed"}
_RATIO = _choice("aspect_ratio", "1:1", "16:9", "9:16", "4:3", "3:4")
_DURATION = {"name": "duration", "type": "int", "required": False, "default": 5, "min": 1, "max": 10}

# The first model of a type is the workspace's default.
MODELS: tuple[Model, ...] = (
    Model("t2i-flux-2-pro", "FLUX.2 pro", "Black Forest Labs", "image", 40, 12, (_RATIO, _SEED)),
    Model("t2i-flux-2-fast", "FLUX.2 fast", "Black Forest Labs", "image", 10, 4, (_RATIO, _SEED)),
    Model("i2i-flux-kontext", "FLUX Kontext", "Black Forest Labs", "image", 45, 15, (_RATIO, _SEED)),
    Model("t2v-veo-3", "Veo 3", "Google", "video", 800, 60, (_RATIO, _DURATION)),
    Model("i2v-kling-2", "Kling 2", "Kuaishou", "video", 350, 90, (_DURATION,)),
    Model("t2a-sound-effects", "Sound effects", "ElevenLabs", "audio", 20, 10, (_DURATION,)),
    Model("t2s-multilingual", "Multilingual speech", "ElevenLabs", "audio", 30, 8, (_choice("voice", "Ada", "Ben"),)),
    Model("t2t-writer", "Writer", "OpenAI", "text", 5, 5, (_choice("tone", "neutral", "playful"),)),
    Model("i2t-describe", "Describe an image", "OpenAI", "text", 6, 6),
)


@dataclass(frozen=True, slots=True)
class Technique:
    """A technique as `GET /techniques` shows it; `inputs` are the contract's TechniqueSlots (2.0)."""

    run_type: ClassVar[RunType] = "technique"
    id: str
    slug: str
    name: str
    medium: Medium
    usd: float
    seconds: int
    inputs: tuple[dict[str, Any], ...]

    @property
    def outputs(self) -> tuple[dict[str, Any], ...]:
        """The contract's TechniqueSlots of what comes out."""
        output_type = "text" if self.medium == "text" else f"{self.medium}Url"
        return ({"id": "output_1", "name": "Result", "type": output_type},)

    def to_json(self) -> dict[str, Any]:
        """Return the contract's Technique, with the extra `slug` that FLORA's guide shows."""
        return {
            "technique_id": self.id,
            "slug": self.slug,
            "name": self.name,
            "run_cost": self.usd,
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
        }


_IMAGE = {"id": "input_image", "name": "Image", "type": "imageUrl"}
_TEXT = {"id": "instructions", "name": "Instructions", "type": "text"}

TECHNIQUES: tuple[Technique, ...] = (
    Technique("tech_cctvcam01", "cctv-cam", "CCTV cam", "image", 0.05, 20, (_IMAGE, {**_TEXT, "optional": True})),
    Technique("tech_storybrd1", "storyboard", "Storyboard", "image", 0.3, 45, (_TEXT,)),
    Technique("tech_turntabl1", "turntable", "Product turntable", "video", 1.2, 120, (_IMAGE,)),
    Technique("tech_captions1", "captions", "Captions", "text", 0.01, 6, (_IMAGE, {**_TEXT, "optional": True})),
)
TECHNIQUES_BY_NAME = {name: technique for technique in TECHNIQUES for name in (technique.id, technique.slug)}
