"""Batches of many rows: what they cost, and where they end."""

import time
import tracemalloc

import pytest

from flora_provider.api.errors import FloraInputError
from flora_provider.batch.rows import MAX_ROWS
from tests.support.batches import rows_of

DEFAULTS = {"type": "image", "model": "t2i-flux-2-pro", "model_params": {"size": "1:1"}, "project_id": "prj_1"}


def requests(count):
    for number in range(count):
        output = {"output_id": "o", "type": "imageUrl", "url": f"https://a.example/{number}?X-Amz-Signature=1"}
        yield {"prompt": f"a fern {number}", "model_params": {"seed": number, "image_url": output}}


def test_ten_thousand_rows_take_few_seconds():
    # 0.7 on a slow core; measuring coverage takes three times as long.
    asked = list(requests(10_000))
    before = time.process_time()
    assert len({row.identity for row in rows_of(asked, DEFAULTS)}) == len(asked)
    assert time.process_time() - before < 4


def test_row_takes_less_than_two_kilobytes():
    asked = list(requests(2000))
    rows_of(asked[:1], DEFAULTS)
    tracemalloc.start()
    try:
        rows_of(asked, DEFAULTS)
        assert tracemalloc.get_traced_memory()[1] < 2000 * len(asked)
    finally:
        tracemalloc.stop()


def test_too_many_rows_are_refused_and_no_more_of_them_read():
    rest = requests(2 * MAX_ROWS)
    with pytest.raises(FloraInputError, match="requests has more than 100,000 rows: make several batches of them"):
        rows_of(rest, {})
    assert next(rest)["model_params"]["seed"] == MAX_ROWS + 1


def test_problems_of_too_many_rows_are_few():
    with pytest.raises(FloraInputError) as caught:
        rows_of(({"type": f"t{number}", "prompt": "a fern"} for number in range(MAX_ROWS)), {})
    assert caught.value.problems[-1] == f"and {MAX_ROWS - 50:,} more"
