"""How FLORA signs the webhooks it sends (contract, 8.3)."""

from __future__ import annotations

import hashlib
import hmac


def sign_webhook(secret: str, t: int, body: bytes) -> str:
    """Return the value of the `Flora-Signature` header.

    Args:
        secret: The whole secret, including `whsec_`.
        t: When it is sent, in unix seconds.
        body: The raw body.
    """
    digest = hmac.new(secret.encode(), f"{t}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={t},v1={digest}"
