"""One attempt to deliver: one POST, to one checked address.

No redirect is followed, no proxy of the environment asked, nothing of the
answer read but its status, and the whole attempt ends after a fixed time
however slowly the receiver drips.
"""

import json
import socket
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from uuid import UUID

from api.webhook_addresses import (
    AddressRefusedError,
    Allowed,
    Resolve,
    Target,
    look_up,
)
from api.webhook_signing import headers
from policy import Delivery, Outgoing, Told, asks_to

SECONDS = 10.0
MOST_DECISIONS = 100
GONE = 410
NO_ENDPOINT = "no-endpoint"
# The first that fits.
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (ssl.SSLError, "tls"),
    (TimeoutError, "timeout"),
    (socket.gaierror, "name-unknown"),
    (UnicodeError, "name-unknown"),
    (HTTPException, "not-http"),
    (OSError, "not-reached"),
)


class NotDeliveredError(Exception):
    """The attempt failed. Says how in a word; never what was answered."""

    def __init__(self, word: str, *, gone: bool = False) -> None:
        self.word = word
        self.gone = gone
        super().__init__(word)


class Sender:
    """Sends deliveries to where the settings allow.

    Args:
        allowed: by the settings.
        clock: POSIX seconds.
        seconds: of one attempt, from the first byte to the status.
        resolve: looks a name up.
        context: of TLS; by default the system's authorities.
    """

    def __init__(
        self,
        *,
        allowed: Allowed,
        clock: Callable[[], int],
        seconds: float = SECONDS,
        resolve: Resolve = look_up,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = allowed
        self._clock = clock
        self._seconds = seconds
        self._resolve = resolve
        self._context = context

    def send(self, one: Outgoing) -> None:
        """Deliver, or say what went wrong.

        Args:
            one: what is delivered; it has an endpoint.

        Raises:
            NotDeliveredError: no 2xx came back.
        """
        endpoint = one.endpoint
        if endpoint is None or endpoint.stopped_at is not None:
            raise NotDeliveredError(NO_ENDPOINT)
        body = payload(one.delivery, one.told)
        signed = headers(
            message_id(one.delivery.id),
            body,
            endpoint.secrets,
            now=self._clock(),
        )
        trace = parent(one.delivery.id)
        status = self._attempt(endpoint.url, body, signed, trace)
        if not 200 <= status < 300:
            word = f"status-{status}"
            raise NotDeliveredError(word, gone=status == GONE)

    def _attempt(
        self, url: str, body: bytes, signed: dict[str, str], trace: str
    ) -> int:
        try:
            target = self._allowed.target(url)
            address = self._allowed.pin(target, self._resolve)
            return self._post(target, address, body, signed, trace)
        except AddressRefusedError as error:
            raise NotDeliveredError(error.word) from None
        except (OSError, HTTPException, UnicodeError) as error:
            # Its own text could quote what the receiver sent.
            raise NotDeliveredError(_word(error)) from None

    def _post(
        self,
        target: Target,
        address: str,
        body: bytes,
        signed: dict[str, str],
        trace: str,
    ) -> int:
        sock = socket.create_connection(
            (address, target.port), timeout=self._seconds
        )
        late = threading.Event()

        def cut() -> None:
            late.set()
            sock_shutdown(sock)

        # A receiver that drips resets every time-out but this one.
        watch = threading.Timer(self._seconds, cut)
        watch.daemon = True
        watch.start()
        connection = HTTPConnection(target.host, target.port)
        try:
            connection.sock = self._secured(sock, target)
            connection.request(
                "POST",
                target.path,
                body=body,
                headers={
                    "Host": target.authority,
                    "Content-Type": "application/json",
                    "User-Agent": "curtilage-webhooks/1",
                    "Connection": "close",
                    "traceparent": trace,
                    **signed,
                },
            )
            status = connection.getresponse().status
            # What was cut off may still read as an answer.
            if late.is_set():
                raise TimeoutError
            return status  # noqa: TRY300 - the time is part of the attempt
        except (OSError, HTTPException):
            if late.is_set():
                raise TimeoutError from None
            raise
        finally:
            watch.cancel()
            connection.close()
            sock.close()

    def _secured(self, sock: socket.socket, target: Target) -> socket.socket:
        if not target.secure:
            return sock
        context = self._context or ssl.create_default_context()
        return context.wrap_socket(sock, server_hostname=target.host)


def _word(error: Exception) -> str:
    return next(word for kind, word in _WORDS if isinstance(error, kind))


def sock_shutdown(sock: socket.socket) -> None:
    """End both directions, whoever waits in one of them."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def message_id(identity: UUID) -> str:
    """The ``webhook-id`` of a delivery: the same in every attempt."""
    return f"msg_{identity.hex}"


def parent(identity: UUID) -> str:
    """The ``traceparent`` of a delivery (W3C Trace Context, level 1).

    Its trace is the delivery's own, under which the processing log has it:
    nobody's request led to it that its receiver should hear of, and two
    services cannot join what they are told about one person. The same in
    every attempt; the variant of the id keeps both parts from being zero.
    """
    return f"00-{identity.hex}-{identity.hex[16:]}-01"


def payload(delivery: Delivery, told: Told) -> bytes:
    """Write what a service is told: ids it knows and names, no value.

    The person is named by nothing but the decisions by which the service
    got their data; where there are many, the latest stand here and all of
    them at the address beside.
    """
    path = f"/v1/webhooks/deliveries/{delivery.id}"
    return json.dumps(
        {
            "type": delivery.kind.value,
            "timestamp": instant(delivery.at),
            "data": {
                "delivery": str(delivery.id),
                "service": delivery.service,
                "purpose": delivery.purpose,
                "declaration": told.declaration or None,
                "statement": told.statement or None,
                "attributes": list(told.attributes),
                "decisions": [
                    str(one) for one in told.decisions[:MOST_DECISIONS]
                ],
                "decisions_in_all": len(told.decisions),
                "all_decisions": f"{path}/decisions",
                "asked": asks_to(delivery.kind),
                "deadline": instant(delivery.deadline),
                "acknowledge": f"{path}/acknowledgement",
            },
        },
        separators=(",", ":"),
    ).encode()


def instant(at: int) -> str:
    """RFC 3339, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
