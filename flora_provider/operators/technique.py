"""Operator that runs a technique."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from flora_provider.api import validation
from flora_provider.api.errors import FloraInputError
from flora_provider.operators.base import FloraRunOperator
from flora_provider.operators.rules import RULES
from flora_provider.tasks.parse_checks import Dict, Text, is_literal, refuse_at_parse

if TYPE_CHECKING:
    from flora_provider.api.calls import Call
    from flora_provider.api.http.flow import Flow, FlowContext
    from flora_provider.api.models import Technique

_RULES: Mapping[str, validation.Check] = {
    "technique": validation.slug_or_id,
    "inputs": validation.mapping,
    "workspace_id": validation.identifier,
    "callback_url": validation.callback_url,
}
_ID = "tech_"  # what the id of a technique begins with (FLORA's OpenAPI); a slug does not


class FloraRunTechniqueOperator(FloraRunOperator):
    """Run a technique that was made in FLORA's app; exactly once, whatever crashes.

        poster = FloraRunTechniqueOperator(
            task_id="poster",
            technique="tech_poster",
            inputs={"photo": picture.output, "headline": "Spring, {{ ds }}"},
            wait_for_completion=True,
        )

    FLORA has two routes. An id goes to `POST /runs/technique`, which bills the workspace that is named. A slug, or a
    `callback_url`, goes to `POST /techniques/{technique}/runs`, which bills the workspace of the key, and takes none.
    The run is polled where it was started; a `FloraRunSensor` needs `technique=` for a run of the second.

    Before the first request that bills, the inputs are checked against the technique's definition. If FLORA does not
    give it just now, the log says so, and the run is started unchecked: FLORA refuses bad inputs of techniques itself.

    Args:
        technique: `tech_…`, or a slug such as `cctv-cam`.
        inputs: a value for each slot, by the slot's id: a text, a public https address, a finished run or one of its
            outputs, or an asset, as operators, sensors and hooks return them. A slot that takes several values would
            start a run for each: map the task instead.
        workspace_id: `ws_…`, which is billed; None for the connection's. Only where `technique` is an id.
        callback_url: https; FLORA posts a signed webhook there when the run ends.
        kwargs: of `FloraRunOperator` and of every Airflow operator.

    Raises:
        FloraInputError: when the DAG is parsed, for literal values that cannot be right.
        AirflowFailException, AirflowException: as `FloraGenerateOperator`.
    """

    template_fields: Sequence[str] = (
        "technique",
        "inputs",
        "workspace_id",
        "callback_url",
        *FloraRunOperator.template_fields,
    )
    rules: ClassVar[Mapping[str, validation.Check]] = {**RULES, **_RULES}
    template_fields_renderers: ClassVar[dict[str, str]] = {"inputs": "json"}

    def __init__(
        self,
        *,
        technique: Text,
        inputs: Dict,
        workspace_id: Text | None = None,
        callback_url: Text | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.technique: Any = technique  # texts and a dict once Airflow has rendered them
        self.inputs: Any = inputs
        self.workspace_id: Any = workspace_id
        self.callback_url: Any = callback_url
        self.refuse_literals(_RULES)
        if not self.is_mapped_instance and all(map(is_literal, (technique, workspace_id, callback_url))):
            refuse_at_parse(self._route_problems(), self.task_id)

    def refuse_values(self) -> None:
        """Refuse what no request can be made of. Raises FloraInputError."""
        super().refuse_values()
        validation.raise_problems(self._route_problems())

    def call(self) -> Call[Any]:
        """The request, by the route that fits."""
        from flora_provider.api import calls
        from flora_provider.catalog.technique_inputs import nested_rows, technique_inputs

        definition = self._definition()
        values, problems = technique_inputs(definition, self.inputs)
        if self._nested:
            rows, unsent = nested_rows(definition, values if definition else self.inputs)
            if not rows:  # `check` would say why, but there is no such request
                validation.raise_problems(list(dict.fromkeys([*problems, *unsent])))
            return calls.start_technique(self.technique, inputs=rows, callback_url=self.callback_url)
        return calls.run_technique(technique_id=self.technique, workspace_id=self._workspace(), inputs=values)

    def check(self, context: FlowContext) -> Flow[list[str]]:
        """What is wrong with the inputs, by the technique's definition."""
        from flora_provider.catalog.lookup import account_of, checked, technique_lookup
        from flora_provider.catalog.technique_inputs import nested_rows, technique_inputs

        def judge(definition: Technique | None) -> tuple[None, list[str]]:
            values, problems = technique_inputs(definition, self.inputs)
            if self._nested:
                problems += nested_rows(definition, values if definition else self.inputs)[1]
            return None, list(dict.fromkeys(problems))

        lookup, account = technique_lookup(self.technique), account_of(self.hook.settings)
        return (yield from checked(lookup, judge, context, account))[1]

    def price(self, context: FlowContext) -> Flow[tuple[str, float | None]]:
        """What the technique costs, however many outputs it has."""
        from flora_provider.catalog.lookup import account_of, technique
        from flora_provider.catalog.prices import require

        subject = f"technique {self.technique}"
        definition = yield from technique(self.technique, context, account_of(self.hook.settings))
        return subject, float(require(definition, subject).run_cost)

    def recovery(self) -> Mapping[str, Any]:
        """Runs of the same technique."""
        from flora_provider.api import calls

        definition = self._definition()
        technique_id = definition.technique_id if definition else self.technique if _is_id(self.technique) else None
        workspace_id = None if self._nested else self._workspace()
        return {
            "technique": self.technique if self._nested else None,
            "candidates": calls.list_technique_runs(workspace_id=workspace_id, technique_id=technique_id),
            "search_for": {"technique_id": technique_id} if technique_id else {},
        }

    def asked(self) -> dict[str, Any]:
        """The technique, as it is named, and its inputs."""
        from flora_provider.reuse.key import named_members

        return {"kind": "technique", "technique": self.technique, **named_members("inputs", self.inputs)}

    def describe(self) -> dict[str, Any]:
        """What was asked for."""
        return {
            "kind": "technique",
            "technique": self.technique,
            "inputs": self._values(),
            "workspace_id": None if self._nested else self._workspace(),
            "technique_route": self.technique if self._nested else None,
        }

    def project(self) -> str | None:
        """FLORA does not say which project a technique's run belongs to: the connection's, most likely."""
        return self.hook.defaults.project_id

    def catalog_price(self) -> float | None:
        """What the technique costs: FLORA quotes no price on the route by slug, and each run costs the same."""
        definition = self._definition()
        return float(definition.run_cost) if definition else None

    @property
    def _nested(self) -> bool:
        """Whether the technique's own route starts the run."""
        return self.callback_url is not None or not _is_id(self.technique)

    def _workspace(self) -> str:
        return self.hook.workspace(self.workspace_id)

    def _values(self) -> dict[str, str]:
        from flora_provider.catalog.technique_inputs import technique_inputs

        return technique_inputs(self._definition(), self.inputs)[0]

    def _definition(self) -> Technique | None:
        """The technique's definition; None if FLORA does not give it now. Asked for once, in each process and hour."""
        from flora_provider.catalog.lookup import account_of, technique

        client = self.hook.client()
        try:
            return client.run(technique(self.technique, client.context, account_of(self.hook.settings)))
        except FloraInputError:
            return None  # `check` says so, unless a run is to be found that was started before

    def _route_problems(self) -> list[str]:
        """A workspace beside what only the key's own workspace can be billed for."""
        if self.workspace_id is None or not self._nested:
            return []
        if self.callback_url is not None:
            problem = (
                "workspace_id and callback_url exclude each other: FLORA calls back only for runs that are billed to "
                "the key's own workspace. Leave one of them out"
            )
        else:
            problem = (
                f"workspace_id is {self.workspace_id!r}, but technique is {self.technique!r}, a slug, by which FLORA "
                "bills the key's own workspace: give the technique's id (tech_…), or leave workspace_id out"
            )
        return [problem]


def _is_id(technique: str) -> bool:
    return technique.startswith(_ID)
