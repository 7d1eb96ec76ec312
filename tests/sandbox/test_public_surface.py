import subprocess
import sys

from flora_provider import sandbox


def test_public_names_of_the_sandbox():
    classes = "ApiError Clock Fault FloraSandbox RunBehavior Sandbox SandboxServer Settings StartedRun"
    assert set(sandbox.__all__) == {*classes.split(), "MissingExtraError", "send_webhooks"}
    assert all(hasattr(sandbox, name) for name in sandbox.__all__)


def test_sandbox_imports_neither_airflow_nor_the_client_nor_its_extra():
    code = """
import sys, flora_provider.sandbox as s
for name in s.__all__:
    getattr(s, name)
print(*[n for n in sys.argv[1:] if n in sys.modules])
"""
    unwanted = ["airflow", "flora_provider.api", "uvicorn", "PIL"]
    done = subprocess.run([sys.executable, "-c", code, *unwanted], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
