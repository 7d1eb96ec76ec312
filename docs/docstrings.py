"""What Sphinx is told of our docstrings, which are written to be read as plain text: by `help()`, and in an editor.

Napoleon does most of it: sections such as `Args:` become fields. The rest is here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import groupby
from textwrap import dedent
from typing import Any

from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.util import inspect

_SECTION = re.compile(r"(Args|Returns|Raises|Attributes|Yields):$")
# Aliases of types, which signatures show by their names.
ALIASES = {name: name for name in ("Dict", "Folder", "Instant", "Message", "RunOutput", "Text", "Usd")}
_BEFORE_NAPOLEON = 400  # whose own priority is 500


def setup(app: Sphinx) -> None:
    """Have docstrings and signatures rewritten before they are rendered."""
    app.connect("autodoc-process-docstring", _process_docstring, priority=_BEFORE_NAPOLEON)
    app.connect("autodoc-process-signature", _process_signature)


def _process_docstring(_app: Sphinx, what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    # Napoleon takes what stands before a colon in a property's first line for a type: an empty comment has no colon.
    comment = ["..", ""] if what in {"attribute", "property"} else []
    lines[:] = [*comment, *_as_field(list(_with_code(lines)))]


def _with_code(lines: list[str]) -> Iterator[str]:
    """Say that a block which is indented, above the first section, is code."""
    end = next((at for at, line in enumerate(lines) if _SECTION.match(line)), len(lines))
    for is_indented, group in groupby(lines[:end], lambda line: line.startswith("    ") or not line):
        block = list(group)
        if is_indented and any(block):
            yield from ("", f".. code-block:: {_language(block)}", "")
        yield from block
    yield from lines[end:]


def _language(block: list[str]) -> str:
    try:
        ast.parse(dedent("\n".join(block)))
    except SyntaxError:
        return "text"
    return "python"


def _as_field(lines: list[str]) -> list[str]:
    """Make `Returns:` a field of its own: Napoleon takes what stands before a colon in it for a type."""
    if "Returns:" not in lines:
        return lines
    start = lines.index("Returns:")
    end = next((at for at in range(start + 1, len(lines)) if lines[at] and not lines[at].startswith(" ")), len(lines))
    text = [line.strip() for line in lines[start + 1 : end]]
    return [*lines[:start], f":returns: {text[0]}", *(f"    {line}" if line else "" for line in text[1:]), *lines[end:]]


def _process_signature(
    _app: Sphinx, what: str, _name: str, found: Any, _options: Any, signature: str | None, _returns: str | None
) -> tuple[str, str] | None:
    """Show what a class takes: Sphinx reads `__new__` first, which for our operators takes anything.

    How an answer of FLORA's is made is left out: nobody does that by hand, and its fields follow.
    """
    if what != "class":
        return None
    if issubclass(found, BaseModel):
        return "", ""
    if signature is not None and signature.startswith("(*"):
        taken = inspect.signature(found.__init__, bound_method=True, type_aliases=ALIASES)
        text = inspect.stringify_signature(taken, show_return_annotation=False)
        return re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text), ""
    return None
