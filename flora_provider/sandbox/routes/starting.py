"""What every route that starts a run does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from flora_provider.sandbox.http.validation import check
from flora_provider.sandbox.routes.call import Call
from flora_provider.sandbox.world.run_behavior import RunBehavior
from flora_provider.sandbox.world.runs import Run, RunRequest
from flora_provider.sandbox.world.state import Subject


def _addresses(subject: Subject, request: RunRequest) -> Iterator[str]:
    """Return the addresses among the inputs; for an element of the library, a technique has an id instead."""
    has_ids = subject.run_type == "technique"
    return (item.value for item in request.inputs if item.medium != "text" and ("/" in item.value or not has_ids))


def start(call: Call, subject: Subject, request: RunRequest, wait: float = 0.0, *, check_credits: bool = True) -> Run:
    """Start a run under the call's idempotency key, which behaves as a fault has it, or else as its own params do.

    `wait` is how many seconds later than usual it ends, for its inputs are not ready yet. Without the credits for it,
    it is refused with a 402, or with `check_credits=False` fails (contract, 2.18).
    """
    behavior = call.fault.behavior if call.fault is not None else None
    if behavior is None:
        behavior = check(RunBehavior, request.params.get("sandbox", {}), "params", "sandbox")
    addresses = _addresses(subject, request) if subject.run_type != "generation" and not wait else ()
    if not all(map(call.sandbox.files.can_load, addresses)):
        # FLORA takes the request, and its runtime finds no file (contract, 2.10).
        behavior = replace(behavior, error_code="input_unreachable", error_message="Failed to load inputs")
    if (shortage := call.sandbox.credits.shortage(subject.usd(request.params))) is not None:
        if check_credits:
            raise shortage
        behavior = replace(behavior, error_code="BILLING_NOT_ENOUGH_CREDITS", error_message=shortage.message)
    history = call.sandbox.files.history(request)
    request = replace(request, idempotency_key=call.idempotency_key, history=history)
    run = call.sandbox.state.start_run(subject, request, behavior, wait)
    call.sandbox.credits.reserve(run)
    if request.callback_url:
        call.sandbox.webhooks.register(run, call.sandbox.state.new_id("whd"))
    return run
