"""What a run will put out: how many outputs, of which media, and what its texts say. Known when it starts."""

from __future__ import annotations

from flora_provider.sandbox.world.actions import Action
from flora_provider.sandbox.world.catalog import Model, Technique
from flora_provider.sandbox.world.effects.params import Params
from flora_provider.sandbox.world.effects.sounds import SOUND_ACTIONS
from flora_provider.sandbox.world.effects.texts import TEXT_ACTIONS
from flora_provider.sandbox.world.run_behavior import RunBehavior
from flora_provider.sandbox.world.runs import MEDIA, Medium, RunOutput, RunRequest

MAX_OUTPUTS = 8
# The actions with several outputs, and the param that says how many.
_COUNTED = {
    "duplicate-image": "count",
    "duplicate-video": "count",
    "split-video": "segments",
    "extract-video-frames": "frame_count",
}


def planned(subject: Model | Technique | Action, request: RunRequest, behavior: RunBehavior) -> tuple[RunOutput, ...]:
    """Return the outputs of a run, as its request and its behavior have them."""
    if isinstance(subject, Action):
        rows = _of_action(subject, request)
    elif isinstance(subject, Technique):
        rows = [
            (str(output["id"]), MEDIA[output["type"]], _answer(request.prompt) if output["type"] == "text" else "")
            for output in subject.outputs
        ]
    else:
        text = _answer(request.prompt) if subject.medium == "text" else ""
        text = f"```markdown\n{text}\n```" if subject.fenced else text
        rows = [("", subject.medium, text)] * subject.output_count(request.params)
    if behavior.outputs is not None:
        rows = (rows * behavior.outputs)[: behavior.outputs]
    return tuple(
        RunOutput(name or f"output_{number}", medium, text if behavior.text is None else behavior.text)
        for number, (name, medium, text) in enumerate(rows, 1)
    )


def _answer(prompt: str) -> str:
    return f"A sandbox's answer to: {prompt}"


def _of_action(action: Action, request: RunRequest) -> list[tuple[str, Medium, str]]:
    name, params = action.base_id, Params(request.params)
    if name in TEXT_ACTIONS:
        texts = [item.value for item in request.inputs if item.medium == "text"]
        return [("", "text", text) for text in TEXT_ACTIONS[name](texts, params)]
    medium = action.medium
    if name in SOUND_ACTIONS and request.inputs and request.inputs[0].medium == "audio":
        medium = "audio"  # a sound can be turned without a video's codec
    count = params.integer(_COUNTED[name], 2, 1, MAX_OUTPUTS) if name in _COUNTED else 1
    return [("", medium, "")] * count
