"""Which files a task has uploaded already: in Airflow's task state store (3.3 and newer), or nowhere (older)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flora_provider.api.errors import FloraNotFoundError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from flora_provider.api.models import Asset
    from flora_provider.hooks.flora import FloraHook

log = logging.getLogger(__name__)

_PREFIX = "flora_asset_"


def recall(context: Context, key: str, hook: FloraHook) -> Asset | None:
    """The asset that was remembered under this key, as FLORA shows it now; None if there is none that can be used."""
    store = context.get("task_state_store")
    if store is None:
        return None
    try:
        asset_id = store.get(_PREFIX + key)
    except Exception as error:  # noqa: BLE001 - another upload does no harm
        log.warning("Whether a file was uploaded before is not known: Airflow raised %s", type(error).__name__)
        return None
    if not isinstance(asset_id, str):
        return None
    try:
        asset = hook.get_asset(asset_id)
    except FloraNotFoundError:  # somebody has deleted it
        return None
    return asset if asset.status == asset.READY and asset.url else None


def remember(context: Context, key: str, asset: Asset) -> None:
    """Note an asset for the next try; if that fails, the log says so, and the file is uploaded again then."""
    store = context.get("task_state_store")
    if store is None or asset.asset_id is None:
        return
    try:
        store.set(_PREFIX + key, asset.asset_id)
    except Exception as error:  # noqa: BLE001 - another upload does no harm
        log.warning("Asset %s was not noted: Airflow raised %s", asset.asset_id, type(error).__name__)
