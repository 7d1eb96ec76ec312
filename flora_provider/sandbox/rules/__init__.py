"""FLORA's rules for any call: idempotency keys and the rate limit."""
