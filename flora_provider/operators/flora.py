"""Start a generation. Cheap to import: the HTTP client is loaded when the task runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from flora_provider.api import checks
from flora_provider.glue.literals import Dict, Text, check_literals
from flora_provider.glue.own_params import OwnParams, mappable, renamed
from flora_provider.operators.base import RULES, FloraRunOperator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flora_provider.api.calls import Call


class FloraGenerateOperator(FloraRunOperator, metaclass=OwnParams):
    """Turn a prompt into an image, a video, audio or text; exactly once, whatever crashes.

        picture = FloraGenerateOperator(task_id="picture", type="image", prompt="A fern in the rain, {{ ds }}")
        done = FloraRunSensor(task_id="done", run_id=picture.output)

    Args:
        type: what to make: image, video, audio or text.
        prompt: not empty.
        workspace_id: `ws_…`, which is billed; None for the connection's.
        project_id: `prj_…`, of that workspace; None for the connection's.
        model: an endpoint id such as `t2i-flux-2-pro`; None for the workspace's default.
        params: of the model, as `FloraHook.list_models()` shows them; the attribute is named `model_params`, because
            Airflow keeps the DAG's params under `params`. FLORA ignores what it does not know, and bills all the same.
        callback_url: https; FLORA posts a signed webhook there when the run ends.
        kwargs: of `FloraRunOperator` and of every Airflow operator.

    Raises:
        FloraInputError: when the DAG is parsed, for literal values that cannot be right.
        AirflowFailException: no retry can help: bad input, 401, 402, 403, 404, a refused prompt.
        AirflowException: it may pass; the task's `retries` decide, and a retry finds a run that was already started.
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
        self.type = type
        self.prompt = prompt
        self.workspace_id: Any = workspace_id  # texts once Airflow has rendered them
        self.project_id: Any = project_id
        self.model = model
        self.model_params = model_params
        self.callback_url = callback_url
        place = {"workspace_id": workspace_id, "project_id": project_id}
        check_literals(self._members() | place, checks.GENERATION, task_id=self.task_id)

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """As for every operator; `params` are FLORA's here too."""
        rules = {**RULES, **checks.GENERATION}
        check_literals(kwargs, rules, task_id=kwargs.get("task_id", ""))
        return mappable(super().partial(**renamed(kwargs)), rules)

    def call(self) -> Call[Any]:
        """`POST /generate` with the rendered fields."""
        from flora_provider.api import calls

        return calls.generate(**self._members(), **self._place())

    def recovery(self) -> Mapping[str, Any]:
        """Runs of the same project, and of the same model where one is named."""
        from flora_provider.api import calls

        return {
            "candidates": calls.list_generations(**self._place()),
            "search_for": {"model_id": self.model} if self.model else {},
        }

    def project(self) -> str | None:
        """The project that the link leads to."""
        return str(self._place()["project_id"])

    def _members(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "prompt": self.prompt,
            "model": self.model,
            "params": self.model_params,
            "callback_url": self.callback_url,
        }

    def _place(self) -> dict[str, Any]:
        return self.hook.place(self.workspace_id, self.project_id)
