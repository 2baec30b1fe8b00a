"""Asking witnesses: https://c2sp.org/tlog-witness, the log's side.

One client for each witness of the trust policy that has a URL. It reaches no
other address: redirects are not followed, and an answer is taken only if it
bears a cosignature by the very key that the policy names.
"""

import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from typing import IO, NoReturn

from consent import (
    KnownWitness,
    Ledger,
    NoteError,
    StoredCheckpoint,
    parse_signature_line,
    submission,
)

TIMEOUT_SECONDS = 10
_LARGEST_ANSWER = 1 << 18
_ATTEMPTS = 4
_COSIGNED, _CONFLICT, _ANOTHER_TREE = 200, 409, 422
_SHOWN = 120

Post = Callable[[str, bytes], tuple[int, bytes]]


class WitnessFailedError(Exception):
    """A witness did not cosign. Names the witness and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """Where a witness stands.

    Attributes:
        witness: Its name in the policy.
        size: Entries of the checkpoint that it cosigned last.
        fresh: Whether it did so just now.
    """

    witness: str
    size: int
    fresh: bool


class WitnessClient:
    """Brings one witness up to date.

    Args:
        ledger: Whose checkpoints are submitted.
        witness: Which witness; it has a URL.
        post: Sends a body and returns status and answer.
    """

    def __init__(
        self,
        ledger: Ledger,
        witness: KnownWitness,
        *,
        post: Post | None = None,
    ) -> None:
        self.name = witness.name
        self._ledger = ledger
        self._witness = witness
        self._url = witness.url.rstrip("/") + "/add-checkpoint"
        self._post = post or post_bytes

    def submit(self) -> Cosigned:
        """Submit the newest signed checkpoint, unless that has been done.

        Returns:
            Where the witness stands now.

        Raises:
            WitnessFailedError: It could not be reached, refused, or
                answered with something else than its cosignature.

        """
        publication = self._ledger.publication
        known = publication.largest(self._witness.key)
        old = known or 0
        for attempt in range(_ATTEMPTS):
            last = publication.to_give()
            if last is None or (not attempt and last.size == known):
                return self._stands(old, fresh=False)
            status, answer = self._send(self._submission(old, last))
            if status == _COSIGNED:
                self._keep(last.size, last.note, answer)
                return self._stands(last.size, fresh=True)
            if status != _CONFLICT:
                break
            # Somebody else, or another process of ours, was there before.
            old = self._size(answer)
        return self._fail(f"it answered {status}: {_shown(answer)}")

    def ahead(self) -> bool:
        """Ask whether the witness knows more than the ledger has signed.

        The newest signed checkpoint is submitted as one that continues
        itself: the witness answers where it stands, and cosigns at most
        what it has cosigned before.

        Returns:
            Whether it has cosigned a larger tree, or another of that size.

        Raises:
            WitnessFailedError: It could not be reached, or told nothing.

        """
        last = self._ledger.publication.to_give()
        if last is None:
            self._fail("not asked, since no checkpoint is stored")
        body = submission(last.size, [], last.note)
        status, answer = self._send(body)
        if status == _CONFLICT:
            return self._size(answer) >= last.size
        if status not in {_COSIGNED, _ANOTHER_TREE}:
            self._fail(f"it answered {status}: {_shown(answer)}")
        return status == _ANOTHER_TREE

    def _submission(self, old: int, last: StoredCheckpoint) -> bytes:
        if old > last.size:
            self._fail(
                f"it has cosigned {old} entries and the ledger has signed "
                f"{last.size}: the ledger was taken back, or another one "
                "runs under its name"
            )
        proof = self._ledger.consistency(old, last.size) if old else []
        return submission(old, proof, last.note)

    def _stands(self, size: int, *, fresh: bool) -> Cosigned:
        return Cosigned(witness=self.name, size=size, fresh=fresh)

    def _send(self, body: bytes) -> tuple[int, bytes]:
        try:
            return self._post(self._url, body)
        except (OSError, HTTPException) as error:
            self._fail(f"not reached: {type(error).__name__}")

    def _size(self, answer: bytes) -> int:
        digits = answer.removesuffix(b"\n")
        if not digits.isdigit() or len(digits) > 18:
            self._fail("it answered 409 without a size")
        return int(digits)

    def _keep(self, size: int, note: str, answer: bytes) -> None:
        text = note.rpartition("\n\n")[0] + "\n"
        try:
            lines = [
                parse_signature_line(line)
                for line in answer.decode().splitlines()
            ]
            self._ledger.publication.keep(size, text, lines, self._witness.key)
        except (UnicodeDecodeError, NoteError) as error:
            self._fail(f"its answer: {error}")

    def _fail(self, why: str) -> NoReturn:
        msg = f"witness {self.name}: {why}"
        raise WitnessFailedError(msg) from None


def witness_clients(ledger: Ledger) -> list[WitnessClient]:
    """Make a client for each witness of the ledger's policy with a URL."""
    policy = ledger.publication.policy
    known = () if policy is None else policy.witnesses.values()
    return [WitnessClient(ledger, each) for each in known if each.url]


def post_bytes(url: str, body: bytes) -> tuple[int, bytes]:
    """Send a body; follow no redirect.

    Args:
        url: ``http://`` or ``https://``, as the policy file has it.
        body: What is sent.

    Returns:
        Status and the beginning of the answer.

    Raises:
        OSError: The address could not be reached.

    """
    request = urllib.request.Request(  # noqa: S310 - the policy file lets no other scheme through
        url,
        data=body,
        headers={"Content-Type": "text/plain; charset=utf-8"},
    )
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return answer.status, answer.read(_LARGEST_ANSWER)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(_LARGEST_ANSWER)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Goes nowhere but to the address that was named."""

    def redirect_request(  # noqa: PLR0917 - the library's own signature
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        """Let the redirect be the answer."""


def _shown(answer: bytes) -> str:
    text = answer[:_SHOWN].decode("utf-8", "replace").strip()
    return "".join(c if c.isprintable() else "?" for c in text)
