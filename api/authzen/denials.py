"""What binds a request for consent to the denial that it answers.

A token by value (Access Request and Approval Profile, "Denial Binding
Claims"): a JWS that this instance both makes and reads, so that nothing of
the person is looked up to check it, and it is as long for anybody. It is
opaque to the service.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from api.authzen.entities import Evaluation
from policy import Credential

LIFE_SECONDS = 600
_ALGORITHMS = ["HS256"]
_TYPE = "denial-binding+jwt"


class DenialUnboundError(Exception):
    """A submission does not fit the denial that it names."""


class DenialExpiredError(Exception):
    """The denial is too old to be answered by a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A denial that was proved: its evaluation, and what it was about."""

    evaluation: UUID
    asked: bytes


class Denials:
    """Binds denials, and proves them.

    Args:
        key: of the tokens and digests, at least 32 bytes.
        issuer: identifier of the decision point.
        endpoint: where a person's consent is asked for.
        clock: POSIX seconds.

    """

    def __init__(
        self,
        *,
        key: bytes,
        issuer: str,
        endpoint: str,
        clock: Callable[[], int],
    ) -> None:
        self._digests = hmac.digest(key, b"digest", "sha256")
        self._key = OctKey.import_key(hmac.digest(key, b"token", "sha256"))
        self._issuer = issuer
        self._endpoint = endpoint
        self._clock = clock

    def offer(
        self, credential: Credential, asked: Evaluation, evaluation: str
    ) -> dict[str, Any]:
        """The ``access_request`` of a denial that can be asked about."""
        now = self._clock()
        token = jwt.encode(
            {"alg": _ALGORITHMS[0], "typ": _TYPE},
            {
                "iss": self._issuer,
                "aud": self._endpoint,
                "iat": now,
                "exp": now + LIFE_SECONDS,
                "jti": evaluation,
                "service": credential.service,
                "purpose": credential.purpose,
                "asked": self.asked(asked).hex(),
            },
            self._key,
            algorithms=_ALGORITHMS,
        )
        return {
            "endpoint": self._endpoint,
            "expires_at": instant(now + LIFE_SECONDS),
            "binding_token": token,
        }

    def prove(
        self,
        credential: Credential,
        asked: Evaluation,
        denial: Mapping[str, Any],
    ) -> Bound:
        """Check that a denial was about this, was this service's, and stands.

        Raises:
            DenialUnboundError: it was not, or what is said of it is wrong.
            DenialExpiredError: it was, and its time is over.

        """
        claims = self._claims(denial.get("binding_token"))
        digest = self.asked(asked)
        end, evaluation = claims["exp"], str(claims["jti"])
        bound = (
            claims["iss"] == self._issuer
            and claims["aud"] == self._endpoint
            and claims["service"] == credential.service
            and claims["purpose"] == credential.purpose
            and hmac.compare_digest(str(claims["asked"]), digest.hex())
            and denial.get("expires_at") == instant(end)
            and denial.get("evaluation_id", evaluation) == evaluation
        )
        if not bound:
            raise DenialUnboundError
        if end <= self._clock():
            raise DenialExpiredError
        return Bound(evaluation=UUID(evaluation), asked=digest)

    def _claims(self, token: object) -> Mapping[str, Any]:
        if type(token) is not str:
            raise DenialUnboundError
        try:
            found = jwt.decode(token, self._key, algorithms=_ALGORITHMS)
        except (JoseError, ValueError, TypeError):
            raise DenialUnboundError from None
        if found.header.get("typ") != _TYPE:
            raise DenialUnboundError
        return found.claims

    def asked(self, asked: Evaluation) -> bytes:
        """Digest what was denied: subject, action and resource, whole."""
        subject, resource = asked.subject, asked.resource
        return self.digest(
            [
                [subject.type, subject.id, subject.properties],
                [asked.action.name, asked.action.properties],
                [resource.type, resource.id, resource.properties],
            ]
        )

    def digest(self, value: object) -> bytes:
        """Digest something a service sent, under a key: ids are guessable."""
        text = json.dumps(value, sort_keys=True, ensure_ascii=False)
        return hmac.new(self._digests, text.encode(), hashlib.sha256).digest()


def instant(seconds: int) -> str:
    """Write POSIX seconds as RFC 3339, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
