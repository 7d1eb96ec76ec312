"""What a user of HttpEventTrigger has to write: whether the answer is the one that was waited for."""

import requests


async def has_ended(response: requests.Response) -> bool:
    """Whether FLORA's answer shows a run that has ended."""
    return response.json()["status"] in ("completed", "failed")
