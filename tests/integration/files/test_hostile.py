"""Disks that are full, hosts that lie, and names that mean harm: a clear error or the right file, never a wrong one."""

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from flora_provider.api import calls
from flora_provider.api.client import FloraClient
from flora_provider.api.errors import FloraDownloadError, FloraInputError, FloraStorageError
from flora_provider.files import save_run
from tests.support.airflow_tasks import start_run
from tests.support.media import finished

ROOT = Path(__file__).parents[3]


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_expired_address_is_renewed_by_reading_the_run(flora, flora_sandbox, media, store, status):
    run_id = start_run(flora_sandbox)
    run = finished(media.serve("/old.png", status=status), run_id=run_id)
    run["outputs"][0]["output_id"] = flora.send(calls.get_run(run_id)).outputs[0].output_id
    manifest = save_run(flora, run, store.folder)
    assert store.read(manifest.files[0].name).startswith(b"\x89PNG")
    assert media.requests == ["/old.png"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status": 403}, "answered 403"),
        ({"status": 404}, "answered 404"),
        ({"status": 500}, "answered 500"),
        ({"body": b""}, "empty"),
        ({"body": b"short", "length": 9}, "connection to 127.0.0.1 broke"),
        (
            {"body": gzip.compress(b"x" * 1000, mtime=0)[:-9], "Content_Encoding": "gzip"},
            "in the middle of its compression",
        ),
        ({"body": b"no gzip", "Content_Encoding": "gzip"}, "damaged"),
        ({"status": 302, "body": b"", "Location": "http://169.254.169.254/latest"}, "is none that is followed"),
        ({"status": 302, "body": b"", "Location": "file:///etc/passwd"}, "is none that is followed"),
    ],
    ids=str,
)
def test_file_that_does_not_arrive_whole_is_an_error_and_leaves_none(flora, media, tmp_path, answer, said):
    url = media.serve("/a.png", **answer)
    with pytest.raises(Exception, match=said) as caught:
        save_run(flora, finished(url + "?sig=secret"), tmp_path)
    assert type(caught.value).__module__ == "flora_provider.api.errors"
    assert "secret" not in str(caught.value)
    assert not [name for name in files_in(tmp_path) if not name.endswith(".json")]


def test_public_address_that_redirects_into_a_private_network_is_not_followed(media, tmp_path):
    with (
        FloraClient(api_key="k", base_url="https://93.184.216.34/api/v1", max_retries=0) as client,
        pytest.raises(FloraDownloadError, match="private network"),
    ):
        save_run(client, finished(media.serve("/a.png")), tmp_path)
    assert media.requests == []


def test_file_that_is_larger_than_allowed_is_an_error(flora, media, tmp_path):
    with pytest.raises(FloraDownloadError, match="larger than 10 bytes"):
        save_run(flora, finished(media.serve("/a.png", b"x" * 11)), tmp_path, max_bytes=10)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    "output_id",
    ["../../etc/x", "/etc/x", "..", ".", "x" * 300, "ü" * 300, "фото", "a\nb", "con", "a\\b", ".hidden", "a\0b", "🌿"],
    ids=ascii,
)
def test_output_id_is_never_a_path(flora, media, tmp_path, output_id):
    folder = tmp_path / "deep" / "out"
    manifest = save_run(flora, finished({"url": media.serve("/a.png"), "output_id": output_id}), folder)
    (name,) = [name for name in files_in(tmp_path) if name.endswith(".png")]
    assert manifest.files[0].path == str(folder / name)
    assert (folder / name).read_bytes() == b"x"
    assert len(name.encode()) < 200
    assert manifest.files[0].output_id == output_id


@pytest.mark.parametrize("template", ["{run_id}-{output_id}{ext}", "{output_id}", "same{ext}"])
def test_no_two_outputs_share_a_name(flora, media, tmp_path, template):
    ids = ["full", "Full", "FULL", "full", "run_1", "a/b", "a-b", "a:b"]
    outputs = [
        {"url": media.serve(f"/{index}", str(index).encode()), "output_id": output_id}
        for index, output_id in enumerate(ids)
    ]
    manifest = save_run(flora, finished(*outputs), tmp_path, file_name=template)
    names = [file.name for file in manifest.files]
    assert len({name.casefold() for name in [*names, "run_1.json"]}) == len(ids) + 1
    assert [Path(file.path).read_bytes() for file in manifest.files] == [str(i).encode() for i in range(len(ids))]
    media.requests.clear()
    assert save_run(flora, finished(*outputs), tmp_path, file_name=template) == manifest
    assert media.requests == []


def test_json_output_is_not_the_manifest(flora, media, tmp_path):
    url = media.serve("/a.json", b"{}", content_type="application/json")
    manifest = save_run(flora, finished(url), tmp_path, file_name="{run_id}{ext}")
    assert manifest.files[0].name != "run_1.json"
    assert Path(manifest.files[0].path).read_bytes() == b"{}"


@pytest.mark.parametrize(
    "name", ["a/b", "a\\b", "{nothing}", "{", "{}", "{ext}{run_id}", "", "a\nb", None, 5], ids=repr
)
def test_template_that_cannot_be_right_is_refused(flora, media, tmp_path, name):
    with pytest.raises(FloraInputError, match="file_name"):
        save_run(flora, finished(media.serve("/a.png")), tmp_path, file_name=name)


@pytest.mark.parametrize(
    "run",
    [None, {}, {"run_id": "run_1", "status": "completed"}, finished("http://127.0.0.1/a", status="failed"), "run_1"],
    ids=lambda run: str(run)[:30],
)
def test_run_that_has_no_files_is_refused(flora, tmp_path, run):
    with pytest.raises(FloraInputError, match="the run"):
        save_run(flora, run, tmp_path)


def python(code, *arguments, **options):
    """Run code in a process of its own; its output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": "/tmp"}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


SAVE = """
import os, resource, sys
from flora_provider.api.client import FloraClient
from flora_provider.files import save_run
from tests.support.media import finished
url, folder, limit, user = sys.argv[1:]
def save(run):
    with FloraClient(api_key="k", base_url="http://127.0.0.1:9/api/v1", max_retries=0) as client:
        save_run(client, run, folder)
# What a save loads is loaded before the limits are there.
from flora_provider.files import storage
if int(user):
    os.setuid(int(user))
if int(limit):
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    save(finished(url))
except Exception as error:
    print(type(error).__name__, error)
print(sorted(os.listdir(folder)) if os.path.isdir(folder) else None)
"""


def test_file_larger_than_the_system_allows_leaves_nothing(media, tmp_path):
    printed = python(SAVE, media.serve("/a.png", b"x" * 1_000_000), tmp_path, 100_000, 0)
    assert printed.startswith(f"FloraStorageError cannot write to {tmp_path}")
    assert "larger than the system allows; raise the limit" in printed
    assert printed.endswith("\n[]\n")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount and become another user")
def test_full_disk_is_named(media, tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if not mount or subprocess.run([mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        printed = python(SAVE, media.serve("/a.png", b"x" * 1_000_000), folder, 0, 0)
    finally:
        subprocess.run([umount, folder], check=True)
    assert printed.startswith(f"FloraStorageError cannot write to {folder}")
    assert "the disk is full; free some space" in printed
    assert printed.endswith("\n[]\n")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_permission_denied_is_named(media):
    # Not in pytest's own folder, which belongs to the user of the tests alone, and which every pytest makes so again.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        printed = python(SAVE, media.serve("/a.png"), folder, 0, 65534)
    assert printed.startswith("FloraStorageError cannot")
    assert "permission denied; let the user that Airflow's worker runs as" in printed
    assert printed.endswith("\n[]\n")


def test_folder_that_is_a_file_is_named(flora, media, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(FloraStorageError, match="is a file; choose another folder"):
        save_run(flora, finished(media.serve("/a.png")), tmp_path / "out")
