"""Actions on sounds: WAV files, as far as the standard library goes."""

from __future__ import annotations

import array
import io
import sys
import wave
from collections.abc import Callable

from flora_provider.sandbox.world.effects.params import Params

MAX_FRAMES = 48_000 * 30
"""Most frames that are read, and that are written."""


def _reversed(frames: list[bytes], _: Params) -> list[bytes]:
    return frames[::-1]


def _boomerang(frames: list[bytes], params: Params) -> list[bytes]:
    return _faster(frames + frames[::-1], params.number("speed", 1.0, 0.25, 4.0))


def _faster(frames: list[bytes], factor: float) -> list[bytes]:
    return [frames[int(number * factor)] for number in range(min(int(len(frames) / factor), MAX_FRAMES))]


SOUND_ACTIONS: dict[str, Callable[[list[bytes], Params], list[bytes]]] = {
    "reverse-video": _reversed,
    "boomerang-video": _boomerang,
    "speed-up-video": lambda frames, params: _faster(frames, params.number("factor", 2.0, 1.0, 8.0)),
    "slow-down-video": lambda frames, params: _faster(frames, 1 / params.number("factor", 2.0, 1.0, 8.0)),
}
"""Of a video, these need a codec; of a WAV file they do what they say."""


def apply(action_id: str, content: bytes, params: Params) -> bytes:
    """Return the WAV file with the action applied, or as it is if it is none that can be read."""
    try:
        with wave.open(io.BytesIO(content)) as sound:
            form = sound.getparams()
            data = sound.readframes(min(sound.getnframes(), MAX_FRAMES))
    except (wave.Error, EOFError, ValueError):
        return content
    if not form.framerate:
        return content
    size = form.nchannels * form.sampwidth
    frames = [data[at : at + size] for at in range(0, len(data) - size + 1, size)]
    made = SOUND_ACTIONS[action_id](frames, params)[:MAX_FRAMES]
    return write(b"".join(made), form.nchannels, form.sampwidth, form.framerate)


def write(frames: bytes, channels: int, width: int, rate: int) -> bytes:
    """Return a WAV file of these frames."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(rate)
        sound.writeframes(frames)
    return file.getvalue()


def samples(values: list[int]) -> bytes:
    """Return 16-bit samples as a WAV file holds them."""
    data = array.array("h", values)
    if sys.byteorder == "big":
        data.byteswap()
    return data.tobytes()
