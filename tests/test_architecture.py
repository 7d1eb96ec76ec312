"""The layers of the design, read from the sources: what may import what, and who may touch the world."""

import ast
from pathlib import Path

import pytest

import flora_provider

PACKAGE = Path(flora_provider.__file__).parent
TESTS = Path(__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

# Words know nothing, rules know words, plans know both, acts do what plans say. A module imports from its own layer or
# one before it. A module that is not named here is a plan: it may know words and rules, and touches nothing.
LAYERS = {
    "words": """
        api api.errors api.plan api.answers api.models api.catalogue api.text
        runs runs.identity runs.files
    """,
    "rules": """
        api.checks api.settings api.retry api.pace api.paging api.webhooks
        api.calls api.calls.call api.calls.assets api.calls.catalogue api.calls.runs
        runs.failures runs.event runs.patience runs.wait runs.histories
    """,
    "acts": "api.arriving api.environment api.transport api.process api.client",
}
ORDER = ("words", "rules", "plans", "acts")
WORLD = {"httpx", "socket", "ssl", "requests", "aiohttp", "urllib.request", "http.client", "subprocess", "threading"}


def layer_of(name):
    return next((layer for layer, names in LAYERS.items() if name in names.split()), "plans")


def read(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def is_for_types_only(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imported(tree, *, deep=True):
    """All modules a source imports when it runs; with `deep=False` only those it imports when it is imported."""
    names, left = set(), [tree]
    while left:
        node = left.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        if is_for_types_only(node):
            left += node.orelse
        elif deep or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            left += ast.iter_child_nodes(node)
    return names


def within(name, *packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def under(*packages):
    return [name for name in MODULES if within(name, *(f"flora_provider.{package}" for package in packages))]


@pytest.mark.parametrize("name", under("api", "runs", "sandbox"))
def test_what_needs_no_airflow_imports_none(name):
    assert [used for used in imported(read(MODULES[name])) if within(used, "airflow")] == []


@pytest.mark.parametrize("name", under("sandbox"))
def test_the_sandbox_is_an_independent_oracle(name):
    shared = [
        used for used in imported(read(MODULES[name])) if within(used, "flora_provider.api", "flora_provider.runs")
    ]
    assert shared == []


@pytest.mark.parametrize("name", under("api", "runs"))
def test_layers_import_from_their_own_or_one_before(name):
    mine = name.removeprefix("flora_provider.")
    for used in imported(read(MODULES[name])) & set(MODULES):
        theirs = used.removeprefix("flora_provider.")
        if within(theirs, "api", "runs"):
            assert ORDER.index(layer_of(theirs)) <= ORDER.index(layer_of(mine)), f"{mine} imports {theirs}"


@pytest.mark.parametrize("name", under("api", "runs"))
def test_the_client_alone_touches_the_world(name):
    """Only `api/client.py` opens sockets, looks up names or sleeps.

    `api/environment.py`, `api/transport.py` and `api/arriving.py` may import the libraries that do, for their types and
    exceptions; no other module may. `api/pace.py` has a lock of `threading`, since threads share it, and
    `api/process.py` the thread in which the blocking client's requests are made. Nobody else calls a sleep, a client, a
    look-up or a function of `socket`.
    """
    mine, tree = name.removeprefix("flora_provider."), read(MODULES[name])
    allowed = {
        "api.client": WORLD,
        "api.transport": {"httpx", "socket", "ssl"},
        "api.environment": {"httpx", "ssl"},
        "api.arriving": {"httpx"},
        "api.pace": {"threading"},
        "api.process": {"threading"},
    }
    assert imported(tree) & WORLD <= allowed.get(mine, set())
    if mine not in ("api.client", "api.process"):
        called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        acting = {"time.sleep", "asyncio.sleep", "sleep", "open", "httpx.Client", "httpx.AsyncClient"}
        assert called & acting == set()
        assert [call for call in called if within(call, "socket", "asyncio")] == []


@pytest.mark.parametrize("name", [name for name in under("api", "runs") if layer_of(name[15:]) != "acts"])
def test_plans_are_given_their_clock_and_their_dice(name):
    assert imported(read(MODULES[name])) & {"time", "random", "uuid", "secrets", "asyncio"} == set()


@pytest.mark.parametrize("name", under("operators", "sensors", "triggers", "links"))
def test_a_dag_file_does_not_pay_for_the_http_client(name):
    heavy = ("httpx", "pydantic", *(f"flora_provider.api.{module}" for module in ("models", "client", "calls")))
    assert [used for used in imported(read(MODULES[name]), deep=False) if within(used, *heavy)] == []


@pytest.mark.parametrize(
    "path",
    sorted([*(TESTS / "api").glob("*.py"), *(TESTS / "runs").glob("*.py")]),
    ids=lambda path: path.parent.name + "/" + path.stem,
)
def test_pure_tests_act_as_little_as_what_they_test(path):
    """So all of them together take less than two seconds: what needs a client or a network is in tests/client."""
    acting = (*WORLD, "time", "asyncio", "airflow", "flora_provider.sandbox", "flora_provider.api.client")
    assert [used for used in imported(read(path)) if within(used, *acting)] == []


@pytest.mark.parametrize("name", MODULES)
def test_a_file_has_one_subject(name):
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 300


def test_the_layers_name_modules_that_exist():
    named = {f"flora_provider.{name}" for names in LAYERS.values() for name in names.split()}
    assert named <= set(MODULES)
