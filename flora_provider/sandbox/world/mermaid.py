"""Mermaid flowcharts: the text form of a canvas that FLORA reads and writes (contract, 2.18).

Read are nodes (`a`, `a[text]`, `a("text")`, `a{text}`), links with or without a label, chains, comments, and the lines
of subgraphs and styles, which say nothing about nodes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_HEADER = re.compile(r"(?:flowchart|graph)(?:\s+(?:LR|RL|TD|TB|BT))?\s*;?")
_SUBGRAPH = re.compile(r"subgraph\b.*")
_IGNORED = re.compile(r"(?:%%.*|end|(?:style|classDef|class|linkStyle|direction|click)\s+\w.*)?;?")
_SHAPES = (r'[\[({]+"([^"]*)"[\])}]+', r'\[+([^"\]]*)\]+', r'\(\[([^"\]]*)\]\)', r'\(+([^")]*)\)+', r'\{+([^"}]*)\}+')
_NODE = re.compile(rf"\s*(\w+)(?:{'|'.join(_SHAPES)})?\s*")
_LINK = re.compile(r'(?:-->|---|-\.->|==>|--\s*([^\s|>-][^|>]*?)\s*-->)(?:\|\s*(?:"([^"]*)"|([^|]*?))\s*\|)?')
_LONGEST_LINE = 2000
_ESCAPES = (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), ("\n", "<br/>"), ("|", "#124;"))


@dataclass(slots=True)
class Diagram:
    """The nodes of a flowchart with their texts, None where links only name them; and links: from, to, label."""

    nodes: dict[str, str | None] = field(default_factory=dict)
    links: list[tuple[str, str, str | None]] = field(default_factory=list)
    has_subgraphs: bool = False


def read(text: str) -> Diagram:
    """Return what a flowchart says; raises ValueError that names the line it cannot read."""
    diagram, has_header = Diagram(), False
    for number, line in enumerate(map(str.strip, text.split("\n")), 1):
        if not has_header and _HEADER.fullmatch(line):
            has_header = True
        elif len(line) > _LONGEST_LINE:
            raise ValueError(f"Line {number} has {len(line)} characters; expected at most {_LONGEST_LINE}.")
        elif has_header and _SUBGRAPH.fullmatch(line):
            diagram.has_subgraphs = True
        elif not _IGNORED.fullmatch(line) and not (has_header and _read_chain(line, diagram)):
            expected = "a node or a link" if has_header else "flowchart or graph"
            raise ValueError(f"Line {number} cannot be read; expected {expected}; got {line[:80]!r}.")
    if not has_header:
        raise ValueError("Expected a Mermaid flowchart; it begins with a line such as flowchart LR.")
    return diagram


def _read_chain(line: str, diagram: Diagram) -> bool:
    """Take in `a[text] -->|label| b --> c`; return whether all of the line could be read."""
    line, position, before, label = line.rstrip(";"), 0, None, None
    while found := _NODE.match(line, position):
        name, *texts = found.groups()
        diagram.nodes.setdefault(name, None)
        if (text := next((text for text in texts if text is not None), None)) is not None:
            diagram.nodes[name] = _unescaped(text)
        if before is not None:
            diagram.links.append((before, name, label))
        if found.end() == len(line):
            return True
        link = _LINK.match(line, found.end())
        if link is None:
            return False
        text = link[1] or link[2] or link[3]
        before, label, position = name, _unescaped(text) if text else None, link.end()
    return False


def write(diagram: Diagram) -> str:
    """Return the flowchart, which `read` reads back as it is."""
    nodes = [f'  {name}["{_escaped(text)}"]' for name, text in diagram.nodes.items() if text is not None]
    links = [f"  {a} -->{_label(label)} {b}" for a, b, label in diagram.links]
    return "\n".join(["flowchart LR", *nodes, *links])


def _label(text: str | None) -> str:
    return f'|"{_escaped(text)}"|' if text else ""


def _escaped(text: str) -> str:
    for sign, code in _ESCAPES:
        text = text.replace(sign, code)
    return text


def _unescaped(text: str) -> str:
    for sign, code in reversed(_ESCAPES):
        text = text.replace(code, sign)
    return text
