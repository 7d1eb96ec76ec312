"""What is drawn for one batch: its rows, what its FLORA does to them, and where its processes are killed. Pure."""

import random
from dataclasses import dataclass

MODES = ("duplicate_409", "replay", "current_state", "none")

# Of the task, unless this variable says otherwise: each kill of its process takes one, and each try with too few rows.
RETRIES, RETRIES_SETTING = 6, "FLORA_BATCH_RETRIES"
FAILED_RUNS = 0.05  # share of runs that fail, in a way that another run may pass
FAILED_STARTS = 0.02  # share of starts that are answered with 503, and start nothing
LATENCY = 200  # milliseconds of each answer, so that some are under way at each kill
SAVING = 0.02  # seconds that a row takes to be saved, about

# What becomes of the answer to the first start of some rows, whose run is there all the same.
LOST = {"dropped": {"delivery": "drop", "after": True}, "5xx": {"status": 500, "after": True}}
REFUSED = {"status": 400, "times": None}

PHASES = ("plan", "save")


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        prompt: shared with a twin only.
        medium: what is made.
        seconds: how long its run takes.
        is_moderated: each of its runs fails for good.
        is_refused: FLORA refuses the request.
        lost: what of LOST happens to the answer to its first start; None for nothing.
    """

    prompt: str
    medium: str
    seconds: float
    is_moderated: bool = False
    is_refused: bool = False
    lost: str | None = None

    def request(self):
        """The row as the operator takes it."""
        behavior = {"seconds": self.seconds, "estimated_seconds": round(self.seconds)}
        if self.is_moderated:
            behavior["error_code"] = "GENERATION_PROMPT_MODERATED"
        return {"type": self.medium, "prompt": self.prompt, "model_params": {"sandbox": behavior}}


@dataclass(frozen=True)
class Kill:
    """Where the task's process is killed in one of its tries.

    Attributes:
        phase: `plan`, before the deferral, or `save`, after it.
        after: seconds after the phase has begun; at its end, if that comes earlier.
    """

    phase: str
    after: float


@dataclass(frozen=True)
class Workload:
    """One batch.

    Attributes:
        seed: of all that follows.
        mode: what a repeated key means to its FLORA.
        rows: some of them are equal.
        min_success, on_unknown, max_in_flight: of the operator.
        form: how it is given its rows: `jsonl`, `csv` or `list`.
        bursts: starts after which FLORA answers 429 for a while.
        kills: for each try of the task, where its process is killed; None for nowhere.
    """

    seed: int
    mode: str
    rows: tuple[Row, ...]
    min_success: float
    on_unknown: str
    max_in_flight: int
    form: str
    bursts: tuple[int, ...]
    kills: tuple[Kill | None, ...]

    def settings(self):
        """Of its sandbox."""
        return {
            "idempotency": self.mode,
            "failure_rate": FAILED_RUNS,
            "failure_family": "retry_now",
            "latency_ms": LATENCY,
            "bill_lag": 3.0,
        }

    def faults(self):
        """What its sandbox is given beforehand."""
        start = {"route": "/generate", "method": "POST"}
        faults = [{**start, **REFUSED, "containing": prompt} for prompt in self.prompts("is_refused")]
        faults += [{**start, **LOST[row.lost], "containing": row.prompt} for row in self.rows if row.lost]
        burst = {"status": 429, "headers": {"retry-after": "1"}, "times": 6}
        faults += [{**start, **burst, "skip": skip} for skip in self.bursts]
        faults.append({**start, "status": 503, "rate": FAILED_STARTS, "times": None})
        for route in ("/generations", "/runs/{run_id}", "/media/{run_id}/{file}"):
            faults.append({"route": route, "method": "GET", "status": 503, "rate": 0.03, "times": None})
        return faults

    def prompts(self, flag):
        """Those of the rows of which something is true."""
        return dict.fromkeys(row.prompt for row in self.rows if getattr(row, flag))

    def arguments(self):
        """Of its mapped task, but for what only who runs it knows."""
        return {
            "min_success": self.min_success,
            "on_unknown_outcome": self.on_unknown,
            "max_in_flight": self.max_in_flight,
            "kills": [kill and {"phase": kill.phase, "after": kill.after} for kill in self.kills],
        }


def draw_workload(seed, rows):
    """The batch of a seed; every fourth seed has the same mode."""
    dice = random.Random(f"batch {seed} {rows}")  # noqa: S311 - chance, not secrets
    drawn = []
    while len(drawn) < rows:
        drawn.append(_draw_row(dice, f"Seed {seed:04}, row {len(drawn):05}."))
        if dice.random() < 0.02:
            drawn.append(drawn[-1])
    bursts = tuple(sorted(dice.sample(range(2, max(rows, 8)), 3)))
    kills = [dice.choice((None, *PHASES)) for _ in range(3)]
    if not any(kills):
        kills[0] = dice.choice(PHASES)
    longest = {"plan": 1.0, "save": rows * SAVING}
    return Workload(
        seed=seed,
        mode=MODES[seed % len(MODES)],
        rows=tuple(drawn[:rows]),
        min_success=dice.choice((0.85, 0.9, 0.97, 0.99)),
        on_unknown=dice.choice(("fail", "adopt")),
        max_in_flight=max(12, rows // dice.choice((15, 20, 30))),
        form=dice.choice(("jsonl", "csv", "list")),
        bursts=bursts,
        kills=tuple(phase and Kill(phase, round(dice.uniform(0.0, longest[phase]), 3)) for phase in kills),
    )


def _draw_row(dice, prompt):
    chance = dice.random()
    return Row(
        prompt=prompt,
        medium="image" if dice.random() < 0.2 else "text",
        seconds=round(dice.uniform(0.5, 6.0), 1),
        is_moderated=chance < 0.01,
        is_refused=0.01 <= chance < 0.02,
        lost="dropped" if 0.02 <= chance < 0.03 else "5xx" if 0.03 <= chance < 0.04 else None,
    )


@dataclass(frozen=True)
class Strike:
    """Something that befalls all batches that go on together.

    Attributes:
        what: one of NEMESES.
        share: of all rows whose runs are started when it strikes; above 1.0, when the first batch is being saved.
        after: seconds after that moment.
    """

    what: str
    share: float
    after: float


NEMESES = ("triggerer killed", "scheduler killed", "triggerer paused", "FLORA away")
SAVED = 2.0  # a share: while files are saved


def draw_strikes(seed, most=4):
    """What befalls the batches whose first seed is this one: the triggerer and the scheduler are killed at least."""
    dice = random.Random(f"strikes {seed}")  # noqa: S311 - chance, not secrets
    names = ["triggerer killed", "scheduler killed", *(dice.choice(NEMESES) for _ in range(dice.randint(0, most - 2)))]
    strikes = [Strike(name, round(dice.uniform(0.05, 0.9), 2), round(dice.uniform(0.0, 2.0), 2)) for name in names]
    if dice.random() < 0.5:
        strikes.append(Strike("scheduler killed", SAVED, round(dice.uniform(0.0, 4.0), 2)))
    return sorted(strikes, key=lambda strike: strike.share)
