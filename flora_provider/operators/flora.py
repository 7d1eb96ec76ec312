"""Operator that starts a generation. Cheap to import: the HTTP client is loaded when the task runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from flora_provider.api import validation
from flora_provider.operators.base import RULES, FloraRunOperator
from flora_provider.tasks.parse_checks import Dict, Text

if TYPE_CHECKING:
    from flora_provider.api.calls import Call


# FLORA's `params` are `model_params` here, for Airflow gives every task `params` of its own.
_RULES: Mapping[str, validation.Check] = {
    "model_params" if name == "params" else name: rule for name, rule in validation.GENERATION.items()
}


class FloraGenerateOperator(FloraRunOperator):
    """Turn a prompt into an image, a video, audio or text; exactly once, whatever crashes.

        picture = FloraGenerateOperator(task_id="picture", type="image", prompt="A fern in the rain, {{ ds }}")
        done = FloraRunSensor(task_id="done", run_id=picture.output)

    Args:
        type: what to make: image, video, audio or text.
        prompt: not empty.
        workspace_id: `ws_…`, which is billed; None for the connection's.
        project_id: `prj_…`, of that workspace; None for the connection's.
        model: an endpoint id such as `t2i-flux-2-pro`; None for the workspace's default.
        model_params: parameters of the model, as `FloraHook.list_models()` shows them. FLORA ignores what it does not
            know, and bills all the same. Airflow's `params` are not sent.
        callback_url: https; FLORA posts a signed webhook there when the run ends.
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
        model_params: Dict | None = None,
        callback_url: Text | None = None,
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
        self.refuse_literals(_RULES)

    def call(self) -> Call[Any]:
        """`POST /generate` with the rendered fields."""
        from flora_provider.api import calls

        return calls.generate(
            type=self.type,
            prompt=self.prompt,
            model=self.model,
            params=self.model_params,
            callback_url=self.callback_url,
            **self._scope(),
        )

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

    def _scope(self) -> dict[str, Any]:
        return self.hook.scope(self.workspace_id, self.project_id)
