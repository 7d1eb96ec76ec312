"""Does a file hold what its name says? Asked of real decoders, not of its name."""

import shutil
import subprocess
import wave
from pathlib import Path

from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class BrokenFileError(Exception):
    """The file is not what it should be; the message says why."""


def describe(file: Path, run_type: str) -> str:
    """Decode a file that a run of this type made and say what is in it, e.g. "PNG 1024x1024".

    Raises:
        BrokenFileError: when it cannot be decoded.
    """
    try:
        return _READERS[run_type](file)
    except (OSError, EOFError, ValueError, SyntaxError, wave.Error, subprocess.CalledProcessError) as error:
        raise BrokenFileError(f"{file.name} is no {run_type}: {error}") from error


def _image(file: Path) -> str:
    if not file.read_bytes().startswith(PNG_SIGNATURE):
        raise ValueError("it does not begin as a PNG does")
    with Image.open(file) as image:
        image.load()
        return f"PNG {image.width}x{image.height}"


def _audio(file: Path) -> str:
    with wave.open(str(file)) as sound:
        frames = sound.getnframes()
        size = frames * sound.getnchannels() * sound.getsampwidth()
        if not frames or len(sound.readframes(frames)) != size:
            raise ValueError("it is empty or cut off")
        return f"WAV {frames / sound.getframerate():.1f} s"


def _video(file: Path) -> str:
    boxes = _mp4_boxes(file.read_bytes())
    if missing := {"ftyp", "moov", "mdat"} - set(boxes):
        raise ValueError(f"an MP4 file has these boxes too: {', '.join(sorted(missing))}")
    if not shutil.which("ffprobe"):
        return "MP4"
    command = ["ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", "stream=codec_name,width,height"]
    found = subprocess.run([*command, str(file)], capture_output=True, text=True, check=True).stdout
    codec, width, height = found.split()[0].split(",")
    return f"MP4 {codec} {width}x{height}"


def _mp4_boxes(content: bytes) -> list[str]:
    names, at = [], 0
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4])
        names.append(content[at + 4 : at + 8].decode("latin-1"))
        if size < 8 or at + size > len(content):  # noqa: PLR2004 - a box's header
            raise ValueError(f"its box {names[-1]} is cut off")
        at += size
    return names


def _text(file: Path) -> str:
    if not file.read_text(encoding="utf-8").strip():
        raise ValueError("it is empty")
    return "text"


_READERS = {"image": _image, "audio": _audio, "video": _video, "text": _text}
