"""Where rounds are run: a real Airflow, and one sandbox for each account of what a repeated key means."""

import os
import time
from pathlib import Path
from urllib.parse import quote

import httpx

from devstack.airflow_rest import wait_until
from tests.e2e.chaos.operator import JOURNAL
from tests.e2e.chaos.workload import MODES, RETRIES_FILE
from tests.e2e.deployment import Deployment, connection_to, rotate_key, runs_of
from tests.e2e.servers import wait_up
from tests.e2e.vault import VaultDoor
from tests.e2e.wrong_clock import FILE, step

# Modes whose connections live in the vault; those of the others live in the metadata database.
VAULTED = ("replay", "none")

SITE = Path(__file__).parent.parent / "site"
ROOT = Path(__file__).parents[3]


class Cluster(Deployment):
    """Airflow on PostgreSQL and the sandboxes, up while the `with` block runs.

    Args:
        folder: for everything that they write.
    """

    def __init__(self, folder):
        folder = folder.resolve()
        self.clock = folder / "clock"
        self.vault = VaultDoor(folder / "vault")
        self._retries = folder / "retries"
        settings = {JOURNAL: str(folder / "journal"), FILE: str(self.clock), RETRIES_FILE: str(self._retries)}
        # This checkout before the one that is installed, which may be another.
        settings |= {"PYTHONPATH": os.pathsep.join(map(str, (SITE, ROOT))), "AIRFLOW__CORE__PARALLELISM": "60"}
        super().__init__(folder, settings | self.vault.settings())
        self.sandboxes = {}
        self._others = {}

    def __enter__(self):
        super().__enter__()
        try:
            for mode in MODES:
                self.sandboxes[mode] = self.new_sandbox(None if mode in VAULTED else f"flora_{mode}", idempotency=mode)
                if mode in VAULTED:
                    self.connect(mode)
        except BaseException:
            self.__exit__()
            raise
        return self

    def runs(self, mode):
        """Every run of a mode's sandboxes, with prompt, key, status and whether it is billed."""
        return [run for sandbox in self.all_sandboxes(mode) for run in runs_of(sandbox)]

    def all_sandboxes(self, mode):
        """The one that the mode's connection leads to, and the one that it led to before, if it was moved."""
        return [sandboxes[mode] for sandboxes in (self.sandboxes, self._others) if mode in sandboxes]

    def again(self, part, away=0.0):
        """Kill a part of Airflow with all that it has started, and start it anew after so many seconds."""
        part = self.stage.airflow.parts[part]
        part.kill()
        time.sleep(away)
        part.start()

    def triggerer_paused(self, seconds):
        """Have the triggerer stand still for so many seconds while another one runs; then kill that one."""
        paused = self.stage.airflow.parts["triggerer"]
        other = paused.twin("other-triggerer")
        try:
            paused.pause()
            other.start()
            time.sleep(seconds)
            paused.resume()
            time.sleep(seconds / 3)  # both are there
        finally:
            paused.resume()
            other.kill()

    def api_server_away(self, seconds):
        """Have no api-server for so many seconds, and those that it takes to start; return when it answers again."""
        self.again("api-server", away=seconds)
        wait_up(self.stage.airflow.parts["api-server"], self.rest.health, away=httpx.HTTPError, timeout=60)
        self.stage.airflow.check_alive()

    def vault_away(self, seconds):
        """Have no secrets backend for so many seconds."""
        self.vault.close()
        time.sleep(seconds)
        self.vault.open()

    def step_clock(self, seconds):
        """Set the triggerer's clock so many seconds ahead of the true time, or behind if negative."""
        step(self.clock, seconds)

    def set_retries(self, number):
        """Edit the chaos DAG: so many retries for each task that is cleared from now on."""
        self._retries.write_text(str(number))
        [token] = [dag["file_token"] for dag in self.rest.dags() if dag["dag_id"] == "chaos"]
        self.rest.request("PUT", f"parseDagFile/{quote(token, safe='')}")

        def is_known():
            return self.rest.request("GET", "dags/chaos/tasks/generation")["retries"] == number

        if not wait_until(is_known, timeout=60):
            raise TimeoutError(f"the dag-processor has not found out that the chaos DAG has {number} retries now")

    def rotate_keys(self, seconds):
        """Have every mode's FLORA take another key; its connection learns of it after so many seconds."""
        for mode in MODES:
            rotate_key(self.sandboxes[mode])
        time.sleep(seconds)
        for mode in MODES:
            self.connect(mode)

    def move_connections(self):
        """Have every mode's connection lead to another FLORA, or back to where it led before."""
        for mode in MODES:
            other = self._others.get(mode) or self.new_sandbox(idempotency=mode)
            self.sandboxes[mode], self._others[mode] = other, self.sandboxes[mode]
            self.connect(mode)

    def connect(self, mode):
        """Edit a mode's connection: it leads to the mode's sandbox as that is now."""
        fields = connection_to(self.sandboxes[mode])
        if mode in VAULTED:
            self.vault.put(f"flora_{mode}", **fields)
        else:
            del fields["conn_type"]
            self.edit_connection(f"flora_{mode}", **fields)
