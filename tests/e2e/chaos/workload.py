"""What is drawn for a round: how its task waits, what its FLORA thinks of keys, what hits it and what changes. Pure."""

import random
from dataclasses import dataclass, replace

# Of each task, unless a file says otherwise, whose path this variable holds. Enough for an outage of a minute.
RETRIES, RETRIES_FILE = 40, "FLORA_CHAOS_RETRIES"

# What is started, by which route, and what else its operator is told.
KINDS = {
    "generation": ("/generate", {}),
    "technique by id": ("/runs/technique", {"technique": "tech_storybrd1"}),
    "technique by slug": ("/techniques/{technique_id}/runs", {"technique": "jingle"}),
    "action": ("/runs/action", {"action_id": "find-and-replace-text-browser"}),
}
_SLOTS = {"tech_storybrd1": "instructions", "jingle": "brand"}  # of the techniques, each for a text

MODES = ("duplicate_409", "replay", "current_state", "none")

# Where the task process kills itself, in the order in which it gets there.
START = (
    "before the intent",
    "at the catalog",
    "before POST",
    "POST to answer",
    "answer to ledger",
    "ledger to XCom",
    "after XCom",
)
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
DELIVERIES = {
    "dropped after creation": {"delivery": "drop", "after": True},
    "late answer": {"delay": CLIENT_TIMEOUT + 3},
    "5xx after creation": {"status": 500, "after": True},
    "429 burst": {"status": 429, "headers": {"retry-after": "1"}, "times": 2},
}
# Holds the answer back until the task has seen that the run was created, and killed itself.
HELD_BACK = {"delay": CLIENT_TIMEOUT - 2}

# What a task does that finds its own record of another request.
ON_CHANGED = ("fail", "adopt", "submit_again")

# What FLORA says of the first run, in its text or in the reason for which it failed.
SAYINGS = {
    "half an emoji in its text": "half an emoji: \ud83d",
    "a zero in its text": "a zero: \x00.",
    "half an emoji in its error": "half an emoji: \ud83d",
    "a zero in its error": "a zero: \x00.",
}

CLOCKS = (
    -3600.0,
    -600.0,
    600.0,
    3600.0,
)  # seconds by which the clock of a task's process steps when FLORA has answered
LISTED_AFTER = 8.0  # seconds at most


@dataclass(frozen=True)
class Round:
    """One mapped task, i.e. one intended run.

    Attributes:
        number: from 0, unique among all rounds.
        prompt: what it asks for; unique unless it has a twin.
        kind: what it starts, one of KINDS.
        medium: the type of a generation.
        mode: of its sandbox.
        style: how it waits.
        kills: where the task process dies, one point a try; a try that does not get there goes on.
        delivery: what happens to the answer to its first POST; None for nothing.
        on_unknown: what it does when its run exists and its id was lost.
        seconds: how long its run takes.
        edited: what it asks for from its second try on; None if nobody edits it.
        on_changed: what it does about that.
        says: which of SAYINGS its first run says; None for nothing of the kind.
        listed_after: seconds for which no list shows its run.
        clock: seconds by which its clock steps in the middle of each try.
    """

    number: int
    prompt: str
    kind: str
    medium: str
    mode: str
    style: str
    kills: tuple[str, ...]
    delivery: str | None
    on_unknown: str
    seconds: float
    edited: str | None = None
    on_changed: str = "fail"
    says: str | None = None
    listed_after: float = 0.0
    clock: float = 0.0

    @property
    def points(self):
        changes = [self.delivery, self.says, self.edited and f"edited, {self.on_changed}"]
        changes += [self.clock and f"clock {self.clock:+g}", self.listed_after and f"listed after {self.listed_after}"]
        return [*self.kills, *filter(None, changes)] or ["no kill"]

    @property
    def prompts(self):
        """Everything that it asks for, one after the other."""
        return (self.prompt, self.edited) if self.edited else (self.prompt,)

    @property
    def task_id(self):
        """Which task of the DAG it is an instance of."""
        name = self.kind.split()[0]
        return f"resuming_{name}" if self.style == "resumed" else name

    def faults(self):
        """What its sandbox is given beforehand."""
        found = [DELIVERIES[self.delivery]] if self.delivery else []
        found += [HELD_BACK] if "POST to answer" in self.kills else []
        found += [{"behavior": self._behavior() | self._said()}] if self.says else []
        prompts = self.prompts[:1]
        if self.kind != "generation":  # which says itself what is to become of its run
            behavior = {"behavior": self._behavior()}
            found = [fault | behavior for fault in found] + [{"times": None, **behavior}]
            prompts = self.prompts
        [route, _] = KINDS[self.kind]
        return [{"route": route, "containing": prompt, **fault} for prompt in prompts for fault in found]

    def row(self):
        """Arguments of its mapped task."""
        row = {
            **self._request(),
            "flora_conn_id": f"flora_{self.mode}",
            "wait_for_completion": self.style != "no wait",
            "deferrable": self.style != "in worker",
            "on_unknown_outcome": self.on_unknown,
            "kills": list(self.kills),
            "edited": self.edited,
            "clock": self.clock,
        }
        return row | ({"on_changed_request": self.on_changed} if self.on_changed != "fail" else {})

    def _request(self):
        [_, arguments] = KINDS[self.kind]
        if self.kind == "generation":
            return {"type": self.medium, "prompt": self.prompt, "model_params": {"sandbox": self._behavior()}}
        if self.kind == "action":
            return {**arguments, "inputs": self.prompt}
        return {**arguments, "inputs": {_SLOTS[arguments["technique"]]: self.prompt}}

    def _behavior(self):
        return {"seconds": self.seconds, "estimated_seconds": 6, "listed_after": self.listed_after}

    def _said(self):
        said = f"{self.prompt} It says {SAYINGS[self.says]}"
        if "error" in self.says:
            return {"error_code": "provider_error", "error_message": said}
        return {"text": said}


def draw_rounds(seed, count):
    """The rounds: the same seed, the same rounds, however many follow."""
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
            rounds.append(replace(_without_faults(twin), kind=rounds[-1].kind))
    return rounds[:count]


def _draw_one(dice, number, prompt, mode=None):
    style = dice.choice(STYLES)
    points = (*START, *AFTERWARDS[style] * 2)
    kind = dice.random()
    kills = dice.sample(points, 2) if kind < 0.2 else [dice.choice(points)] if kind < 0.75 else []
    delivery = dice.choice(list(DELIVERIES)) if not kills and kind < 0.95 else None
    edited = f"Edited {prompt.lower()}" if kills and dice.random() < 0.3 else None
    says = _draw_saying(dice, style) if not delivery and not edited and "POST to answer" not in kills else None
    return Round(
        number=number,
        prompt=prompt,
        kind="generation" if says else dice.choice(list(KINDS)),
        medium="text" if says else dice.choice(["image", "text"]),
        mode=mode or dice.choice(MODES),
        style=style,
        kills=tuple(kills),
        delivery=delivery,
        on_unknown=dice.choice(["fail", "adopt"]),
        seconds=round(dice.uniform(1, 9), 1),
        edited=edited,
        on_changed=dice.choice(ON_CHANGED) if edited else "fail",
        says=says,
        listed_after=round(dice.uniform(1, LISTED_AFTER), 1) if dice.random() < 0.3 else 0.0,
        clock=dice.choice(CLOCKS) if dice.random() < 0.2 else 0.0,
    )


def _draw_saying(dice, style):
    # A task that does not wait never learns how its run ended.
    sayings = [says for says in SAYINGS if style != "no wait" or "error" not in says]
    return dice.choice(sayings) if dice.random() < 0.4 else None


def _without_faults(drawn):
    # Faults find their task by its prompt, which twins share.
    kills = tuple(point for point in drawn.kills if point != "POST to answer") or ("answer to ledger",)
    return replace(drawn, kills=kills, delivery=None, edited=None, on_changed="fail", says=None)


# What befalls a whole batch, each with the states of tasks that it can hit. In an order in which neighbours may strike
# the same batch: a wait that a triggerer takes up again looks for its run where the connection leads to by then, and
# while an outage lasts, most waits come to their end.
DISASTERS = {
    "triggerer killed": {"deferred"},
    "key rotated": {"running", "deferred"},
    "retries lowered": {"running", "deferred"},
    "scheduler killed": {"running", "queued"},
    "secrets backend away": {"running", "queued"},
    "triggerer's clock stepped": {"deferred"},
    "tasks cleared": {"running", "deferred"},
    "connection moved": {"running", "deferred"},
    "api-server away": {"running", "deferred"},
}


@dataclass(frozen=True)
class Nemesis:
    """What befalls one batch.

    Attributes:
        disasters: in turn; none for a batch that is left in peace.
        share: of its rounds that are over when the last of them strikes.
        seconds: for which an outage lasts, 5 to 60.
        clock: seconds by which a clock steps.
        picks: numbers that choose tasks.
    """

    disasters: tuple[str, ...]
    share: float
    seconds: float
    clock: float
    picks: tuple[int, ...]


def draw_nemeses(seed, batches, concurrent=1, longest=60.0):
    """What befalls each batch: every disaster in turn, and now and then none; `concurrent` ones strike the same batch.

    Args:
        seed: the same seed, the same nemeses.
        batches: how many.
        concurrent: disasters a batch.
        longest: seconds of an outage at most.
    """
    dice = random.Random(f"disasters {seed}")  # noqa: S311 - chance, not secrets
    names = list(DISASTERS)
    turns = [tuple(names[start : start + concurrent]) for start in range(0, len(names), concurrent)]
    if concurrent == 1:
        turns.append(())
    first = dice.randrange(len(turns))
    return [
        Nemesis(
            disasters=turns[(first + batch) % len(turns)],
            share=dice.uniform(0.1, 0.6),
            seconds=round(dice.uniform(5, longest), 1),
            clock=dice.choice((-7200.0, -600.0, 600.0, 7200.0)),
            picks=tuple(dice.sample(range(10_000), 4)),
        )
        for batch in range(batches)
    ]
