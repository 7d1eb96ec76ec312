"""Actions on texts."""

from __future__ import annotations

import re
from collections.abc import Callable

from flora_provider.sandbox.world.effects.params import Params

MAX_PARTS = 50
MAX_TEXT = 100_000


def _parts(params: Params, parts: list[str]) -> list[str]:
    """Trim the parts and leave out the empty ones, unless the params say otherwise."""
    if params.boolean("trim_parts", default=True):
        parts = [part.strip() for part in parts]
    return [part for part in parts if part or not params.boolean("skip_empty", default=True)]


def _split(texts: list[str], params: Params) -> list[str]:
    text = "\n".join(texts)
    lines = text.split("\n")
    mode = params.choice("split_mode", "separator", "paragraph", "bullets", "lines", "charCount")
    if mode == "paragraph":
        parts = re.split(r"\n\s*\n", text)
    elif mode == "bullets":
        parts = [line.lstrip().removeprefix("-").removeprefix("*").removeprefix("•") for line in lines]
    elif mode == "lines":
        size = params.integer("lines_per_part", 1, 1, MAX_TEXT)
        parts = ["\n".join(lines[at : at + size]) for at in range(0, len(lines), size)]
    elif mode == "charCount":
        size = params.integer("chars_per_part", 500, 1, MAX_TEXT)
        parts = [text[at : at + size] for at in range(0, len(text), size)]
    else:
        parts = text.split(params.string("separator", ",") or ",")
    return _parts(params, parts)[: params.integer("max_parts", MAX_PARTS, 1, MAX_PARTS)] or [""]


def _replace(texts: list[str], params: Params) -> list[str]:
    find, replacement = params.string("find", ""), params.string("replace", "")
    text = "\n".join(texts)
    if not find:
        return [text]
    pattern = re.escape(find)
    if params.boolean("whole_word"):
        pattern = rf"\b{pattern}\b"
    flags = 0 if params.boolean("case_sensitive") else re.IGNORECASE
    count = 0 if params.boolean("replace_all", default=True) else 1
    return [re.sub(pattern, lambda _: replacement, text, count=count, flags=flags)[:MAX_TEXT]]


def _concatenate(texts: list[str], params: Params) -> list[str]:
    prefix, suffix = params.string("prefix", ""), params.string("suffix", "")
    wrap = params.string("wrap_each_part", "")
    parts = [f"{wrap}{part}{wrap}" for part in _parts(params, texts)]
    if params.boolean("add_headers"):
        parts = [f"Part {number}\n{part}" for number, part in enumerate(parts, 1)]
    return [(prefix + params.string("separator", "\n").join(parts) + suffix)[:MAX_TEXT]]


TEXT_ACTIONS: dict[str, Callable[[list[str], Params], list[str]]] = {
    "split-text": _split,
    "find-and-replace-text": _replace,
    "concat-text": _concatenate,
}
"""By id without `-browser`: from the texts that came in to those that go out."""
