"""Every example DAG is parsed, and run to its end against the sandbox; each run is billed once."""

import ast
import csv
import hashlib
import io
import json
import wave
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from PIL import Image

from flora_provider.files import read_manifest
from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.faults import Fault
from flora_provider.sandbox.server import SandboxServer
from flora_provider.sandbox.settings import Settings
from flora_provider.sandbox.world.run_behavior import RunBehavior
from tests.support.airflow_tasks import mapped_tries, succeeded, tries

EXAMPLES = Path(__file__).parent.parent / "example_dags"
FILES = sorted(EXAMPLES.glob("*.py"))
PROMPTS = EXAMPLES / "data" / "prompts.csv"


def dags_of(folder):
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # before Airflow 3.2
        from airflow.models.dagbag import DagBag
    bag = DagBag(str(folder))
    assert bag.import_errors == {}
    return bag.dags


@pytest.fixture(scope="module")
def dags(airflow_db):
    return dags_of(EXAMPLES)


@pytest.fixture
def flora(monkeypatch):
    """A FLORA so fast that every run is done within the second."""
    with SandboxServer(Sandbox(Settings(speed=1000))) as server:
        monkeypatch.setenv("AIRFLOW_CONN_FLORA_DEFAULT", server.connection_uri)
        yield server.sandbox


def returned(dag_run, task_id):
    """What a task returned, or its mapped tasks in their order."""
    tis = sorted((ti for ti in dag_run.get_task_instances() if ti.task_id == task_id), key=lambda ti: ti.map_index)
    return [ti.xcom_pull(task_ids=task_id, map_indexes=ti.map_index) for ti in tis]


def test_every_file_holds_one_dag_of_its_name(dags):
    assert sorted(dags) == [file.stem for file in FILES]
    assert {dag_id: Path(dag.fileloc).name for dag_id, dag in dags.items()} == {f.stem: f.name for f in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_the_file_says_of_itself_is_on_the_page_of_its_dag(dags, file):
    dag = dags[file.stem]
    assert dag.doc_md == ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")), clean=False)
    assert 20 < len(dag.description) < 120  # a line of the list of DAGs


def test_generate_and_wait(dags, run_dag, flora):
    dag_run = run_dag(dags["flora_generate_and_wait"])
    assert succeeded(dag_run)
    (run,) = returned(dag_run, "picture")
    assert run["status"] == "completed"
    assert run["outputs"][0]["type"] == "imageUrl"
    assert flora.stats()["runs_billed"] == flora.stats()["runs_started"] == 1


def test_generate_then_sensor(dags, run_dag, flora):
    dag_run = run_dag(dags["flora_generate_then_sensor"])
    assert succeeded(dag_run)
    assert returned(dag_run, "announce") == ["A sandbox's answer to: A slogan for a tea shop"]
    assert flora.stats()["runs_billed"] == flora.stats()["runs_started"] == 1


@pytest.fixture
def bucket(monkeypatch):
    """A bucket of a real S3 API on loopback, reached by the connection `aws_default` of Airflow's amazon provider."""
    server = pytest.importorskip("moto.server")
    pytest.importorskip("airflow.providers.amazon")
    import boto3

    s3 = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    s3.start()
    address = "http://{}:{}".format(*s3.get_host_and_port())
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    extra = {"endpoint_url": address, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "testing", "password": "testing", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    try:
        httpx.post(f"{address}/moto-api/reset").raise_for_status()  # all servers of a process share what they hold
        yield boto3.resource("s3", endpoint_url=address, **keys).create_bucket(Bucket="shop")
    finally:
        s3.stop()


def test_batch_from_csv_into_a_bucket(dags, run_dag, flora, bucket, tmp_path):
    header, *rows = (EXAMPLES / "data" / "prompts.csv").read_text(encoding="utf-8").splitlines()
    prompts = tmp_path / "prompts.csv"
    prompts.write_text("\n".join([header, *rows[:2]]), encoding="utf-8")
    conf = {"prompts": str(prompts), "folder": "s3://aws_default@shop/today"}

    dag_run = run_dag(dags["flora_batch_from_csv"], run_conf=conf)

    assert succeeded(dag_run)
    there = {item.key: item for item in bucket.objects.all()}
    manifests = returned(dag_run, "row.save")
    for manifest in manifests:
        (file,) = manifest["files"]
        content = there[file["path"].removeprefix("s3://shop/")].get()["Body"].read()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert json.loads(there[f"today/{manifest['run_id']}.json"].get()["Body"].read()) == manifest
    assert len(there) == 2 * len(manifests) == 4


def test_retry_policy(dags, run_dag, flora):
    timeout = RunBehavior(error_code="GENERATION_PROVIDER_TIMEOUT")
    flora.faults.add(Fault("/generate", behavior=timeout))
    task = dags["flora_retry_policy"].get_task("picture")
    if getattr(task, "retry_policy", None) is None:  # Airflow before 3.3
        task.retry_delay = timedelta(0)
        flora.settings.idempotency = "replay"  # without a ledger, only FLORA knows the run of the first try
    dag_run = run_dag(dags["flora_retry_policy"])
    assert mapped_tries(dag_run, "picture") == [("success", 2)]
    assert flora.stats()["runs_billed"] == 1


def test_reuse(dags, run_dag, flora, tmp_path):
    conf = {"cache": str(tmp_path / "cache"), "folder": str(tmp_path / "files")}
    first, second = (run_dag(dags["flora_reuse"], run_conf=conf) for _ in range(2))
    assert succeeded(first)
    assert succeeded(second)
    assert flora.stats()["runs_billed"] == flora.stats()["runs_started"] == 2
    for task in ("picture", "cctv"):
        [made], [taken] = returned(first, task), returned(second, task)
        assert (made["run_id"], taken["charged_cost"]) == (taken["run_id"], 0.0)
        files = [[Path(file["path"]).read_bytes() for file in run["files"]] for run in (made, taken)]
        assert files[0] == files[1] != []


def test_batch_ends_before_its_limit_and_succeeds_with_what_there_is(dags, run_dag, flora, tmp_path):
    dags["flora_batch"].get_task("pictures").poll_interval = 0.1
    dag_run = run_dag(dags["flora_batch"], run_conf={"folder": str(tmp_path), "max_cost_usd": 0.8})
    assert succeeded(dag_run)
    (summary,) = returned(dag_run, "pictures")
    assert (summary["rows"], summary["completed"] + summary["not_started"]) == (200, 200)
    assert summary["completed"] == flora.stats()["runs_billed"] == flora.stats()["runs_started"]
    assert summary["cost_usd"] == pytest.approx(flora.stats()["usd_billed"])
    assert 0.7 < summary["cost_usd"] <= 0.8
    assert len(list(tmp_path.glob("*.png"))) == summary["completed"]
    (said,) = returned(dag_run, "report")
    assert said.startswith(f"{summary['completed']} pictures for {summary['cost_usd']:.2f} USD")


def test_prompt_from_file(dags, run_dag, flora):
    assert succeeded(run_dag(dags["flora_prompt_from_file"], run_conf={"weather": "the snow"}))
    (run,) = flora.state.runs.values()
    assert run.request.prompt == "A fern in the snow, seen from below.\n\nSoft light, no people, no text."
    assert run.request.params == {"aspect_ratio": "16:9", "num_images": 2}


def test_reference_to_video(dags, run_dag, flora, tmp_path):
    Image.new("RGB", (64, 64), "teal").save(tmp_path / "fern.png")
    conf = {"reference": str(tmp_path / "fern.png"), "folder": str(tmp_path / "saved")}
    dag_run = run_dag(dags["flora_reference_to_video"], run_conf=conf)
    assert succeeded(dag_run)
    (run,) = returned(dag_run, "faster")
    (file,) = read_manifest(run["manifest"]).files
    opens_as_mp4(Path(file.path), "")
    (asset,) = returned(dag_run, "reference")
    video, faster = flora.state.runs.values()
    assert [one.value for one in video.request.inputs] == [asset["url"]]
    assert [one.value for one in faster.request.inputs] == [returned(dag_run, "video")[0]["outputs"][0]["url"]]
    assert flora.stats()["runs_billed"] == 2


def test_techniques(dags, run_dag, flora):
    dag_run = run_dag(dags["flora_techniques"])
    assert succeeded(dag_run)
    board, camera = flora.state.runs.values()
    assert (board.request.nested, camera.request.nested) == (False, True)
    assert returned(dag_run, "board")[0]["outputs"][0]["url"] in [one.value for one in camera.request.inputs]
    assert flora.stats()["runs_billed"] == 2


def test_event_of_the_asset_producer_says_what_the_consumer_announces(dags, run_dag, flora, tmp_path):
    producer, consumer = dags["flora_asset_producer"], dags["flora_asset_consumer"]
    dag_run = run_dag(producer, run_conf={"folder": str(tmp_path)})
    assert succeeded(dag_run)
    (run,) = returned(dag_run, "picture")
    (event,) = events_of(dag_run)
    condition = getattr(consumer.timetable, "asset_condition", None) or consumer.timetable.dataset_condition
    assert list(condition.objects) == producer.get_task("picture").outlets

    # What the scheduler does with events is Airflow's; here the consumer's own function reads the real one.
    announce = consumer.get_task("announce").python_callable
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(announce.__globals__, "get_current_context", lambda: {"triggering_asset_events": {"": [event]}})
        (news,) = announce()

    assert news == f"{run['run_id']}, {run['charged_cost']} USD: {run['files'][0]['path']}"


def events_of(dag_run):
    """The events of assets that a DAG run has emitted."""
    from airflow.utils.session import create_session

    try:
        from airflow.models.asset import AssetEvent
    except ImportError:  # Airflow 2
        from airflow.models.dataset import DatasetEvent as AssetEvent

    with create_session() as session:
        found = session.query(AssetEvent).filter_by(source_dag_id=dag_run.dag_id, source_run_id=dag_run.run_id).all()
        session.expunge_all()
    return found


REFUSED = "A banknote with a film star's face, exactly as printed"


def rows_of_the_file():
    with (EXAMPLES / "data" / "prompts.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_batch_from_csv(dags, run_dag, flora, tmp_path):
    rows = rows_of_the_file()
    assert len(rows) == 20

    dag_run = run_dag(dags["flora_batch_from_csv"], run_conf={"prompts": str(PROMPTS), "folder": str(tmp_path)})

    assert succeeded(dag_run)
    run_ids = returned(dag_run, "row.generate")
    assert len(set(run_ids)) == 20
    assert flora.stats()["runs_billed"] == flora.stats()["runs_started"] == 20
    assert flora.stats()["keys_leaked"] == {"media": 0, "storage": 0}
    assert [run["run_id"] for run in returned(dag_run, "row.wait")] == run_ids
    manifests = returned(dag_run, "row.save")
    saved = [Path(file["path"]) for manifest in manifests for file in manifest["files"]]
    assert sorted(saved) == sorted(path for path in tmp_path.iterdir() if path.suffix != ".json")
    assert [manifest["prompt"] for manifest in manifests] == [row["prompt"] for row in rows]
    for row, run_id, path in zip(rows, run_ids, saved, strict=True):
        assert path.name.startswith(run_id)
        OPENS[row["type"]](path, row["prompt"])


@pytest.mark.parametrize(
    ("fault", "failed_step"),
    [
        ({"status": 402}, "row.generate"),
        ({"behavior": RunBehavior(error_code="GENERATION_PROMPT_MODERATED")}, "row.wait"),
    ],
    ids=["402 at its start", "refused by moderation"],
)
def test_row_that_flora_refuses_fails_alone_and_all_others_are_saved(
    dags, run_dag, flora, tmp_path, fault, failed_step
):
    kinds = {row["type"]: row for row in rows_of_the_file() if row["prompt"] != REFUSED}
    rows = [*kinds.values(), {"type": "image", "prompt": REFUSED}]
    prompts, refused = tmp_path / "prompts.csv", len(kinds)
    with prompts.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["type", "prompt"])
        writer.writeheader()
        writer.writerows(rows)
    flora.faults.add(Fault("/generate", containing=REFUSED, times=None, **fault))

    dag_run = run_dag(dags["flora_batch_from_csv"], run_conf={"prompts": str(prompts), "folder": str(tmp_path)})

    found = {task: state for task, (state, _) in tries(dag_run).items()}
    assert {key for key, state in found.items() if state == "failed"} == {(failed_step, refused)}
    assert [found["row.save", index] for index in range(len(rows))].count("success") == len(kinds) == len(OPENS)
    assert len(list(tmp_path.glob("*.json"))) == flora.stats()["runs_billed"] == len(kinds)
    (failed,) = [ti for ti in dag_run.get_task_instances() if (ti.task_id, ti.map_index) == (failed_step, refused)]
    assert failed.try_number == 1


def opens_as_png(path, _prompt):
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert min(image.size) >= 64
    assert path.suffix == ".png"


def opens_as_wav(path, _prompt):
    with wave.open(str(path)) as sound:
        assert sound.getnframes() / sound.getframerate() > 0.1
        assert any(sound.readframes(sound.getnframes()))
    assert path.suffix == ".wav"


def opens_as_mp4(path, _prompt):
    data = path.read_bytes()
    assert data[4:8] == b"ftyp"
    at, boxes = 0, []
    while at < len(data):  # each box says how long it is; together they are the file
        boxes.append(data[at + 4 : at + 8])
        at += int.from_bytes(data[at : at + 4], "big")
    assert at == len(data)
    assert {b"moov", b"mdat"} <= set(boxes)
    assert path.suffix == ".mp4"


def opens_as_text(path, prompt):
    assert path.read_text(encoding="utf-8") == f"A sandbox's answer to: {prompt}"
    assert path.suffix == ".txt"


OPENS = {"image": opens_as_png, "audio": opens_as_wav, "video": opens_as_mp4, "text": opens_as_text}


BILL = ("POST /generate", "POST /runs/technique", "POST /techniques/{technique_id}/runs", "POST /runs/action")


def chain_of(rows, header, tmp_path):
    """The params of the chain for these rows, whose references are made."""
    shots_file, references = tmp_path / "shots.csv", tmp_path / "references"
    shots_file.write_text("\n".join([header, *rows]), encoding="utf-8")
    references.mkdir()
    for number, row in enumerate(rows):
        Image.new("RGB", (64 + number, 64), "teal").save(references / row.split(",")[0])
    return {"shots": str(shots_file), "references": f"{references}/*.png", "folder": str(tmp_path / "files")}


def test_second_run_of_the_chain_of_20_rows_bills_nothing_and_has_equal_files(
    dags, run_dag, flora, tmp_path, monkeypatch
):
    header, *shots = (EXAMPLES / "data" / "shots.csv").read_text(encoding="utf-8").splitlines()
    rows = [row for row in shots if "banknote" not in row]  # which `make demo` has refused
    assert len(rows) == 20
    conf = chain_of(rows, header, tmp_path)
    for task in dags["flora_chain_from_csv"].tasks:
        if hasattr(task, "reuse_from"):
            monkeypatch.setattr(task, "reuse_from", str(tmp_path / "cache"))
    files, bills = [], []
    for number in (1, 2):
        folder = tmp_path / f"files_{number}"
        before = flora.stats()
        dag_run = run_dag(dags["flora_chain_from_csv"], run_conf={**conf, "folder": str(folder)})
        assert succeeded(dag_run)
        bills.append(sum(flora.stats()["requests"].get(route, 0) - before["requests"].get(route, 0) for route in BILL))
        manifests = [read_manifest(path) for path in sorted(folder.glob("*.json"))]
        files.append({file.name: file.sha256 for manifest in manifests for file in manifest.files})
        assert len(manifests) == 20
    assert bills == [60, 0]
    assert files[0] == files[1]
    steps = [returned(dag_run, f"row.{step}") for step in ("generate", "technique", "action")]
    assert {run["charged_cost"] for step in steps for run in step} == {0.0}


def test_chain_from_csv(dags, run_dag, flora, tmp_path):
    header, *shots = (EXAMPLES / "data" / "shots.csv").read_text(encoding="utf-8").splitlines()
    rows = shots[:2]  # a picture and a video, both routes of techniques; `make demo` runs all
    conf = chain_of(rows, header, tmp_path)
    folder = tmp_path / "files"
    dag_run = run_dag(dags["flora_chain_from_csv"], run_conf=conf)

    assert succeeded(dag_run)
    steps = [returned(dag_run, f"row.{step}") for step in ("generate", "technique", "action")]
    run_ids = {run["run_id"] for step in steps for run in step}
    assert len(run_ids) == flora.stats()["runs_started"] == flora.stats()["runs_billed"] == 3 * len(rows)
    costs = [sum(run["charged_cost"] for run in step) for step in steps]
    assert sum(costs) == pytest.approx(flora.stats()["usd_billed"])
    assert costs[2] == 0
    for run in steps[2]:
        (file,) = read_manifest(run["manifest"]).files
        assert hashlib.sha256(Path(file.path).read_bytes()).hexdigest() == file.sha256
    assert len(list(folder.iterdir())) == 2 * len(rows)
