"""How FLORA signs the webhooks it sends (contract, 8.3)."""

from __future__ import annotations

import hashlib
import hmac


def sign_webhook(secret: str, t: int, body: bytes) -> str:
    """Return the `Flora-Signature` header of a body sent at `t` (unix seconds), with the whole `whsec_…` secret."""
    digest = hmac.new(secret.encode(), f"{t}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={t},v1={digest}"
