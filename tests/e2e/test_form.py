"""The connection's form, its Test button and a task's link, as a person meets them in Airflow's own pages."""

import re
import shutil

import pytest

from devstack.stage import CONNECTION, EXAMPLE_DAGS, Stage
from flora_provider.hooks.connection import EXTRA_FIELDS, FIELD_BEHAVIOUR
from tests.support.browser import SCREENSHOTS, headless_chromium

WAIT = 30_000  # milliseconds for a page to show something
DAG = "flora_generate_and_wait"
STANDARD_FIELDS = {"Description": "", "Base URL": "host", "API key": "password", "Port (443; Test wants one)": "port"}


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    dags = tmp_path_factory.mktemp("dags")
    shutil.copy(EXAMPLE_DAGS / f"{DAG}.py", dags)
    settings = {"AIRFLOW__CORE__TEST_CONNECTION": "Enabled", "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    with Stage(tmp_path_factory.mktemp("stage"), dags, settings) as stage:
        yield stage


@pytest.fixture(scope="module")
def chromium():
    with headless_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(chromium, stage):
    """A page of somebody who has logged in."""
    context = chromium.new_context(viewport={"width": 1200, "height": 1500}, locale="en-US", base_url=stage.airflow.url)
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.goto("/auth/login")
    page.locator("input[name=username]").fill(stage.airflow.user)
    page.locator("input[name=password]").fill(stage.airflow.password)
    page.keyboard.press("Enter")
    page.get_by_text("Admin", exact=True).first.wait_for()
    yield page
    context.close()


@pytest.fixture
def no_connection(stage):
    """No connection yet, although the stage makes one."""
    rest = stage.airflow.rest
    for connection in rest.pages("connections", "connections"):
        rest.request("DELETE", f"connections/{connection['connection_id']}")


def save(page, name):
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"airflow-{name}.png", animations="disabled")


def open_form(page):
    """Begin to add a connection of type FLORA."""
    page.goto("/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_role("combobox").click()
    page.keyboard.type("FLORA")
    page.keyboard.press("Enter")
    form.get_by_text("Base URL").wait_for()
    return form


def add(page, *, extra=None, **fields):
    """Fill in the form, and save it."""
    form = open_form(page)
    for name, value in {"connection_id": CONNECTION, **fields}.items():
        form.locator(f"input[name={name}]").fill(value)
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for name, value in (extra or {}).items():
        form.locator(f"[name=element_{name}]").fill(value)
    return form


def submit(page, form):
    form.get_by_role("button", name="Save").click()
    form.wait_for(state="detached")
    page.get_by_role("row").filter(has_text=CONNECTION).wait_for()


def press_test(page, name):
    """Press Test in the list; return what Airflow says, which is gone after seconds."""
    row = page.get_by_role("row").filter(has_text=CONNECTION)
    row.get_by_role("button", name="Test Connection").click()
    toast = page.locator("[data-scope=toast][data-part=root]").filter(has_text="Test Connection")
    toast.wait_for()
    save(page, name)
    text = toast.inner_text()
    toast.wait_for(state="detached")
    return text


def test_providers_page_describes_the_provider_in_plain_text(page):
    page.goto("/providers")
    row = page.get_by_role("row").filter(has_text="airflow-provider-flora")
    assert "Generate images, video, audio and text with FLORA https://flora.ai" in row.inner_text()
    assert row.get_by_role("link", name="https://flora.ai").get_attribute("href") == "https://flora.ai"


def test_form_has_a_label_a_help_text_and_an_optional_input_for_each_field(page):
    form = open_form(page)
    save(page, "form")
    for label, name in STANDARD_FIELDS.items():
        form.get_by_text(label, exact=True).wait_for()
        if name:
            hint = form.locator(f"input[name={name}]").get_attribute("placeholder")
            assert hint == FIELD_BEHAVIOUR["placeholders"][name]
    assert form.locator("input[name=login], input[name=schema]").count() == 0
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for field in EXTRA_FIELDS.values():
        form.get_by_text(field.label, exact=True).wait_for()
        form.get_by_text(field.help, exact=True).wait_for()
    page.set_viewport_size({"width": 1200, "height": 1500})
    save(page, "form-extra-fields")
    assert form.get_by_text("*", exact=True).count() == 2  # connection id and type


def test_connection_from_the_form_passes_its_test_before_and_after_an_edit(page, stage, no_connection):
    flora = stage.sandbox
    form = add(
        page,
        host=flora.base_url,
        password=flora.api_key,
        port=flora.base_url.split(":")[2].split("/")[0],
        extra={"workspace_id": flora.workspace_id, "project_id": flora.project_id},
    )
    submit(page, form)
    found = f"Sandbox ({flora.workspace_id}): Airflow ({flora.project_id})"
    assert found in press_test(page, "test")

    page.get_by_role("button", name="Edit Connection").click()
    form = page.get_by_role("dialog")
    form.locator("textarea[name=description]").fill("Of the marketing department")
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    form.locator("[name=element_timeout]").fill("30")
    submit(page, form)
    page.get_by_text("Of the marketing department").wait_for()
    assert found in press_test(page, "test-after-edit")
    log = stage.airflow.parts["api-server"].log.read_text()
    assert f"Test of a FLORA connection: FLORA accepts the key. Workspaces and projects: {found}" in log
    assert flora.api_key not in log


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"password": "sk_live_of_somebody_else"}, "FLORA answered 401 invalid_api_key"),
        ({"extra": {"project_id": "prj_of_somebody_else"}}, "the key sees no project 'prj_of_somebody_else'"),
        ({"extra": {"workspace_id": "Marketing"}}, "workspace_id is 'Marketing', but such an id starts with 'ws_'"),
    ],
    ids=["a wrong key", "a project of another", "a name for an id"],
)
def test_connection_that_does_not_work_says_why(page, stage, no_connection, changes, sentence):
    fields = {"host": stage.sandbox.url, "password": stage.sandbox.api_key, "port": stage.sandbox.url.split(":")[2]}
    submit(page, add(page, **(fields | changes)))
    text = press_test(page, f"test-{re.sub('[^a-z]+', '-', sentence[:20].lower())}")
    assert sentence in text
    assert "sk_" not in text


def test_port_is_asked_for_as_long_as_airflow_refuses_to_test_without_one(page, stage, no_connection):
    """Airflow 3.3.2's; where this fails, the label of the port need not ask for one any more (apache/airflow#73298)."""
    submit(page, add(page, host=stage.sandbox.url, password=stage.sandbox.api_key))
    assert "Bad Request" in press_test(page, "test-without-a-port")


def test_link_of_a_task_leads_to_the_page_of_its_project(page, stage, no_connection):
    flora, rest = stage.sandbox, stage.airflow.rest
    scope = {"workspace_id": flora.workspace_id, "project_id": flora.project_id}
    submit(page, add(page, host=flora.base_url, password=flora.api_key, extra=scope))
    rest.unpause(DAG)
    run_id = rest.trigger(DAG)
    assert rest.wait_for_dag_run(DAG, run_id, timeout=180) == "success"
    page.goto(f"/dags/{DAG}/runs/{run_id}/tasks/picture/details")
    link = page.get_by_role("link", name="FLORA project")
    link.wait_for()
    save(page, "task")
    with page.expect_popup() as popup:
        link.click()
    project = popup.value
    project.get_by_text("A fern in the rain, watercolour").wait_for()
    assert project.url == f"{flora.url}/projects/{flora.project_id}"
    project.locator(".run img").evaluate("image => image.decode()")
    save(project, "project")
