"""Wait for servers that a test starts and stops itself."""

from devstack.airflow_rest import wait_until


class ServerError(Exception):
    """It is not installed, or did not come up or go down; the message says what to do, or how its log ends."""


def wait_up(part, ask, away, timeout=30):
    """Wait until a server answers.

    Args:
        part: its process.
        ask: what asks it something.
        away: what that raises while nobody answers.
        timeout: seconds.
    """

    def is_up():
        if part.exit_code is not None:
            raise ServerError(f"{part.name} ended with code {part.exit_code}:\n{_log_end(part)}")
        try:
            return bool(ask())
        except away:
            return False

    if not wait_until(is_up, timeout, pause=0.1):
        raise ServerError(f"{part.name} is not up after {timeout} s:\n{_log_end(part)}")


def wait_down(part, timeout=30):
    """Wait until a server that was told to end has ended."""
    if not wait_until(lambda: part.exit_code is not None, timeout, pause=0.1):
        raise ServerError(f"{part.name} is not down after {timeout} s:\n{_log_end(part)}")


def _log_end(part):
    return part.log.read_text(errors="replace")[-5000:]
