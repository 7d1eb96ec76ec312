"""What a task raises is Airflow's class, which decides about retries, and FLORA's, with its attributes."""

import copy
import logging
import pickle

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
)

from flora_provider.api import errors
from flora_provider.runs.error_codes import RetryAdvice
from flora_provider.runs.errors import WaitRefused, is_final
from flora_provider.tasks.exceptions import as_airflow, joined
from tests.support.airflow_features import TRIGGERER_ENDS_TASKS

WHERE = "task 'picture', connection 'flora_default'"
STATUS = {"code": "c", "request_id": "req_1", "retry_after": 2.0, "fields": [errors.FieldError("prompt", "Required")]}
RAISED = [
    errors.FloraInputError(["a is 1", "b is 2"]),
    errors.FloraConnectionError("reset", ambiguous=False),
    errors.FloraTimeoutError("late"),
    errors.FloraAnswerError("HTML", request_id="req_1"),
    errors.FloraRequestError("bad", status=400, **STATUS),
    errors.FloraRateLimitError("slow down", status=429, **STATUS),
    errors.FloraServerError("down", status=503, **STATUS),
    errors.FloraDuplicateError("again", status=409, **STATUS),
    errors.FloraDownloadError("gone", may_retry=True, retry_after=1.0),
    errors.RunError("odd", run_id="run_1"),
    errors.RunFailed(run_id="run_1", code="SERVER_ERROR", reason="Down.", advice=RetryAdvice.RETRY_NOW),
    errors.RunFailed(run_id="run_1", code="LLM_REFUSAL", reason="No.", advice=RetryAdvice.MODERATED),
    errors.RunTimedOut(run_id="run_1", waited="in time"),
    errors.RunOutcomeUnknown("which?", run_id=None),
    WaitRefused(run_id="run_1", detail="FLORA answered 403"),
]
every_error = pytest.mark.parametrize("error", RAISED, ids=lambda error: f"{type(error).__name__}")
final_or_not = pytest.mark.parametrize("kind", [AirflowFailException, AirflowException])


def raised(error, kind=AirflowFailException):
    with pytest.raises(kind) as caught:
        raise joined(kind, error, f"{error} [{WHERE}]") from error.__cause__
    return caught.value


@every_error
def test_airflow_class_says_whether_a_retry_may_cure_the_error(error):
    with pytest.raises(AirflowException) as caught, as_airflow(WHERE):
        raise error
    assert isinstance(caught.value, AirflowFailException) == is_final(error)
    assert isinstance(caught.value, type(error))
    assert str(caught.value).endswith(f"[{WHERE}]")


@final_or_not
@every_error
def test_raised_error_is_of_both_classes_and_keeps_all_attributes(error, kind):
    caught = raised(error, kind)

    assert isinstance(caught, type(error))
    assert isinstance(caught, AirflowFailException) == (kind is AirflowFailException)
    assert {name: getattr(caught, name) for name in vars(error)} == vars(error)
    assert str(caught).startswith(str(error))
    assert str(caught).endswith(f"[{WHERE}]")
    assert type(caught).__name__ == type(error).__name__


@final_or_not
@every_error
@pytest.mark.parametrize("sent", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301 - our own
def test_raised_error_reaches_another_process_as_it_was(error, kind, sent):
    caught = raised(error, kind)
    caught.add_note("seen by worker 3")
    arrived = sent(caught)
    assert type(arrived) is type(caught)
    assert (str(arrived), arrived.args, vars(arrived)) == (str(caught), caught.args, vars(caught))


@final_or_not
@every_error
def test_raised_error_goes_through_airflows_own_serialization_as_airflows_class(error, kind):
    from airflow.serialization.serialized_objects import BaseSerialization

    caught = raised(error, kind)
    arrived = BaseSerialization.deserialize(BaseSerialization.serialize(caught))
    assert type(arrived) is kind
    assert str(arrived) == str(caught)


def test_raised_error_goes_through_two_layers_unchanged():
    inner = raised(RAISED[10], AirflowException)
    with pytest.raises(errors.RunFailed) as caught, as_airflow("outer"):
        raise inner
    assert caught.value is inner


@pytest.mark.parametrize(
    "error", [errors.FloraConnectionError("reset"), errors.FloraStorageError("full"), errors.FloraUploadError("gone")]
)
def test_raised_error_is_one_message_and_its_cause_is_logged_for_debugging(error, caplog):
    caplog.set_level(logging.DEBUG, logger="flora_provider")
    error.__cause__ = OSError("no route")
    with pytest.raises(AirflowException) as caught, as_airflow(WHERE):
        raise error
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "no route" in caplog.text


def test_raised_error_shows_a_cause_that_its_message_does_not_tell(caplog):
    cause = OSError("no route")
    error = errors.FloraError("the connection could not be read")
    error.__cause__ = cause
    with pytest.raises(AirflowException) as caught, as_airflow(WHERE):
        raise error
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize("kind", [AirflowSensorTimeout, AirflowTaskTimeout])
def test_timeout_is_airflows_and_floras(kind):
    error = joined(kind, errors.RunTimedOut(run_id="run_1", waited="in time"), "late")
    assert isinstance(error, kind)
    assert isinstance(error, errors.RunTimedOut)
    assert (str(error), error.run_id) == ("late", "run_1")
    assert type(pickle.loads(pickle.dumps(error))) is type(error)  # noqa: S301 - our own


def test_classes_are_made_once():
    assert type(raised(RAISED[0])) is type(raised(errors.FloraInputError("c is 3")))


@pytest.mark.parametrize(
    "named",
    [errors.RunFailed, errors.RunError, "flora_provider.api.errors.RunFailed", "flora_provider.api.errors.FloraError"],
    ids=str,
)
def test_stock_retry_policy_matches_flora_class(flora, generate, one_task, named):
    """`RetryPolicy.evaluate` is not asked after an AirflowFailException: those end the task, whatever the policy."""
    task = one_task(generate(behavior={"error_code": "SERVER_ERROR"}, wait_for_completion=True))

    error = task.fails_for_now()

    assert isinstance(error, errors.RunFailed)
    if TRIGGERER_ENDS_TASKS:
        from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

        policy = ExceptionRetryPolicy(rules=[RetryRule(exception=named, action=RetryAction.FAIL, reason="seen")])
        decision = ExceptionRetryPolicy.deserialize(policy.serialize()).evaluate(error, 1, 3)
        assert (decision.action, decision.reason) == (RetryAction.FAIL, "seen")


def test_task_code_around_ours_can_catch_floras_class(flora, generate, one_task):
    task = one_task(generate(behavior={"error_code": "SERVER_ERROR"}, wait_for_completion=True, deferrable=False))
    error = task.fails(errors.RunFailed)
    assert (error.code, error.run_id, error.advice) == ("SERVER_ERROR", task.xcoms["run_id"], RetryAdvice.RETRY_NOW)
