"""Reading `multipart/form-data`, as much of it as upload forms use."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message

from flora_provider.sandbox.http.request import Request
from flora_provider.sandbox.http.responses import invalid


@dataclass(frozen=True, slots=True)
class Part:
    """A field of a form; `file_name` is None unless the part is a file."""

    name: str
    content: bytes
    file_name: str | None
    content_type: str | None


def read_parts(request: Request) -> list[Part]:
    """Return the parts of a form in their order, which a signed upload prescribes, or refuse the body with a 400."""
    boundary = _parameters(request.headers.get("content-type", "")).get("boundary")
    if not boundary:
        raise invalid(("content-type", "Expected multipart/form-data with a boundary."))
    pieces = (b"\r\n" + request.content).split(b"\r\n--" + boundary.encode())
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):  # noqa: PLR2004 - what precedes the form, and its end
        raise invalid(("body", "The form has no end; was the upload cut off?"))
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, _, content = piece.partition(b"\r\n\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head.decode(errors="replace").splitlines())
    }
    disposition = _parameters(headers.get("content-disposition", ""))
    return Part(disposition.get("name", ""), content, disposition.get("filename"), headers.get("content-type"))


def _parameters(header: str) -> dict[str, str]:
    message = Message()
    message["content-type"] = header
    return {name: str(value) for name, value in message.get_params(failobj=[])[1:]}
