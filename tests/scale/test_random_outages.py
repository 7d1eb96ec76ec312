"""Whatever comes over many waits, none fails and none is lost."""

import json
from dataclasses import dataclass

from hypothesis import event, given
from hypothesis import strategies as st

from flora_provider.api.http.flow import Response
from tests.support.polling_simulation import BEGIN, OUTAGES, Simulation, ok, on_all, on_pages, on_single_polls


@dataclass(frozen=True)
class Outage:
    since: float
    lasts: float
    kind: str
    where: str
    every: int
    victim: int

    def on(self, simulation):
        run_id, seen = f"run_{self.victim % len(simulation.flora.runs)}", [0]

        def instead(answer):
            seen[0] += 1
            if seen[0] % self.every:
                return None
            if self.kind == "omits":
                return _without(answer, run_id)
            return OUTAGES.get(self.kind) or Response(404)

        hits = {"pages": on_pages, "looks": on_single_polls, "all": on_all}[self.where]
        if self.kind == "vanishes":
            hits = f"/runs/{run_id}".__eq__
        simulation.inject(instead, hits=hits, since=BEGIN + self.since, until=BEGIN + self.since + self.lasts)


def _without(answer, run_id):
    """The page without one row; as it was, if it is none."""
    page = json.loads(answer.body or b"null") if answer.status == 200 else None
    if not isinstance(page, dict) or "meta" not in page:
        return None
    return ok({name: [row for row in rows if row["run_id"] != run_id] if isinstance(rows, list) else rows
               for name, rows in page.items()})  # fmt: skip


PLAGUES = st.builds(
    Outage,
    since=st.floats(0, 60),
    lasts=st.sampled_from([1.0, 10.0, 60.0]),
    kind=st.sampled_from([*OUTAGES, "omits"]),
    where=st.sampled_from(["pages", "looks", "all"]),
    every=st.sampled_from([1, 1, 2, 5]),
    victim=st.integers(0, 200),
) | st.builds(
    Outage,
    since=st.floats(0, 60),
    lasts=st.just(10.0),
    kind=st.just("vanishes"),
    where=st.just("looks"),
    every=st.just(1),
    victim=st.integers(0, 200),
)
FLEETS = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 2, 5, 40, 150]),  # runs
        st.floats(0, 90),  # seconds
        st.sampled_from(["/generations", "/generations", "/technique-runs", ""]),
        st.sampled_from(["right", None, 5.0, 300.0]),  # estimate
        st.floats(0, 30),  # started after
    ),
    min_size=1,
    max_size=5,
)


@given(FLEETS, st.lists(PLAGUES, max_size=4), st.integers(0, 400), st.sampled_from([None, None, 5.0]), st.integers(0))
def test_no_wait_fails_and_none_is_lost_whatever_comes(groups, outages, others, limit, seed):
    simulation = Simulation(seed=seed, limit=limit)
    for count, seconds, listed, estimated, after in groups:
        start = {"seconds": seconds, "listed": listed, "estimated": estimated}
        simulation.after(after, lambda count=count, start=start: simulation.wait(*simulation.start(count, **start)))
    simulation.after(15, lambda: simulation.start(others, seconds=3600))
    simulation.run(0.0)
    simulation.start()  # nobody waits for it; but a outage may want a victim
    for outage in outages:
        outage.on(simulation)
    simulation.run()
    waited = sum(count for count, *_ in groups)
    event(f"{len(outages)} outages")
    assert len(simulation.ended) == len(simulation.reported) == waited
    assert simulation.flora.asked_too_early() == []
    assert len(simulation.watch) == 0
    worst = 120 + max(seconds for _, seconds, *_ in groups) + 150 + (waited / limit if limit else 0) * 3
    assert simulation.now - BEGIN < worst
