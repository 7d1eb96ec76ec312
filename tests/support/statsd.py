"""A StatsD server on a free port, and this process' Airflow sending to it as its settings say."""

import os
import socket
import threading
import uuid
from collections import Counter


class StatsdServer:
    """Receives metrics over UDP, in a thread, for a socket's buffer holds few. Use it in a `with` statement."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._received = []
        self._arrived = threading.Condition()
        self._thread = threading.Thread(target=self._receive)

    @property
    def port(self):
        return self._socket.getsockname()[1]

    @property
    def environment(self):
        """Airflow's settings for it."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self.port),
        }

    def _receive(self):
        while (packet := self._socket.recv(65536)) != b"stop":
            with self._arrived:
                self._received += packet.decode().splitlines()
                self._arrived.notify_all()

    def _send(self, text):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(text.encode(), ("127.0.0.1", self.port))

    def lines(self):
        """Our metrics so far, each as name, value and type; without Airflow's prefix."""
        marker = uuid.uuid4().hex
        self._send(marker)  # what was sent before it has arrived before it
        with self._arrived:
            assert self._arrived.wait_for(lambda: marker in self._received, timeout=10)
            lines = [line.removeprefix("airflow.") for line in self._received]
        parts = [line.replace("|", ":").split(":") for line in lines if line.startswith("flora.")]
        return [(name, float(value), kind) for name, value, kind in parts]

    def counters(self):
        """The sum of each counter."""
        found = Counter()
        for name, value, kind in self.lines():
            if kind == "c":
                found[name] += value
        return {name: round(value, 6) for name, value in found.items()}

    def timings(self, name):
        """The values of a timer, in milliseconds."""
        return [value for found, value, kind in self.lines() if (found, kind) == (name, "ms")]

    def forget(self):
        """Forget what has come so far."""
        self.lines()
        with self._arrived:
            self._received.clear()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._send("stop")
        self._thread.join()
        self._socket.close()


def read_settings():
    """Make this process' Airflow read its settings for metrics again, which a process does once, as it starts."""
    try:
        from airflow.sdk.observability import stats
        from airflow.sdk.observability.metrics.stats_utils import get_stats_factory
    except ImportError:  # Airflow 2
        from airflow.metrics.base_stats_logger import NoStatsLogger
        from airflow.metrics.statsd_logger import get_statsd_logger
        from airflow.stats import Stats

        is_on = os.environ.get("AIRFLOW__METRICS__STATSD_ON") == "True"
        type(Stats).factory, Stats.instance = get_statsd_logger if is_on else NoStatsLogger, None
    else:
        if hasattr(stats, "initialize"):
            stats.initialize(factory=get_stats_factory(), export_legacy_names=True)
        else:  # Airflow 3.2
            stats.Stats.initialize(factory=get_stats_factory(stats.Stats))
