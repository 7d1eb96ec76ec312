"""The outputs of a finished run as tasks pass them on: what is wrong with them, and their content as a file. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flora_provider.api import validation
from flora_provider.api.errors import FloraInputError
from flora_provider.api.files.naming import safe_stem
from flora_provider.api.text import short_repr

DEFAULT_NAME = "{run_id}-{output_id}{ext}"
_FIELDS = ("run_id", "output_id", "index", "type")


def output_problems(output: object) -> list[str]:
    """What is wrong with this as one of a finished run's outputs."""
    if not isinstance(output, Mapping) or not output.keys() >= {"run_id", "output_id"}:
        return ["give one of the outputs of a finished run, as wait_for_run and the sensor return it"]
    found = validation.problems(
        (f"the output's {name}", output[name], validation.non_empty_text) for name in ("run_id", "output_id")
    )
    if "text" in output:
        return found + validation.problems([("the output's text", output["text"], validation.any_string)])
    if "url" in output:
        return found + validation.problems([("the output's url", output["url"], _address)])
    return [*found, "the output has neither url nor text: give it as the finished run holds it"]


def run_problems(run: object) -> list[str]:
    """What is wrong with this as a finished run whose outputs can be saved."""
    if not isinstance(run, Mapping) or not isinstance(run.get("outputs"), list | tuple):
        return [f"the run is {short_repr(run)}: give a finished run, as wait_for_run and the sensor return it"]
    found = validation.problems([("the run's run_id", run.get("run_id"), validation.non_empty_text)])
    if run.get("status") != "completed":
        found.append(f"the run's status is {short_repr(run.get('status'))}: only a completed run has files")
    return found + [problem for output in run["outputs"] for problem in output_problems(output)]


def name_problem(name: str, value: object) -> str | None:
    """What is wrong with this as the template of a file's name; a check as in `api.validation`."""
    if (problem := validation.single_line(name, value)) or not isinstance(value, str):
        return problem
    remedy = f"give a name such as {DEFAULT_NAME!r}"
    if "/" in value or "\\" in value:
        return f"{name} is {short_repr(value)}: {remedy}, without folders, which belong to the destination"
    fields = re.findall(r"\{([^{}]*)\}", value)
    if unknown := sorted(set(fields) - {*_FIELDS, "ext"}):
        return f"{name} is {short_repr(value)}, but {', '.join(unknown)} is unknown: use {', '.join(_FIELDS)} and ext"
    if re.search(r"[{}]", re.sub(r"\{[^{}]*\}", "", value)):
        return f"{name} is {short_repr(value)}, in which a brace is alone: {remedy}"
    if "{ext}" in value.removesuffix("{ext}"):
        return f"{name} is {short_repr(value)}: {{ext}}, which comes from a file's type, stands at the end: {remedy}"
    return None


def file_stems(template: str, run_id: str, outputs: Sequence[Mapping[str, Any]], *, taken: str) -> list[str]:
    """What each output's file is called, without its ending: safe names, no two of which are the same.

    Args:
        template: of which nothing is wrong, as `name_problem` says.
        run_id: the run.
        outputs: its outputs; where their names are the same, the later ones end with their index.
        taken: a name that is none of theirs, without its ending.
    """
    template, stems = template.removesuffix("{ext}"), [taken]
    for index, output in enumerate(outputs):
        values = {"run_id": run_id, "output_id": output["output_id"], "index": index, "type": output.get("type", "")}
        stem = re.sub(r"\{(\w+)\}", lambda field, values=values: str(values[field[1]]), template)  # type: ignore[misc]
        safe, number = safe_stem(stem), index
        while safe in stems:
            safe, number = safe_stem(f"{stem}-{number}"), number + 1
        stems.append(safe)
    return stems[1:]


def text_content(output: Mapping[str, Any]) -> bytes:
    """A text output as UTF-8; half a surrogate pair, which has none, becomes a question mark."""
    text: str = output["text"]
    return text.encode(errors="replace")


def technique_of(run: Mapping[str, Any]) -> str | None:
    """The technique whose nested route shows the run, if its dict says so."""
    technique = run.get("technique")
    if technique is not None and (problem := validation.slug_or_id("the run's technique", technique)):
        raise FloraInputError(problem)
    return technique


def _address(name: str, value: object) -> str | None:
    """Text; what else stands there is not shown, for an address may be signed."""
    return None if isinstance(value, str) and value else f"{name} is no address, but of type {type(value).__name__}"
