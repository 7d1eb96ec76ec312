import os
import signal
import sys
import threading

import pytest

from devstack.processes import Part, started_with, stop

# A parent that does not wait for its child, which is deaf to everything but SIGKILL.
PARENT = """
import signal, subprocess, sys
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE)
print(process.stdout.readline().decode().strip(), flush=True)
signal.pause()
"""


@pytest.fixture
def part(tmp_path):
    env = dict(os.environ) | {"MARK": str(tmp_path)}
    part = Part("parent", [sys.executable, "-c", PARENT], env, tmp_path / "logs" / "parent.log", announces=True)
    part.start()
    assert part.announcement() == "up\n"
    yield part
    part.kill()


def test_stop_ends_the_children_that_outlive_their_parent_and_names_them(part):
    assert len(part.processes()) == 2
    [forced] = stop([part], grace=0.5)
    assert forced.startswith("parent: ")
    assert part.processes() == []


def test_stopped_process_ends_too(part):
    part.signal(signal.SIGSTOP)
    stop([part], grace=0.5)
    assert part.processes() == []


def test_kill_takes_the_whole_session(part):
    part.kill()
    assert part.processes() == []
    assert part.exit_code == -signal.SIGKILL


def test_killed_part_can_be_started_again(part):
    before = part.pid
    part.kill()
    part.start()
    assert part.announcement() == "up\n"
    assert part.pid != before
    assert part.exit_code is None


def test_stop_ignores_a_part_that_was_never_started(tmp_path):
    assert stop([Part("idle", ["true"], {}, tmp_path / "log")], grace=1) == []


def test_children_are_found_by_the_environment_they_inherit(part, tmp_path):
    found = started_with("MARK", str(tmp_path))
    assert {process.pid for process in found} == {process.pid for process in part.processes()}
    part.kill()
    assert started_with("MARK", str(tmp_path)) == []


@pytest.fixture
def heeds_ctrl_c():
    """A shell that starts its commands in the background has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_takes_effect_only_when_all_is_stopped(part, heeds_ctrl_c):
    main = threading.main_thread().ident
    threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        stop([part], grace=1)
    assert part.processes() == []
