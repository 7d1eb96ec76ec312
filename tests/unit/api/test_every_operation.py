"""FLORA's 40 operations, by the contract's table: each has a call, and is sent again only where that is safe."""

import inspect
import re

import pytest

from flora_provider.api import calls, errors
from tests.sandbox.contract import OPERATIONS
from tests.support.responses import response
from tests.unit.api.reference import EXAMPLES

PATTERNS = {operation: re.compile(re.sub(r"{\w+}", r"[^/]+", operation)) for operation in OPERATIONS}
# The calls that take no key, although they change something.
KEYLESS = {
    "PATCH /projects/{project_id}/canvas",
    "POST /projects/{project_id}/actions",
    "POST /projects/{project_id}/actions/{node_id}/run",
    "DELETE /workspaces/{workspace_id}/library/folders/{folder_id}",
}
BROKE = errors.FloraConnectionError("broke")


def operation_of(line):
    """The operation of a request line; "" of one that FLORA has not (yet)."""
    found = [operation for operation, pattern in PATTERNS.items() if pattern.fullmatch(line.partition("?")[0])]
    return found[0] if found else ""


MADE = {operation: (make, said) for make, line, _, said in EXAMPLES for operation in [operation_of(line)] if operation}


def test_every_operation_has_a_call():
    assert MADE.keys() == OPERATIONS.keys()
    assert len(OPERATIONS) == 40


def test_only_request_makes_calls_of_other_operations():
    others = [make for make, line, *_ in EXAMPLES if not operation_of(line)]
    assert others
    assert all("calls.request(" in inspect.getsource(make) for make in others)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_call_takes_a_key_where_flora_says_so(operation):
    call = MADE[operation][0]()
    assert call.takes_key == (not operation.startswith("GET ") and operation not in KEYLESS)
    if not call.takes_key:
        with pytest.raises(errors.FloraInputError, match="takes no idempotency key"):
            call.with_key("k")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_call_is_sent_again_in_doubt_if_that_does_no_more_than_once(runner, operation):
    make, said = MADE[operation]
    call, success = make(), response(200, said)
    if operation.startswith(("POST ", "PATCH ")):
        for failure in (BROKE, errors.FloraTimeoutError("late"), response(503), response(500, x_should_retry="true")):
            with pytest.raises(errors.FloraError):
                runner.send(call, failure)
        refused = errors.FloraConnectionError("refused", ambiguous=False)
        assert runner.send(call, refused, response(429), success) == call.read(said)
    if not operation.startswith(("POST ", "PATCH ")) or call.takes_key:
        resendable = call.with_key("k") if call.takes_key else call
        assert runner.send(resendable, BROKE, response(503), success) == call.read(said)
        first, *others = runner.requests[-3:]
        assert [(it.body, it.headers) for it in others] == [(first.body, first.headers)] * 2


def test_replacement_of_a_canvas_is_sent_again_without_a_key(runner):
    make, said = MADE["PUT /workspaces/{workspace_id}/projects/{project_id}/canvas/definition"]
    assert runner.send(make(), BROKE, response(200, said)) == make().read(said)


def test_folder_that_was_deleted_by_an_attempt_without_an_answer_is_reported_as_missing(runner):
    call = calls.delete_library_folder(workspace_id="ws_1", folder_id="libfolder_1")
    with pytest.raises(errors.FloraNotFoundError):
        runner.send(call, BROKE, response(404))
