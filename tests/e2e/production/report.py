"""The figures of a campaign, for people."""

from collections import defaultdict

from tests.e2e.production.nemesis import NO_VICTIM


def table(history):
    """Lines: each fault with how often it struck, then each DAG run with its outcome, then the rest."""
    by_kind = defaultdict(list)
    for strike in history.strikes:
        by_kind[strike.what].append(strike)
    yield f"{'fault':32} {'struck':>6} {'seconds':>8}"
    for what in sorted(by_kind):
        struck = [strike for strike in by_kind[what] if strike.detail != NO_VICTIM]
        yield f"{what:32} {len(struck):6} {sum(strike.took for strike in struck):8.1f}"
    yield f"{'task of the batch killed':32} {history.batch_kills:6}"
    yield ""
    yield f"{'DAG run':24} {'keys':14} {'state':8} {'tasks':>5} {'tries':>5} {'results':>7} {'billed':>6} {'files':>5}"
    for result in history.results:
        tries = sum(task["tries"] for task in result.tasks.values())
        billed = sum(run["billed"] for run in result.runs)
        yield (
            f"{result.dag_run.name:24} {result.dag_run.mode:14} {result.state:8} {len(result.tasks):5} {tries:5} "
            f"{len(result.dag_run.results()):7} {billed:6} {len(result.files):5}"
        )
    yield ""
    ends = ", ".join(f"{name} ({code})" for name, code in history.own_ends) or "none"
    yield f"parts that ended by themselves, and were started again: {ends}"
