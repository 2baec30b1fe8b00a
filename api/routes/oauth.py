"""`POST /oauth/token`: client credentials of services (RFC 6749, 4.4)."""

import base64
import binascii
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse

from api.platform import Platform
from api.tokens import ClientProof
from policy import CredentialRefused

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_LONGEST = 256


def oauth_router(platform: Platform) -> APIRouter:
    """The token endpoint."""
    router = APIRouter(prefix="/oauth", tags=["services"])

    @router.post("/token")
    async def token(
        request: Request,
        grant_type: Annotated[str, Form(max_length=_LONGEST)] = "",
        client_id: Annotated[str, Form(max_length=_LONGEST)] = "",
        client_secret: Annotated[str, Form(max_length=_LONGEST)] = "",
    ) -> JSONResponse:
        """Exchange client credentials for an access token."""
        if grant_type != "client_credentials":
            return _error("unsupported_grant_type", 400)
        proof = _basic(request.headers.get("authorization", ""))
        if proof is None:
            proof = ClientProof(client_id=client_id, secret=client_secret)
        try:
            access_token = platform.tokens.issue(proof)
        except CredentialRefused:
            return _error("invalid_client", 401)
        return JSONResponse(
            {
                "access_token": access_token,
                "token_type": "Bearer",
                "expires_in": platform.tokens.life,
            },
            headers=_NO_STORE,
        )

    return router


def _error(code: str, status: int) -> JSONResponse:
    headers = dict(_NO_STORE)
    if status == 401:
        headers["WWW-Authenticate"] = "Basic"
    return JSONResponse({"error": code}, status_code=status, headers=headers)


def _basic(header: str) -> ClientProof | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ClientProof(client_id="", secret="")
    client_id, _, secret = text.partition(":")
    return ClientProof(client_id=client_id, secret=secret)
