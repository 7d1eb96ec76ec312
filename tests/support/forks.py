"""Forked children of a test."""

import multiprocessing
import traceback

FORK = multiprocessing.get_context("fork")


def in_children(work, *, count=3):
    """What `work(number)` returns in each of some forked children, which all run at once; None for one that hangs."""

    def child(number, pipe):
        try:
            pipe.send(work(number))
        except BaseException:  # noqa: BLE001 - whatever it is, the parent is to see it
            pipe.send(traceback.format_exc())

    started = []
    for number in range(count):
        mine, theirs = FORK.Pipe()
        process = FORK.Process(target=child, args=(number, theirs))
        process.start()
        started.append((process, mine))
    results = []
    for process, pipe in started:
        results.append(pipe.recv() if pipe.poll(20) else None)
        process.kill()
        process.join()
    return results
