"""Who is calling: dependencies that prove a caller, or refuse.

A service proves itself by a bearer token (RFC 6750), a person by the
session of the pages. Until identity lands, officers have the command line
only, so there is no officer here.
"""

from collections.abc import Awaitable, Callable

from fastapi import Request

from api.platform import Platform
from policy import Credential, CredentialRefused

_SCHEME = "bearer "


def service_caller(
    platform: Platform,
) -> Callable[[Request], Awaitable[Credential]]:
    """Make the dependency that reads a service's bearer token."""

    async def credential(request: Request) -> Credential:
        header = request.headers.get("authorization", "")
        return await platform.tokens.live(bearer(header))

    return credential


def bearer(header: str) -> str:
    """Read the token of an `Authorization` header.

    Raises:
        CredentialRefused: it has none.

    """
    if not header.lower().startswith(_SCHEME):
        msg = "no bearer token"
        raise CredentialRefused(msg)
    return header[len(_SCHEME) :].strip()
