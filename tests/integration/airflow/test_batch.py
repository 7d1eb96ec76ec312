"""A batch: many rows in one task, each paid for once."""

import json
from pathlib import Path

import pytest

from flora_provider.operators.flora import FloraGenerateBatchOperator

DEFAULTS = {"type": "image", "model": "t2i-flux-2-pro"}


def rows(number):
    return [{"prompt": f"fern {index}"} for index in range(number)]


@pytest.fixture
def fast(flora):
    flora.sandbox.clock.speed = 1000
    return flora


@pytest.fixture
def batch(tmp_path, one_task):
    """Makes a batch of rows, whose results go into `tmp_path/"out"`."""

    def make(requests, *, retries=2, **kwargs):
        settings = {"defaults": DEFAULTS, "save_outputs_to": str(tmp_path / "out"), "poll_interval": 0.05, **kwargs}
        return one_task(FloraGenerateBatchOperator(task_id="batch", requests=requests, retries=retries, **settings))

    return make


def manifest_of(result):
    return [json.loads(line) for line in Path(result["manifest"]).read_text().splitlines()]


@pytest.mark.parametrize("deferrable", [True, False])
def test_each_row_is_billed_once_and_its_file_is_saved(fast, batch, deferrable):
    task = batch(rows(20), deferrable=deferrable)
    result = task.run()
    assert (result["rows"], result["completed"]) == (20, 20)
    assert fast.billed == 20
    assert len(task.deferrals) == deferrable
    found = manifest_of(result)
    assert [row["prompt"] for row in found] == [f"fern {index}" for index in range(20)]
    assert all(Path(file["path"]).stat().st_size == file["size"] for row in found for file in row["files"])
    assert result["cost_usd"] == pytest.approx(sum(row["charged_cost_usd"] for row in found))
    assert result["cost_usd"] > 0
    assert len(json.dumps(result)) < 1000
