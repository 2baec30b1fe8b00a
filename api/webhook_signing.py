"""Signatures of Standard Webhooks 1.0.0.

What is signed is ``{webhook-id}.{webhook-timestamp}.{body}``, bytes as sent.
``v1`` is HMAC-SHA256 under a shared secret, ``v1a`` Ed25519 (RFC 8032) under
a key of the endpoint's own; both in base64. Where several secrets are valid,
the header lists a signature of each, and a receiver takes any one.
"""

import base64
import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
)

from policy import Endpoint, Scheme, SigningSecret


def headers(
    identity: str, body: bytes, secrets: Sequence[SigningSecret], *, now: int
) -> dict[str, str]:
    """Make the three headers of one attempt.

    Args:
        identity: the message's id, the same in every attempt; without ``.``.
        body: exactly what is sent.
        secrets: of the endpoint; those whose end has come do not sign.
        now: POSIX seconds of the attempt.

    Returns:
        ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``.
    """
    content = f"{identity}.{now}.".encode() + body
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(now),
        "webhook-signature": " ".join(
            f"{one.scheme.value},{sign(one, content)}"
            for one in secrets
            if one.until is None or one.until > now
        ),
    }


def sign(secret: SigningSecret, content: bytes) -> str:
    """Sign the content with one secret; base64."""
    if secret.scheme is Scheme.SYMMETRIC:
        signature = hmac.digest(secret.key, content, "sha256")
    else:
        key = Ed25519PrivateKey.from_private_bytes(secret.key)
        signature = key.sign(content)
    return base64.b64encode(signature).decode()


def shown_secret(secret: SigningSecret) -> str:
    """Write what the service needs to verify: ``whsec_`` or ``whpk_``.

    The private half of an asymmetric key is shown to nobody.
    """
    if secret.scheme is Scheme.SYMMETRIC:
        return "whsec_" + base64.b64encode(secret.key).decode()
    key = Ed25519PrivateKey.from_private_bytes(secret.key).public_key()
    return "whpk_" + base64.b64encode(key.public_bytes_raw()).decode()


def public_keys(endpoint: Endpoint, *, now: int) -> list[str]:
    """List the public keys that may sign now; secrets are not among them."""
    return [
        shown_secret(one)
        for one in endpoint.secrets
        if one.scheme is Scheme.ASYMMETRIC
        and (one.until is None or one.until > now)
    ]
