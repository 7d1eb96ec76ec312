"""What is remembered of a row survives whatever happens to its file, and says what a try has to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.batch.records import RowRecord, read_lines
from flora_provider.runs.errors import LedgerUnreadable
from flora_provider.runs.event import RunEvent
from flora_provider.runs.ref import RunRef

STATES = ["intended", "void", "started", "completed", "failed", "refused", "unknown", "open"]
RECORDS = st.builds(
    RowRecord,
    row=st.text("0123456789abcdef", min_size=32, max_size=32),
    state=st.sampled_from(STATES),
    key_version=st.integers(1, 20),
    intended_at=st.floats(0, 2e9),
    run_id=st.text(max_size=10),
    quoted_cost=st.none() | st.floats(0, 100),
    charged_cost=st.none() | st.floats(0, 100),
    attempt=st.integers(0, 9),
    code=st.none() | st.text(max_size=10),
    message=st.text(max_size=40),
    may_retry=st.booleans(),
)


def content_of(records):
    return b"".join(record.to_line() for record in records)


@given(st.lists(RECORDS, max_size=20))
def test_records_are_read_as_they_were_written(records):
    assert list(read_lines(content_of(records), "rows")) == records


@given(st.lists(RECORDS, min_size=1, max_size=5), st.data())
def test_torn_end_loses_the_last_record_only(records, data):
    content = content_of(records)
    last = len(records[-1].to_line())
    torn = content[: len(content) - data.draw(st.integers(1, last))]
    assert list(read_lines(torn, "rows")) == records[:-1]


@pytest.mark.parametrize("line", [b"{}", b"[]", b"{", b'{"row": "a", "state": "eaten"}', b"\xff"])
def test_whole_line_that_is_none_of_ours_stops_everything(line):
    with pytest.raises(LedgerUnreadable, match="line 2 of s3://bucket/rows"):
        list(read_lines(RowRecord(row="a", state="void").to_line() + line + b"\n", "s3://bucket/rows"))


@pytest.mark.parametrize(
    ("state", "attempt", "may_retry", "is_settled"),
    [
        ("completed", 1, False, True),
        ("refused", 1, False, True),
        ("unknown", 1, False, True),
        ("failed", 1, False, True),
        ("failed", 1, True, False),
        ("failed", 2, True, True),
        ("open", 1, False, False),
        ("open", 2, False, True),
        ("started", 1, False, False),
        ("intended", 2, False, False),
        ("void", 2, False, False),
    ],
)
def test_second_try_goes_on_with_what_may_pass(state, attempt, may_retry, is_settled):
    record = RowRecord(row="a", state=state, attempt=attempt, may_retry=may_retry)
    assert record.is_settled(2) == is_settled


RUN = {"run_id": "run_1", "status": "completed", "outputs": [{"output_id": "out_1"}], "charged_cost": 0.05}


def test_completed_run_costs_its_bill():
    event = RunEvent(kind="ended", run_id="run_1", run=RUN)
    ended = RowRecord(row="a", state="started", run_id="run_1", quoted_cost=0.04).ended(event, 1)
    assert (ended.state, ended.cost) == ("completed", 0.05)


def test_run_without_a_bill_costs_its_quote():
    event = RunEvent(kind="ended", run_id="run_1", run={**RUN, "charged_cost": None})
    ended = RowRecord(row="a", state="started", run_id="run_1", quoted_cost=0.04).ended(event, 1)
    assert ended.cost == 0.04


@pytest.mark.parametrize(("code", "may_retry"), [("provider_error", True), ("safety_blocked", False)])
def test_failed_run_costs_nothing_and_its_code_says_whether_a_retry_may_pass(code, may_retry):
    event = RunEvent(kind="ended", run_id="run_1", run={**RUN, "status": "failed"}, error_code=code, error_message="no")
    ended = RowRecord(row="a", state="started", run_id="run_1", quoted_cost=0.04).ended(event, 1)
    assert (ended.state, ended.code, ended.message, ended.may_retry, ended.cost) == ("failed", code, "no", may_retry, 0)


@pytest.mark.parametrize(
    "event",
    [
        RunEvent.timed_out(RunRef("run_1")),
        RunEvent(kind="refused", run_id="run_1", detail="403"),
        RunEvent(kind="ended", run_id="run_1", run={**RUN, "outputs": []}),
    ],
)
def test_run_that_could_not_be_awaited_is_left_to_a_retry(event):
    ended = RowRecord(row="a", state="started", run_id="run_1").ended(event, 1)
    assert (ended.state, ended.may_pass) == ("open", True)
    assert ended.message


def test_message_of_a_failed_run_is_bounded_and_shows_no_signature():
    said = "cannot fetch https://files.example/a.png?sig=secret " + "x" * 10_000
    event = RunEvent(kind="ended", run_id="run_1", run={**RUN, "status": "failed"}, error_message=said)
    message = RowRecord(row="a", state="started", run_id="run_1").ended(event, 1).message
    assert "https://files.example/a.png" in message
    assert "secret" not in message
    assert len(message) < 3000
