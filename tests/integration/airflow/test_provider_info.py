"""What Airflow and its documentation are told of the provider is true, and all of it."""

import importlib
import inspect
import pkgutil

import pytest
from airflow.providers.common.compat.sdk import BaseHook, BaseOperator, BaseSensorOperator
from airflow.triggers.base import BaseTrigger

import flora_provider
from flora_provider import get_provider_info

INFO = get_provider_info()
BASES = {
    "operators": BaseOperator,
    "sensors": BaseSensorOperator,
    "hooks": BaseHook,
    "triggers": BaseTrigger,
    "transfers": BaseOperator,
}


def named_modules(kind):
    """The modules that the provider's info names for a kind."""
    entries = INFO[kind]
    return [name for entry in entries for name in entry.get("python-modules", [entry.get("python-module")])]


def public_classes(kind):
    """The classes of a kind that a DAG's author makes objects of: none of them is a base of another one."""
    folder = importlib.import_module(f"flora_provider.{kind}")
    modules = [
        importlib.import_module(module.name) for module in pkgutil.iter_modules(folder.__path__, f"{folder.__name__}.")
    ]
    found = {
        member
        for module in modules
        for member in vars(module).values()
        if inspect.isclass(member)
        and issubclass(member, BASES[kind])
        and member.__module__.startswith(folder.__name__)
        and not member.__name__.startswith("_")
        and not inspect.isabstract(member)
    }
    return {one for one in found if not any(issubclass(other, one) for other in found - {one})}


def classes_in(module_name):
    return {member for member in vars(importlib.import_module(module_name)).values() if inspect.isclass(member)}


@pytest.mark.parametrize("kind", BASES)
def test_modules_of_a_kind_have_each_public_class_of_it(kind):
    expected = public_classes(kind)
    offered = {name: classes_in(name) & expected for name in named_modules(kind)}
    assert all(offered.values())
    assert expected == set().union(*offered.values()) != set()


def test_every_folder_of_a_kind_is_named():
    folders = {module.name for module in pkgutil.iter_modules(flora_provider.__path__)}
    assert set(BASES) <= folders & INFO.keys()


def test_integrations_are_of_a_provider_that_airflow_has():
    from airflow.providers_manager import ProvidersManager

    known = {
        integration["integration-name"]
        for provider in ProvidersManager().providers.values()
        for integration in provider.data.get("integrations", [])
    }
    named = {
        value
        for kind in BASES
        for entry in INFO[kind]
        for name, value in entry.items()
        if name.endswith("integration-name")
    }
    assert named == {"FLORA", "Common IO"}
    assert "FLORA" in {entry["integration-name"] for entry in INFO["integrations"]}
    assert "Common IO" in known


def test_airflow_lists_the_modules_of_triggers():
    from airflow.providers_manager import ProvidersManager

    known = {trigger.trigger_class_name for trigger in ProvidersManager().trigger}  # modules, whatever it is called
    assert set(named_modules("triggers")) <= known
