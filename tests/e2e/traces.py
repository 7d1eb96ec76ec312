"""The trace of a DAG run, as Airflow and we have sent it to a collector."""

import time

from devstack.airflow_rest import wait_until

SENT_WITHIN = 2.0  # seconds; `Collector.environment` has each process send what it has twice a second


class Trace:
    """The spans of the only run of a DAG, once it has ended.

    Args:
        collector: that received them.
        dag_id: of the DAG.
        runs: how many spans of ours there are, at least.

    Attributes:
        airflows: the names of Airflow's own.
        runs: what ours say, each a pair of the name of Airflow's span above it and its attributes.
    """

    def __init__(self, collector, dag_id, runs):
        def spans():
            roots = {span.trace_id for span in collector.received if span.name == f"dag_run.{dag_id}"}
            return {span.span_id: span for span in collector.received if span.trace_id in roots}

        def ours():
            return [span for span in spans().values() if span.name == "flora.run"]

        wait_until(lambda: len(ours()) >= runs and spans().keys() >= {span.parent_id for span in ours()}, timeout=30)
        time.sleep(SENT_WITHIN)  # one too many would come now
        airflows = {span.span_id: span.name for span in spans().values() if span.name != "flora.run"}
        self.airflows = {*airflows.values()}
        self.runs = [(airflows.get(span.parent_id), span.attributes) for span in ours()]
