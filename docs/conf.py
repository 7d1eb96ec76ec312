"""How Sphinx builds these pages: `make docs`."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]  # this checkout, wherever the environment has another one

# Importing the provider imports Airflow, which makes a home for itself: not in the one of whoever builds the pages.
os.environ["AIRFLOW_HOME"] = str(ROOT / "docs" / "_build" / "airflow")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

import airflow  # noqa: E402, F401 - imported in the midst of Sphinx, its logging does not load
import docstrings  # noqa: E402 - needs the path

import flora_provider  # noqa: E402 - the same

REPOSITORY = "https://github.com/airflow-provider-flora/airflow-provider-flora"

project = "airflow-provider-flora"
author = "The airflow-provider-flora authors"
project_copyright = author
version = release = flora_provider.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "docstrings"]
exclude_patterns = ["_build"]

# Links such as `outcomes.md#after-a-crash` are checked: a heading that is gone fails the build.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

html_theme = "furo"
html_title = f"{project} {release}"
html_baseurl = "https://airflow-provider-flora.github.io/airflow-provider-flora/"
html_theme_options = {
    "source_repository": REPOSITORY,
    "source_branch": "main",
    "source_directory": "docs/",
}

# Docstrings: Google style, with Markdown's single backticks around code; see docstrings.py.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_type_aliases = docstrings.ALIASES
python_maximum_signature_line_length = 100
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # else each attribute of an `Attributes:` section would be there twice

# `-n`: every reference has to lead somewhere, but for what stands in signatures and has no page here.
nitpick_ignore_regex = [
    # Python's, Airflow's, httpx's and pydantic's names: whoever builds the pages may be without a network.
    ("py:.*", r"(airflow|collections|datetime|decimal|httpx|os|pathlib|pendulum|pydantic|pytest|typing)\..*"),
    # Bare names: aliases of types, type variables, Airflow's exceptions. References of ours are written in full.
    ("py:.*", r"[^.]*|[\d.]+"),
    ("py:.*", r"flora_provider\..*\.[TM]"),
    ("py:.*", r"flora_provider\.api\.models\.\w+\.Page"),  # whose own is a generic class
    # Parts of what is public that are public to no one.
    ("py:.*", r"flora_provider\.(api\.http|api\.files|hooks\.connection|sandbox\.http|sandbox\.world)\..*"),
]

# A bare `type` in a signature is Python's, and no member of ours of that name.
suppress_warnings = ["ref.python"]

# For `make docs-links` only.
linkcheck_timeout = 20
linkcheck_ignore = [r"http://127\.0\.0\.1:.*"]  # what the reader starts
linkcheck_anchors = False  # GitHub's are made by a script in the browser
