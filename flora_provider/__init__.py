"""Apache Airflow provider for FLORA (flora.ai): images, video, audio and text from prompts, each paid for once."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def get_provider_info() -> dict[str, Any]:
    """What Airflow reads from the `apache_airflow_provider` entry point."""
    from flora_provider.hooks.connection import CONNECTION_TYPE  # noqa: PLC0415 - this package imports nothing by itself

    asset_uri = {
        "schemes": ["flora"],
        "handler": "flora_provider.assets.flora.sanitize_uri",
        "factory": "flora_provider.assets.flora.create_asset",
        "to_openlineage_converter": "flora_provider.assets.flora.to_openlineage",
    }
    return {
        "package-name": "airflow-provider-flora",
        "name": "FLORA",
        # Airflow shows it as it is, but makes a link of an address.
        "description": "Generate images, video, audio and text with FLORA https://flora.ai",
        "versions": [__version__],
        "integrations": [
            {"integration-name": "FLORA", "external-doc-url": "https://developer.flora.ai", "tags": ["service"]}
        ],
        "operators": [{"integration-name": "FLORA", "python-modules": ["flora_provider.operators.flora"]}],
        "sensors": [{"integration-name": "FLORA", "python-modules": ["flora_provider.sensors.flora"]}],
        "hooks": [{"integration-name": "FLORA", "python-modules": ["flora_provider.hooks.flora"]}],
        "triggers": [
            {
                "integration-name": "FLORA",
                "python-modules": ["flora_provider.triggers.flora", "flora_provider.triggers.batch"],
            }
        ],
        "transfers": [  # Airflow's object storage is of its provider Common IO
            {
                "source-integration-name": "FLORA",
                "target-integration-name": "Common IO",
                "python-module": "flora_provider.transfers.to_object_storage",
            },
            {
                "source-integration-name": "Common IO",
                "target-integration-name": "FLORA",
                "python-module": "flora_provider.transfers.from_object_storage",
            },
        ],
        # No `config`: what holds for a whole deployment is in the connection, what holds for a DAG in its default_args.
        "connection-types": [CONNECTION_TYPE],
        "extra-links": ["flora_provider.links.flora.FloraRunLink"],
        "asset-uris": [asset_uri],
        "dataset-uris": [asset_uri],  # the same in Airflow 2
    }
