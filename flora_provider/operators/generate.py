"""Operator that starts a generation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from flora_provider.api import validation
from flora_provider.api.text import short_repr
from flora_provider.operators.base import FloraRunOperator
from flora_provider.operators.rules import RULES
from flora_provider.tasks.parse_checks import Dict, Text, refuse_at_parse, unawaited
from flora_provider.tasks.template_files import DATA_EXTENSIONS, EXTENSIONS, names_file

if TYPE_CHECKING:
    from flora_provider.api.calls import Call
    from flora_provider.api.http.flow import Flow, FlowContext
    from flora_provider.api.models import Model
    from flora_provider.runs.moderation import NewSeeds

_MAX_MODERATION_RETRIES = 10


def _names(name: str, value: object) -> str | None:
    """A list of names; a text would count as the list of its characters."""
    if isinstance(value, list | tuple | set | frozenset) and all(isinstance(item, str) and item for item in value):
        return None
    return f"{name} is {short_repr(value)}: give a list of names"


def _params_or_file(name: str, value: object) -> str | None:
    """The parameters, or the name of a file that holds them."""
    if names_file(value, DATA_EXTENSIONS) or (problem := validation.mapping(name, value)) is None:
        return None
    return f"{problem}, or the name of a .json or .yaml file"


def _moderation_retries(name: str, value: object) -> str | None:
    """How many runs may follow one that moderation has refused."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MAX_MODERATION_RETRIES:
        return None
    return f"{name} is {short_repr(value)}: give a whole number from 1 to {_MAX_MODERATION_RETRIES}"


# FLORA's `params` are `model_params` here, for Airflow gives every task `params` of its own.
_RULES: Mapping[str, validation.Check] = {
    "model_params" if name == "params" else name: rule for name, rule in validation.GENERATION.items()
} | {
    "model_params": _params_or_file,
    "validate_params": validation.boolean,
    "allow_model_params": _names,
    "on_moderated": validation.one_of("fail", "new_seed"),
    "moderation_retries": _moderation_retries,
}


class FloraGenerateOperator(FloraRunOperator):
    """Turn a prompt into an image, a video, audio or text; exactly once, whatever crashes.

        picture = FloraGenerateOperator(task_id="picture", type="image", prompt="A fern in the rain, {{ ds }}")
        done = FloraRunSensor(task_id="done", run_id=picture.output)

    Args:
        type: what to make: image, video, audio or text.
        prompt: not empty; or the name of a file that holds it, relative to the DAG's file or to its
            `template_searchpath`: `.md`, `.txt`, `.j2`, … A text with a space in it is no name.
        workspace_id: `ws_…`, which is billed; None for the connection's.
        project_id: `prj_…`, of that workspace; None for the connection's.
        model: an endpoint id such as `t2i-flux-2-pro`; None for the workspace's default.
        model_params: parameters of the model, as `FloraHook.list_models()` shows them. For the media that a model works
            on (`image_url`, `image_urls`, `video_urls`), a finished run, one of its outputs, or an asset will do, as
            operators, sensors and hooks return them. Or the name of a `.json` or `.yaml` file that holds all of them.
            Airflow's `params` are not sent.
        callback_url: https; FLORA posts a signed webhook there when the run ends.
        validate_params: check `model` and `model_params` against FLORA's catalog before anything is sent, for FLORA
            ignores what it does not know, and bills all the same. Default True. If FLORA does not give its catalog just
            now, the log says so, and the run is started unchecked.
        allow_model_params: names of parameters that pass although the catalog does not know them.
        on_moderated: what to do when moderation has refused the run, its prompt or its output. `fail` (default): fail
            for good. `new_seed`: start another run with another seed, which is derived from the task, at once and in
            the same try; the seed in `model_params`, or none, is the first. Only with `wait_for_completion`, and with a
            `model` that has a seed in FLORA's catalog, which is asked before anything is sent; if it cannot be had,
            the task's `retries` decide. `timeout`, `max_cost_usd` and `budget` count for each run.
        moderation_retries: how many runs may follow the first one, from 1 to 10. Default 3. XCom `request`, the result
            and the manifest name those that were refused: `moderated`, each with `run_id`, `seed`, `code` and
            `charged_cost_usd`. With `reuse_from`, a run in place of a seed that you gave is not kept.
        kwargs: of `FloraRunOperator` and of every Airflow operator.

    Raises:
        FloraInputError: when the DAG is parsed, for literal values that cannot be right, and for `params` that the DAG
            does not declare.
        AirflowFailException: no retry can help: bad input, 400, 402, 403, 404, 409, 422, a refused prompt, a run whose
            id was lost and that was not found again (`RunOutcomeUnknown`), a changed request (`on_changed_request`).
        AirflowException: it may pass (401, 429, 5xx, a broken connection, a wait that FLORA refused for minutes:
            `WaitRefused`); the task's `retries` decide, and a retry finds a run that was already started.
    """

    template_fields: Sequence[str] = (
        "type",
        "prompt",
        "workspace_id",
        "project_id",
        "model",
        "model_params",
        "callback_url",
        *FloraRunOperator.template_fields,
    )
    template_ext: Sequence[str] = EXTENSIONS
    file_fields: ClassVar[frozenset[str]] = frozenset({"prompt", "model_params"})
    rules: ClassVar[Mapping[str, validation.Check]] = {**RULES, **_RULES}
    template_fields_renderers: ClassVar[dict[str, str]] = {"prompt": "md", "model_params": "json"}

    def __init__(
        self,
        *,
        type: Text,  # noqa: A002 - FLORA's own name for it
        prompt: Text,
        workspace_id: Text | None = None,
        project_id: Text | None = None,
        model: Text | None = None,
        model_params: Dict | str | None = None,
        callback_url: Text | None = None,
        validate_params: bool = True,
        allow_model_params: Collection[str] = (),
        on_moderated: Literal["fail", "new_seed"] = "fail",
        moderation_retries: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.type: Any = type  # texts once Airflow has rendered them
        self.prompt: Any = prompt
        self.workspace_id: Any = workspace_id
        self.project_id: Any = project_id
        self.model: Any = model
        self.model_params: Any = model_params
        self.callback_url: Any = callback_url
        self.validate_params = validate_params
        self.allow_model_params = allow_model_params
        self.on_moderated = on_moderated
        self.moderation_retries = moderation_retries
        self.refuse_literals(_RULES)
        if not self.is_mapped_instance:
            refuse_at_parse(unawaited(self), self.task_id)

    def call(self) -> Call[Any]:
        """`POST /generate` with the rendered fields."""
        from flora_provider.api import calls

        return calls.generate(
            type=self.type,
            prompt=self.prompt,
            model=self.model,
            params=self._params(),
            callback_url=self.callback_url,
            **self._scope(),
        )

    def check(self, context: FlowContext) -> Flow[list[str]]:
        """What is wrong with model and model_params, by FLORA's catalog."""
        from flora_provider.catalog.lookup import account_of, checked, model_lookup
        from flora_provider.catalog.model_params import param_problems

        params = self._params() or {}
        if not self.validate_params or (self.model is None and not params):
            return []

        def judge(models: tuple[Model, ...] | None) -> tuple[None, list[str]]:
            asked: dict[str, Any] = {"type": self.type, "model": self.model, "params": params}
            return None, param_problems(models or (), allowed=self.allow_model_params, **asked)

        return (yield from checked(model_lookup(), judge, context, account_of(self.hook.settings)))[1]

    def refusals(self, context: FlowContext) -> Flow[list[str]]:
        """As of every run; and why the model has no other seeds, if they may be needed."""
        found = yield from super().refusals(context)
        seeds = None if found else self.new_seeds()
        return found if seeds is None else (yield from seeds.find(context))[1]

    def new_seeds(self) -> NewSeeds | None:
        """Seeds of the model, as many as the author allows."""
        if self.on_moderated == "fail":
            return None
        from flora_provider.catalog.lookup import account_of
        from flora_provider.catalog.seeds import find_seed
        from flora_provider.runs.moderation import NewSeeds

        account = account_of(self.hook.settings)
        return NewSeeds(limit=self.moderation_retries, find=lambda context: find_seed(self.model, context, account))

    def price(self, context: FlowContext) -> Flow[tuple[str, float | None]]:
        """What the model costs; nobody says which one is the workspace's default."""
        from flora_provider.catalog.lookup import account_of, models
        from flora_provider.catalog.prices import price_of_model, require

        if self.model is None:
            return "the workspace's default model", None
        subject, offered = f"model {self.model}", (yield from models(context, account_of(self.hook.settings)))
        return subject, price_of_model(require(offered, subject), self.model)

    def asked(self) -> dict[str, Any]:
        """Prompt, model and parameters."""
        from flora_provider.reuse.key import named_members

        asked = {"type": self.type, "prompt": self.prompt, "model": self.model}
        return {"kind": "generation", **asked, **named_members("params", self.model_params)}

    def describe(self) -> dict[str, Any]:
        """What was asked for."""
        return {
            "kind": "generation",
            "type": self.type,
            "prompt": self.prompt,
            "model": self.model,
            "model_params": self._params(),
            **self._scope(),
        }

    def recovery(self) -> Mapping[str, Any]:
        """Runs of the same project, and of the same model where one is named."""
        from flora_provider.api import calls

        return {
            "candidates": calls.list_generations(**self._scope()),
            "search_for": {"model_id": self.model} if self.model else {},
        }

    def project(self) -> str | None:
        """The project that the link leads to."""
        return str(self._scope()["project_id"])

    def _params(self) -> dict[str, Any] | None:
        """The model's parameters; outputs of other runs by their addresses."""
        from flora_provider.catalog.model_params import resolve_params

        return None if self.model_params is None else resolve_params(self.model_params)

    def _scope(self) -> dict[str, Any]:
        return self.hook.scope(self.workspace_id, self.project_id)
