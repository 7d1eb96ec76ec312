"""The messages that a package can raise or log, as its source says them, and those that a page of Markdown lists."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

VALUE = "…"  # stands for what a message is filled with
_QUIET = {"info", "debug"}  # methods of loggers whose messages tell of no trouble
_NO_MESSAGES = {"compile", "search", "match", "fullmatch", "sub", "findall", "split"}  # of `re`, and of tables in texts
_LOUD = {"warning", "error", "exception", "critical"}
_FEWEST_WORDS = 4  # of a text that is neither raised nor logged where it stands, and has no values; else 2


@dataclass(frozen=True)
class Message:
    """A message, and where it is made."""

    text: str
    where: str  # its file and line
    within: str  # its file, and the name of what it is in there


def parts_of(text):
    """The parts of a message between its values, without the punctuation at their ends."""
    parts = (part.strip(" .,:;()[]'") for part in plain(text).split(VALUE))
    return [part for part in parts if part]


def plain(text):
    """The same text with single spaces, and without the marks of code."""
    return " ".join(text.replace("`", "").split())


def messages_in(folder, excluding=()):
    """Every text in the source of a folder that reads as a message; not those of these folders."""
    for path in sorted(Path(folder).rglob("*.py")):
        name = path.relative_to(folder)
        if name.parts[0] not in excluding:
            for part in ast.parse(path.read_text(encoding="utf-8")).body:
                for line, text in _messages_of(part):
                    yield Message(text, f"{name}:{line}", f"{name} {_name_of(part)}")


def messages_of(source):
    """The messages that one file's source makes, as texts."""
    return [text for _, text in _messages_of(ast.parse(source))]


def entries_of(page):
    """The messages that a page lists: items of lists that are code and nothing else."""
    items = re.findall(r"^- (`+)(.+?)\1$", page, re.MULTILINE | re.DOTALL)
    return [plain(text) for _, text in items]


def is_found(text, texts):
    """Whether the parts of this message are found in one of these texts, in their order."""
    pattern = re.compile(".*".join(map(re.escape, parts_of(text))))
    return any(pattern.search(plain(other)) for other in texts)


def _messages_of(node, *, spoken=False):
    """Line and text of each; `spoken` in what is raised or logged."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    name = _called(node)
    if name in _QUIET | _NO_MESSAGES:
        return
    spoken = spoken or isinstance(node, ast.Raise) or name in _LOUD
    text = _text(node)
    fewest = 2 if spoken or (text and VALUE in text) else _FEWEST_WORDS
    if text is not None and " " in text.strip() and len(re.findall("[A-Za-z]{2,}", text)) >= fewest:
        yield node.lineno, plain(text)
    for child in _parts(node) if text is not None else ast.iter_child_nodes(node):
        yield from _messages_of(child, spoken=spoken)


def _name_of(part):
    """The name that a part of a file gives, as a function or by assignment."""
    targets = getattr(part, "targets", None) or [getattr(part, "target", part)]
    return getattr(targets[0], "id", getattr(part, "name", ""))


def _called(node):
    """The name of the function, if this is a call."""
    function = node.func if isinstance(node, ast.Call) else None
    return getattr(function, "attr", getattr(function, "id", ""))


def _text(node):
    """The text of a literal, with VALUE for what is filled in; None if this is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"%%|%[-+.\d]*[sdrgf]", lambda mark: "%" if mark[0] == "%%" else VALUE, node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else VALUE for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = _text(node.left), _text(node.right)
        return None if sides == (None, None) else "".join(VALUE if side is None else side for side in sides)
    return None


def _parts(node):
    """What is filled into a text: it may hold texts of its own."""
    if isinstance(node, ast.JoinedStr):
        return [part for part in node.values if isinstance(part, ast.FormattedValue)]
    if isinstance(node, ast.BinOp):
        sides = [side for side in (node.left, node.right) if _text(side) is None or not isinstance(side, ast.Constant)]
        return [part for side in sides for part in (_parts(side) if _text(side) is not None else [side])]
    return []
