"""May a failure be retried, and when: the table, and properties that hold for every failure and every header."""

import email.utils

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flora_provider.api import errors
from flora_provider.api.http.retry_policy import MAX_RETRY_AFTER, PAUSE_AFTER_429, RetryPolicy, may_retry, retry_after
from tests.support.strategies import texts

NOW = 1_750_000_000.0
RETRIED = {408, 429, 500, 502, 503, 504}


def failed(status, **details):
    kind = errors.FloraConflictError if status == 409 else errors.FloraStatusError
    return kind("said so", status=status, **details)


def test_exactly_the_transient_statuses_are_retried():
    assert {status for status in range(300, 600) if may_retry(failed(status), resendable=True)} == RETRIED


@pytest.mark.parametrize("status", sorted(RETRIED))
def test_call_without_a_key_is_resent_only_after_a_429(status):
    assert may_retry(failed(status), resendable=False) == (status == 429)


BROKE = errors.FloraConnectionError("broke")
REFUSED = errors.FloraConnectionError("refused", ambiguous=False)
DECISIONS = [
    # FLORA may overrule the status, but not for a conflict.
    (failed(400, should_retry=True), True, True),
    (failed(503, should_retry=False), True, False),
    (failed(409, should_retry=True), True, False),
    (failed(500, should_retry=True), False, False),
    # What FLORA stored under the key would only be repeated.
    (failed(503, replayed=True), True, False),
    (failed(503, replayed=True, should_retry=True), True, False),
    # A connection that broke, unless FLORA may have acted.
    *(
        (BROKE, True, True),
        (BROKE, False, False),
        (REFUSED, False, True),
        (errors.FloraTimeoutError("late"), True, True),
    ),
    # Errors of files say so themselves, and nothing else is retried.
    (errors.FloraDownloadError("short", may_retry=True), False, True),
    (errors.FloraDownloadError("too large"), True, False),
    (errors.FloraAnswerError("odd"), True, False),
    (errors.FloraInputError("wrong"), True, False),
]


@pytest.mark.parametrize(("failure", "resendable", "expected"), DECISIONS)
def test_retry_is_decided_by_failure_and_resendability(failure, resendable, expected):
    assert may_retry(failure, resendable=resendable) is expected


statuses = st.sampled_from([*sorted(RETRIED), 400, 401, 404, 409, 422, 501])
asked = st.none() | st.floats(min_value=0, max_value=1e6)
policies = st.builds(
    RetryPolicy,
    max_retries=st.integers(0, 20),
    first_delay=st.floats(0.01, 10),
    max_delay=st.floats(0.01, 100),
    max_retry_after=st.floats(0, 1000),
    budget=st.floats(0, 1000),
)


@given(
    policies, statuses, asked, st.integers(0, 30), st.floats(0, 2000), st.booleans(), st.floats(0, 1, exclude_max=True)
)
def test_delay_is_bounded_and_never_earlier_than_flora_asked(policy, status, seconds, attempt, elapsed, may, random):
    failure = failed(status, retry_after=seconds)
    wait = policy.delay(failure, attempt=attempt, elapsed=elapsed, resendable=may, random=random)
    if wait is None:
        return
    assert may_retry(failure, resendable=may)
    assert attempt < policy.max_retries
    assert elapsed + wait <= policy.budget
    if seconds is None:
        assert 0 < wait <= policy.max_delay
    else:
        assert seconds <= wait <= seconds + max(policy.first_delay, policy.max_delay / 4)
        assert seconds <= policy.max_retry_after


@given(policies, asked, st.integers(0, 19), st.floats(0, 1, exclude_max=True))
def test_retry_that_is_allowed_and_fits_the_budget_is_made(policy, seconds, attempt, random):
    wait = policy.delay(failed(503, retry_after=seconds), attempt=attempt, elapsed=0, resendable=True, random=random)
    if wait is None:
        longest = max(policy.first_delay, policy.max_delay / 4) + (seconds or policy.max_delay)
        assert attempt >= policy.max_retries or longest > policy.budget or (seconds or 0) > policy.max_retry_after


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=30, max_size=30))
def test_retries_end_within_their_budget_whatever_the_jitter(randoms):
    policy, elapsed = RetryPolicy(max_retries=20), 0.0
    for attempt, random in enumerate(randoms):
        wait = policy.delay(failed(500), attempt=attempt, elapsed=elapsed, resendable=True, random=random)
        if wait is None:
            break
        elapsed += wait
    assert wait is None
    assert elapsed <= policy.budget


def test_delays_double_with_jitter_of_up_to_a_quarter_less():
    policy = RetryPolicy(max_retries=20)
    delays = [policy.delay(failed(500), attempt=n, elapsed=0, resendable=True, random=0) for n in range(9)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert policy.delay(failed(500), attempt=1, elapsed=0, resendable=True, random=0.5) == 0.875


@given(texts(max_size=40) | st.floats().map(str) | st.integers().map(str))
@example("nan")
@example("-1")
@example("1e400")
@example("Wed, 99 Foo 2026 99:99:99 GMT")
@example("Mon, 01 Jan 0001 00:00:00 +2400")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
def test_retry_after_of_any_text_is_read_as_seconds_or_as_none(text):
    for name in ("retry-after", "retry-after-ms"):
        seconds = retry_after({name: text}, status=503, now=NOW)
        assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


@given(st.decimals(0, 10**9, places=3))
def test_retry_after_in_seconds_is_read_up_to_a_maximum(seconds):
    read = retry_after({"retry-after": str(seconds)}, status=503, now=NOW)
    assert read == min(float(seconds), MAX_RETRY_AFTER)
    read = retry_after({"retry-after-ms": str(seconds), "retry-after": "7"}, status=503, now=NOW)
    assert read == min(float(seconds) / 1000, MAX_RETRY_AFTER)


@pytest.mark.parametrize(
    "beyond", ["1787000000", "1787000000000", "9" * 400, "301", "300.5", "Fri, 31 Dec 9999 23:59:59 GMT"]
)
def test_retry_after_of_years_is_read_as_the_maximum(beyond):
    assert retry_after({"retry-after": beyond}, status=503, now=NOW) == MAX_RETRY_AFTER
    if beyond.isdecimal():
        assert retry_after({"retry-after-ms": beyond + "000"}, status=503, now=NOW) == MAX_RETRY_AFTER


def test_retry_after_beyond_what_a_call_waits_ends_the_call():
    asked = retry_after({"retry-after": "1787000000"}, status=503, now=NOW)
    assert RetryPolicy().delay(failed(429, retry_after=asked), attempt=0, elapsed=0, resendable=True, random=0) is None


@pytest.mark.parametrize("odd", ["1_0", "\u0661\u0662", "1e3", "0x10", "+5", "-5", "inf", "5 s"])
def test_retry_after_that_is_no_plain_number_is_ignored(odd):
    assert retry_after({"retry-after": odd}, status=503, now=NOW) is None


def test_429_without_retry_after_is_retried_after_five_seconds():
    asked = retry_after({}, status=429, now=NOW)
    assert asked == PAUSE_AFTER_429 == 5
    assert RetryPolicy().delay(failed(429, retry_after=asked), attempt=0, elapsed=0, resendable=True, random=0) == 5


@given(st.integers(-(10**9), 10**9))
def test_retry_after_with_a_date_is_read_as_the_time_until_then(offset):
    header = email.utils.formatdate(NOW + offset, usegmt=True)
    assert retry_after({"retry-after": header}, status=503, now=NOW) == min(max(0, offset), MAX_RETRY_AFTER)


def test_retry_after_reads_a_date_without_a_zone_as_utc_and_skips_nonsense():
    assert retry_after({"retry-after": "Sun, 15 Jun 2025 15:06:45 -0000"}, status=503, now=NOW) == 5
    assert retry_after({"retry-after-ms": "soon", "retry-after": "3"}, status=503, now=NOW) == 3
    assert retry_after({}, status=503, now=NOW) is None
