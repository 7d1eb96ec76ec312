"""An error is final where a retry would cost something, or cannot cure it."""

import pytest

from flora_provider.api import errors
from flora_provider.runs.error_codes import RetryAdvice
from flora_provider.runs.errors import BatchFailed, WaitRefused, is_final


def status_error(kind, status):
    return kind("no", status=status, code="odd", request_id="req_1", fields=(), retry_after=None)


def run_failed(advice):
    return errors.RunFailed(run_id="run_1", code="odd", reason="No.", advice=advice)


def test_status_of_an_answer_decides():
    final = {
        errors.FloraRequestError: 400,
        errors.FloraPaymentError: 402,
        errors.FloraPermissionError: 403,
        errors.FloraNotFoundError: 404,
        errors.FloraDuplicateError: 409,
    }
    may_pass = {errors.FloraAuthenticationError: 401, errors.FloraRateLimitError: 429, errors.FloraServerError: 503}
    assert all(is_final(status_error(kind, status)) for kind, status in final.items())
    assert not any(is_final(status_error(kind, status)) for kind, status in may_pass.items())


@pytest.mark.parametrize("advice", RetryAdvice)
def test_failed_run_is_final_unless_another_may_pass_and_the_task_starts_one(advice):
    assert is_final(run_failed(advice)) is not advice.may_retry
    assert is_final(run_failed(advice), starts_runs=False)


@pytest.mark.parametrize("may_retry", [True, False])
def test_batch_says_whether_a_retry_may_help(may_retry):
    assert is_final(BatchFailed("too few rows", may_retry=may_retry)) is not may_retry


def test_bad_input_and_an_unknown_outcome_are_final_and_trouble_on_the_way_is_not():
    assert is_final(errors.FloraInputError("bad"))
    assert is_final(errors.RunOutcomeUnknown("which?", run_id=None))
    assert not is_final(errors.FloraConnectionError("broken"))
    assert not is_final(WaitRefused(run_id="run_1", detail="FLORA answered 403"))
