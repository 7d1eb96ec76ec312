"""A storage that no file can get to is refused before anything is billed, whichever parameter names it."""

import sys
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from flora_provider.budget import FloraBudget
from flora_provider.files.filesystems import has_fs
from flora_provider.operators.flora import (
    FloraGenerateBatchOperator,
    FloraGenerateOperator,
    FloraRunActionOperator,
    FloraRunTechniqueOperator,
)
from flora_provider.sensors.flora import FloraRunSensor
from flora_provider.tasks.storage_checks import FIELDS
from flora_provider.transfers.object_storage import FloraToObjectStorageOperator, ObjectStorageToFloraOperator
from tests.support.airflow_tasks import INSTANT

AIRFLOW_FS = sys.modules[has_fs.__module__]
FOLDER = "memory://shop/pictures"  # fsspec knows the scheme, and Airflow has no provider for it
RUN = "run_1"

OPERATORS = {
    "picture": (FloraGenerateOperator, {"type": "image", "prompt": "a fern"}),
    "technique": (FloraRunTechniqueOperator, {"technique": "cctv-cam", "inputs": {}}),
    "action": (FloraRunActionOperator, {"action_id": "speed-up-video", "inputs": "https://example.com/a.mp4"}),
}
PARAMETERS = [
    *((kind, {"wait_for_completion": True, **OPERATORS[name][1]}, field)
      for name, (kind, _) in OPERATORS.items() for field in ("save_outputs_to", "reuse_from", "budget")),
    *((FloraGenerateBatchOperator, {"requests": [{"prompt": "a fern"}], "save_outputs_to": "/tmp/out"}, field)
      for field in ("requests", "save_outputs_to", "reuse_from", "budget")),
    (FloraRunSensor, {"run_id": RUN}, "save_outputs_to"),
    (FloraToObjectStorageOperator, {"run": RUN}, "destination"),
    (ObjectStorageToFloraOperator, {}, "source"),
]  # fmt: skip


@pytest.fixture
def storage(monkeypatch, tmp_path):
    """Gives Airflow a filesystem for `memory://`, made by a function of the connection's id."""
    from fsspec.implementations.dirfs import DirFileSystem

    (tmp_path / "store").mkdir()
    filesystem = DirFileSystem(str(tmp_path / "store"))
    filesystem.folder = tmp_path / "store"
    filesystem.protocol = "memory"

    def provide(get_fs=None, scheme="memory"):
        get_fs = get_fs or (lambda _conn_id, _options: filesystem)
        monkeypatch.setattr(AIRFLOW_FS, "_register_filesystems", lambda: {scheme: get_fs})
        forget()
        return filesystem

    def forget():
        """As another process, which has made no filesystem yet."""
        try:
            from airflow.sdk.io import store
        except ImportError:  # Airflow 2
            from airflow.io import store
        monkeypatch.setattr(store, "_STORE_CACHE", {})

    forget()
    return provide


def name_of(parameter):
    return f"{parameter[0].__name__}-{parameter[2]}"


def address_of(address, field):
    if field == "budget":
        return FloraBudget("campaign", limit_usd=1, store=address)
    return f"{address}/rows.csv" if field == "requests" else address


@pytest.mark.parametrize("parameter", PARAMETERS, ids=name_of)
@pytest.mark.parametrize(
    ("address", "remedy"),
    [
        ("s5://shop/a", "what s5:// needs is not installed (no provider brings it): install the Airflow provider"),
        ("memory://shop/a", "what memory:// needs is not installed"),
        ("gs://shop/a", "install apache-airflow-providers-google"),
    ],
)
def test_scheme_without_provider_is_refused_before_any_request(flora, one_task, storage, parameter, address, remedy):
    operator, arguments, field = parameter
    task = one_task(operator(task_id="task", **{**arguments, field: address_of(address, field)}))
    message = str(task.fails_for_good())
    label = "budget: store" if field == "budget" else field
    assert message.startswith(f"{label} is '{address}")
    assert remedy in message
    assert "[task 'task', connection 'flora_default']" in message
    assert flora.requests == 0


def test_every_parameter_that_takes_an_address_is_checked():
    kinds = [*(kind for kind, _ in OPERATORS.values()), *(parameter[0] for parameter in PARAMETERS)]
    takes = {name for kind in kinds for name, rule in kind.rules.items()
             if rule(name, "s3://shop/a.csv") is None and rule(name, "s3:/shop/a.csv")}  # fmt: skip
    assert takes == set(FIELDS)


def test_missing_package_of_a_provider_is_named(flora, one_task, storage, generate):
    def get_fs(_conn_id, _options):
        raise ImportError("the memory protocol requires the fernfs library")

    storage(get_fs)
    task = one_task(generate(wait_for_completion=True, save_outputs_to=FOLDER))
    task.fails_for_good(r"needs is not installed \(the memory protocol requires the fernfs library\): install")
    assert flora.requests == 0


@pytest.mark.parametrize("parameter", PARAMETERS, ids=name_of)
def test_missing_connection_is_found_before_any_request(flora, one_task, storage, parameter):
    storage(lambda conn_id, _options: BaseHook.get_connection(conn_id))
    operator, arguments, field = parameter
    address = address_of("memory://shop_keys@shop/a", field)
    task = one_task(operator(task_id="task", **{**arguments, field: address}))
    task.fails_for_now(r"whose connection 'shop_keys' Airflow did not find: make it, or correct the id before the @")
    assert flora.requests == 0


def test_connection_of_a_transfer_is_looked_up_too(flora, one_task, storage):
    storage(lambda conn_id, _options: BaseHook.get_connection(conn_id))
    save = FloraToObjectStorageOperator(task_id="save", run=RUN, destination=FOLDER, storage_conn_id="shop_keys")
    one_task(save).fails_for_now("connection 'shop_keys' Airflow did not find")
    assert flora.requests == 0


@pytest.mark.parametrize("storage_conn_id", [None, "other_keys"])
def test_connection_of_a_pattern_is_that_of_its_files_and_in_no_address(flora, one_task, storage, storage_conn_id):
    asked, filesystem = [], storage()
    (filesystem.folder / "shop").mkdir()
    (filesystem.folder / "shop" / "fern.png").write_bytes(b"\x89PNG\r\n\x1a\n")

    def get_fs(conn_id, _options):
        asked.append(conn_id)
        return filesystem

    storage(get_fs)
    source = "memory://shop_keys@shop/*.png"
    upload = ObjectStorageToFloraOperator(task_id="upload", source=source, storage_conn_id=storage_conn_id)
    (asset,) = one_task(upload).run()
    assert set(asked) == {"shop_keys"}
    assert "shop_keys" not in asset["source"]


def test_secret_in_place_of_a_connection_is_not_shown(flora, one_task, storage, generate):
    storage(lambda conn_id, _options: BaseHook.get_connection(conn_id))
    task = one_task(generate(wait_for_completion=True, save_outputs_to="memory://key:s3cret@shop/a"))
    assert "s3cret" not in str(task.fails_for_now("Airflow did not find"))


def test_s3_without_its_connection_and_any_credentials_is_refused(flora, one_task, storage, generate, monkeypatch):
    s3 = pytest.importorskip("airflow.providers.amazon.aws.fs.s3")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    storage(s3.get_fs, scheme="s3")
    task = one_task(generate(wait_for_completion=True, save_outputs_to="s3://aws_nowhere@shop/a"))
    task.fails_for_now("connection 'aws_nowhere' Airflow did not find")
    assert flora.requests == 0


def test_s3_without_its_connection_takes_credentials_of_the_machine(storage, monkeypatch):
    from flora_provider.files.storage import open_folder

    s3 = pytest.importorskip("airflow.providers.amazon.aws.fs.s3")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    storage(s3.get_fs, scheme="s3")
    assert open_folder("s3://aws_nowhere@shop/a").path("b") == "s3://shop/a/b"


@pytest.mark.parametrize("trouble", [OSError("away"), ValueError("a signer that is not available")], ids=repr)
def test_trouble_that_may_pass_does_not_keep_a_run_from_starting(flora, one_task, storage, generate, trouble):
    troubles, filesystem = [trouble], storage()

    def get_fs(_conn_id, _options):
        if troubles:
            raise troubles.pop()
        return filesystem

    storage(get_fs)
    task = one_task(generate(wait_for_completion=True, save_outputs_to=FOLDER, deferrable=False))
    result = task.run()
    assert (flora.billed, len(result["files"])) == (1, 1)


def test_sensor_fails_before_it_waits_and_says_that_the_run_is_not_lost(flora, one_task, storage, wait_for):
    run_id = flora.start()
    sensor = one_task(wait_for(run_id, save_outputs_to=FOLDER))
    polls = flora.polls
    sensor.fails_for_good(rf"FLORA run {run_id} is not lost: clear this task once that is right, which costs nothing")
    assert flora.polls == polls
    storage()
    assert len(sensor.clear()["files"]) == 1
    assert flora.billed == 1


def test_storage_that_another_worker_lacks_is_left_to_a_retry_once_the_run_is_paid(flora, one_task, storage, generate):
    storage()
    task = one_task(generate(behavior=INSTANT | {"seconds": 10}, wait_for_completion=True, save_outputs_to=FOLDER))
    deferral = task.defers()
    filesystem = storage(scheme="other")
    event = task.trigger(deferral)
    with pytest.raises(Exception, match="what memory:// needs is not installed") as caught:
        task.resume(deferral, event)
    assert "AirflowFailException" not in {kind.__name__ for kind in type(caught.value).__mro__}
    storage()
    assert len(task.retry()["files"]) == 1
    assert flora.billed == 1
    assert any(Path(filesystem.folder).rglob("*.json"))
