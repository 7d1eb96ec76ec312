"""Operator that runs a prebuilt action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from airflow.providers.common.compat.sdk import XComArg

from flora_provider.api import validation
from flora_provider.api.errors import FloraInputError
from flora_provider.operators.base import FloraRunOperator
from flora_provider.operators.rules import RULES
from flora_provider.tasks.parse_checks import Dict, Text

if TYPE_CHECKING:
    from flora_provider.api.calls import Call
    from flora_provider.api.http.flow import Flow, FlowContext
    from flora_provider.api.models import Action

Inputs: TypeAlias = str | Mapping[str, Any] | Sequence[Any] | XComArg

_RULES: Mapping[str, validation.Check] = {
    "action_id": validation.slug,
    "action_params": validation.mapping,
    "workspace_id": validation.identifier,
    "project_id": validation.identifier,
}


class FloraRunActionOperator(FloraRunOperator):
    """Run a prebuilt action, such as `speed-up-video`; exactly once, whatever crashes.

        fast = FloraRunActionOperator(
            task_id="fast", action_id="speed-up-video", inputs=clip.output, action_params={"factor": 2}
        )

    Before the request, inputs and params are checked against the action's definition. If FLORA does not give it just
    now, the log says so, and the run is started unchecked: FLORA refuses bad inputs of actions itself.

    Args:
        action_id: as `FloraHook.list_actions()` shows them. FLORA adds and renames them.
        inputs: what the action works on: one value, or a list of them in the order of the action's slots, or a dict of
            them by the name of the slot. A value is a text, a public https address, a finished run or one of its
            outputs, or an asset, as operators, sensors and hooks return them, or FLORA's own `{type, url}` or
            `{type, text}`.
        action_params: parameters of the action; None for its defaults. Airflow's `params` are not sent.
        workspace_id: `ws_…`, which is billed (actions cost no credits); None for the connection's.
        project_id: `prj_…`, whose history the run is in; None for the connection's. Its canvas is not touched.
        kwargs: of `FloraRunOperator` and of every Airflow operator.

    Raises:
        FloraInputError: when the DAG is parsed, for literal values that cannot be right.
        AirflowFailException, AirflowException: as `FloraGenerateOperator`.
    """

    template_fields: Sequence[str] = (
        "action_id",
        "inputs",
        "action_params",
        "workspace_id",
        "project_id",
        *FloraRunOperator.template_fields,
    )
    rules: ClassVar[Mapping[str, validation.Check]] = {**RULES, **_RULES}
    template_fields_renderers: ClassVar[dict[str, str]] = {"inputs": "json", "action_params": "json"}

    def __init__(
        self,
        *,
        action_id: Text,
        inputs: Inputs,
        action_params: Dict | None = None,
        workspace_id: Text | None = None,
        project_id: Text | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.action_id: Any = action_id  # plain values once Airflow has rendered them
        self.inputs: Any = inputs
        self.action_params: Any = action_params
        self.workspace_id: Any = workspace_id
        self.project_id: Any = project_id
        self.refuse_literals(_RULES)

    def call(self) -> Call[Any]:
        """`POST /runs/action` with the rendered fields."""
        from flora_provider.api import calls
        from flora_provider.catalog.action_inputs import action_rows

        rows = action_rows(self.inputs, self._definition())
        return calls.run_action(action_id=self.action_id, inputs=rows, params=self.action_params, **self._scope())

    def check(self, context: FlowContext) -> Flow[list[str]]:
        """What is wrong with inputs and params, by the action's definition."""
        from flora_provider.catalog.action_inputs import action_inputs
        from flora_provider.catalog.lookup import account_of, action_lookup, checked

        def judge(definition: Action | None) -> tuple[Any, list[str]]:
            return action_inputs(definition, self.inputs, self.action_params)

        lookup, account = action_lookup(self.action_id), account_of(self.hook.settings)
        return (yield from checked(lookup, judge, context, account))[1]

    def price(self, context: FlowContext) -> Flow[tuple[str, float | None]]:
        """What the action costs: nothing, by the definitions that were seen."""
        from flora_provider.catalog.lookup import account_of, action
        from flora_provider.catalog.prices import require

        subject = f"action {self.action_id}"
        definition = yield from action(self.action_id, context, account_of(self.hook.settings))
        cost = require(definition, subject).charged_cost
        return subject, None if cost is None else float(cost)

    def recovery(self) -> Mapping[str, Any]:
        """Runs of the same project: FLORA lists those of actions among the generations (FLORA's playbooks)."""
        from flora_provider.api import calls

        return {"candidates": calls.list_generations(**self._scope())}

    def asked(self) -> dict[str, Any]:
        """The action, its inputs and parameters."""
        from flora_provider.reuse.key import named_members

        asked = {"kind": "action", "action": self.action_id, "inputs": self.inputs}
        return {**asked, **named_members("params", self.action_params)}

    def describe(self) -> dict[str, Any]:
        """What was asked for."""
        from flora_provider.catalog.action_inputs import action_rows

        return {
            "kind": "action",
            "action": self.action_id,
            "inputs": action_rows(self.inputs, self._definition()),
            "action_params": self.action_params,
            **self._scope(),
        }

    def project(self) -> str | None:
        """The project that the link leads to."""
        return str(self._scope()["project_id"])

    def _definition(self) -> Action | None:
        """The action's definition; None if FLORA does not give it now. Asked for once, in each process and hour."""
        from flora_provider.catalog.lookup import account_of, action

        client = self.hook.client()
        try:
            return client.run(action(self.action_id, client.context, account_of(self.hook.settings)))
        except FloraInputError:
            return None  # `check` says so, unless a run is to be found that was started before

    def _scope(self) -> dict[str, Any]:
        return self.hook.scope(self.workspace_id, self.project_id)
