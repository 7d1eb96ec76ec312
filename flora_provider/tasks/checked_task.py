"""Base of operators and sensors that validates their values, and renders templates as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from flora_provider.api.errors import FloraInputError
from flora_provider.api.text import is_rendered_none, short_repr
from flora_provider.api.validation import Check, raise_problems
from flora_provider.tasks import mapping
from flora_provider.tasks.parse_checks import is_literal, literal_problems, refuse_at_parse
from flora_provider.tasks.template_files import names_file, parsed, source_of

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context


_OF_RESULTS = frozenset({"run_id", "asset_id"})


class CheckedTask(BaseOperator):
    """Base of our operators and sensors: a bad value is refused when the DAG is parsed, or finally before any request.

    A subclass names its `rules`, calls `refuse_literals` at the end of its constructor, and `refuse_values` first of
    all when it executes.
    """

    rules: ClassVar[Mapping[str, Check]] = {}
    """The check of each parameter; None is not checked."""

    native_fields: ClassVar[frozenset[str]] = frozenset({"model_params", "inputs", "action_params"})
    """Template fields of ours that follow the DAG's `render_template_as_native_obj`; the others are always texts."""

    file_fields: ClassVar[frozenset[str]] = frozenset()
    """Template fields of ours that may be the name of a file, which is rendered then: see `template_files`."""

    _missing_values: Mapping[str, Any] = {}  # by path: what templates and other tasks gave no value for
    _written: Mapping[str, Any] | None = None  # the fields before they were first rendered; None while they were not
    _from_files: Mapping[str, str] = {}  # the names of the files that fields were read from, by field
    _file_problems: tuple[str, ...] = ()
    _unrendered: Mapping[str, Exception] = {}  # by field, which is as it was written: what its rendering raised
    _mapped_values: frozenset[int] = frozenset()  # ids of those that a mapping gave, which Airflow does not render

    def __new__(cls, *_args: Any, **kwargs: Any) -> Self:
        """Refuse misspelt arguments, also of a mapped task's row that another task made."""
        if mapping.FROM_MAPPED not in kwargs:
            if _takes_named_arguments_only(cls):
                refuse_at_parse(list(mapping.unknown_arguments(cls, kwargs)), kwargs.get("task_id", ""))
        else:
            level = (kwargs.get("dag"), kwargs.get("task_group"), kwargs.get("default_args"))
            known = mapping.parameters_of(cls)
            filled = {name: value for name, value in mapping.default_args_of(*level).items() if name in known}
            _fail_for_good(mapping.name_problems(cls, {**filled, **kwargs}), kwargs.get("task_id"))
        return super().__new__(cls)

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """As for every operator; literals are checked, and `default_args` fill in every parameter of ours."""
        own = kwargs.get("default_args") or {}
        known = mapping.parameters_of(cls) - mapping.parameters_of(BaseOperator)
        kwargs = {**{name: value for name, value in own.items() if name in known}, **kwargs}
        partial = super().partial(**kwargs)
        dag, task_group = partial.kwargs["dag"], partial.kwargs["task_group"]
        filled = {name: value for name, value in mapping.default_args_of(dag, task_group, own).items() if name in known}
        return mapping.checked(partial, mapping.MappedArguments(cls, {**filled, **kwargs}, dag))

    @property
    def is_mapped_instance(self) -> bool:
        """Whether Airflow has made this from a mapped task, in a worker: its constructor's errors are not shown."""
        return bool(getattr(self, "_BaseOperator__from_mapped", False))

    def refuse_arguments(self, rules: Mapping[str, Check], arguments: Mapping[str, Any]) -> None:
        """Refuse arguments before the constructor of a base class sees them, whose message would not name the task."""
        found = literal_problems(arguments, rules, templated=frozenset())
        if self.is_mapped_instance:
            _fail_for_good(found, arguments.get("task_id"))
        refuse_at_parse(found, arguments.get("task_id", ""))

    def refuse_literals(self, rules: Mapping[str, Check]) -> None:
        """Refuse at parse time attributes that cannot be right; those of a mapped task when it executes."""
        if not self.is_mapped_instance:
            values = {name: getattr(self, name) for name in rules}
            refuse_at_parse(literal_problems(values, rules, templated=frozenset(self.template_fields)), self.task_id)

    def refuse_values(self) -> None:
        """Validate the values of templates, other tasks and mapped rows; raises FloraInputError with all problems."""
        self.refuse_unrendered()
        values = {name: value for name in self.rules if (value := getattr(self, name, None)) is not None}
        wrong = {name: problem for name, value in values.items() if (problem := self.rules[name](name, value))}
        missing = [
            f"{path} is {short_repr(value)}: its template, or the task that it comes from, gave no value"
            for path, value in self._missing_values.items()
            if path not in wrong
        ]
        raise_problems([*(self._file_problems or wrong.values()), *missing])

    def refuse_unrendered(self) -> None:
        """Raise what rendering the fields has raised.

        Raises:
            FloraInputError: templates that cannot be rendered, all of them.
            Exception: of a field that may be rendered another time: another task's result could not be read, say.
        """
        errors = self._unrendered.values()
        raise_problems([text for error in errors if isinstance(error, FloraInputError) for text in error.problems])
        for error in errors:
            raise error

    def render_template(
        self,
        content: Any,
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """As for every operator, but a text without Jinja is left as it was written.

        Jinja would take a line break off its end, and make a number of `1984` and a list of `[1, 2]` if the DAG renders
        native objects.

        Raises:
            FloraInputError: Jinja cannot render it.
        """
        jinja_env = jinja_env or self.get_template_env()
        if not isinstance(content, str):
            return super().render_template(content, context, jinja_env, seen_oids)
        if not any(mark in content for mark in _marks(jinja_env)):
            return content
        import jinja2

        try:
            return self._render(jinja_env.from_string(content), context, self.get_dag())
        except jinja2.TemplateError as error:
            raise FloraInputError(
                f"the template {short_repr(content)} cannot be rendered ({error}): check its names and its braces"
            ) from None

    def resolve_template_files(self) -> None:
        """See when the DAG is parsed that its files are there; they are read when the task runs."""
        environment = self.get_template_env()
        found = []
        for name in self.file_fields:
            if names_file(value := getattr(self, name, None)):
                try:
                    source_of(value, environment)
                except LookupError as error:
                    found.append(f"{name} is {value!r}, the name of a file, but {error}")
        refuse_at_parse(found, self.task_id)
        self.prepare_template()

    def _read_files(self, jinja_env: jinja2.Environment, seen_oids: set[int]) -> None:
        """Take what the files hold for the fields that name them; what a mapping gave is no file's name."""
        found: dict[str, str] = {}
        problems = []
        for name in self.file_fields:
            value = getattr(self, name, None)
            if id(value) in seen_oids or not names_file(value):
                continue
            try:
                setattr(self, name, source_of(value, jinja_env))
                found[name] = value
            except LookupError as error:
                problems.append(f"{name} is {value!r}, the name of a file, but {error}")
        self._from_files, self._file_problems = found, tuple(problems)

    def _parse_files(self) -> None:
        """Take what rendered files of data say."""
        for name in (self._from_files.keys() & self.native_fields) - self._unrendered.keys():
            try:
                setattr(self, name, parsed(getattr(self, name)))
            except LookupError as error:
                self._file_problems += (f"{name} is the file {self._from_files[name]!r}, but {error}",)

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Where Airflow lets an operator decide how its fields are rendered, mapped or not.

        What cannot be rendered is told when the task executes: Airflow would log it as an error here, and again as the
        task's end.
        """
        if parent is not self:
            super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
            return
        names = list(template_fields)
        if self._written is None:
            self._read_files(jinja_env, seen_oids)
        written = {name: getattr(self, name, None) for name in names}
        if self._written is None:
            self._written, self._mapped_values = written, frozenset(seen_oids)
        dag = self.get_dag()
        mapped = {name for name, value in written.items() if value is not None and id(value) in seen_oids}
        mapped |= _expanded_over_results(dag.task_dict.get(self.task_id) if dag else None)
        text_env = dag.get_template_env(force_sandboxed=True) if dag and _is_native(jinja_env) else jinja_env
        texts = {name for name in names if name in self.rules and name not in self.native_fields - {*self._from_files}}
        self._unrendered = unrendered = {}
        for name, value in written.items():
            env = text_env if name in texts else jinja_env
            try:
                if callable(value):
                    rendered = value(context=context, jinja_env=env)
                else:
                    rendered = self.render_template(value, context, env, seen_oids)
            except Exception as error:  # noqa: BLE001 - what another task, a macro or a function of the user's raises
                unrendered[name] = error
            else:
                setattr(self, name, rendered)
        self._parse_files()
        self._missing_values = {
            path: value
            for name in names
            for path, value in _missing(name, written[name], getattr(self, name, None), resolved=name in mapped)
        }

    def _render(self, template: Any, context: Context, dag: Any = None) -> Any:
        if _is_native(template.environment):
            return super()._render(template, context, dag)
        try:
            from airflow.sdk.definitions.context import render_template_to_string
        except ImportError:  # Airflow 2 and 3.0
            from airflow.utils.helpers import (  # type: ignore[no-redef]  # the same function
                render_template_to_string,
            )
        return render_template_to_string(template, context)


def _takes_named_arguments_only(operator: type) -> bool:
    """Whether what its constructors take is what they name; a user's subclass may take arguments out of its kwargs."""
    makers = (base.__module__ for base in operator.__mro__ if "__init__" in vars(base))
    return all(module.partition(".")[0] in {"flora_provider", "airflow", "builtins"} for module in makers)


def _fail_for_good(found: Iterable[str], task_id: Any) -> None:
    if problems := list(found):
        raise AirflowFailException(f"{'; '.join(problems)} [task {task_id!r}]")


def _expanded_over_results(task: Any) -> set[str]:
    """The parameters of a mapped task whose values `expand` takes from another task; a null in a row is not given."""
    sources = getattr(getattr(task, "expand_input", None), "value", None)
    return (
        {name for name, source in sources.items() if not is_literal(source)} if isinstance(sources, Mapping) else set()
    )


def _is_native(env: jinja2.Environment) -> bool:
    from jinja2.nativetypes import NativeEnvironment

    return isinstance(env, NativeEnvironment)


def _marks(env: jinja2.Environment) -> Iterator[str]:
    """What begins something that this Jinja replaces: a DAG may choose its own."""
    yield from (env.variable_start_string, env.block_start_string, env.comment_start_string)
    yield from filter(None, (env.line_statement_prefix, env.line_comment_prefix))


def _missing(path: str, written: Any, rendered: Any, *, resolved: bool) -> Iterator[tuple[str, Any]]:
    """Where a template or another task gave no value: null, or the text that Jinja makes of it.

    Args:
        path: of this value, such as `model_params.images[2]`.
        written: what the DAG's author wrote.
        rendered: what it became. A null that the author wrote stays: some parameters of models may be null.
        resolved: whether all of it came from a template or another task.
    """
    resolved = resolved or not is_literal(written)
    if isinstance(rendered, Mapping) and rendered.keys() & _OF_RESULTS:
        return  # a run, an output or an asset, as a task of ours returns it: its nulls are FLORA's
    if resolved and (rendered is None or is_rendered_none(rendered)):
        yield path, rendered
    elif isinstance(rendered, Mapping):
        for key, value in rendered.items():
            before = written.get(key) if isinstance(written, Mapping) else None
            yield from _missing(f"{path}.{key}", before, value, resolved=resolved)
    elif isinstance(rendered, list | tuple):
        is_same_length = isinstance(written, list | tuple) and len(written) == len(rendered)
        before = written if is_same_length else [None] * len(rendered)
        for index, value in enumerate(rendered):
            yield from _missing(f"{path}[{index}]", before[index], value, resolved=resolved)
