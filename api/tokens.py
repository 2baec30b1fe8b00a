"""Access tokens of services: OAuth 2 client credentials (RFC 6749, 4.4).

A token is a JWT (RFC 9068's claims, HMAC-SHA256) that this instance both
makes and reads. It names the credential and nothing else: service and
purpose are looked up at every use, so a revoked credential ends its tokens
at once. `private_key_jwt` (RFC 7523) will stand beside the secret in
`ClientProof`; nothing else changes for it.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from policy import Credential, CredentialRefused, Registry

_ALGORITHMS = ["HS256"]
_TYPE = "at+jwt"
_MOST_KEPT = 1_000
_REFUSED = "the access token was refused"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ClientProof:
    """How a client proved itself; today by its secret."""

    client_id: str
    secret: str


class Tokens:
    """Makes and reads the access tokens of one instance."""

    def __init__(
        self,
        *,
        key: bytes,
        issuer: str,
        life: int,
        registry: Registry,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._key = OctKey.import_key(key)
        self._issuer = issuer
        self._registry = registry
        self._clock = clock
        self._random = random
        # Digest of a token whose signature held: its end, and the client.
        # Both are signed, so neither changes; all else is asked each time.
        self._verified: dict[bytes, tuple[int, str]] = {}
        self.life = life

    def issue(self, proof: ClientProof) -> str:
        """Make a token for a client that proves itself.

        Raises:
            CredentialRefused: the proof does not hold.

        """
        credential = self._registry.authenticate(proof.client_id, proof.secret)
        now = self._clock()
        return jwt.encode(
            {"alg": "HS256", "typ": _TYPE},
            {
                "iss": self._issuer,
                "aud": self._issuer,
                "sub": credential.client_id,
                "client_id": credential.client_id,
                "iat": now,
                "exp": now + self.life,
                "jti": self._random(12).hex(),
            },
            self._key,
            algorithms=_ALGORITHMS,
        )

    async def live(self, token: str) -> Credential:
        """Read a token back to its live credential.

        Raises:
            CredentialRefused: forged, expired, for another audience, or
                the credential was revoked.

        """
        return await self._registry.live(self._client(token))

    def _client(self, token: str) -> str:
        """Read a token's client, if it is ours and not over."""
        digest = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(digest)
        if known is None:
            known = self._verify(token)
            if len(self._verified) >= _MOST_KEPT:
                self._verified.clear()
            self._verified[digest] = known
        end, client_id = known
        if end <= self._clock():
            raise CredentialRefused(_REFUSED)
        return client_id

    def _verify(self, token: str) -> tuple[int, str]:
        """Check signature, type, issuer and audience; give end and client."""
        try:
            found = jwt.decode(token, self._key, algorithms=_ALGORITHMS)
            claims, header = found.claims, found.header
            good = (
                header.get("typ") == _TYPE
                and claims["iss"] == self._issuer
                and claims["aud"] == self._issuer
            )
            end, client_id = int(claims["exp"]), str(claims["client_id"])
        except (JoseError, ValueError, KeyError, TypeError):
            raise CredentialRefused(_REFUSED) from None
        if not good:
            raise CredentialRefused(_REFUSED)
        return end, client_id
