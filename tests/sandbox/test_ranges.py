"""Serving a file whole, in parts, or not at all if the client has it."""

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from flora_provider.sandbox.http.ranges import part_of, serve
from flora_provider.sandbox.http.request import Request

CONTENT = bytes(range(100))


def ask(method="GET", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return serve(CONTENT, "image/png", Request(method, "", "/media/a", "/media/a", headers, b""))


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-9", 0, 9),
        ("Bytes=0-9", 0, 9),
        ("bytes=90-", 90, 99),
        ("bytes=-5", 95, 99),
        ("bytes=-500", 0, 99),
        ("bytes=99-1000", 99, 99),
    ],
)
def test_range_is_served_as_a_part(header, first, last):
    answer = ask(range=header)
    assert (answer.status, answer.body) == (206, CONTENT[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/100"


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_range_outside_the_file_cannot_be_satisfied(header):
    answer = ask(range=header)
    assert (answer.status, answer.headers["content-range"]) == (416, "bytes */100")


@given(st.text() | st.from_regex(r"bytes=\d{0,4}-\d{0,4}(,\d-\d)?", fullmatch=True))
@example("bytes=-")
@example("bytes=5-2")
@example("bytes=0-1,3-4")
@example("bytes=" + "9" * 5000 + "-")
def test_any_range_gives_the_whole_a_part_or_416(header):
    answer = ask(range=header)
    if answer.status == 206:
        part = part_of(100, header)
        assert 0 <= part.start < part.stop <= 100
        assert answer.body == CONTENT[part.start : part.stop]
    else:
        assert (answer.status, answer.body) in ((200, CONTENT), (416, b""))


def test_client_that_has_the_file_gets_none():
    etag = ask().headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        assert (ask(if_none_match=known).status, ask(if_none_match=known).body) == (304, b"")
    assert ask(if_none_match='"other"').status == 200


def test_range_of_another_version_gives_the_whole():
    assert ask(range="bytes=0-9", if_range='"other"').status == 200
    assert ask(range="bytes=0-9", if_range=ask().headers["etag"]).status == 206


def test_head_says_how_long_the_file_is():
    answer = ask("HEAD", range="bytes=0-9")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "100")


def test_outputs_and_assets_are_served_in_parts(flora):
    run_id = flora.start()
    files = {"file": ("a.png", CONTENT, "image/png")}
    asset = flora.post("/assets", files=files, data={"workspace_id": flora.sandbox.workspace_id}).json()
    flora.sandbox.clock.advance(1000)
    for url in (flora.run(run_id)["outputs"][0]["url"], asset["url"]):
        whole = flora.get(url)
        assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
        part = flora.get(url, headers={"range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, whole.content[10:20])
        assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
        assert flora.get(url, headers={"range": "bytes=99999999-"}).status_code == 416
        assert flora.get(url, headers={"if-none-match": whole.headers["etag"]}).status_code == 304
        head = flora.head(url)
        assert (head.content, head.headers["content-length"]) == (b"", str(len(whole.content)))
        assert head.headers["etag"] == whole.headers["etag"]


@pytest.mark.parametrize(
    "path",
    ["", "/", "/../pyproject.toml", "/assets/../../a", "/assets/..%2F..%2Fa", "/assets/", "/%2e%2e/a", "/a/b/c"],
)
def test_paths_lead_to_nothing_but_outputs_and_assets(flora, path):
    assert flora.get(f"https://flora.test/media{path}").status_code == 404
