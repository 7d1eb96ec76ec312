"""Every example DAG is parsed, and run to its end against the sandbox; each run is billed once."""

import csv
import hashlib
import io
import wave
from pathlib import Path

import pytest
from PIL import Image

from flora_provider.files import read_manifest
from flora_provider.sandbox.app import Sandbox
from flora_provider.sandbox.faults import Fault
from flora_provider.sandbox.server import SandboxServer
from flora_provider.sandbox.settings import Settings
from flora_provider.sandbox.world.run_behavior import RunBehavior
from tests.support.airflow_tasks import succeeded, tries

EXAMPLES = Path(__file__).parent.parent / "example_dags"
FILES = sorted(EXAMPLES.glob("*.py"))


def dags_of(folder):
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow 2, which would add its own examples
        from airflow.models.dagbag import DagBag

        bag = DagBag(str(folder), include_examples=False)
    else:
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


REFUSED = "A banknote with a film star's face, exactly as printed"


def rows_of_the_file():
    with (EXAMPLES / "data" / "prompts.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_batch_from_csv(dags, run_dag, flora, tmp_path):
    rows = rows_of_the_file()
    assert len(rows) == 20

    dag_run = run_dag(dags["flora_batch_from_csv"], run_conf={"folder": str(tmp_path)})

    assert succeeded(dag_run)
    run_ids = returned(dag_run, "row.generate")
    assert len(set(run_ids)) == 20
    assert flora.stats()["runs_billed"] == flora.stats()["runs_started"] == 20
    assert flora.stats()["keys_leaked"] == {"media": 0, "storage": 0}
    assert [run["run_id"] for run in returned(dag_run, "row.wait")] == run_ids
    saved = [Path(path) for (path,) in returned(dag_run, "row.save")]
    assert sorted(saved) == sorted(tmp_path.iterdir())
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
    refused = [row["prompt"] for row in rows_of_the_file()].index(REFUSED)
    flora.faults.add(Fault("/generate", containing=REFUSED, times=None, **fault))

    dag_run = run_dag(dags["flora_batch_from_csv"], run_conf={"folder": str(tmp_path)})

    found = {task: state for task, (state, _) in tries(dag_run).items()}
    assert {key for key, state in found.items() if state == "failed"} == {(failed_step, refused)}
    assert [found["row.save", index] for index in range(20)].count("success") == 19
    assert len(list(tmp_path.iterdir())) == flora.stats()["runs_billed"] == 19
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


def test_chain_from_csv(dags, run_dag, flora, tmp_path):
    header, *shots = (EXAMPLES / "data" / "shots.csv").read_text(encoding="utf-8").splitlines()
    rows = shots[:2]  # a picture and a video, both routes of techniques; `make demo` runs all
    shots_file, references, folder = tmp_path / "shots.csv", tmp_path / "references", tmp_path / "files"
    shots_file.write_text("\n".join([header, *rows]), encoding="utf-8")
    references.mkdir()
    for row in rows:
        Image.new("RGB", (64, 64), "teal").save(references / row.split(",")[0])

    conf = {"shots": str(shots_file), "references": f"{references}/*.png", "folder": str(folder)}
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
