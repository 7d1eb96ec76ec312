"""A real Airflow that is connected to a sandboxed FLORA, both up while a `with` block runs."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from devstack.airflow_instance import PARTS, AirflowInstance
from devstack.processes import started_with, stop, uninterrupted
from devstack.sandbox_process import SandboxProcess

ROOT = Path(__file__).parent.parent
EXAMPLE_DAGS = ROOT / "example_dags"
CONNECTION = "flora_default"

# Every process that we start carries this variable, and so does all that it starts in turn.
MARK = "FLORA_STAGE"


class StageError(Exception):
    """The folder is in use."""


class Stage:
    """Airflow and the sandbox, connected through `flora_default` in Airflow's metadata database.

    Args:
        folder: For everything that they write; `folder/airflow` is AIRFLOW_HOME, `folder/logs` holds what they print.
        dags_folder: Where the DAG files are.
        env: Further settings for Airflow.
        parts: Of Airflow, by name: what `airflow` is started with.
    """

    def __init__(
        self,
        folder: Path,
        dags_folder: Path = EXAMPLE_DAGS,
        env: Mapping[str, str] | None = None,
        parts: Mapping[str, Sequence[str]] = PARTS,
    ) -> None:
        self.folder = folder.resolve()
        mark = {MARK: str(self.folder)}
        self.airflow = AirflowInstance(self.folder / "airflow", dags_folder, {**(env or {}), **mark}, parts)
        self.sandbox = SandboxProcess(dict(os.environ) | mark, self.folder / "airflow" / "logs" / "sandbox.log")

    @property
    def logs(self) -> Path:
        """The folder with what each part printed, and with the logs of tasks."""
        return self.airflow.logs

    def __enter__(self) -> Self:
        self.refuse_if_running()
        try:
            self.sandbox.start()
            self.airflow.start()
            self.airflow.wait_healthy()
            self._connect()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End everything."""
        with uninterrupted():
            self.airflow.stop()
            stop([self.sandbox], grace=5)

    def refuse_if_running(self) -> None:
        """Raise StageError if another stage, perhaps one whose owner was killed, is up in this folder."""
        if pids := self.still_running():
            raise StageError(f"an Airflow still runs in {self.folder}; end it first: kill {' '.join(pids)}")

    def still_running(self) -> list[str]:
        """Return the ids of all processes that stem from this folder's stage, whoever started it."""
        return [str(process.pid) for process in started_with(MARK, str(self.folder))]

    def _connect(self) -> None:
        # As a user does it, in the form: through Airflow's API into the metadata database.
        extra = {"workspace_id": self.sandbox.workspace_id, "project_id": self.sandbox.project_id}
        self.airflow.rest.create_connection(
            CONNECTION,
            "flora",
            host=self.sandbox.base_url,
            # Without one the Test button of Airflow 3.3 refuses to use the stored key.
            port=urlsplit(self.sandbox.base_url).port,
            password=self.sandbox.api_key,
            extra=json.dumps(extra),
        )
