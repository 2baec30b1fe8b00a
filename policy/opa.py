"""The production decision point: an OPA server, through its Python client.

The client is made to do as little as possible (no retry, no redirect, no
upload), and everything that is not exactly one expected answer is
`NoDecision` with its own cause:

=================================================  =====================
nothing listens, the connection breaks, 503        ``down``
the deadline passes                                ``timeout``
no ``result`` in the answer                        ``undefined``
no JSON, too large, another status, a redirect     ``malformed``
the bundle is not the expected one                 ``wrong-revision``
status 500: OPA failed to evaluate                 ``evaluation-error``
too many of the first two in a row                 ``open-circuit``
=================================================  =====================

A request is sent again only where connecting was refused, so that nothing
was sent. Certificates of a private authority come through `SSL_CERT_FILE`;
the client has no other way.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from policy.engine import Bounds, DocumentRefused, admit
from policy.pdp import JSON, Cause, NoDecision

_PATH = re.compile(r"[a-z_][a-z0-9_]*(?:/[a-z_][a-z0-9_]*)+\Z")
_PAUSE = 0.02
_INPUT = Bounds()
_OUTPUT = Bounds(nodes=20_000, text=1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long an OPA server is waited for.

    Attributes:
        seconds: for one decision, attempts included.
        attempts: to connect, where nothing listens.
        failures: in a row that open the circuit.
        rest: seconds that the circuit stays open.
        largest: bytes of an answer that are read.
    """

    seconds: float = 1.5
    attempts: int = 3
    failures: int = 5
    rest: float = 5.0
    largest: int = 2_000_000


class Breaker:
    """Stops asking a server that does not answer, for a while.

    Once the rest is over a single decision tries it again; the others keep
    failing fast until that one has come back.
    """

    def __init__(self, patience: Patience, clock: Callable[[], float]) -> None:
        self._patience = patience
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0

    def check(self) -> None:
        """Refuse while the circuit is open.

        Raises:
            NoDecision: it is open.
        """
        if self._failures < self._patience.failures:
            return
        now = self._clock()
        if now < self._open_until:
            raise NoDecision(Cause.OPEN_CIRCUIT)
        self._open_until = now + self._patience.rest

    def failed(self) -> None:
        """Count one decision without any answer."""
        self._failures += 1
        if self._failures == self._patience.failures:
            self._open_until = self._clock() + self._patience.rest

    def answered(self) -> None:
        """Whatever it said, the server is there."""
        self._failures = 0


class _Body:
    """What the client sees of an answer: a whole body of status 200."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def raise_for_status(self) -> None:
        """Nothing: the status was checked already."""

    async def json(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self._content, parse_constant=_refuse)


class OpaPdp:
    """Decides by asking an OPA server.

    Used as `async with OpaPdp(...)`, or closed with `aclose()`; its
    connections open with the first decision and belong to that event loop.

    Args:
        url: of the server, `http://host:port` or `https://host:port`.
        revision: the bundle revision that must decide.
        token: bearer token, where the server demands one.
        patience: deadlines and limits.
        clock: a monotonic clock in seconds, for the circuit.

    Raises:
        ValueError: the address is not one.
    """

    def __init__(
        self,
        *,
        url: str,
        revision: str,
        token: str | None = None,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            msg = "the OPA server's address is not http or https"
            raise ValueError(msg)
        if parts.path not in ("", "/") or parts.query or parts.username:
            msg = "the OPA server's address has more than host and port"
            raise ValueError(msg)
        host = parts.hostname
        self._host = f"[{host}]" if ":" in host else host
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = parts.scheme == "https"
        self._revision = revision
        self._token = token
        self._patience = Patience() if patience is None else patience
        self._breaker = Breaker(self._patience, clock)
        self._client: Any = None
        self._opening = asyncio.Lock()
        self._closed = False

    @property
    def revision(self) -> str:
        """The bundle revision that must decide."""
        return self._revision

    async def __aenter__(self) -> Self:
        """Open the connections."""
        await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; nothing is decided any more."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.close_connection()

    async def _open(self) -> Any:  # noqa: ANN401 - the client is untyped
        async with self._opening:
            if self._closed:
                raise NoDecision(Cause.DOWN, "closed")
            if self._client is None:
                client = _client_class(self._patience.largest)(
                    host=self._host,
                    port=self._port,
                    ssl=self._tls,
                    token=self._token,
                    retries=0,
                    timeout=self._patience.seconds,
                )
                self._client = await client.__aenter__()
            return self._client

    async def decide(
        self, entrypoint: str, document: Mapping[str, JSON]
    ) -> Mapping[str, JSON]:
        """Ask the policies; see `policy.pdp.PolicyDecisionPoint`."""
        result = await self.evaluate(entrypoint, document)
        if type(result) is not dict:
            raise NoDecision(Cause.MALFORMED, "the decision is no object")
        return result

    async def evaluate(
        self, entrypoint: str, document: Mapping[str, JSON]
    ) -> JSON:
        """Evaluate an entrypoint on the server.

        Args:
            entrypoint: a constant path such as `curtilage/api/decision`.
            document: the input, plain JSON.

        Returns:
            Its value.

        Raises:
            NoDecision: there is none, with its cause.
        """
        if not _PATH.match(entrypoint):
            raise NoDecision(Cause.UNDEFINED, "no such entrypoint")
        if type(document) is not dict:
            raise NoDecision(Cause.MALFORMED, "the input is no object")
        try:
            admit(document, _INPUT)
        except DocumentRefused as error:
            raise NoDecision(Cause.MALFORMED, str(error)) from error
        self._breaker.check()
        try:
            answer = await self._ask(entrypoint, document)
        except NoDecision as error:
            if error.cause in (Cause.DOWN, Cause.TIMEOUT):
                self._breaker.failed()
            else:
                self._breaker.answered()
            raise
        except asyncio.CancelledError:
            raise
        self._breaker.answered()
        return self._read(answer)

    async def _ask(self, entrypoint: str, document: Mapping[str, JSON]) -> Any:  # noqa: ANN401 - JSON, checked by the caller
        from aiohttp import (  # noqa: PLC0415 - kept out of the embedded mode
            ClientConnectorError,
            ClientError,
        )

        package, _, rule = entrypoint.rpartition("/")
        try:
            async with asyncio.timeout(self._patience.seconds):
                client = await self._open()
                for left in reversed(range(self._patience.attempts)):
                    try:
                        return await client.query_rule(
                            input_data=document,
                            package_path=package,
                            rule_name=rule,
                            query_params={"provenance": "true"},
                        )
                    except ClientConnectorError:
                        # Refused before anything was sent.
                        if not left:
                            raise
                        await asyncio.sleep(_PAUSE)
        except TimeoutError:
            raise NoDecision(Cause.TIMEOUT) from None
        except (ClientError, OSError) as error:
            raise NoDecision(Cause.DOWN, type(error).__name__) from error
        except (ValueError, RecursionError):
            raise NoDecision(Cause.MALFORMED, "not JSON") from None
        raise NoDecision(Cause.DOWN)

    def _read(self, answer: Any) -> JSON:  # noqa: ANN401 - checked here
        if type(answer) is not dict:
            raise NoDecision(Cause.MALFORMED, "the answer is no object")
        provenance = answer.get("provenance")
        bundles = (
            provenance.get("bundles") if type(provenance) is dict else None
        )
        stated = (
            [b.get("revision") for b in bundles.values() if type(b) is dict]
            if type(bundles) is dict
            else []
        )
        if stated != [self._revision]:
            raise NoDecision(Cause.WRONG_REVISION)
        if "result" not in answer:
            raise NoDecision(Cause.UNDEFINED)
        try:
            result: JSON = admit(answer["result"], _OUTPUT)
        except DocumentRefused as error:
            raise NoDecision(Cause.MALFORMED, str(error)) from error
        return result


def _refuse(name: str) -> None:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _client_class(largest: int) -> Any:  # noqa: ANN401 - the client is untyped
    """OPA's client, made to follow nothing and to read so much at most."""
    from opa_client.opa_async import (  # noqa: PLC0415 - it brings aiohttp
        AsyncOpaClient,
    )

    class BoundedClient(AsyncOpaClient):  # type: ignore[misc] # untyped
        @asynccontextmanager
        async def _request(
            self,
            method: str,
            url: str,
            **options: Any,  # noqa: ANN401 - as the client gives them
        ) -> AsyncIterator[_Body]:
            async with self._session.request(
                method, url, allow_redirects=False, **options
            ) as response:
                yield _Body(await _content(response, largest))

    return BoundedClient


async def _content(response: Any, largest: int) -> bytes:  # noqa: ANN401 - aiohttp's
    status = response.status
    if status != 200:
        causes = {500: Cause.EVALUATION_ERROR, 503: Cause.DOWN}
        raise NoDecision(causes.get(status, Cause.MALFORMED), f"{status}")
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > largest:
            raise NoDecision(Cause.MALFORMED, "the answer is too large")
    return bytes(content)
