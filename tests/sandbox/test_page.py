"""The page in a browser: headless Chromium, which must report no error and ask for nothing from elsewhere."""

import io
from contextlib import contextmanager

import httpx
import pytest
from PIL import Image

from flora_provider.sandbox import Fault, SandboxServer
from tests.support.browser import SCREENSHOTS, headless_chromium

HOSTILE = "<img src=x onerror=\"document.title='owned'\"> & <b>bold</b>"
VIEW = "https://flora.test/_sandbox/view"
WAIT = 5000  # milliseconds for the page to show something


@pytest.fixture(scope="module")
def chromium():
    with headless_chromium() as browser:
        yield browser


@pytest.fixture
def server():
    with SandboxServer() as server:
        yield server


@pytest.fixture
def flora(server):
    headers = {"authorization": f"Bearer {server.sandbox.api_key}"}
    with httpx.Client(base_url=server.base_url, headers=headers, trust_env=False) as client:
        yield client


@pytest.fixture
def generate(server, flora):
    def generate(prompt="A fern in the morning light", type="image", project_id=None, **behavior):  # noqa: A002 - FLORA's
        scope = {"workspace_id": server.sandbox.workspace_id, "project_id": project_id or server.sandbox.project_id}
        body = {"type": type, "prompt": prompt, **scope, "params": {"sandbox": behavior}}
        return flora.post("/generate", json=body).json()["run_id"]

    return generate


@pytest.fixture
def visit(chromium, server):
    """Open a page of the sandbox; at its end nothing may have gone wrong in it."""

    @contextmanager
    def visit(path="/", **options):
        context = chromium.new_context(**options)
        page = context.new_page()
        wrong = []
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("response", lambda response: wrong.append(response.url) if response.status >= 400 else None)
        page.on("request", lambda request: request.url.startswith((server.url, "data:")) or wrong.append(request.url))
        page.set_default_timeout(WAIT)
        page.goto(server.url + path)
        yield page
        context.close()
        assert wrong == []

    return visit


def save(page, name):
    SCREENSHOTS.mkdir(exist_ok=True)
    content = page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    with Image.open(io.BytesIO(content)) as image:
        assert len(image.convert("RGB").getcolors(1 << 24)) > 50, "the page is all but empty"
    return content


def texts(page, selector):
    return page.locator(selector).all_inner_texts()


def test_page_shows_runs_of_each_kind_and_state(server, generate, visit):
    for kind in ("image", "video", "audio", "text"):
        generate(f"A fern, as {kind}", type=kind, seconds=1)
    generate("A fern that wilts", error_code="GENERATION_PROVIDER_TIMEOUT", error_message="No answer.", seconds=1)
    server.sandbox.clock.advance(60)
    generate("A fern that grows", seconds=100)
    generate("A fern to come", seconds=1e6)
    server.sandbox.clock.advance(60)
    with visit() as page:
        page.locator(".run").nth(6).wait_for()
        assert texts(page, ".run .status") == ["pending", "running", "failed", *["completed"] * 4]
        assert page.locator(".run img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 512
        assert page.locator(".run video").count() == page.locator(".run audio").count() == 1
        page.wait_for_function("document.querySelector('.run video').readyState >= 2")
        assert "A fern, as text" in page.locator(".run blockquote").inner_text()
        assert page.locator(".run progress").nth(1).evaluate("progress => progress.value") > 0
        assert "No answer." in page.locator(".run .error").nth(2).inner_text()
        assert "billed $" in page.locator(".run .cost").last.inner_text()
        assert dict(zip(texts(page, "#totals dt"), texts(page, "#totals dd"), strict=True))["runs"] == "7"
        save(page, "page-light")
    for name, options in (
        ("page-dark", {"color_scheme": "dark"}),
        ("page-phone", {"viewport": {"width": 390, "height": 844}}),
    ):
        with visit(**options) as page:
            page.locator(".run").nth(6).wait_for()
            wide, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert wide <= room
            save(page, name)


def test_running_run_moves_and_ends_on_the_page_by_itself(server, generate, visit):
    generate(seconds=100)
    with visit() as page:
        page.locator(".run[data-status=pending]").wait_for()
        server.sandbox.clock.advance(50)
        page.locator(".run[data-status=running]").wait_for()
        server.sandbox.clock.advance(60)
        page.locator(".run[data-status=completed] img").wait_for()


def test_prompt_is_shown_as_text_whatever_is_in_it(server, generate, visit):
    generate(HOSTILE, type="text", seconds=0)
    with visit() as page:
        assert page.locator(".run .prompt").inner_text() == HOSTILE
        assert HOSTILE in page.locator(".run blockquote").inner_text()
        assert page.title() == "FLORA sandbox"


@pytest.mark.parametrize("output_type", ["imageUrl", "modelUrl", "javascriptUrl"])
def test_text_is_shown_as_text_whatever_type_it_states(server, visit, generate, output_type):
    generate("A fern", type="text", seconds=0, output_type=output_type, text="javascript:document.title='owned'//")
    generate("A fern", type="text", seconds=0, output_type=output_type, text="http://elsewhere.example/a.png")
    with visit() as page:
        page.locator(".run").nth(1).wait_for()
        assert page.locator(".run blockquote").count() == 2
        assert page.locator(".media a, .media img").count() == 0


def test_page_neither_counts_as_requests_nor_uses_up_faults(server, generate, visit):
    generate(seconds=0)
    generate(type="video", seconds=0)
    server.sandbox.faults.add(Fault(status=503))
    before = server.sandbox.stats()["requests"]
    with visit() as page:
        page.locator(".run img").evaluate("image => image.decode()")
        page.locator(".run video").evaluate("video => { video.preload = 'auto'; video.load(); }")
        page.locator("#faults li").wait_for()
    assert server.sandbox.stats()["requests"] == before
    assert server.sandbox.faults.to_json() == [{"status": 503, "hits": 0}]


def test_project_has_a_page_with_its_runs_only(server, flora, generate, visit):
    other = flora.post("/projects", json={"workspace_id": server.sandbox.workspace_id, "name": "Ferns"}).json()
    generate("Elsewhere")
    generate("Here", project_id=other["project_id"])
    graph = flora.get(f"/workspaces/{server.sandbox.workspace_id}/projects/{other['project_id']}/graph").json()
    assert graph["canvas_url"] == f"{server.url}/projects/{other['project_id']}"
    with visit(f"/projects/{other['project_id']}") as page:
        page.locator(".run").wait_for()
        assert texts(page, ".run .prompt") == ["Here"]
        assert "Ferns" in page.locator("#scope").inner_text()


def test_page_of_an_unknown_project_says_so(chromium, server):
    page = chromium.new_page()
    response = page.goto(f"{server.url}/projects/prj_unknown")
    assert response.status == 404
    page.get_by_text("This sandbox has no project prj_unknown.").wait_for()
    page.get_by_role("link", name="All projects").click()
    page.get_by_text("Nothing here costs money.").wait_for()
    page.close()


def test_switches_turn_what_they_say(server, generate, visit):
    sandbox, before = server.sandbox, server.sandbox.api_key
    generate(seconds=3000)
    with visit() as page:
        page.locator(".run").wait_for()
        page.get_by_role("button", name="+1 h").click()
        page.locator(".run[data-status=completed]").wait_for()
        page.get_by_role("button", name="Stop").click()
        page.locator("#frozen:not([hidden])").wait_for()
        assert sandbox.clock.is_frozen
        page.get_by_role("button", name="Next run fails").click()
        page.locator("#faults li").wait_for()
        run_id = generate()
        assert sandbox.state.runs[run_id].behavior.error_code == "GENERATION_PROVIDER_TIMEOUT"
        page.get_by_role("button", name="Clear all faults").click()
        page.locator("#faults:empty").wait_for(state="attached")
        assert sandbox.faults.to_json() == []
        page.get_by_role("button", name="Rotate").click()
        page.get_by_text("The old key is refused").wait_for()
        assert sandbox.api_key != before
        page.get_by_role("button", name="Show", exact=True).click()
        assert page.locator("#key").inner_text() == sandbox.api_key


def test_page_works_by_keyboard(server, generate, visit):
    generate(seconds=3000)
    with visit() as page:
        page.locator(".run").wait_for()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the runs"
        tab_to(page, "A fault of your own")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.type("/gen")
        tab_to(page, "Add")
        page.keyboard.press("Enter")
        page.locator("#faults li").wait_for()
    (fault,) = server.sandbox.faults.to_json()
    assert fault["status"] == 503
    assert fault["route"].startswith("/gen")


def tab_to(page, text):
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == text:
            return
    raise AssertionError(f"The Tab key does not lead to {text!r}.")


def test_form_adds_a_fault_with_all_it_offers(server, visit):
    with visit() as page:
        page.get_by_text("A fault of your own").click()
        page.get_by_label("Route").select_option("/runs/{run_id}")
        page.get_by_label("What happens").select_option("only the delay")
        for label, value in {"Calls": "", "Share in %": "25", "Delay in s": "1.5", "Lasts for s": "60"}.items():
            page.get_by_label(label).fill(value)
        page.get_by_role("button", name="Add", exact=True).click()
        page.locator("#faults li").wait_for()
        save(page, "page-fault")
    expected = {"route": "/runs/{run_id}", "delay": 1.5, "rate": 0.25, "seconds": 60, "times": None, "hits": 0}
    assert server.sandbox.faults.to_json() == [expected]


def test_presets_add_faults_that_a_port_can_apply(server, visit):
    with visit() as page:
        for number in range(5):
            page.locator("[data-fault]").nth(number).click()
            page.locator("#faults li").nth(number).wait_for()
            assert page.locator("#message").inner_text().startswith("Fault added")
    assert len(server.sandbox.faults.to_json()) == 5


def test_runs_are_filtered_and_shown_in_pages(server, generate, visit):
    for number in range(130):
        generate(f"Fern {number}", seconds=0 if number % 5 else 1e6)
    with visit() as page:
        page.locator(".run").nth(29).wait_for()
        assert page.locator(".run").count() == 30
        for newest in (99, 69, 39, 9):
            page.get_by_role("button", name="Older").click()
            page.get_by_text(f"Fern {newest}", exact=True).wait_for()
            assert page.locator(".run").count() <= 30
        assert page.get_by_role("button", name="Older").is_disabled()
        page.get_by_role("button", name="Newer").click()
        page.get_by_text("Fern 39", exact=True).wait_for()
        page.get_by_role("button", name="Pending").click()
        page.get_by_text("Fern 125", exact=True).wait_for()
        assert set(texts(page, ".run .status")) == {"pending"}
        page.get_by_role("button", name="Failed").click()
        page.locator("#none").wait_for()


def test_huge_texts_many_outputs_and_many_faults_are_cut_short(server, generate, visit):
    generate("Fern " * 20_000, type="text", seconds=0)
    generate(outputs=100, seconds=0)
    server.sandbox.faults.add(*[Fault("/generate", body="x" * 10_000, skip=number) for number in range(200)])
    with visit() as page:
        page.locator(".run blockquote").wait_for()
        page.get_by_text("and 150 more").wait_for()
        page.get_by_text("and 92 more").wait_for()
        assert page.locator(".media img").count() == 8
        assert len(page.locator("body").inner_text()) < 30_000
    assert len(httpx.get(f"{server.url}/_sandbox/view", trust_env=False).json()["runs"][1]["prompt"]) < 1100


def test_view_is_sent_again_only_when_something_changed(make_flora):
    flora = make_flora()
    flora.sandbox.clock.freeze()
    run_id = flora.start(params={"sandbox": {"seconds": 10}})
    first = flora.get(VIEW)
    assert flora.get(VIEW, headers={"if-none-match": first.headers["etag"]}).status_code == 304
    flora.sandbox.clock.advance(10)
    changed = flora.get(VIEW, headers={"if-none-match": first.headers["etag"]})
    assert [(run["run_id"], run["status"]) for run in changed.json()["runs"]] == [(run_id, "completed")]


def test_view_has_runs_that_flora_does_not_show_yet(make_flora):
    flora = make_flora()
    run_id = flora.start(params={"sandbox": {"hidden_for": 100, "listed_after": 200}})
    assert [run["run_id"] for run in flora.get(VIEW).json()["runs"]] == [run_id]


def test_empty_sandbox_says_how_to_begin(server, visit):
    with visit() as page:
        page.locator("#empty").wait_for()
        assert "curl" in page.locator("#try").inner_text()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/_sandbox/view", {}, 200),
        ("/_sandbox/view", {"host": "evil.example.com"}, 403),
        ("/_sandbox/view", {"host": "evil.xn--p1ai"}, 403),
        ("/_sandbox/view", {"host": "evil.example.com."}, 403),
        ("/_sandbox/view", {"host": "["}, 403),
        ("/_sandbox/view", {"host": "evil.example.com:80@127.0.0.1"}, 403),
        ("/_sandbox/view", {"host": "127.0.0.1:4711"}, 200),
        ("/_sandbox/view", {"host": "[::1]:4711"}, 200),
        ("/_sandbox/view", {"host": "localhost"}, 200),
        ("/_sandbox/view", {"host": "sandbox:4711"}, 200),  # of a compose file; no name without dots can be bought
        ("/_sandbox/view", {"origin": "http://evil.example.com"}, 403),
        ("/_sandbox/view", {"origin": "null"}, 403),
        ("/_sandbox/media/run_unknown/a.png", {}, 404),
        ("/", {"host": "evil.example.com:4711"}, 403),
        ("/_sandbox/web/app.js", {}, 200),
        ("/_sandbox/web/..%2f__init__.py", {}, 404),
        ("/_sandbox/web/__init__.py", {}, 404),
    ],
)
def test_pages_of_other_sites_reach_no_control(server, path, headers, status):
    response = httpx.get(server.url + path, headers=headers, trust_env=False)
    assert response.status_code == status


def test_page_and_controls_can_be_switched_off():
    with SandboxServer(controls=False) as server:
        for path in ("/", "/_sandbox/view", f"/projects/{server.sandbox.project_id}"):
            assert httpx.get(server.url + path, trust_env=False).status_code == 404
