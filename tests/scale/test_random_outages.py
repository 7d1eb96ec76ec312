"""Whatever comes over many waits, none fails and none is lost."""

from dataclasses import dataclass

from hypothesis import event, given
from hypothesis import strategies as st

from flora_provider.api.http.flow import Response
from tests.support.flows import BEGIN
from tests.support.polling_simulation import HITS, OUTAGES, Simulation, without_row


@dataclass(frozen=True)
class Outage:
    since: float
    kind: str
    victim: int
    lasts: float = 10.0
    where: str = "single polls"
    every: int = 1

    def on(self, simulation):
        run_id, seen = f"run_{self.victim % len(simulation.flora.runs) + 1}", [0]

        def instead(answer):
            seen[0] += 1
            if seen[0] % self.every:
                return None
            if self.kind == "omits":
                return without_row(answer, run_id)
            return OUTAGES.get(self.kind) or Response(404)

        hits = f"/runs/{run_id}".__eq__ if self.kind == "vanishes" else HITS[self.where]
        simulation.inject(instead, hits=hits, since=BEGIN + self.since, until=BEGIN + self.since + self.lasts)


ANY_OUTAGE = st.builds(
    Outage,
    since=st.floats(0, 60),
    kind=st.sampled_from([*OUTAGES, "omits"]),
    victim=st.integers(0, 200),
    lasts=st.sampled_from([1.0, 10.0, 60.0]),
    where=st.sampled_from(list(HITS)),
    every=st.sampled_from([1, 1, 2, 5]),
) | st.builds(Outage, since=st.floats(0, 60), kind=st.just("vanishes"), victim=st.integers(0, 200))
GROUPS = st.lists(
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


@given(
    GROUPS, st.lists(ANY_OUTAGE, max_size=4), st.integers(0, 400), st.sampled_from([None, None, 5.0]), st.integers(0)
)
def test_no_wait_fails_and_none_is_lost_whatever_outages_come(groups, outages, others, limit, seed):
    simulation = Simulation(seed=seed, limit=limit)
    for count, seconds, history, estimated, after in groups:
        start = {"seconds": seconds, "history": history, "estimated": estimated}
        simulation.after(after, lambda count=count, start=start: simulation.wait(*simulation.start(count, **start)))
    simulation.after(15, lambda: simulation.start(others, seconds=3600))
    simulation.run(0.0)
    simulation.start()  # nobody waits for it; but an outage may hit it
    for outage in outages:
        outage.on(simulation)
    simulation.run()
    waited = sum(count for count, *_ in groups)
    event(f"{len(outages)} outages")
    assert len(simulation.ended) == len(simulation.reported) == waited
    assert simulation.asked_too_early() == []
    assert len(simulation.scheduler) == 0
    worst = 120 + max(seconds for _, seconds, *_ in groups) + 150 + (waited / limit if limit else 0) * 3
    assert simulation.now - BEGIN < worst
