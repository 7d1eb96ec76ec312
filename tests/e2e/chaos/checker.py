"""What must be true of every round, and the figures. Pure: judges results against what the sandboxes saw."""

import re
from collections import Counter, defaultdict

from tests.e2e.chaos.workload import DELIVERIES, DISASTERS, KILLS, SAYINGS

# The run was created although its answer said, or brought, nothing of the kind.
AFTER_CREATION = {"dropped after creation", "late answer", "5xx after creation"}
REFUSED = {401, 429}  # statuses of answers that say: nothing was started


# How a task's log says that it found its own record of another request, and was not told what to do about that.
CHANGED = "on_changed_request"
# How it says that FLORA does not take its key.
REFUSED_KEY = "invalid_api_key"


def problems(results, runs_by_mode):
    """Everything that is wrong, each as a sentence; nothing if all is well.

    Args:
        results: of all batches.
        runs_by_mode: what `/_sandbox/runs` of each sandbox says.
    """
    asking = defaultdict(list)
    for result in results:
        asking[result.round.mode, result.round.prompt].append(result)
    found = []
    for (mode, prompt), tasks in asking.items():
        prompts = {prompt for task in tasks for prompt in task.round.prompts}
        runs = {run["run_id"]: run for run in runs_by_mode[mode] if run["prompt"] in prompts}
        found += [f"{mode}, {prompt} {_hits(tasks)}: {text}" for text in _problems_of(mode, tasks, runs)]
    billed = Counter(run["prompt"] for runs in runs_by_mode.values() for run in runs if run["billed"])
    strangers = set(billed) - {prompt for result in results for prompt in result.round.prompts}
    return found + [f"runs that nobody asked for: {stranger}" for stranger in strangers]


def _problems_of(mode, tasks, runs):
    billed = sum(run["billed"] for run in runs.values())
    meant = [_meant(task) for task in tasks]
    least, most = (sum(numbers) for numbers in zip(*meant, strict=True))
    if mode == "none":
        # The server ignores keys: an answer that was lost before it was written down cannot be found again.
        most += _lost_answers(tasks)[1]
    if not least <= billed <= most:
        yield f"{billed} runs billed, {least} to {most} meant"
    lives = [life for task in tasks for life in (task.before_clear, task) if life]
    owners = Counter(life.run_id for life in lives if life.state == "success")
    if shared := [run_id for run_id, number in owners.items() if number > 1]:
        yield f"run {shared} taken twice, by two tasks or by one that was cleared"
    for life in lives:
        yield from _problems_of_one(life, runs)
    known = {run_id for task in tasks for run_id in task.known}
    orphans = [run_id for run_id, run in runs.items() if run_id not in known and run["billed"]]
    if mode != "none" and orphans:
        yield f"no error and no XCom names {orphans}"


def _meant(task):
    """How many runs are to be paid for a task, at least and at most: one for each of its lives, and its changes."""
    least = most = 0
    for life in filter(None, (task.before_clear, task)):
        # What stopped before it started anything, for a good reason, need not have paid; nor one whose lost run failed.
        is_free = CHANGED in life.errors or REFUSED_KEY in life.errors or "error" in (life.round.says or "")
        least += not (life.state == "failed" and is_free)
        most += 1
    if task.round.on_changed == "submit_again":
        most += bool(task.round.edited) + ("connection moved" in task.disasters) + task.moved_back
    # The README's limit: Airflow does not tell a task that vanished in a worker, beside another that was cleared, from
    # one that was cleared itself.
    if task.round.style == "in worker" and "tasks cleared" in task.disasters:
        most += sum(note["event"] == "killed" for note in task.notes)
        most += "api-server away" in task.disasters  # which a try that fails then cannot tell how it ended
    # A task that was cleared before its end may have paid already, or not yet.
    return least, most + len(task.cleared_at)


def _is_changed(task):
    return task.round.edited or "connection moved" in task.disasters


def _problems_of_one(task, runs):
    if task.state == "failed":
        yield from _problems_of_failure(task)
        return
    if task.state != "success":
        yield f"ended as {task.state}"
        return
    # A wait that fails does not return.
    is_cut_short = task.round.kills[:1] == ("after its return",) and "error" in (task.round.says or "")
    if not task.disasters and task.round.kills and not _was_hit(task) and not is_cut_short:
        yield "never got to where it was to be killed"
    value = task.value
    run_id = value if task.round.style == "no wait" else value["run_id"]
    if run_id != task.run_id or run_id not in runs:
        yield f"returned run {run_id}, pushed {task.run_id}, has {sorted(runs)}"
    elif runs[run_id]["idempotency_key"] not in {note.get("key") for note in task.notes}:
        yield f"took run {run_id}, which was started with a key that it has never sent"
    elif runs[run_id]["prompt"] not in _wanted(task):
        yield f"took run {run_id}, which was asked for {runs[run_id]['prompt']!r} and not {_wanted(task)}"
    # The README's limit: one that runs for seconds, and was cleared meanwhile, may count as retried.
    may_be_retried = task.was_running and task.round.style != "in worker"
    if not may_be_retried and any(
        note["event"] == "ledger" and note["run_id"] == run_id and note["at"] < cleared
        for note in task.notes
        for cleared in task.cleared_at
    ):
        yield f"took run {run_id} again, although it was cleared after that was written down"
    if task.round.style != "no wait":
        [output] = value["outputs"]
        words = output.get("text") or output.get("url") or ""
        if run_id not in words and not any(prompt in words for prompt in _wanted(task)):
            yield f"returned the outputs of another run: {words}"


def _wanted(task):
    """The prompts whose run a success may return: what its last try asked for, or any that it was to adopt."""
    asked = [note["prompt"] for note in task.notes if note["event"] == "asked"]
    return asked if task.round.on_changed == "adopt" else asked[-1:]


def _problems_of_failure(task):
    raised = re.findall(r"'exc_value': (.{1,600}?), 'exc_notes'", task.errors) or [task.errors[-600:]]
    said = f"…{raised[-1]}"
    if CHANGED in task.errors:
        if not _is_changed(task):
            yield f"failed for a changed request, although nobody has changed it: {said}"
        elif task.round.edited and task.round.on_changed != "fail":
            yield f"failed for a changed request, although it was to {task.round.on_changed}: {said}"
    elif REFUSED_KEY in task.errors:
        if "key rotated" not in task.disasters:
            yield f"failed for a key that was never rotated: {said}"
        elif any(note["event"] == "sent" for note in task.notes if note["try"] < task.notes[-1]["try"]):
            yield f"failed for good for a rotated key, although it may have paid: {said}"
    elif "Nothing was sent again" not in task.errors or task.round.mode != "duplicate_409":
        yield f"failed, but not because the outcome is unknown: {said}"
    elif not _lost_answers([task])[1]:
        yield f"failed for an unknown outcome, although no answer was lost: {said}"


def _was_hit(task):
    return any(note["event"] == "killed" and note["point"] == task.round.kills[0] for note in task.notes)


def _lost_answers(tasks):
    """How many POSTs have surely, and how many may have, started a run that no try could write down in time."""
    surely = maybe = 0
    for task in tasks:
        sent = [note for note in task.notes if note["event"] == "sent"]
        counted = Counter(note["try"] for note in sent)
        refused = Counter(note["try"] for note in task.notes if note["event"] == "answer" and note["status"] in REFUSED)
        kept = {}
        for note in task.notes:
            # A try that Airflow took for dead may write down its run when the next one has sent its request already.
            late = any(other["try"] > note["try"] and other["at"] < note["at"] for other in sent)
            if note["event"] == "ledger" and not late:
                kept[note["try"]] = 1
        maybe += sum(max(counted[tried] - refused[tried] - kept.get(tried, 0), 0) for tried in counted)
        surely += sum(
            note["event"] == "killed" and note["point"] in {"POST to answer", "answer to ledger"} for note in task.notes
        )
        surely += task.round.delivery in AFTER_CREATION
    return surely, max(surely, maybe)


def widths(results):
    """Seconds from FLORA's answer until it was written down, of each try that was not killed in between."""
    found = []
    for result in results:
        answered = None
        for note in result.notes:
            if note["event"] == "answer":
                answered = note
            elif note["event"] == "ledger" and answered and answered["try"] == note["try"]:
                found.append(note["at"] - answered["at"])
    return sorted(found)


def report(results, runs_by_mode):
    """The figures, as lines."""
    struck = Counter(note["point"] for result in results for note in result.notes if note["event"] == "killed")
    rounds = [result.round for result in results]
    deliveries = Counter(drawn.delivery for drawn in rounds if drawn.delivery)
    says = Counter(drawn.says for drawn in rounds if drawn.says)
    edited = Counter(f"to {drawn.on_changed}" for drawn in rounds if drawn.edited)
    late, clocks = sum(drawn.listed_after > 0 for drawn in rounds), sum(drawn.clock != 0 for drawn in rounds)
    befell = Counter(disaster for result in results for disaster in result.disasters)
    kinds = Counter(drawn.kind for drawn in rounds)
    modes, styles = Counter(drawn.mode for drawn in rounds), Counter(drawn.style for drawn in rounds)
    meant = sum(1 + result.clears + len(result.cleared_at) for result in results)
    billed = {mode: sum(run["billed"] for run in runs) for mode, runs in runs_by_mode.items()}
    lost = _lost_answers([result for result in results if result.round.mode == "none"])
    width = [1000 * seconds for seconds in widths(results)] or [0.0]
    yield f"kinds:      {_list(kinds, sorted(kinds))}"
    yield f"modes:      {_list(modes, sorted(modes))}"
    yield f"waiting:    {_list(styles, sorted(styles))}"
    yield f"killed:     {_list(struck, KILLS)}"
    yield f"connection: {_list(deliveries, DELIVERIES)}"
    yield f"FLORA says: {_list(says, SAYINGS)}"
    yield f"edited:     {_list(edited, sorted(edited))}"
    yield f"listed late {late}, clock stepped in a task {clocks}"
    yield f"besides:    {_list(befell, DISASTERS)}"
    yield f"outcome:    {_list(Counter(r.state for r in results), ('success', 'failed'))}"
    yield (
        f"billed:     {sum(billed.values())} runs for {meant} meant ({sum(r.clears for r in results)} of them by a "
        f"clear); {lost[0]} to {lost[1]} answers were lost of a server that ignores keys"
    )
    yield (
        f"window:     {width[len(width) // 2]:.1f} ms from answer to ledger in the median, "
        f"{width[int(len(width) * 0.95)]:.1f} at the 95th percentile, {width[-1]:.1f} at most ({len(width)} tries)"
    )


def _list(counted, names):
    return ", ".join(f"{name} {counted[name]}" for name in names) or "-"


def _hits(tasks):
    return [(task.task, task.round.style, task.round.points, sorted(task.disasters), task.clears) for task in tasks]
