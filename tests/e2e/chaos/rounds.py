"""What is drawn for a round: how its task waits, what its FLORA thinks of keys, and where it is hit. Pure."""

import random
from dataclasses import dataclass

MODES = ("duplicate_409", "replay", "current_state", "none")

# Where the task process kills itself, in the order in which it gets there.
START = ("before the intent", "before POST", "POST to answer", "answer to ledger", "ledger to XCom", "after XCom")
AFTERWARDS = {
    "no wait": ("after its return",),
    "in worker": ("while waiting", "after its return"),
    "deferred": ("before deferral",),
    "resumed": ("before deferral", "deferral to resume", "after its return"),
}
STYLES = tuple(AFTERWARDS)
KILLS = tuple(dict.fromkeys((*START, *(point for points in AFTERWARDS.values() for point in points))))

# What becomes of the answer to POST. The client gives up after CLIENT_TIMEOUT.
CLIENT_TIMEOUT = 6
WIRES = {
    "dropped after creation": {"wire": "drop", "after": True},
    "late answer": {"delay": CLIENT_TIMEOUT + 3},
    "5xx after creation": {"status": 500, "after": True},
    "429 burst": {"status": 429, "headers": {"retry-after": "1"}, "times": 2},
}
# Holds the answer back until the task has seen that the run was created, and killed itself.
HELD_BACK = {"delay": CLIENT_TIMEOUT - 2}

DISASTERS = ("no disaster", "triggerer killed", "scheduler killed")


@dataclass(frozen=True)
class Round:
    """One mapped task, i.e. one intended run.

    Attributes:
        number: from 0, unique in a campaign.
        prompt: what it asks for; unique unless it has a twin.
        medium: the type of the run.
        mode: of its sandbox.
        style: how it waits.
        kills: where the task process dies, one point a try; a try that does not get there goes on.
        wire: what happens to the answer to its first POST; None for nothing.
        on_unknown: what it does when its run exists and its id was lost.
        seconds: how long its run takes.
    """

    number: int
    prompt: str
    medium: str
    mode: str
    style: str
    kills: tuple[str, ...]
    wire: str | None
    on_unknown: str
    seconds: float

    @property
    def points(self):
        return [*self.kills, *([self.wire] if self.wire else [])] or ["no kill"]

    def faults(self):
        """What its sandbox is told beforehand."""
        about = {"route": "/generate", "containing": self.prompt}
        found = [WIRES[self.wire]] if self.wire else []
        return [about | fault for fault in (*found, *([HELD_BACK] if "POST to answer" in self.kills else []))]

    def row(self):
        """Arguments of its mapped task."""
        return {
            "type": self.medium,
            "prompt": self.prompt,
            "flora_conn_id": f"flora_{self.mode}",
            "wait_for_completion": self.style != "no wait",
            "deferrable": self.style != "in worker",
            "on_unknown_outcome": self.on_unknown,
            "model_params": {"sandbox": {"seconds": self.seconds, "estimated_seconds": 6}},
            "kills": list(self.kills),
        }


def draw(seed, count):
    """The rounds of a campaign: the same seed, the same rounds, however many follow."""
    dice = random.Random(seed)  # noqa: S311 - chance, not secrets
    rounds = []
    while len(rounds) < count:
        number = len(rounds)
        prompt = f"Seed {seed}, round {number:05}."
        rounds.append(_draw_one(dice, number, prompt))
        if dice.random() < 0.1:
            # Its twin asks for the same thing, of the same FLORA, and is a run of its own.
            twin = _draw_one(dice, number + 1, prompt, mode=rounds[-1].mode)
            rounds[-1] = _without_faults(rounds[-1])
            rounds.append(_without_faults(twin))
    return rounds[:count]


def _draw_one(dice, number, prompt, mode=None):
    style = dice.choice(STYLES)
    points = (*START, *AFTERWARDS[style] * 2)
    kind = dice.random()
    kills = dice.sample(points, 2) if kind < 0.2 else [dice.choice(points)] if kind < 0.75 else []
    wire = dice.choice(list(WIRES)) if not kills and kind < 0.95 else None
    return Round(
        number=number,
        prompt=prompt,
        medium=dice.choice(["image", "text"]),
        mode=mode or dice.choice(MODES),
        style=style,
        kills=tuple(kills),
        wire=wire,
        on_unknown=dice.choice(["fail", "adopt"]),
        seconds=round(dice.uniform(1, 9), 1),
    )


def _without_faults(drawn):
    # Faults find their task by its prompt, which twins share.
    kills = tuple(point for point in drawn.kills if point != "POST to answer") or ("answer to ledger",)
    return Round(**{**drawn.__dict__, "kills": kills, "wire": None})


def disasters(seed, batches):
    """What befalls each batch, and after which share of its rounds: every disaster in turn."""
    dice = random.Random(f"disasters {seed}")  # noqa: S311 - chance, not secrets
    first = dice.randrange(len(DISASTERS))
    return [
        (DISASTERS[(first + batch) % len(DISASTERS)], dice.uniform(0.1, 0.6), dice.sample(range(10_000), 2))
        for batch in range(batches)
    ]
