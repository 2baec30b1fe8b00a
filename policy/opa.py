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
import copy
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from policy.engine import Bounds, DocumentRefused, admit
from policy.pdp import JSON, Cause, Document, NoDecision, Ruling

_PATH = re.compile(r"[a-z_][a-z0-9_]*(?:/[a-z_][a-z0-9_]*)+\Z")
_TRACE = re.compile(r"[0-9a-f]{32}-[0-9a-f]{16}")
_PAUSE = 0.02
PROBE = "curtilage/api/decision"
_INPUT = Bounds()
# Of some documents at once.
_COMPILED = Bounds(nodes=200_000, text=4_000_000)
_UNKNOWN = "input.facts"
_UCAST = "application/vnd.opa.ucast.all+json"
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
        compiling: seconds for one condition of the compile API.
    """

    seconds: float = 1.5
    attempts: int = 3
    failures: int = 5
    rest: float = 5.0
    largest: int = 2_000_000
    compiling: float = 60.0


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
        self._accepted = frozenset({revision})
        self._token = token
        self._patience = Patience() if patience is None else patience
        self._breaker = Breaker(self._patience, clock)
        self._client: Any = None
        self._opening = asyncio.Lock()
        self._closed = False

    @property
    def compiling(self) -> float:
        """Seconds that one condition may take."""
        return self._patience.compiling

    @property
    def revision(self) -> str:
        """The bundle revision that must decide."""
        return self._revision

    def expect(self, revision: str, *, also: str | None = None) -> None:
        """Take another revision for the one that must decide.

        Args:
            revision: from now on.
            also: one that is believed as well, while servers load the new
                one; each answer says which of the two decided it.
        """
        self._revision = revision
        self._accepted = frozenset({revision, also or revision})

    async def confirm(self) -> None:
        """Hold the server to the revision that must decide.

        Raises:
            NoDecision: it does not answer, or runs another bundle.
        """
        try:
            await self.evaluate(PROBE, {})
        except NoDecision as error:
            # No entrypoint decides on an empty document.
            if error.cause is not Cause.UNDEFINED:
                raise

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
    ) -> Ruling:
        """Ask the policies; see `policy.pdp.PolicyDecisionPoint`."""
        return await self._rule(entrypoint, document, None)

    async def decide_within(
        self, entrypoint: str, document: Mapping[str, JSON], trace: str
    ) -> Ruling:
        """Ask the policies; see `policy.pdp.TracedDecisionPoint`.

        The server gets the trace as ``traceparent`` (W3C Trace Context), as
        the caller sent it: what it decides for is the caller's operation.
        """
        return await self._rule(entrypoint, document, trace)

    async def _rule(
        self, entrypoint: str, document: Mapping[str, JSON], trace: str | None
    ) -> Ruling:
        revision, result = await self._answer(entrypoint, document, trace)
        if type(result) is not dict:
            raise NoDecision(Cause.MALFORMED, "the decision is no object")
        return Ruling(document=result, revision=revision)

    async def filter(
        self, path: str, document: Mapping[str, JSON]
    ) -> tuple[str, JSON]:
        """Compile a rule; see `policy.cohort_filter.Filtering`.

        The compile API does not say which bundle answered, so the server is
        held to one and the same before and after.
        """
        if not _PATH.match(path):
            raise NoDecision(Cause.UNDEFINED, "no such rule")
        try:
            admit(document, _COMPILED)
        except DocumentRefused as error:
            raise NoDecision(Cause.MALFORMED, str(error)) from error
        revision = await self._running()
        answer = await self._compile(path, document)
        if revision != await self._running():
            raise NoDecision(Cause.WRONG_REVISION)
        if type(answer) is not dict:
            raise NoDecision(Cause.MALFORMED, "the answer is no object")
        result = answer.get("result")
        if type(result) is not dict or "query" not in result:
            raise NoDecision(Cause.UNDEFINED)
        try:
            found: JSON = admit(result["query"], _OUTPUT)
        except DocumentRefused as error:
            raise NoDecision(Cause.MALFORMED, str(error)) from error
        return revision, found

    async def _running(self) -> str:
        """Return which of the believed bundles the server runs."""
        return self._stated(await self._reply(PROBE, {}, None))

    async def _compile(self, path: str, document: Mapping[str, JSON]) -> Any:  # noqa: ANN401 - JSON, checked by the caller
        from aiohttp import (  # noqa: PLC0415 - kept out of the embedded mode
            ClientError,
        )

        try:
            async with asyncio.timeout(self._patience.compiling):
                client = await self._open()
                return await client.compile_filter(
                    path, document, self._patience.compiling
                )
        except TimeoutError:
            raise NoDecision(Cause.TIMEOUT) from None
        except (ClientError, OSError) as error:
            raise NoDecision(Cause.DOWN, type(error).__name__) from error
        except (ValueError, RecursionError):
            raise NoDecision(Cause.MALFORMED, "not JSON") from None

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
        return (await self._answer(entrypoint, document, None))[1]

    async def _answer(
        self, entrypoint: str, document: Mapping[str, JSON], trace: str | None
    ) -> tuple[str, JSON]:
        return self._read(await self._reply(entrypoint, document, trace))

    async def _reply(
        self, entrypoint: str, document: Mapping[str, JSON], trace: str | None
    ) -> Any:  # noqa: ANN401 - JSON, checked by the caller
        if trace is not None and not _TRACE.fullmatch(trace):
            raise NoDecision(Cause.MALFORMED, "no trace of a caller")
        if not _PATH.match(entrypoint):
            raise NoDecision(Cause.UNDEFINED, "no such entrypoint")
        if type(document) is Document:
            document = dict(document)
        if type(document) is not dict:
            raise NoDecision(Cause.MALFORMED, "the input is no object")
        try:
            admit(document, _INPUT)
        except DocumentRefused as error:
            raise NoDecision(Cause.MALFORMED, str(error)) from error
        self._breaker.check()
        try:
            answer = await self._ask(entrypoint, document, trace)
        except NoDecision as error:
            if error.cause in (Cause.DOWN, Cause.TIMEOUT):
                self._breaker.failed()
            else:
                self._breaker.answered()
            raise
        except asyncio.CancelledError:
            raise
        self._breaker.answered()
        return answer

    async def _ask(  # the answer is JSON, checked by the caller
        self, entrypoint: str, document: Mapping[str, JSON], trace: str | None
    ) -> Any:  # noqa: ANN401 - as above
        from aiohttp import (  # noqa: PLC0415 - kept out of the embedded mode
            ClientConnectorError,
            ClientError,
        )

        package, _, rule = entrypoint.rpartition("/")
        try:
            async with asyncio.timeout(self._patience.seconds):
                client = (await self._open()).within(trace)
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

    def _stated(self, answer: Any) -> str:  # noqa: ANN401 - checked here
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
        if len(stated) != 1 or stated[0] not in self._accepted:
            raise NoDecision(Cause.WRONG_REVISION)
        return str(stated[0])

    def _read(self, answer: Any) -> tuple[str, JSON]:  # noqa: ANN401 - as above
        revision = self._stated(answer)
        if "result" not in answer:
            raise NoDecision(Cause.UNDEFINED)
        try:
            result: JSON = admit(answer["result"], _OUTPUT)
        except DocumentRefused as error:
            raise NoDecision(Cause.MALFORMED, str(error)) from error
        return revision, result


def _refuse(name: str) -> None:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _client_class(largest: int) -> Any:  # noqa: ANN401 - the client is untyped
    """OPA's client, made to follow nothing and to read so much at most."""
    from aiohttp import ClientTimeout  # noqa: PLC0415 - as below
    from opa_client.opa_async import (  # noqa: PLC0415 - it brings aiohttp
        AsyncOpaClient,
    )

    class BoundedClient(AsyncOpaClient):  # type: ignore[misc] # untyped
        traced: Mapping[str, str] = MappingProxyType({})

        def within(self, trace: str | None) -> Self:
            """The same connections, for one request of a caller's trace."""
            if trace is None:
                return self
            other = copy.copy(self)
            other.traced = {"traceparent": f"00-{trace}-01"}
            return other

        async def compile_filter(
            self, path: str, document: Mapping[str, JSON], seconds: float
        ) -> Any:  # noqa: ANN401 - JSON
            """Compile a rule to UCAST, which the client has no call for."""
            async with self._request(
                "POST",
                f"{self.root_url}/compile/{path}",
                json={"input": document, "unknowns": [_UNKNOWN]},
                headers={"Accept": _UCAST},
                timeout=ClientTimeout(total=seconds),
            ) as answer:
                return await answer.json()

        @asynccontextmanager
        async def _request(
            self,
            method: str,
            url: str,
            **options: Any,  # noqa: ANN401 - as the client gives them
        ) -> AsyncIterator[_Body]:
            async with self._session.request(
                method,
                url,
                allow_redirects=False,
                **options,
                **({"headers": self.traced} if self.traced else {}),
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
