"""Each way that docs/connection.md knows to make a connection makes that one; its tables name what there is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flora_provider.hooks.connection import EXTRA_FIELDS, FIELD_BEHAVIOUR

PAGE = (Path(__file__).parents[3] / "docs" / "connection.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
YOURS = {"FLORA_API_KEY": "sk_live_of_mine", "FLORA_WORKSPACE": "ws_mine", "FLORA_PROJECT": "prj_mine"}
READ = """
from flora_provider.hooks.flora import FloraHook
hook = FloraHook()
print("read", hook.settings.api_key, *hook.defaults)
"""


@pytest.mark.parametrize("way", ["connections add", "AIRFLOW_CONN_FLORA_DEFAULT=", "AIRFLOW__SECRETS__BACKEND="])
def test_way_of_the_docs_makes_the_connection(airflow_db, tmp_path, way):
    (commands,) = [text for text in COMMANDS if way in text]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN_")} | YOURS
    environ |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "_AIRFLOW_PROCESS_CONTEXT": "server",
    }
    script = f"set -e\n{commands}\npython -c '{READ}'\nairflow connections delete flora_default || true"
    done = subprocess.run(
        ["/bin/bash", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "read sk_live_of_mine ws_mine prj_mine" in done.stdout


def test_page_names_every_field_by_its_label_in_the_form():
    rows = re.findall(r"^\| ([^|(]+) \(`(\w+)`\) \|", PAGE, re.MULTILINE)
    labels = {name: field.label.removesuffix(" (seconds)") for name, field in EXTRA_FIELDS.items()}
    labels |= {name: re.sub(r" \(.*", "", label) for name, label in FIELD_BEHAVIOUR["relabeling"].items()}
    assert {name: label for label, name in rows} == labels
