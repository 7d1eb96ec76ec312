"""Files between FLORA and the machine of a task."""

from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector
from airflow.providers.common.compat.sdk import ObjectStoragePath

from flora_provider.api.errors import FloraDownloadError, FloraInputError, FloraStorageError
from flora_provider.sandbox.faults import Fault
from tests.support.servers import http_server


class Lineage:
    """What Airflow's collector, which serves a whole process, has collected since this began."""

    def __init__(self):
        self._before = self._collected()

    @property
    def inputs(self):
        return self._collected()[0] - self._before[0]

    @property
    def outputs(self):
        return self._collected()[1] - self._before[1]

    def _collected(self):
        lineage = get_hook_lineage_collector().collected_assets
        return [
            {(info.asset if hasattr(info, "asset") else info.dataset).uri for info in infos}  # datasets: Airflow 2
            for infos in (lineage.inputs, lineage.outputs)
        ]


@pytest.fixture
def lineage():
    return Lineage()


def picture_of(hook, key):
    run = hook.generate(type="image", prompt="a fern", params={"sandbox": {"seconds": 0}}, idempotency_key=key)
    return hook.wait_for_run(run.run_id)["outputs"][0]


@pytest.fixture
def picture(hook):
    return picture_of(hook, "k")


def test_output_is_saved_under_its_type(hook, picture, tmp_path, lineage):
    saved = hook.download_output(picture, tmp_path / "new", name="run 1/output")
    assert saved == tmp_path / "new" / "run-1-output-82c92a43.png"
    assert saved.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]
    assert lineage.outputs == {saved.as_uri()}
    assert lineage.inputs == {picture["url"].split("?")[0]}


def test_runs_share_a_folder_and_a_retry_its_file(hook, tmp_path):
    first, second = picture_of(hook, "k1"), picture_of(hook, "k2")
    saved = [hook.download_output(output, tmp_path).name for output in (first, second, first)]
    assert saved == [f"{output['run_id']}-{output['output_id']}.png" for output in (first, second, first)]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(("text", "written"), [("thé", "thé"), ("a\ud800b", "a?b")], ids=ascii)
def test_text_is_saved_as_it_is_but_for_half_a_character(hook, tmp_path, lineage, text, written):
    saved = hook.download_output({"run_id": "run_1", "output_id": "o", "type": "text", "text": text}, tmp_path)
    assert (saved.name, saved.read_text(encoding="utf-8")) == ("run_1-o.txt", written)
    assert lineage.inputs == set()


OUTPUT = {"run_id": "run_1", "output_id": "o"}
GIVE_OUTPUT = "give one of the outputs of a finished run"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({**OUTPUT, "type": "imageUrl"}, "neither url nor text"),
        ({**OUTPUT, "url": None}, "the output's url is no address"),
        ({**OUTPUT, "url": 5}, "the output's url is no address"),
        ({**OUTPUT, "url": b"https://media.flora.ai/a?sig=secret"}, "the output's url is no address"),
        ({**OUTPUT, "url": ["https://media.flora.ai/a"]}, "the output's url is no address"),
        ({**OUTPUT, "url": ""}, "the output's url is no address"),
        ({**OUTPUT, "text": None}, "the output's text is None"),
        ({**OUTPUT, "text": b"words"}, "the output's text is b'words'"),
        ({"run_id": None, "output_id": "o", "text": "words"}, "the output's run_id is None"),
        ({"run_id": "run_1", "output_id": 7, "text": "words"}, "the output's output_id is 7"),
        ({"run_id": "run_1", "output_id": b"o", "text": "words"}, "the output's output_id is b'o'"),
        ([("run_id", "run_1")], GIVE_OUTPUT),
        (5, GIVE_OUTPUT),
        (b"x", GIVE_OUTPUT),
        (None, GIVE_OUTPUT),
        ("https://media.flora.ai/a.png", GIVE_OUTPUT),
        ({"run_id": "run_1"}, GIVE_OUTPUT),
        ({"run_id": "run_1", "outputs": []}, GIVE_OUTPUT),
    ],
)
def test_output_that_lacks_what_it_must_have_is_refused(hook, tmp_path, output, said):
    with pytest.raises(FloraInputError, match=said) as caught:
        hook.download_output(output, tmp_path)
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


ADDRESSES = [
    "s3://bucket/x",
    "gs://bucket",
    "file:///tmp/x",
    "abfs://c@a/x",
    "https://example.com/x",
    "S3A://b",
    "a://b",
]


@pytest.mark.parametrize(
    "folder", [*ADDRESSES, *map(Path, ADDRESSES[:-1]), Path("out") / "s3://bucket", "s3:/bucket/x"]
)
def test_folder_that_is_an_address_is_refused(hook, tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FloraInputError, match=r"folder is .*, an address: give the path"):
        hook.download_output({**OUTPUT, "text": "words"}, folder)
    assert list(tmp_path.iterdir()) == []


def test_folder_may_be_one_of_airflows_object_storage(hook, tmp_path):
    saved = hook.download_output({**OUTPUT, "text": "words"}, ObjectStoragePath(f"file://{tmp_path}/x"))
    assert Path(saved.path) == tmp_path / "x" / "run_1-o.txt"
    assert Path(saved.path).read_text(encoding="utf-8") == "words"


def test_file_of_airflows_object_storage_becomes_an_asset(hook, tmp_path, lineage):
    file = tmp_path / "picture.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000))
    asset = hook.upload_asset(ObjectStoragePath(f"file://{file}"))
    assert (asset.status, bool(asset.url)) == ("ready", True)
    assert lineage.inputs == {file.as_uri()}


def test_file_of_object_storage_that_is_not_there_is_named(hook, tmp_path):
    with pytest.raises(FloraStorageError, match=r"nothing\.png: .* does not exist"):
        hook.upload_asset(ObjectStoragePath(f"file://{tmp_path}/nothing.png"))


@pytest.mark.parametrize(
    "changes",
    [{"folder": odd} for odd in (None, 5, b"/tmp", "", "a\0b", "a\ud83d", [])]
    + [{"name": odd} for odd in (5, b"x", " ", [])]
    + [{"max_bytes": odd} for odd in (None, -1, "5", 1.5)],
)
def test_odd_arguments_of_a_download_are_refused(hook, tmp_path, changes):
    with pytest.raises(FloraInputError, match=next(iter(changes))):
        hook.download_output(**{"output": {**OUTPUT, "text": "words"}, "folder": tmp_path, **changes})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", [None, 5, b"/tmp/a.png", [], Path("s3://bucket/a.png"), "s3://bucket/a.png", ""])
def test_source_of_an_upload_that_is_none_is_refused(hook, source, flora_sandbox):
    with pytest.raises(FloraInputError, match="source is"):
        hook.upload_asset(source)
    assert flora_sandbox.sandbox.stats()["requests"] == {}


def test_names_that_differ_in_case_are_two_files(hook, tmp_path):
    for name in ("full", "Full", "FULL"):
        hook.download_output({**OUTPUT, "text": name}, tmp_path, name=name)
    assert len({path.name.casefold() for path in tmp_path.iterdir()}) == 3
    assert {path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {"full", "Full", "FULL"}


@pytest.mark.parametrize("content_type", ["image/jpg", "application/octet-stream", None])
def test_file_whose_host_hardly_says_what_it_is_has_an_ending(hook, tmp_path, content_type):
    class Media(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            if content_type:
                self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", "1")
            self.end_headers()
            self.wfile.write(b"x")

    with http_server(Media) as url:
        saved = hook.download_output({**OUTPUT, "url": f"{url}/a.jpg?x=.gif"}, tmp_path)
    assert saved.name == "run_1-o.jpg"


def test_folder_may_be_a_text(hook, picture, tmp_path):
    assert hook.download_output(picture, str(tmp_path / "a")).parent == tmp_path / "a"


def test_file_that_breaks_off_leaves_nothing(hook, picture, tmp_path, flora_sandbox):
    with pytest.raises(FloraDownloadError, match="larger than"):
        hook.download_output(picture, tmp_path, max_bytes=10)
    assert list(tmp_path.iterdir()) == []


def test_download_that_breaks_off_is_tried_again(hook, picture, tmp_path, flora_sandbox):
    flora_sandbox.sandbox.faults.add(Fault("/media/{run_id}/{file}", delivery="cut"))
    assert hook.download_output(picture, tmp_path).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("size", [1_000, 5_000_000])
def test_local_file_becomes_an_asset_whatever_its_size(hook, tmp_path, lineage, size):
    file = tmp_path / "picture.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(size))
    asset = hook.upload_asset(file)
    assert (asset.status, bool(asset.url)) == ("ready", True)
    assert lineage.inputs == {file.as_uri()}
    assert lineage.outputs == {asset.url.split("?")[0]}


def test_empty_file_is_refused_before_it_is_sent(hook, tmp_path, flora_sandbox):
    file = tmp_path / "empty.png"
    file.touch()
    with pytest.raises(FloraInputError, match="empty"):
        hook.upload_asset(file)
    assert flora_sandbox.sandbox.stats()["requests"] == {}


def test_file_without_an_ending_is_taken_with_its_content_type(hook, tmp_path):
    file = tmp_path / "picture"
    file.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(FloraInputError, match="give content_type"):
        hook.upload_asset(file)
    assert hook.upload_asset(file, content_type="image/png").status == "ready"
    assert hook.upload_asset(file, file_name="fern.png").status == "ready"


@pytest.mark.parametrize("source", ["http://example.com/a.png", "https://[::1", "https://me:secret@example.com/a.png"])
def test_address_that_flora_cannot_fetch_is_refused_before_lineage_records_it(hook, lineage, source):
    with pytest.raises(FloraInputError) as raised:
        hook.upload_asset(source)
    assert "secret" not in str(raised.value)
    assert lineage.inputs == set()


def test_lineage_never_fails_a_download_that_has_succeeded(hook, picture, tmp_path):
    deep = tmp_path
    for _ in range(8):
        deep /= "d" * 250
    assert hook.download_output(picture, deep).is_file()
