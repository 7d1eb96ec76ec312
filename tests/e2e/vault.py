"""A secrets backend whose connections a test writes into a folder, and which is away while a file says so."""

import json
from pathlib import Path

from airflow.sdk import Connection
from airflow.sdk.bases.secrets_backend import BaseSecretsBackend


class Vault(BaseSecretsBackend):
    """What Airflow asks: configured with `folder`, where `<conn_id>.json` holds the arguments of a Connection."""

    def __init__(self, folder, **_):
        super().__init__()
        self._folder = Path(folder)

    def get_connection(self, conn_id, team_name=None):
        if (self._folder / "away").exists():
            raise ConnectionError("the vault does not answer")
        try:
            fields = json.loads((self._folder / f"{conn_id}.json").read_text())
        except FileNotFoundError:
            return None
        return Connection(conn_id=conn_id, **fields)

    def get_variable(self, key, team_name=None):
        return None

    def get_config(self, key):
        return None


class VaultDoor:
    """What a test does with it.

    Args:
        folder: of the vault; made if it is missing.
    """

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def settings(self):
        """Settings of an Airflow that looks for connections there first."""
        return {
            "AIRFLOW__SECRETS__BACKEND": "tests.e2e.vault.Vault",
            "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"folder": str(self.folder)}),
        }

    def put(self, conn_id, **fields):
        """Store a connection, or change it, at once."""
        new = self.folder / f".{conn_id}.new"
        new.write_text(json.dumps(fields))
        new.rename(self.folder / f"{conn_id}.json")

    def close(self):
        """Answer nobody until `open`."""
        (self.folder / "away").touch()

    def open(self):
        """Answer again."""
        (self.folder / "away").unlink(missing_ok=True)
