"""FLORA's runs and projects as assets: their URIs, which Airflow checks, and what OpenLineage makes of them."""

from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.sdk import Asset
from airflow.providers_manager import ProvidersManager

from flora_provider.assets import flora as assets

SCOPE = {"workspace_id": "ws_1", "project_id": "prj_1"}


@pytest.mark.parametrize(
    ("made", "uri"),
    [
        (lambda: assets.run_asset("run_1", **SCOPE), "flora://ws_1/prj_1/runs/run_1"),
        (lambda: assets.run_asset("run_1"), "flora://-/-/runs/run_1"),
        (lambda: assets.run_asset("run_a/b?c é"), "flora://-/-/runs/run_a%2Fb%3Fc%20%C3%A9"),
        (lambda: assets.project_asset(**SCOPE), "flora://ws_1/prj_1"),
        (lambda: assets.create_asset(**SCOPE), "flora://ws_1/prj_1"),
        (lambda: assets.create_asset(run_id="run_1", **SCOPE), "flora://ws_1/prj_1/runs/run_1"),
        (lambda: Asset(uri="flora://ws_1/prj_1/"), "flora://ws_1/prj_1"),
    ],
)
def test_asset_of_a_run_or_a_project_has_its_uri(made, uri):
    assert made().uri == uri


def test_asset_takes_what_airflows_own_takes():
    assert assets.run_asset("run_1", extra={"shot": 3}).extra == {"shot": 3}


@pytest.mark.parametrize(
    "uri",
    ["flora:///prj_1", "flora://ws_1", "flora://ws_1/prj_1/run_1", "flora://ws_1/prj_1/runs/", "flora://ws_1/p?q=1",
     "flora://key@ws_1/prj_1", "flora://ws_1:80/prj_1"],
)  # fmt: skip
def test_uri_of_another_form_is_refused(uri):
    with pytest.raises(ValueError, match="an asset of FLORA is flora://<workspace_id>"):
        assets.sanitize_uri(urlsplit(uri))


def test_airflow_finds_the_functions_of_the_scheme():
    manager = ProvidersManager()
    name = "asset" if hasattr(manager, "asset_uri_handlers") else "dataset"
    assert getattr(manager, f"{name}_uri_handlers")["flora"] is assets.sanitize_uri
    assert getattr(manager, f"{name}_factories")["flora"] is assets.create_asset
    assert getattr(manager, f"{name}_to_openlineage_converters")["flora"] is assets.to_openlineage


@pytest.mark.parametrize(
    ("asset", "name"),
    [(assets.run_asset("run_1", **SCOPE), "prj_1/runs/run_1"), (assets.project_asset(**SCOPE), "prj_1")],
)
def test_openlineage_has_the_workspace_as_namespace(monkeypatch, asset, name):
    from airflow.providers.common.compat.openlineage import facet

    # Without the OpenLineage client, Airflow's stand-in makes nothing of its arguments.
    monkeypatch.setattr(facet, "Dataset", SimpleNamespace)
    assert vars(assets.to_openlineage(asset, None)) == {"namespace": "flora://ws_1", "name": name}
