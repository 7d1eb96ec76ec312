"""Long-lived processes that end for sure, together with everything they have started in turn."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Part:
    """One process of a larger whole, with a log file and a session of its own.

    The session is what makes it surely endable: children stay in it even when their parent is gone, and Ctrl-C at the
    terminal does not reach it, so that parts end in the order we choose.

    Args:
        name: For people.
        command: Program and arguments; anybody on the machine can read them, so no secrets.
        env: The whole environment.
        log: File for what it prints; its folder becomes the working folder.
        announces: Its first line of output is for `announcement()` and not for the log, because it holds a secret.
    """

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path, *, announces: bool = False
    ) -> None:
        self.name = name
        self.log = log
        self._announces = announces
        self._command = list(command)
        self._env = dict(env)
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<Part {self.name}: pid {self._process.pid if self._process else None}>"

    def start(self) -> Self:
        """Start it, or start it again; the log is appended to."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.log.parent,  # Python's -m looks for modules there first: not in the caller's folder
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._announces else log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def announcement(self) -> str:
        """Return its first line of output; empty if it ended without one."""
        if self._process is None or self._process.stdout is None:
            raise RuntimeError(f"{self.name} does not announce anything")
        return self._process.stdout.readline().decode()

    @property
    def pid(self) -> int:
        """The id of the main process, which is also that of its session."""
        if self._process is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """What the main process ended with (minus the signal's number if by a signal), None while it runs."""
        return None if self._process is None else self._process.poll()

    def processes(self) -> list[psutil.Process]:
        """Return every live process of the session: the main one, its children and theirs, orphans too."""
        return [] if self._process is None else [p for p in psutil.process_iter() if _is_in_session(p, self.pid)]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the main process alone."""
        if self._process is not None and self.exit_code is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the whole session at once, as a machine does that loses power."""
        while processes := self.processes():
            for process in processes:
                _kill(process)
            time.sleep(0.02)
        if self._process is not None:
            self._process.wait()

    def pause(self) -> None:
        """Stop the whole session, as a machine does that is suspended, until `resume`."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a session that was paused go on."""
        self._signal_all(signal.SIGCONT)

    def twin(self, name: str) -> "Part":
        """A second process of the same command, which is not started yet."""
        return Part(name, self._command, self._env, self.log.with_name(f"{name}.log"))

    def _signal_all(self, number: int) -> None:
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def terminate(self) -> None:
        """Ask the main process to end, and return at once."""
        self.signal(signal.SIGCONT)  # a stopped process would not hear
        self.signal(signal.SIGTERM)


def stop(parts: Sequence[Part], grace: float) -> list[str]:
    """Ask all of them to end, kill what is left after `grace` seconds, and return what that was.

    The answer is empty when all went in peace.
    """
    with uninterrupted():
        for part in parts:
            part.terminate()
        deadline = time.monotonic() + grace
        while (left := _left(parts)) and time.monotonic() < deadline:
            time.sleep(0.1)
        for part in parts:
            part.kill()
        return left


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let an impatient Ctrl-C take effect only after the block, so that cleaning up is not cut short."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def started_with(variable: str, value: str) -> list[psutil.Process]:
    """Return the processes of this user that have an environment variable of this value."""
    return [process for process in psutil.process_iter() if _environment(process).get(variable) == value]


def _left(parts: Sequence[Part]) -> list[str]:
    return [f"{part.name}: {_describe(process)}" for part in parts for process in part.processes()]


def _is_in_session(process: psutil.Process, session: int) -> bool:
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, psutil.Error):
        return False


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        environment: dict[str, str] = process.environ()
    except (OSError, psutil.Error):  # gone meanwhile, or another user's
        return {}
    return environment


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())[:100]}"
    except psutil.Error:
        return f"{process.pid} (gone)"
