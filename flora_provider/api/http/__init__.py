"""How requests get to FLORA and answers back: flows, retries, limits, and httpx."""
