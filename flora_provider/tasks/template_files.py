"""Prompts and model_params that are kept in files: which text names a file, and what is read from one.

Airflow's `template_ext` would take every text of a task that ends with `.md` for a file's name, an address too, and a
prompt about a file. Here a name has no spaces, no Jinja and no scheme, and only two parameters may be files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeGuard

from flora_provider.tasks.parse_checks import is_literal

if TYPE_CHECKING:
    import jinja2

EXTENSIONS = (".md", ".txt", ".j2", ".json", ".yaml", ".yml")
DATA_EXTENSIONS = (".json", ".yaml", ".yml", ".j2")
"""Of files that hold members and values; with `.j2` as in `params.yaml.j2`."""


def names_file(value: object, extensions: tuple[str, ...] = EXTENSIONS) -> TypeGuard[str]:
    """Whether this text is the name of a file."""
    is_word = isinstance(value, str) and re.fullmatch(r"\S+", value) and "://" not in value
    return bool(is_word) and is_literal(value) and str(value).endswith(extensions)


def source_of(name: str, environment: jinja2.Environment) -> str:
    """What a file holds, without the line break at its end.

    Args:
        name: relative to the DAG's file, or to a folder of the DAG's `template_searchpath`.
        environment: the DAG's.

    Raises:
        LookupError: there is no such file, or it cannot be read; with the folders that were searched.
    """
    import jinja2

    if environment.loader is None:
        raise LookupError("a task without a DAG has no folder to search")
    try:
        return environment.loader.get_source(environment, name)[0].removesuffix("\n")
    except jinja2.TemplateNotFound:
        folders = ", ".join(map(str, getattr(environment.loader, "searchpath", ()))) or "no folder"
        raise LookupError(f"it is in none of the folders that are searched: {folders}") from None
    except (OSError, UnicodeError) as error:
        raise LookupError(f"it cannot be read: {type(error).__name__}") from None


def parsed(text: Any) -> Any:
    """What a rendered JSON or YAML text says.

    Raises:
        LookupError: it is neither.
    """
    import yaml

    if not isinstance(text, str):
        return text
    try:
        return yaml.safe_load(text)  # JSON is YAML
    except yaml.YAMLError as error:
        at = getattr(error, "problem_mark", None)
        where = f" in line {at.line + 1}" if at else ""
        raise LookupError(
            f"it is no JSON or YAML{where}: {getattr(error, 'problem', None) or 'it breaks off'}"
        ) from None
