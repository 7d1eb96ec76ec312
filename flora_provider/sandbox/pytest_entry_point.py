"""The plugin once more, for the entry point of `pytest11`.

pytest refuses one module under two names. With a module of its own for the entry point, the public
`pytest_plugins = ["flora_provider.sandbox.pytest_plugin"]` works beside it, and where no entry point is looked for.
"""

from flora_provider.sandbox.pytest_plugin import flora_run_dag, flora_sandbox, pytest_configure

__all__ = ["flora_run_dag", "flora_sandbox", "pytest_configure"]
