import pytest

from demo import checks
from demo.pipeline import FailedRow

ALONE = FailedRow("a banknote", ("failed", "upstream_failed", "upstream_failed"), 1, "GENERATION_PROMPT_MODERATED")


@pytest.mark.parametrize(
    ("failed", "passed"),
    [
        ([ALONE], True),
        ([], False),
        ([ALONE, FailedRow("a fern", ALONE.states, 1, ALONE.reason)], False),
        ([FailedRow("a banknote", ALONE.states, 3, ALONE.reason)], False),
        ([FailedRow("a banknote", ("failed", "upstream_failed", "upstream_failed"), 1, "no connection")], False),
    ],
    ids=["alone", "none", "another too", "tried three times", "for another reason"],
)
def test_refused_alone_passes_only_if_the_refused_row_alone_failed_at_once(failed, passed):
    assert checks.refused_alone(failed, "a banknote").passed is passed
