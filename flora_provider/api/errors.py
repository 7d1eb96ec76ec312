"""Everything that can go wrong with FLORA, as one tree.

    FloraError
    ├── FloraInputError              refused by us, before any request (also a ValueError)
    ├── FloraConnectionError         no whole answer arrived
    │   └── FloraTimeoutError
    ├── FloraAnswerError             a success that cannot be read: not JSON, or not of the promised shape
    ├── FloraStatusError             FLORA (or a proxy before it) answered with an error
    │   ├── FloraRequestError          400, 422 and every 4xx without a class of its own: the request is wrong
    │   ├── FloraAuthenticationError   401: no key, or a wrong or revoked one
    │   ├── FloraPaymentError          402: out of credits; nothing was started
    │   ├── FloraPermissionError       403: role or plan does not allow it
    │   ├── FloraNotFoundError         404: unknown, or not visible to this key; or no such endpoint
    │   ├── FloraConflictError         409: asset in the wrong state
    │   │   └── FloraDuplicateError      409 idempotency_duplicate: the key has already started something
    │   ├── FloraRateLimitError        429: `.retry_after` says when to come back
    │   └── FloraServerError           408 and 5xx: FLORA's fault, passes
    ├── FloraFileError               a file did not get where it should
    │   ├── FloraDownloadError         it could not be fetched whole, or must not be fetched
    │   └── FloraUploadError           it could not be stored, or FLORA could not use it
    ├── FloraStorageError            a folder or an object store did not take a file, or did not give one
    ├── FloraWebhookError            a callback that FLORA did not sign, or not recently
    └── RunError                     HTTP was fine, the run is not; `.run_id` names it
        ├── RunFailed                  FLORA says `failed`; `.advice` says whether a retry can help
        ├── RunTimedOut                we stopped waiting; the run goes on and is billed
        ├── RunOutcomeOpen             the same, while FLORA does not let us find out
        └── RunOutcomeUnknown          a run may have been started and cannot be identified
            └── RequestChanged           one was started for another request than the task makes now

Standard library only, so that an operator can catch them without loading an HTTP client at DAG parse time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from flora_provider.api.text import MAX_MESSAGE, bounded, storable
from flora_provider.api.urls import redact_urls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flora_provider.runs.error_codes import RetryAdvice


def _unended(text: str) -> str:
    """Without the full stop that most of FLORA's messages end with: ours go on."""
    return text.rstrip(". ")


def _sentences(first: str, second: str) -> str:
    """Two sentences, with one mark between them whatever the first ends with."""
    first = _unended(first)
    return f"{first}{' ' if first.endswith(('!', '?', '…')) else '. '}{second}" if second else first


class FieldError(NamedTuple):
    """One field that FLORA refused, with FLORA's own sentence."""

    field: str
    message: str


class FloraError(Exception):
    """Base of everything this package raises on purpose. All of them can be pickled and copied.

    What FLORA says, and values that are refused, may hold signed addresses. A message shows them without their query.
    It is bounded, and fit for every log and database, whatever it was made of.

    Attributes:
        started_nothing: True where it is known that no attempt of the request can have done anything at FLORA.
        retry_after: seconds for which FLORA, or a file's host, asks us to stay away (its `Retry-After`); None when it
            does not say.
    """

    started_nothing = False
    retry_after: float | None = None

    def __init__(self, message: str) -> None:
        # Bounded first: what is left of an address that was cut is still shown without its query.
        super().__init__(redact_urls(storable(bounded(message, MAX_MESSAGE))))

    def __reduce__(self) -> tuple[Any, ...]:
        """Without `__init__`, which `Exception` would call with the message alone, where ours take more."""
        return Exception.__new__, (type(self), *self.args), self.__dict__


class FloraInputError(FloraError, ValueError):
    """A value is wrong, and no request was sent.

    Attributes:
        problems: one sentence each, all that were found, each naming the value and the remedy.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        texts = [problems] if isinstance(problems, str) else problems
        self.problems = tuple(redact_urls(storable(bounded(problem))) for problem in texts)
        super().__init__("; ".join(self.problems))


class FloraConnectionError(FloraError):
    """No whole answer arrived.

    Attributes:
        ambiguous: True when FLORA may have acted on the request; False when it surely never reached FLORA.
    """

    def __init__(self, message: str, *, ambiguous: bool = True) -> None:
        self.ambiguous = ambiguous
        super().__init__(message)


class FloraTimeoutError(FloraConnectionError):
    """The answer did not arrive in time."""


class FloraAnswerError(FloraError):
    """FLORA answered with success, but the body is not what the API promises."""

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        self.request_id = request_id
        super().__init__(message + (f" (request {request_id})" if request_id else ""))


class FloraStatusError(FloraError):
    """FLORA, or a proxy before it, answered with an error status.

    Attributes:
        status: HTTP status.
        code: FLORA's code such as `input_validation_error`; None when the body is not FLORA's error envelope.
        fields: the fields FLORA refused, empty for most errors.
        request_id: FLORA's `request-id`, for its support; None when absent.
        should_retry: the `x-should-retry` header; None when absent.
        replayed: True when FLORA repeated the stored answer of an earlier request with the same key.
    """

    remedy: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        fields: Sequence[FieldError] = (),
        request_id: str | None = None,
        retry_after: float | None = None,
        should_retry: bool | None = None,
        replayed: bool = False,
        hint: str = "",
    ) -> None:
        self.status = status
        self.code = code
        self.fields = tuple(fields)
        self.request_id = request_id
        self.retry_after = retry_after
        self.should_retry = should_retry
        self.replayed = replayed
        said = f"FLORA answered {status}{f' {code}' if code else ''}: {_unended(message)}"
        named = "".join(f" [{name}: {problem}]" for name, problem in self.fields if problem not in message)
        support = f" (request {request_id})" if request_id else ""
        super().__init__(_sentences(f"{said}{named}{support}", hint or self.remedy))


class FloraRequestError(FloraStatusError):
    """400, 422 or another 4xx: sending the same again cannot help."""


class FloraAuthenticationError(FloraStatusError):
    """401: no key, or a wrong, rotated or revoked one."""

    remedy = "Give a current API key (the connection's password, or FLORA_API_KEY); rotating a key ends it at once"


class FloraPaymentError(FloraStatusError):
    """402: the workspace is out of credits. Nothing was started and nothing charged."""

    remedy = "Nothing was started. Top up the workspace's credits, then try again"


class FloraPermissionError(FloraStatusError):
    """403: the key's role or the workspace's plan does not include this."""

    remedy = "Check the role of the key's owner and the workspace's plan (API access needs a paid plan)"


class FloraNotFoundError(FloraStatusError):
    """404: no such thing, or this key cannot see it; FLORA does not tell which. Or there is no such endpoint."""

    remedy = "The id is unknown, or belongs to a workspace this API key cannot see"


class FloraConflictError(FloraStatusError):
    """409: the thing is in the wrong state for this call. Never retried."""


class FloraDuplicateError(FloraConflictError):
    """409 `idempotency_duplicate`: this key has already started something. Never retried; the answer names no run."""

    remedy = "Look for it in the history (list_generations); another key starts another run, which is billed too"


class FloraRateLimitError(FloraStatusError):
    """429: too many requests of this workspace, over all its clients."""

    remedy = "Start fewer runs at once (an Airflow pool limits its tasks), or set requests_per_second"


class FloraServerError(FloraStatusError):
    """408 or 5xx: FLORA, or something before it, is in trouble; usually passes."""


class FloraFileError(FloraError):
    """A file did not get where it should. Messages name hosts only, for the rest of an address may be signed.

    Attributes:
        may_retry: whether another try can help.
        status: the HTTP status that a file's host refused it with; None if it did not.
    """

    def __init__(
        self, message: str, *, may_retry: bool = False, retry_after: float | None = None, status: int | None = None
    ) -> None:
        self.may_retry = may_retry
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)


class FloraDownloadError(FloraFileError):
    """A file could not be fetched whole, or its address is one we do not follow."""


class FloraUploadError(FloraFileError):
    """A file could not be stored, or FLORA could not use it."""


class FloraStorageError(FloraError):
    """A folder or an object store of yours did not take a file, or did not give one. A later try may succeed."""


class FloraWebhookError(FloraError):
    """A callback is not FLORA's, is too old, or cannot be read. Answer it with 400."""


class RunError(FloraError):
    """Something about one run.

    Attributes:
        run_id: the run; None when it is not known which run it is.
    """

    def __init__(self, message: str, *, run_id: str | None) -> None:
        self.run_id = run_id
        super().__init__(message)


class RunFailed(RunError):  # noqa: N818 - named for what happened to the run, as users say it
    """FLORA ended the run as failed. Failed runs are not charged (FLORA's docs).

    Attributes:
        code, reason: FLORA's `error_code`, an open string, and its `error_message`; None when absent.
        advice: what can help; `advice.may_retry` is False when only another input or a person can.
        run: the run as a wait saw it end; None if none did.
    """

    run: Mapping[str, Any] | None = None

    def __init__(self, *, run_id: str, code: str | None, reason: str | None, advice: RetryAdvice) -> None:
        self.code = code and bounded(code)
        self.reason = reason and bounded(reason)
        self.advice = advice
        cause = ": ".join(part for part in (self.code, self.reason) if part) or "FLORA gave no reason"
        super().__init__(_sentences(f"FLORA run {run_id} failed: {cause}", advice.sentence), run_id=run_id)


class RunTimedOut(RunError):  # noqa: N818 - named for what happened to the run, as users say it
    """We stopped waiting. The run itself cannot be cancelled: it goes on and is billed."""

    def __init__(self, *, run_id: str, waited: str, unseen: bool = False) -> None:
        super().__init__(
            f"FLORA run {run_id} was never seen {waited}. Check the id, and that the key is of the run's workspace; "
            "if there is such a run, it goes on and will be billed"
            if unseen
            else f"FLORA run {run_id} was not finished {waited}. It cannot be cancelled: it goes on and will be "
            f"billed. FloraRunSensor(run_id={run_id!r}) picks it up again; a larger timeout avoids this",
            run_id=run_id,
        )


class RunOutcomeUnknown(RunError):  # noqa: N818 - named for what happened to the run, as users say it
    """A request to start a run was accepted before, but which run it started cannot be told. Nothing was sent again."""


class RunOutcomeOpen(RunError):  # noqa: N818 - named for what happened to the run, as users say it
    """An earlier request may have started a run, and FLORA does not let this try find out. A retry asks again."""


class RequestChanged(RunOutcomeUnknown):
    """An earlier try of the task started a run for another request. Nothing was sent for the one it makes now."""
