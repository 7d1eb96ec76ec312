"""What this Airflow has, asked of it; the table in docs/versions.md says the same of each release."""

from importlib.util import find_spec

import airflow.triggers.base
from airflow.providers.common.compat.sdk import Context
from airflow.providers.common.compat.version_compat import get_base_airflow_version_tuple

VERSION = get_base_airflow_version_tuple()

# Whether a task has a store that survives its retries.
HAS_TASK_STATE_STORE = "task_state_store" in getattr(Context, "__annotations__", {})

# Whether the triggerer makes a whole task of a trigger that needs one, so that it can end it, and start it.
TRIGGERER_ENDS_TASKS = hasattr(airflow.triggers.base.BaseTrigger, "render_template_fields")

# Whether a trigger hears that somebody has cleared or marked its task.
HAS_ON_KILL_OF_TRIGGERS = hasattr(airflow.triggers.base.BaseTrigger, "on_kill")

HAS_RETRY_POLICIES = VERSION >= (3,) and find_spec("airflow.sdk.definitions.retry_policy") is not None

# Whether the form of connections has the fields of providers: 3.0 asks wtforms for them, which the FAB provider brings.
DRAWS_FORMS = VERSION >= (3, 1) or find_spec("wtforms") is not None

# Whether the event of an asset alias may hold a list: the server of 3.0 loses such an event.
ALIAS_EVENTS_TAKE_LISTS = VERSION[:2] != (3, 0)
