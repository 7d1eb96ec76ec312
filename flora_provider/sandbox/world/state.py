"""Everything the sandbox remembers: keys, workspaces, projects, runs."""

from __future__ import annotations

import hashlib
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flora_provider.sandbox.error_families import choose_error
from flora_provider.sandbox.http.paging import NewestFirst
from flora_provider.sandbox.http.responses import ApiError, not_found
from flora_provider.sandbox.settings import Settings
from flora_provider.sandbox.world.actions import Action
from flora_provider.sandbox.world.canvas import Canvas
from flora_provider.sandbox.world.catalog import Model, Technique
from flora_provider.sandbox.world.clock import Clock
from flora_provider.sandbox.world.outputs import planned
from flora_provider.sandbox.world.run_behavior import RunBehavior
from flora_provider.sandbox.world.runs import Run, RunRequest

Subject = Model | Technique | Action  # what a run is of

_FINAL = ("completed", "failed")
LATE_BILLS = 0.2
"""Share of runs whose bill comes `Settings.bill_lag` after their end."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace: what a key belongs to and what a run is billed to."""

    workspace_id: str
    name: str
    created_at: float


@dataclass(slots=True)
class Project:
    """A project of a workspace; `last_modified` (unix seconds) orders the list."""

    project_id: str
    workspace_id: str
    name: str
    created_at: float
    last_modified: float
    canvas: Canvas = field(default_factory=Canvas)

    def to_json(self) -> dict[str, Any]:
        """Return the contract's Project (2.0)."""
        return {
            "project_id": self.project_id,
            "workspace_id": self.workspace_id,
            "name": self.name,
            "origin": "api",
            "created_at": round(self.created_at * 1000),
            "last_modified": round(self.last_modified * 1000),
        }


class State:
    """The sandbox's memory.

    One account owns the API key and the first workspace. A second one owns the *foreign* workspace and project, so
    that what belongs to somebody else can be asked for.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self._numbers: Counter[str] = Counter()
        self.workspaces: dict[str, list[Workspace]] = {}
        self.projects: dict[str, Project] = {}
        self._folders: set[tuple[str, str]] = set()  # of projects, each with its workspace
        self.runs: dict[str, Run] = {}
        self._histories: defaultdict[tuple[str, str], list[Run]] = defaultdict(list)
        self._not_ended: list[Run] = []
        self._ended: Counter[str] = Counter()  # by status, of the others
        self.usd_billed = 0.0
        self.runs_billed = 0
        settings.api_key = settings.api_key or self.new_id("sk_test")
        settings.webhook_secret = settings.webhook_secret or self.new_id("whsec")
        self.workspace = self.add_workspace("Sandbox")
        self.project = self.add_project(self.workspace.workspace_id, "Airflow")
        self.foreign_workspace = self.add_workspace("Somebody else", owner="foreign")
        self.foreign_project = self.add_project(self.foreign_workspace.workspace_id, "Secret")

    def new_id(self, prefix: str) -> str:
        """Return the next id of a kind; which one it is depends on the seed and on how many came before."""
        self._numbers[prefix] += 1
        name = f"{self.settings.seed}/{prefix}/{self._numbers[prefix]}"
        return f"{prefix}_{hashlib.blake2b(name.encode(), digest_size=10).hexdigest()}"

    def add_workspace(self, name: str, owner: str = "own") -> Workspace:
        """Give an account another workspace; `own` is the account of the API key."""
        workspace = Workspace(self.new_id("ws"), name, self.clock.now())
        self.workspaces.setdefault(owner, []).append(workspace)
        return workspace

    def add_project(self, workspace_id: str, name: str) -> Project:
        """Create a project; names need not be unique."""
        now = self.clock.now()
        project = Project(self.new_id("prj"), workspace_id, name, now, now)
        self.projects[project.project_id] = project
        return project

    def add_folder(self, workspace_id: str) -> str:
        """Make a folder for projects, as people do in FLORA's app, and return its id."""
        folder_id = self.new_id("fld")
        self._folders.add((workspace_id, folder_id))
        return folder_id

    def require_folder(self, workspace_id: str, folder_id: str) -> None:
        """Refuse a folder that the workspace does not have."""
        if (workspace_id, folder_id) not in self._folders:
            raise not_found(f"Folder {folder_id}")

    def require_workspace(self, workspace_id: str) -> None:
        """Refuse a workspace that is not the key's, as if there were none."""
        if all(workspace.workspace_id != workspace_id for workspace in self.workspaces["own"]):
            raise not_found(f"Workspace {workspace_id}")

    def own_project(self, project_id: str) -> Project:
        """Return one of the key's projects; missing and forbidden are both 404 (contract, 2.1)."""
        project = self.projects.get(project_id)
        if project is None:
            raise not_found(f"Project {project_id}")
        self.require_workspace(project.workspace_id)
        return project

    def require_project(self, project_id: str, workspace_id: str) -> None:
        """Refuse a project outside the workspace, in FLORA's words (contract, 2.2)."""
        self.require_workspace(workspace_id)
        project = self.projects.get(project_id)
        if project is None or project.workspace_id != workspace_id:
            sentence = "Project does not belong to the specified workspace."
            raise ApiError(400, "input_validation_error", sentence, [("project_id", sentence)])

    def start_run(self, subject: Subject, request: RunRequest, behavior: RunBehavior, wait: float = 0.0) -> Run:
        """Start a run, which ends `wait` seconds later than usual, and bill it, unless its behavior is to fail."""
        run_id = self.new_id("run")
        behavior = self._decided(run_id, behavior)
        chance = random.Random(run_id)  # noqa: S311 - reproducible on purpose; the run's id already depends on the seed
        seconds = subject.seconds / self.settings.speed
        stated = behavior.estimated_seconds
        # The settled cost of a run may differ from its quote both ways (contract, 2.2).
        factor = chance.choice((1.0, 1.0, 0.8, 1.5)) if behavior.error_code is None else 0.0
        duration = behavior.seconds if behavior.seconds is not None else seconds * chance.uniform(0.7, 1.3)
        # The draw is the last, so that a lag changes nothing else of a seed's runs.
        if self.settings.bill_lag and chance.random() < LATE_BILLS:
            behavior = replace(behavior, cost_lag=max(behavior.cost_lag, self.settings.bill_lag / self.settings.speed))
        quote = subject.usd(request.params)
        run = Run(
            run_id=run_id,
            run_type=subject.run_type,
            subject=subject.id,
            name=subject.name,
            request=request,
            created_at=self.clock.now(),
            seconds=math.inf if behavior.never_ends else wait + duration,
            estimated_seconds=None if behavior.no_estimate else max(1, round(seconds)) if stated is None else stated,
            quote=quote,
            settled=round(quote * factor, 6),
            behavior=behavior,
            outputs=planned(subject, request, behavior),
        )
        self._remember(run)
        return run

    def _decided(self, run_id: str, behavior: RunBehavior) -> RunBehavior:
        """Return the behavior with what the settings add, and the code of its error family."""
        settings = self.settings
        if settings.listing_delay:
            behavior = replace(behavior, listed_after=max(behavior.listed_after, settings.listing_delay))
        family = behavior.error_family
        if family is None and settings.failure_rate:
            chance = random.Random(f"{run_id}/failure_rate")  # noqa: S311 - reproducible on purpose
            family = settings.failure_family if chance.random() < settings.failure_rate else None
        if family is None or behavior.error_code is not None:
            return behavior
        code, message = choose_error(family, run_id)
        return replace(behavior, error_code=code, error_message=behavior.error_message or message)

    def _remember(self, run: Run) -> None:
        self.runs[run.run_id] = run
        self._not_ended.append(run)
        project_id = run.request.project_id
        self.projects[project_id].last_modified = run.created_at
        kind = "technique" if run.run_type == "technique" else "generation"
        for scope in ("", run.request.workspace_id, project_id, run.subject):
            self._histories[kind, scope].append(run)
        for scope in ("", project_id):
            self._histories["any", scope].append(run)
        if run.is_billed:
            self.runs_billed += 1
            self.usd_billed += run.settled

    def visible_run(self, run_id: str) -> Run:
        """Return one of the key's runs, or refuse with a 404."""
        run = self.runs.get(run_id)
        if run is None or not run.is_visible(self.clock.now()):
            raise not_found(f"Run {run_id}")
        return run

    def history(self, kind: str, filters: dict[str, str]) -> tuple[Sequence[Run], Callable[[Run], bool]]:
        """Return the runs of a history list, newest first, and which of them match all its filters.

        The list `generation` has actions too (contract, 2.4), another is `technique`; `any` is the page's, and has
        the runs that FLORA does not list yet, too. Filters: `workspace_id`, `project_id`, `technique_id`, `status`.
        """
        now = self.clock.now()
        # The narrowest list that is kept: a page of 100,000 waiting runs is then as quick as one of a hundred.
        scope = next((filters[name] for name in ("technique_id", "project_id", "workspace_id") if name in filters), "")
        workspace_id, project_id, status = map(filters.get, ("workspace_id", "project_id", "status"))

        def keep(run: Run) -> bool:
            return (
                (kind == "any" or run.is_listed(now))
                and workspace_id in (None, run.request.workspace_id)
                and project_id in (None, run.request.project_id)
                and (status is None or status == run.status(now))
            )

        return NewestFirst(self._histories.get((kind, scope), [])), keep

    def count_by_status(self) -> dict[str, int]:
        """Return how many runs are in which state now."""
        now = self.clock.now()
        # What has ended is counted once: the page asks every second, and there may be 100,000.
        statuses = [(run, run.status(now)) for run in self._not_ended]
        self._ended.update(status for _, status in statuses if status in _FINAL)
        statuses = [(run, status) for run, status in statuses if status not in _FINAL]
        self._not_ended = [run for run, _ in statuses]
        counts = self._ended + Counter(status for _, status in statuses)
        return {status: counts[status] for status in ("pending", "running", *_FINAL)}
