"""What is drawn for a campaign: DAG runs, how long FLORA takes for each of their results, and what strikes. Pure."""

import random
from dataclasses import dataclass

RETRIES = 40  # of each task; what strikes the deployment takes some

# How many instances each task of the DAG has that starts a run; its name begins the prompt of each.
SIZES = {"started": 5, "single": 1, "deferred": 3, "unsaved": 2, "in_worker": 2, "technique": 2, "action": 2}
# The sensors, by the task whose runs they wait for.
SENSORS = {"started": "started_awaited", "single": "single_awaited"}
SAVED = ("started_awaited", "deferred", "in_worker", "technique", "action")  # those that save files

HONEST = ("duplicate_409", "replay", "current_state")  # what a repeated key means to a FLORA that keeps to its word
DAG_RUNS = 5
BATCH_ROWS = 30

# What is struck once a seed, at least.
OF_PARTS = (
    "worker killed",
    "worker replaced",
    "scheduler killed",
    "scheduler replaced",
    "triggerer killed",
    "triggerer replaced",
    "triggerer frozen",
    "api-server replaced",
    "Redis restarted",
    "Redis emptied",
    "PostgreSQL shut down fast",
    "PostgreSQL shut down at once",
)
# The processes of one task: the task itself, and its supervisor in the worker.
OF_TASKS = ("task killed", "supervisor killed")
FAULTS = 36  # a seed


@dataclass(frozen=True)
class DagRun:
    """One DAG run.

    Attributes:
        name: how the prompts of its tasks begin; unique.
        mode: what a repeated key means to its FLORA.
        seconds: that FLORA takes for each result, by prompt.
    """

    name: str
    mode: str
    seconds: dict[str, float]

    def results(self):
        """The task and map index that each prompt is meant by."""
        return {
            f"{self.name}, {task_id} {number}.": (task_id, number if task_id != "single" else -1)
            for task_id, size in SIZES.items()
            for number in range(size)
        }

    def faults(self):
        """What its sandbox is given beforehand."""
        return [
            {
                "route": route,
                "containing": prompt,
                "times": None,
                "behavior": {"seconds": self.seconds[prompt], "estimated_seconds": round(self.seconds[prompt])},
            }
            for prompt, (task_id, _) in self.results().items()
            for route in [{"technique": "/runs/technique", "action": "/runs/action"}.get(task_id, "/generate")]
        ]


@dataclass(frozen=True)
class Fault:
    """Something that strikes.

    Attributes:
        what: one of OF_PARTS or OF_TASKS.
        pick: which of those that there are.
        pause: seconds before it strikes.
        away: seconds for which Redis or PostgreSQL is away, and a triggerer is frozen beyond its threshold.
    """

    what: str
    pick: int
    pause: float
    away: float


def draw_dag_runs(seed):
    """The DAG runs of a seed: one has a FLORA that ignores keys."""
    dice = random.Random(f"production {seed}")  # noqa: S311 - chance, not secrets
    modes = [*HONEST, dice.choice(HONEST), "none"]
    dice.shuffle(modes)
    drawn = []
    for number, mode in enumerate(modes[:DAG_RUNS]):
        name = f"Seed {seed}, DAG run {number}"
        run = DagRun(name, mode, {})
        run.seconds.update({prompt: round(dice.uniform(4, 30), 1) for prompt in run.results()})
        drawn.append(run)
    return drawn


def draw_batch_seed(seed):
    """The seed of a campaign's batch, whose FLORA keeps to its word."""
    return 4 * seed + seed % len(HONEST)


def draw_faults(seed, count=FAULTS):
    """What strikes in turn: all of OF_PARTS, a few of them again, and tasks in between."""
    dice = random.Random(f"faults {seed}")  # noqa: S311 - chance, not secrets
    names = [*OF_PARTS, *dice.sample(OF_PARTS[:8], 4)]
    names += [OF_TASKS[number % 2] for number in range(count - len(names))]
    dice.shuffle(names)
    return [
        Fault(name, dice.randrange(1000), round(dice.uniform(0.5, 5), 1), round(dice.uniform(0, 6), 1))
        for name in names[:count]
    ]
