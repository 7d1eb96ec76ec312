"""What this Airflow has, asked of it; the table in docs/versions.md says the same of each release."""

from importlib import import_module, resources
from importlib.util import find_spec

import airflow.triggers.base
from airflow.providers.common.compat.sdk import Context
from airflow.providers.common.compat.version_compat import get_base_airflow_version_tuple

VERSION = get_base_airflow_version_tuple()

# The stores that ObjectStoragePath knows.
OBJECT_STORES = import_module("airflow.sdk.io.store" if VERSION >= (3,) else "airflow.io.store")

# Whether a task has a store that survives its retries.
HAS_TASK_STATE_STORE = "task_state_store" in getattr(Context, "__annotations__", {})

# Whether the triggerer makes a whole task of a trigger that needs one, so that it can end it, and start it.
TRIGGERER_ENDS_TASKS = hasattr(airflow.triggers.base.BaseTrigger, "render_template_fields")

HAS_RETRY_POLICIES = VERSION >= (3,) and find_spec("airflow.sdk.definitions.retry_policy") is not None

# Whether the form of connections has the fields of providers: 3.0 asks wtforms for them, which the FAB provider brings.
DRAWS_FORMS = VERSION >= (3, 1) or find_spec("wtforms") is not None

# Whether that form is drawn from provider info, with the types of the fields; else from a hook's methods.
READS_FORMS_FROM_PROVIDER_INFO = "conn-fields" in (resources.files("airflow") / "provider.yaml.schema.json").read_text()

# Whether a class can say that XComs may hold its instances; else a setting has to name it.
LETS_CLASSES_PASS = VERSION >= (3, 2) and hasattr(import_module("airflow.sdk.serde"), "allow_class")

# Whether debug lines of `dag.test()` show what Airflow tells itself to mask.
PRINTS_WHAT_IT_MASKS = VERSION[:2] == (3, 0)

# Whether an XCom may hold a model of pydantic.
XCOMS_TAKE_MODELS = VERSION[:2] != (3, 0)

# Whether the event of an asset alias may hold a list: the server of 3.0 loses such an event.
ALIAS_EVENTS_TAKE_LISTS = VERSION[:2] != (3, 0)
