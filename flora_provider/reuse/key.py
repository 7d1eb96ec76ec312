"""When two requests are the same one, so that the files of the first will do for the second. Pure.

What a file holds counts where it is known: a saved output's hash, an uploaded file's hash, an asset's id. Any other
address counts as it stands, without what signs it, for that is new each time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from flora_provider.api.calls.base import canonical_json
from flora_provider.catalog.values import is_list, is_result

_ADDRESS = re.compile(r"https?://\S+")
# What signs an address, by the member that says so: S3 and Google Cloud Storage, these two in their old way and
# CloudFront, Azure. A member without that one counts: a request that is taken for another one costs money, one that is
# taken for the same gives a wrong picture.
_SIGNATURES = {
    "x-amz-signature": re.compile("x-amz-.+"),
    "x-goog-signature": re.compile("x-goog-.+"),
    "signature": re.compile("signature|expires|policy|key-pair-id|awsaccesskeyid|googleaccessid"),
    "sig": re.compile("sig|se|st|sp|spr|sv|sr|sip|skoid|sktid|skt|ske|sks|skv"),
}


def reuse_key(asked: Mapping[str, Any]) -> str:
    """64 hexadecimal digits, equal for equal requests.

    Args:
        asked: what makes the result what it is: kind, prompt, model, parameters, inputs. No workspace, no project, no
            key and no callback, which change nothing about it. A member of None, or empty, counts as absent.

    Raises:
        FloraInputError: it is no JSON value.
    """
    present = {name: _canonical(value) for name, value in asked.items() if value not in (None, {}, [], "")}
    return hashlib.sha256(canonical_json(present)).hexdigest()


def named_members(name: str, members: Mapping[str, Any] | None) -> dict[str, Any]:
    """The members of parameters or inputs, each under a name of its own.

    As one value, parameters that happen to be called `asset_id` or `url` would look like an asset or an output, and
    nothing else of them would count.
    """
    return {f"{name}.{member}": value for member, value in (members or {}).items()}


def _canonical(value: Any) -> Any:
    if is_result(value):
        return _content(value)
    if isinstance(value, Mapping):
        return {str(name): _canonical(member) for name, member in value.items()}
    if is_list(value):
        return [_canonical(item) for item in value]
    return _unsigned(value) if isinstance(value, str) else value


def _content(value: Any) -> Any:
    """What a run, an output or an asset holds; of a run with one output, that output."""
    row = value if isinstance(value, Mapping) else value.to_dict() if hasattr(value, "to_dict") else vars(value)
    if is_list(outputs := row.get("outputs")):
        files = [file for file in row.get("files") or () if isinstance(file, Mapping)]
        hashes = {file.get("output_id"): file["sha256"] for file in files if isinstance(file.get("sha256"), str)}
        found = [_canonical(_with_hash(output, hashes)) for output in outputs]
        return found[0] if len(found) == 1 else found
    if isinstance(row.get("sha256"), str):
        return {"sha256": row["sha256"]}
    if isinstance(row.get("text"), str):
        return row["text"]
    if "output_id" not in row and isinstance(row.get("asset_id"), str):
        return {"asset_id": row["asset_id"]}
    address = row.get("url")
    return _unsigned(address) if isinstance(address, str) else {str(name): row[name] for name in row}


def _with_hash(output: Any, hashes: Mapping[Any, str]) -> Any:
    """An output with the hash of its file, where that is known."""
    sha256 = hashes.get(output.get("output_id")) if isinstance(output, Mapping) else None
    return {**output, "sha256": sha256} if sha256 else output


def _unsigned(text: str) -> str:
    """An address without what signs it; any other text as it is."""
    if "?" not in text or not _ADDRESS.fullmatch(text):
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return text
    query = parse_qsl(parts.query, keep_blank_values=True)
    signs = [_SIGNATURES[name.lower()] for name, _ in query if name.lower() in _SIGNATURES]
    kept = [(name, value) for name, value in query if not any(sign.fullmatch(name.lower()) for sign in signs)]
    return parts._replace(query=urlencode(kept), fragment="").geturl()
