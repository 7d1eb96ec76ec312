"""What has become of a batch's rows."""

import pytest

from flora_provider.batch.outcome import RowOutcome
from flora_provider.batch.plan import PlannedRow
from flora_provider.batch.records import RowRecord


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"code": "SERVER_ERROR", "message": "It broke."}, "SERVER_ERROR: It broke."),
        ({"code": "GENERATION_PROMPT_MODERATED"}, "GENERATION_PROMPT_MODERATED"),  # FLORA may leave the message out
        ({"message": "It broke."}, "It broke."),
        ({}, "failed"),
    ],
)
def test_reason_of_a_failed_row_says_what_flora_said(known, reason):
    planned = PlannedRow(number=1, row="a", request={})
    assert RowOutcome(row=planned, record=RowRecord(row="a", state="failed", **known)).reason == reason
