"""The erasure certificate: what was removed, and when the last copy dies.

A signed note (https://c2sp.org/signed-note) with the ledger's own key, whose
text is lines of a name, a space and a value, in one fixed order. Whoever has
the ledger's key verifies it offline. ``last-copy`` is the day after which
nothing can bring the person back: the destruction of the KEK epoch that
wrapped their DEK, or, while that still stands, the end of the time for which
backups of the keys are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from consent import (
    LedgerSigner,
    NoteMalformed,
    VerifierKey,
    open_note,
    sign_note,
)
from vault import Epoch, JournaledErasure

TITLE = "curtilage erasure certificate v1"
SECONDS_A_DAY = 86_400
_NAMES = (
    "ledger",
    "subject",
    "requested",
    "erased",
    "removed",
    "entry",
    "kek-epoch",
    "kek-destroyed",
    "last-copy",
    "last-copy-is",
)
REMOVED = "key values history index consents restraints openings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a certificate says.

    Attributes:
        fields: by name, as they stand in the text.

    """

    fields: dict[str, str]

    def text(self) -> str:
        """Write the note's text."""
        lines = [f"{name} {self.fields[name]}" for name in _NAMES]
        return "\n".join([TITLE, *lines, ""])


def certify(
    erasure: JournaledErasure,
    *,
    origin: str,
    destroyed_at: int,
    entry: int,
    epochs: Sequence[Epoch],
    backup_days: int,
    now: int,
) -> Certificate:
    """State an erasure that was carried out.

    Args:
        erasure: as the journal has it.
        origin: the ledger's name.
        destroyed_at: when the person's key was, POSIX seconds.
        entry: index of the ledger entry that records it; -1 if not known.
        epochs: of the KEKs.
        backup_days: for how long backups of the keys are kept.
        now: POSIX seconds. While a remote custodian still waits with the
            destruction it can be called off, so its date is a plan.

    """
    epoch = {one.number: one for one in epochs}.get(erasure.kek_epoch)
    gone = _gone(epoch)
    planned = destroyed_at + backup_days * SECONDS_A_DAY
    return Certificate(
        fields={
            "ledger": origin,
            "subject": str(erasure.subject),
            "requested": _instant(erasure.at),
            "erased": _instant(destroyed_at),
            "removed": REMOVED,
            "entry": str(entry) if entry >= 0 else "unknown",
            "kek-epoch": str(erasure.kek_epoch),
            "kek-destroyed": _instant(gone) if gone else "pending",
            "last-copy": _instant(max(gone, destroyed_at))
            if gone
            else _instant(planned),
            "last-copy-is": "certain" if gone and gone <= now else "planned",
        }
    )


def sign_certificate(certificate: Certificate, signer: LedgerSigner) -> str:
    """Sign a certificate with the ledger's key."""
    return str(sign_note(certificate.text(), [signer]))


def verify_certificate(note: bytes, key: VerifierKey) -> Certificate:
    """Verify a certificate offline, by the ledger's key alone.

    Raises:
        NoteError: it is no certificate, or the key did not sign it.

    """
    text = open_note(note, [key]).text
    title, *lines = text.removesuffix("\n").split("\n")
    fields = dict(line.split(" ", 1) for line in lines if " " in line)
    if title != TITLE or tuple(fields) != _NAMES or len(lines) != len(_NAMES):
        msg = "the note is no erasure certificate"
        raise NoteMalformed(msg)
    if fields["ledger"] != key.name:
        msg = "the certificate is of another ledger"
        raise NoteMalformed(msg)
    try:
        UUID(fields["subject"])
    except ValueError:
        msg = "the certificate names nobody"
        raise NoteMalformed(msg) from None
    return Certificate(fields=fields)


def _gone(epoch: Epoch | None) -> int | None:
    """When an epoch's KEK was really gone; None while it is not."""
    if epoch is None:
        return None
    return epoch.dates.get("gone_at") or epoch.dates.get("destroyed_at")


def _instant(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
