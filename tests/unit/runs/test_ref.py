"""Which call polls a run, and what the package exports."""

import pytest

import flora_provider.api
import flora_provider.runs
from flora_provider.api.urls import project_url
from flora_provider.runs.ref import RunRef


@pytest.mark.parametrize(
    ("ref", "path"),
    [(RunRef("run_1"), "/runs/run_1"), (RunRef("run_1", "cctv-cam"), "/techniques/cctv-cam/runs/run_1")],
)
def test_ref_names_the_call_that_shows_its_run(ref, path):
    assert ref.poll_call().url == path


def test_package_exports_on_first_use():
    assert flora_provider.runs.RunRef is RunRef
    assert flora_provider.api.__getattr__("errors").FloraError
    for room in (flora_provider.api, flora_provider.runs):
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            room.nothing  # noqa: B018 - asking for it is the test


def test_project_url_is_empty_without_a_project():
    assert project_url("https://app.flora.ai/api/v1", "prj_1") == "https://app.flora.ai/projects/prj_1"
    assert project_url("https://app.flora.ai/api/v1", None) == ""
