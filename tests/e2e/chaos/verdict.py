"""What must be true of every round, and the figures. Pure: judges results against what the sandboxes saw."""

from collections import Counter, defaultdict

from tests.e2e.chaos.rounds import DISASTERS, KILLS, WIRES

# The run was created although its answer said, or brought, nothing of the kind.
AFTER_CREATION = {"dropped after creation", "late answer", "5xx after creation"}


def problems(results, runs_by_mode):
    """Everything that is wrong, each as a sentence; nothing if all is well.

    Args:
        results: of a whole campaign.
        runs_by_mode: what `/_sandbox/runs` of each sandbox says.
    """
    asking = defaultdict(list)
    for result in results:
        asking[result.round.mode, result.round.prompt].append(result)
    found = []
    for (mode, prompt), tasks in asking.items():
        runs = {run["run_id"]: run for run in runs_by_mode[mode] if run["prompt"] == prompt}
        found += [f"{mode}, {prompt} {_hits(tasks)}: {text}" for text in _problems_of(mode, prompt, tasks, runs)]
    billed = Counter(run["prompt"] for runs in runs_by_mode.values() for run in runs if run["billed"])
    strangers = set(billed) - {result.round.prompt for result in results}
    return found + [f"runs that nobody asked for: {stranger}" for stranger in strangers]


def _problems_of(mode, prompt, tasks, runs):
    billed = sum(run["billed"] for run in runs.values())
    least = most = sum(1 + task.clears for task in tasks)
    if mode == "none":
        # The server ignores keys: an answer that was lost before it was written down cannot be found again.
        least, most = (intended + lost for intended, lost in zip((least, most), _lost_answers(tasks), strict=True))
    if not least <= billed <= most:
        yield f"{billed} runs billed, {least} to {most} meant"
    lives = [life for task in tasks for life in (task.before_clear, task) if life]
    owners = Counter(life.run_id for life in lives if life.state == "success")
    if shared := [run_id for run_id, number in owners.items() if number > 1]:
        yield f"run {shared} taken twice, by two tasks or by one that was cleared"
    for life in lives:
        yield from _problems_of_one(life, prompt, runs)
    known = {run_id for task in tasks for run_id in task.known}
    orphans = [run_id for run_id in runs if run_id not in known]
    if mode != "none" and orphans:
        yield f"no error and no XCom names {orphans}"


def _problems_of_one(task, prompt, runs):
    if task.state == "failed":
        if "Nothing was sent again" not in task.errors or task.round.mode != "duplicate_409":
            yield f"failed, but not because the outcome is unknown: …{task.errors[-600:]}"
        elif not _lost_answers([task])[1]:
            yield f"failed for an unknown outcome, although no answer was lost: …{task.errors[-600:]}"
        return
    if task.state != "success":
        yield f"ended as {task.state}"
        return
    if task.disaster == "no disaster" and task.round.kills and not _was_hit(task):
        yield "never got to where it was to be killed"
    value = task.value
    run_id = value if task.round.style == "no wait" else value["run_id"]
    if run_id != task.run_id or run_id not in runs:
        yield f"returned run {run_id}, pushed {task.run_id}, has {sorted(runs)}"
    elif runs[run_id]["idempotency_key"] not in {note.get("key") for note in task.notes}:
        yield f"took run {run_id}, which was started with a key that it has never sent"
    if task.round.style != "no wait":
        [output] = value["outputs"]
        words = output.get("text") or output.get("url") or ""
        if prompt not in words and run_id not in words:
            yield f"returned the outputs of another run: {words}"


def _was_hit(task):
    return any(note["event"] == "killed" and note["point"] == task.round.kills[0] for note in task.notes)


def _lost_answers(tasks):
    """How many POSTs have surely, and how many may have, started a run that no try could write down."""
    surely = maybe = 0
    for task in tasks:
        sent = Counter(note["try"] for note in task.notes if note["event"] == "sent")
        refused = Counter(note["try"] for note in task.notes if note["event"] == "answer" and note["status"] == 429)
        kept = Counter(note["try"] for note in task.notes if note["event"] == "ledger")
        maybe += sum(max(sent[tried] - refused[tried] - kept[tried], 0) for tried in sent)
        surely += sum(
            note["event"] == "killed" and note["point"] in {"POST to answer", "answer to ledger"} for note in task.notes
        )
        surely += task.round.wire in AFTER_CREATION
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
    wires = Counter(result.round.wire for result in results if result.round.wire)
    befell = Counter(result.disaster for result in results)
    modes, styles = Counter(r.round.mode for r in results), Counter(r.round.style for r in results)
    meant = sum(1 + result.clears for result in results)
    billed = {mode: sum(run["billed"] for run in runs) for mode, runs in runs_by_mode.items()}
    lost = _lost_answers([result for result in results if result.round.mode == "none"])
    width = [1000 * seconds for seconds in widths(results)] or [0.0]
    yield f"modes:      {_list(modes, sorted(modes))}"
    yield f"waiting:    {_list(styles, sorted(styles))}"
    yield f"killed:     {_list(struck, KILLS)}"
    yield f"connection: {_list(wires, WIRES)}"
    yield f"besides:    {_list(befell, DISASTERS[1:])}"
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
    return [(task.task, task.round.style, task.round.points, task.disaster, task.clears) for task in tasks]
