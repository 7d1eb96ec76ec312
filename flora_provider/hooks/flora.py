"""FLORA from a task or a plain function: each verb is a line or two onto the client.

This module loads the HTTP client. Operators and sensors import it when a task runs, so that DAG files stay cheap to
parse; a DAG file that wants a hook should do the same, inside its task.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flora_provider.api.errors import FloraError, FloraInputError
from flora_provider.api.models import FloraModel
from flora_provider.hooks import access
from flora_provider.hooks.base import blocking_client
from flora_provider.hooks.canvas import CanvasHook
from flora_provider.hooks.catalog import CatalogHook
from flora_provider.hooks.connection import EXTRA_FIELDS, FIELD_BEHAVIOUR, naming, without_name
from flora_provider.hooks.files import FilesHook
from flora_provider.hooks.library import LibraryHook
from flora_provider.hooks.runs import RunsHook

log = logging.getLogger(__name__)

TEST_TIMEOUT = 10.0  # seconds for each request of the Test button


class FloraHook(RunsHook, CatalogHook, CanvasHook, LibraryHook, FilesHook):
    """FLORA over an Airflow connection of type `flora`: a verb for each function of `flora_provider.api.calls`.

    A verb has the name of its call, whose docstring says the rest; `iter_…` walks through all pages of `list_…`, and
    `send` takes every other call. Workspace and project None are the connection's; a history, a list, an asset's
    project or a feedback is then about none in particular. What bills takes a key; what else has one is, without, not
    sent again where FLORA may have acted on it.

    Args:
        flora_conn_id: the connection. Its password is the API key; the README describes host and extra.

    Every verb may raise what `flora_provider.api.errors` draws, and FloraInputError before anything is sent.
    """

    def test_connection(self) -> tuple[bool, str]:
        """For the Test button: what the key may use, or in one sentence what is wrong; in the log, too.

        It takes some ten seconds at most for each of a handful of requests, for a person waits, and a proxy in between.
        The sentence leaves out the connection's id: under the button Airflow gives it one made up for the test.
        """
        try:
            settings, defaults, problems = access.read_without_ids(self)
            brief = replace(settings, timeout=min(settings.timeout, TEST_TIMEOUT), max_retries=0)
            with naming(self.flora_conn_id), blocking_client(brief) as client:
                works, sentence = access.examine(client, defaults, problems)
        except FloraInputError as error:
            works, sentence = False, str(without_name(error, self.flora_conn_id))
        except FloraError as error:
            works, sentence = False, str(error)
        log.log(logging.INFO if works else logging.WARNING, "Test of a FLORA connection: %s", sentence)
        return works, sentence

    @staticmethod
    def get_connection_form_widgets() -> dict[str, Any]:
        """The form's extra fields, for Airflow before 3.2."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget  # noqa: PLC0415 - absent from Airflow 3
        from wtforms import StringField  # noqa: PLC0415 - the same

        return {
            name: StringField(field.label, widget=BS3TextFieldWidget(), description=field.help)
            for name, field in EXTRA_FIELDS.items()
        }

    @staticmethod
    def get_ui_field_behaviour() -> dict[str, Any]:
        """The form's standard fields, for Airflow before 3.2."""
        return FIELD_BEHAVIOUR


def _let_tasks_pass_on(kind: type[FloraModel], allow_class: Callable[[type], None]) -> None:
    for model in kind.__subclasses__():
        # A class that is not found by its name, such as `Page[Run]`, cannot be read back: Airflow refuses it.
        if getattr(sys.modules.get(model.__module__), model.__qualname__, None) is model:
            allow_class(model)
        _let_tasks_pass_on(model, allow_class)


# What a verb returns may be returned by a task. Airflow reads it for the next one where its class is allowed: here,
# for processes that load this module; elsewhere, and before 3.3, by `[core] allowed_deserialization_classes`.
try:
    from airflow.sdk.serde import allow_class
except ImportError:
    pass
else:
    _let_tasks_pass_on(FloraModel, allow_class)
