"""What the key of a connection may use: its workspaces, their projects, and whether the connection names such."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from flora_provider.api import calls
from flora_provider.api.errors import FloraInputError, FloraNotFoundError, FloraPermissionError, FloraRequestError
from flora_provider.api.text import one_line, short_repr
from flora_provider.hooks.base import ConnectedHook, existing
from flora_provider.hooks.connection import LIST_COMMAND, Defaults, read_connection, without_name

if TYPE_CHECKING:
    from flora_provider.api.client import FloraClient
    from flora_provider.api.models import Project, Workspace
    from flora_provider.api.settings import Settings

# The Test button's message is gone after seconds, so it holds what one can read by then.
MAX_WORKSPACES = 3
MAX_PROJECTS = 5
MAX_NAME = 40  # characters

# FLORA's ways to say that there is no such thing for this key: another's, none, and no id at all.
_UNSEEN = (FloraNotFoundError, FloraPermissionError, FloraRequestError)


def read_without_ids(hook: ConnectedHook) -> tuple[Settings, Defaults, list[str]]:
    """A connection, and what is wrong with the ids in it, which are then left out: FLORA can say which there are.

    Raises:
        FloraInputError: something else of it cannot be right.
        ConnectionNotRead: see there.
    """
    try:
        return hook.settings, hook.defaults, []
    except FloraInputError as error:
        with existing(hook.flora_conn_id):
            connection = hook.get_connection(hook.flora_conn_id)
            extra = connection.extra_dejson
        if not isinstance(extra, Mapping):
            raise
        others = {name: value for name, value in extra.items() if name not in Defaults._fields}
        try:
            settings, defaults = read_connection(connection, others)
        except FloraInputError:
            raise error from None
        return settings, defaults, list(without_name(error, hook.flora_conn_id).problems)


def examine(client: FloraClient, defaults: Defaults, problems: Sequence[str] = ()) -> tuple[bool, str]:
    """Whether tasks can use a connection, and why not, or what there is.

    Args:
        client: has the key.
        defaults: what the connection's extra names.
        problems: what is wrong with the connection already.

    Raises:
        FloraError: the key is refused, or FLORA cannot be reached.
    """
    workspaces = client.send(calls.list_workspaces())
    problems = [*problems, *default_problems(client, defaults, workspaces)]
    found = f"Workspaces and projects: {summary(client, workspaces)}. To list all: {LIST_COMMAND}"
    if problems:
        return False, f"FLORA accepts the key, but: {'; '.join(problems)}. {found}"
    return True, f"FLORA accepts the key. {found}"


def default_problems(client: FloraClient, defaults: Defaults, workspaces: Iterable[Workspace]) -> list[str]:
    """Why tasks that name no workspace and project would be refused; asks FLORA for the project, if there is one.

    Args:
        client: has the key.
        defaults: what the connection's extra names.
        workspaces: those of the key.
    """
    found = []
    named = defaults.workspace_id
    if named and named not in {workspace.workspace_id for workspace in workspaces}:
        found.append(f"the key sees no workspace {short_repr(named)}, which the extra's workspace_id names")
    if defaults.project_id:
        project = short_repr(defaults.project_id)
        try:
            owner = client.send(calls.get_project(defaults.project_id)).workspace_id
        except _UNSEEN:
            found.append(f"the key sees no project {project}, which the extra's project_id names")
        else:
            if named and owner != named:
                owner, named = short_repr(owner), short_repr(named)
                found.append(f"project {project} of the extra belongs to workspace {owner}, not to {named}")
    return found


def summary(client: FloraClient, workspaces: Sequence[Workspace]) -> str:
    """The workspaces and the projects that were used last, with ids, as short as a message has to be."""
    parts = [f"{label(workspace)}: {_projects(client, workspace)}" for workspace in workspaces[:MAX_WORKSPACES]]
    if (more := len(workspaces) - MAX_WORKSPACES) > 0:
        parts.append(f"and {more} more")
    return "; ".join(parts) or "none"


def label(item: Workspace | Project) -> str:
    """Name and id of one, on one line."""
    name, item_id = one_line(item.name, MAX_NAME), one_line(getattr(item, "project_id", item.workspace_id), MAX_NAME)
    return f"{name} ({item_id})" if name else item_id


def _projects(client: FloraClient, workspace: Workspace) -> str:
    call = calls.list_projects(workspace_id=workspace.workspace_id, limit=MAX_PROJECTS + 1)
    try:
        found = list(client.items(call, max_items=MAX_PROJECTS + 1))
    except _UNSEEN as error:
        return f"projects not listed ({error.status})"
    labels = ", ".join(label(project) for project in found[:MAX_PROJECTS])
    return (labels or "no projects") + (", and more" if len(found) > MAX_PROJECTS else "")
