"""What may be an input of a run: a text, an address, an output of a finished run, the run itself, or an asset."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeGuard, cast

from flora_provider.api.errors import FloraInputError
from flora_provider.api.models import Asset, FileOutput, FloraModel, Run, TextOutput
from flora_provider.api.text import is_rendered_none
from flora_provider.api.urls import host_to_connect
from flora_provider.catalog.messages import NATIVE_HINT, safe_repr

Kind: TypeAlias = Literal["image", "video", "audio", "text", "document"]

KINDS = ("image", "video", "audio", "text", "document")
_MODELS = (TextOutput, FileOutput, Run, Asset)
_RUN_ID = re.compile(r"run_\w+")
_WAIT = "wait for the run (wait_for_completion=True, or a FloraRunSensor) and give its output"


@dataclass(frozen=True, slots=True)
class InputValue:
    """A value as FLORA takes it.

    Attributes:
        kind: image, video, audio, text or document; None for a plain text, which may be an address as well.
        value: the text, or the address of the file.
    """

    kind: Kind | None
    value: str = field(repr=False)


def kind_of(type_name: object) -> Kind | None:
    """The kind that a type of FLORA's means (`imageUrl`, `image`, `IMAGE_URL`, `text`, …); None for one unknown."""
    name = re.sub("_?url$", "", type_name.lower()) if isinstance(type_name, str) else ""
    return cast("Kind", name) if name in KINDS else None


def kind_of_media_type(media_type: object) -> Kind | None:
    """The kind of a file by its media type such as `image/png`; None for one that no slot takes."""
    main = media_type.partition("/")[0].lower() if isinstance(media_type, str) else ""
    if main in ("image", "video", "audio"):
        return cast("Kind", main)
    is_document = isinstance(media_type, str) and media_type.lower().startswith(("application/pdf", "text/"))
    return "document" if is_document else None


def is_list(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether these are several values, also those of a mapped task."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def is_result(value: object) -> bool:
    """Whether this is an output, a run or an asset, and not a mapping that means something else."""
    if isinstance(value, _MODELS):
        return True
    if not isinstance(value, Mapping):
        return False
    if is_list(value.get("outputs")):
        return True
    if isinstance(value.get("url"), str) or isinstance(value.get("text"), str):
        return kind_of(value.get("type")) is not None or "asset_id" in value or "output_id" in value
    return any(isinstance(value.get(name), str) for name in ("asset_id", "run_id"))


def as_input(value: object, *, name: str = "the input", kind: Kind | None = None) -> InputValue:
    """Read a value that is to be an input.

    Args:
        value: a text or an address; an output of a finished run (a mapping with `url` or `text`, or the object); an
            asset; or a finished run with exactly one output, or exactly one of the wanted kind.
        name: of the parameter, for messages.
        kind: what is wanted; None for anything. A value of another kind is returned all the same.

    Raises:
        FloraInputError: it is none of these, or not ready yet.
    """
    if isinstance(value, str):
        problem = _text_problem(value, name=name, kind=kind)
        return _refuse(problem) if problem else InputValue(None, value)
    row = _to_mapping(value)
    if row is None:
        what = "several values, but one is wanted here" if is_list(value) else "no input"
        return _refuse(
            f"{name} is {safe_repr(value)}, which is {what}: give a text or an address, an output of a finished run, "
            "or an asset"
        )
    if is_list(outputs := row.get("outputs")):
        return _of_run(row, outputs, name=name, kind=kind)
    if "asset_id" in row and "output_id" not in row:
        return _of_asset(row, name=name)
    return _of_output(row, name=name)


def address_problem(name: str, value: object) -> str | None:
    """What is wrong with the address of a file that FLORA is to fetch; its query, which may be signed, is not shown.

    Plain http is accepted for this machine only, where the sandbox is.
    """
    if isinstance(value, str) and re.fullmatch(r"\S+", value) and host_to_connect(value):
        return None
    if isinstance(value, str) and "://" in value:
        seen = re.match(r"([\w+.-]{1,20}://)(?:[^\s/?#]*@)?([^\s/?#@]{0,80})", value.strip())
        what = f"{seen[1]}{seen[2]}/…" if seen else "no address"
        return f"{name} is {what}: FLORA fetches only https:// addresses without a user or spaces"
    hint = f" ({NATIVE_HINT})" if isinstance(value, str) and value.lstrip()[:1] in ("{", "[") else ""
    return (
        f"{name} is {safe_repr(value)}, which is no address: give an https:// address, an output of a finished run, or "
        f"an asset; upload a local file first (ObjectStorageToFloraOperator){hint}"
    )


def _refuse(problem: str) -> InputValue:
    raise FloraInputError([problem])


def _text_problem(value: str, *, name: str, kind: Kind | None) -> str | None:
    if kind not in (None, "text") and _RUN_ID.fullmatch(value.strip()):
        return f"{name} is {safe_repr(value)}: it is a run's id, not its output: {_WAIT}"
    if is_rendered_none(value):
        return f"{name} is {safe_repr(value)}: see that the value exists, or leave it out"
    return None


def _to_mapping(value: object) -> Mapping[Any, Any] | None:
    if isinstance(value, Run):
        return cast("Mapping[Any, Any]", value.to_dict())
    if isinstance(value, FloraModel):
        return {member: getattr(value, member) for member in type(value).model_fields}
    return value if isinstance(value, Mapping) else None


def _of_run(run: Mapping[Any, Any], outputs: Sequence[Any], *, name: str, kind: Kind | None) -> InputValue:
    run_id = run.get("run_id")
    label = f"run {run_id}"[:100] if isinstance(run_id, str) else "a run"
    status = run.get("status")
    if isinstance(status, str) and status != "completed":
        failed = status == "failed"
        return _refuse(f"{name} is {label}, which is {safe_repr(str(status))}: {'give another' if failed else _WAIT}")
    some = [_of_output(output, name=f"{name} ({label})") for output in map(_to_mapping, outputs) if output is not None]
    if len(some) == 1:
        return some[0]
    if kind is not None and len(fitting := [it for it in some if it.kind == kind]) == 1:
        return fitting[0]
    if not some:
        return _refuse(f"{name} is {label}, which has no output: give another")
    found = ", ".join(str(it.kind or "unknown") for it in some[:20])
    return _refuse(
        f"{name} is {label}, which has {len(some)} outputs ({found}): give one of them, as in "
        "{{ ti.xcom_pull('task')['outputs'][0]['url'] }}"
    )


def _of_asset(asset: Mapping[Any, Any], *, name: str) -> InputValue:
    status, url = asset.get("status"), asset.get("url")
    label = f"asset {safe_repr(asset.get('asset_id'))}"
    if isinstance(status, str) and status != Asset.READY:
        return _refuse(f"{name} is {label}, which is {safe_repr(status)}: wait until it is 'ready'")
    if not (isinstance(url, str) and url):
        return _refuse(f"{name} is {label} without an address: give one that is ready, as get_asset shows it")
    return InputValue(kind_of_media_type(asset.get("content_type")) or kind_of(asset.get("type")), url)


def _of_output(row: Mapping[Any, Any], *, name: str) -> InputValue:
    kind, url, text = kind_of(row.get("type")), row.get("url"), row.get("text")
    if kind == "text" or (kind is None and not isinstance(url, str)):
        written = text if isinstance(text, str) else url
        if isinstance(written, str):
            return InputValue("text", written)
    elif isinstance(url, str) and url:
        return InputValue(kind, url)
    if is_list(row.get("files")):
        return _refuse(
            f"{name} is a manifest of saved files, which FLORA cannot read: give the run's output, or upload the file "
            "with ObjectStorageToFloraOperator"
        )
    if isinstance(row.get("run_id"), str) and "output_id" not in row:
        return _refuse(f"{name} is run {safe_repr(row['run_id'])} without outputs: {_WAIT}")
    members = ", ".join(safe_repr(member) for member in list(row)[:8]) or "nothing"
    return _refuse(f"{name} is a dict of {members}: give an output of a finished run ({{type, url}} or {{type, text}})")
