"""Check, offline, what a ledger handed out. One file, no ledger needed.

    python verifier.py proof.json --vkey 'town.example/log+1a2b3c4d+AQ...'
    python verifier.py *.json --policy trust.policy --complete

It needs Python 3.11 and the package ``cryptography``, and imports nothing
else: copy it anywhere. It reads

- disclosure proofs: this entry, with these words, is in the ledger that the
  key signed;
- consistency proofs: the later checkpoint continues the earlier one, nothing
  before was changed or taken out;
- person's heads: what the ledger states, signed, about how many entries
  there are about one person at one size;
- all of these together: with ``--complete``, whether entries about a person
  are missing, stand twice or do not follow each other, from the first to the
  head (without a head: to the last one given); with ``--from`` and ``--to``
  also which of them lie in that time;
- release proofs, in an extract's folder: the ledger's key signed this
  manifest, the entry that names it is in the ledger, and each file beside it
  is the one that the manifest names;
- inclusion promises: what the ledger answered while the entry had no place in
  it yet; with the entry's disclosure proof, whether the promise was kept;
- consent receipts, also in the form of Kantara, and usage receipts (a JSON
  Web Signature with Ed25519, in compact form), with ``--receipt-key``: they
  are signed, and hold the notice that they name. Where one holds the ledger's
  proof and the ledger's key is given, also that the entry is in the ledger
  and is about what the receipt says.

Ledger keys are given with ``--vkey`` (Ed25519 or ML-DSA-44), or in a trust
policy (https://c2sp.org/tlog-policy) with ``--policy``: then each checkpoint
must also bear the cosignatures of a quorum of its witnesses.

It ends with 0 if all holds, 1 if something does not, 2 if it was asked
wrongly or a file is nothing that it reads. What it cannot say: whether the
ledger recorded all that happened; and, where no witness is asked, whether
other people are shown another ledger.

The formats are in LEDGER.md. Merkle proofs are checked by the algorithms of
RFC 9162 sections 2.1.3.2 and 2.1.4.2, independently of the ledger's code.
"""

import argparse
import base64
import binascii
import hashlib
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

DISCLOSURE = "curtilage.disclosure-proof/1"
CONSISTENCY = "curtilage.consistency-proof/1"
HEAD = "curtilage.person-head/1"
RELEASE = "curtilage.release-proof/1"
RECEIPT = "curtilage/receipt/1"
USAGE = "curtilage/usage-receipt/1"
KANTARA = "KI-CR-v1.1.0"
PROMISE = "curtilage/ledger/1/promise"
LEAF_DOMAIN = b"curtilage/ledger/1/leaf\x00"
SUBJECT_DOMAIN = b"curtilage/ledger/1/subject\x00"
AUDIT_DOMAIN = b"curtilage/ledger/1/audit\x00"
PLACE_DOMAIN = b"curtilage/ledger/1/place\x00"
ED25519, COSIGNED_ED25519, COSIGNED_MLDSA44 = 1, 4, 6
KEY_BYTES = {ED25519: 32, COSIGNED_ED25519: 32, COSIGNED_MLDSA44: 1312}
LARGEST_FILE = 1 << 22


class Failed(Exception):
    """Something that was read does not hold."""


class Unreadable(Exception):
    """A file or argument is nothing that is read here."""


# --- Merkle trees -----------------------------------------------------------


def leaf_hash(data: bytes) -> bytes:
    """Hash a leaf (RFC 9162 section 2.1.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two children (RFC 9162 section 2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def check_inclusion(
    *,
    index: int,
    size: int,
    leaf: bytes,
    proof: Sequence[bytes],
    root: bytes,
) -> None:
    """Check an inclusion proof (RFC 9162 section 2.1.3.2).

    Args:
        index: Position of the leaf, from 0.
        size: Number of leaves.
        leaf: The leaf's hash.
        proof: The path, the leaf's sibling first.
        root: The tree's root.

    Raises:
        Failed: The leaf is not shown to be there.

    """
    _demand_hashes([leaf, root, *proof])
    if not 0 <= index < size:
        msg = "the entry lies beyond the checkpoint"
        raise Failed(msg)
    hashed = leaf
    sides = _sides(index, size - 1, len(proof))
    for sibling, left in zip(proof, sides, strict=True):
        if left:
            hashed = node_hash(sibling, hashed)
        else:
            hashed = node_hash(hashed, sibling)
    if hashed != root:
        msg = "the inclusion proof does not lead to the signed root"
        raise Failed(msg)


def check_consistency(
    *,
    old: int,
    new: int,
    proof: Sequence[bytes],
    old_root: bytes,
    new_root: bytes,
) -> None:
    """Check a consistency proof (RFC 9162 section 2.1.4.2).

    Args:
        old: Size of the earlier tree, at least 1.
        new: Size of the later one.
        proof: The path.
        old_root: Root of the earlier tree.
        new_root: Root of the later one.

    Raises:
        Failed: The later tree is not shown to continue the earlier one.

    """
    if not 0 < old <= new:
        msg = f"nothing is proved between the sizes {old} and {new}"
        raise Failed(msg)
    if old == new:
        if proof or old_root != new_root:
            msg = f"two ledgers of size {old} differ"
            raise Failed(msg)
        return
    _demand_hashes([old_root, new_root, *proof])
    # Where the earlier tree is a whole subtree, its root is left out.
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    sides = _sides(at, last, len(path) - 1)
    was = now = path[0] if path else b""
    for sibling, left in zip(path[1:], sides, strict=True):
        if left:
            was, now = node_hash(sibling, was), node_hash(sibling, now)
        else:
            now = node_hash(now, sibling)
    if was != old_root or now != new_root:
        msg = "the later checkpoint does not continue the earlier one"
        raise Failed(msg)


def _sides(at: int, last: int, length: int) -> list[bool]:
    """Say of each hash of a path whether it stands on the left.

    Args:
        at: Position of the node that the path starts from.
        last: Position of the last node on that level.
        length: Number of hashes in the path.

    Returns:
        One truth a hash.

    Raises:
        Failed: The path cannot have that length.

    """
    sides = []
    for _ in range(length):
        if last == 0:
            msg = "the proof is too long"
            raise Failed(msg)
        left = bool(at & 1) or at == last
        while left and not at & 1 and at:
            at, last = at >> 1, last >> 1
        at, last = at >> 1, last >> 1
        sides.append(left)
    if last or length < 0:
        msg = "the proof is too short"
        raise Failed(msg)
    return sides


def _demand_hashes(hashes: Iterable[bytes]) -> None:
    if any(len(each) != 32 for each in hashes):
        msg = "a hash does not have 32 bytes"
        raise Failed(msg)


# --- Keys, signed notes, checkpoints ----------------------------------------


@dataclass(frozen=True)
class LedgerKey:
    """A public key of a ledger or a witness, as its operator publishes it."""

    name: str
    key_id: bytes
    algorithm: int
    raw: bytes
    key: Any = field(compare=False, repr=False)

    @classmethod
    def parse(
        cls,
        text: str,
        algorithms: Sequence[int] = (ED25519, COSIGNED_MLDSA44),
    ) -> "LedgerKey":
        """Read ``name+id+key`` (c2sp.org/signed-note).

        Args:
            text: The verifier key.
            algorithms: The types that are taken: by default those that a
                ledger signs with.

        Returns:
            The key.

        Raises:
            Unreadable: It is none of these.

        """
        parts = text.strip().split("+", 2)
        msg = f"not a verifier key: {_shown(text)}"
        if len(parts) != 3 or not parts[0]:
            raise Unreadable(msg)
        try:
            raw = _base64(parts[2])
        except Failed:
            raise Unreadable(msg) from None
        named = _utf8_or_none(parts[0])
        if named is None or not raw or raw[0] not in algorithms:
            raise Unreadable(msg)
        key_id = hashlib.sha256(named + b"\n" + raw).digest()[:4]
        if len(raw) != 1 + KEY_BYTES[raw[0]] or key_id.hex() != parts[1]:
            raise Unreadable(msg)
        key = _public_key(raw[0], raw[1:])
        return cls(parts[0], key_id, raw[0], raw[1:], key)

    def signed(self, text: str, signature: bytes) -> bool:
        """Whether it signed a note's text."""
        if self.algorithm == ED25519:
            return _signed_by(self.key, signature, text.encode())
        at, raw = int.from_bytes(signature[:8], "big"), signature[8:]
        if not 0 < at < 1 << 63:
            return False
        if self.algorithm == COSIGNED_ED25519:
            timed = f"cosignature/v1\ntime {at}\n{text}"
            return _signed_by(self.key, raw, timed.encode())
        message = _cosigned_message(self.name, text, at)
        return message is not None and _signed_by(self.key, raw, message)


def _public_key(algorithm: int, raw: bytes) -> Any:  # noqa: ANN401 - one of two classes
    if algorithm != COSIGNED_MLDSA44:
        return Ed25519PublicKey.from_public_bytes(raw)
    try:
        from cryptography.hazmat.primitives.asymmetric import (  # noqa: PLC0415 - older releases lack it
            mldsa,
        )

        return mldsa.MLDSA44PublicKey.from_public_bytes(raw)
    except (ImportError, UnsupportedAlgorithm):
        msg = "this cryptography has no ML-DSA-44: get a newer one"
        raise Unreadable(msg) from None


def _cosigned_message(name: str, text: str, at: int) -> bytes | None:
    """Write what ML-DSA-44 signs (c2sp.org/tlog-cosignature)."""
    found = _read_checkpoint(text)
    cosigner, origin = name.encode(), found.origin.encode()
    if not 0 < len(cosigner) < 256 or not 0 < len(origin) < 256:
        return None
    return (
        b"subtree/v1\n\x00"
        + bytes([len(cosigner)])
        + cosigner
        + at.to_bytes(8, "big")
        + bytes([len(origin)])
        + origin
        + bytes(8)
        + found.size.to_bytes(8, "big")
        + found.root
    )


@dataclass(frozen=True)
class Checkpoint:
    """What a trusted key says about a ledger at one size."""

    origin: str
    size: int
    root: bytes


def open_checkpoint(note: str, keys: Sequence[LedgerKey]) -> Checkpoint:
    """Read a checkpoint and trust it by the keys given.

    Args:
        note: The signed note.
        keys: Keys that are trusted, each for the origin that it names.

    Returns:
        The checkpoint.

    Raises:
        Failed: It is malformed, unsigned, or a known key's signature fails.

    """
    text, _ = _split_note(note)
    found = _read_checkpoint(text)
    own = [key for key in keys if key.name == found.origin]
    if not signers_of(note, own):
        msg = f"no key that you gave signed for {_shown(found.origin)}"
        raise Failed(msg)
    return found


def signers_of(note: str, keys: Sequence[LedgerKey]) -> set[LedgerKey]:
    """Find which of the keys signed a note.

    Args:
        note: The signed note.
        keys: Known keys; lines of others are ignored.

    Returns:
        Those whose signature stands there.

    Raises:
        Failed: The note is malformed, or a known key's signature fails.

    """
    text, lines = _split_note(note)
    known = {(key.name, key.key_id): key for key in keys}
    found = set()
    for line in lines:
        match = re.fullmatch(r"\u2014 (\S+) (\S+)", line)
        if not match:
            msg = "a signature line of the checkpoint is malformed"
            raise Failed(msg)
        blob = _base64(match[2])
        key = known.get((match[1], blob[:4]))
        if key is not None:
            if not key.signed(text, blob[4:]):
                msg = "a signature of the checkpoint does not hold"
                raise Failed(msg)
            found.add(key)
    return found


def _split_note(note: str) -> tuple[str, list[str]]:
    text, separator, lines = note.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        msg = "the checkpoint is not a signed note"
        raise Failed(msg)
    _utf8(note)
    return text + "\n", lines[:-1].split("\n")


def _read_checkpoint(text: str) -> Checkpoint:
    fields = text.split("\n")
    if len(fields) != 4 or fields[3] or not fields[0]:
        msg = "the checkpoint does not read origin, size, root"
        raise Failed(msg)
    root = _base64(fields[2])
    if len(root) != 32:
        msg = "the root does not have 32 bytes"
        raise Failed(msg)
    return Checkpoint(fields[0], _decimal(fields[1]), root)


def _utf8_or_none(text: str) -> bytes | None:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None


def _signed_by(key: Any, signature: bytes, signed: bytes) -> bool:  # noqa: ANN401 - a public key of either kind
    try:
        key.verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _base64(text: object) -> bytes:
    """Read base64 in its one canonical form."""
    try:
        data = base64.b64decode(str(text).encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        data = None
    if data is None or base64.b64encode(data).decode() != text:
        msg = "base64 is malformed"
        raise Failed(msg)
    return data


def _decimal(text: str) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text, re.ASCII):
        msg = "a number is malformed"
        raise Failed(msg)
    return int(text)


# --- Trust policies ---------------------------------------------------------


@dataclass
class Policy:
    """Whose word counts (https://c2sp.org/tlog-policy)."""

    logs: list[LedgerKey] = field(default_factory=list)
    witnesses: dict[str, LedgerKey] = field(default_factory=dict)
    groups: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    quorum: str | None = None
    members: set[str] = field(default_factory=set)

    def read_line(self, word: str, *rest: str) -> None:
        """Take one line; raise `Unreadable` where it says nothing."""
        if word == "log" and 1 <= len(rest) <= 2:
            key = LedgerKey.parse(rest[0])
            _demand_fresh(key, self.logs)
            self.logs.append(key)
        elif word == "witness" and 2 <= len(rest) <= 3:
            self._demand_free(rest[0])
            types = (COSIGNED_ED25519, COSIGNED_MLDSA44)
            key = LedgerKey.parse(rest[1], types)
            _demand_fresh(key, self.witnesses.values())
            self.witnesses[rest[0]] = key
        elif word == "group" and len(rest) >= 3:
            self._demand_free(rest[0])
            self._group(rest[0], rest[1], list(rest[2:]))
        elif word == "quorum" and len(rest) == 1 and self.quorum is None:
            if rest[0] != "none":
                self._demand_known(rest[0])
            self.quorum = rest[0]
        else:
            msg = f"no line of a policy: {_shown(word)}"
            raise Unreadable(msg)

    def _group(self, name: str, count: str, members: list[str]) -> None:
        least = {"any": 1, "all": len(members)}.get(count, 0)
        if re.fullmatch(r"[1-9][0-9]{0,5}", count, re.ASCII):
            least = int(count)
        for member in members:
            self._demand_known(member)
            if member in self.members:
                msg = f"{_shown(member)} is a member twice"
                raise Unreadable(msg)
            self.members.add(member)
        if not 1 <= least <= len(members):
            msg = f"no count of a group: {_shown(count)}"
            raise Unreadable(msg)
        self.groups[name] = (least, members)

    def _demand_free(self, name: str) -> None:
        if name == "none" or name in self.witnesses or name in self.groups:
            msg = f"the name {_shown(name)} is taken"
            raise Unreadable(msg)

    def _demand_known(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            msg = f"{_shown(name)} is not defined above"
            raise Unreadable(msg)

    def witnessed(self, note: str) -> list[str]:
        """Name the witnesses that cosigned; raise `Failed` for a forgery."""
        signers = signers_of(note, list(self.witnesses.values()))
        return [name for name, key in self.witnesses.items() if key in signers]

    def is_quorum(self, names: Sequence[str]) -> bool:
        """Whether these witnesses are enough."""
        if self.quorum in {"none", None}:
            return True
        holds = {name: name in names for name in self.witnesses}
        # A group stands after its members, so one pass decides all.
        for name, (least, members) in self.groups.items():
            holds[name] = sum(holds[member] for member in members) >= least
        return holds[str(self.quorum)]


def _demand_fresh(key: LedgerKey, others: Iterable[LedgerKey]) -> None:
    """Refuse one key under two names, which would vote twice."""
    if any(other.raw == key.raw for other in others):
        msg = f"a key stands twice: {_shown(key.name)}"
        raise Unreadable(msg)


def read_policy(path: Path) -> Policy:
    """Read a trust policy.

    Args:
        path: The file.

    Returns:
        The policy.

    Raises:
        Unreadable: It is none; the error names the line.

    """
    try:
        data = path.read_bytes()
    except OSError:
        msg = f"{path}: cannot be read"
        raise Unreadable(msg) from None
    policy, number = Policy(), 0
    for number, line in enumerate(data.split(b"\n"), start=1):
        # Names are octets to the format; the escape keeps them apart.
        text = line.decode("utf-8", "surrogateescape")
        items = re.findall(r"[^ \t]+", text)
        control = any((c < 0x20 and c != 0x09) or c == 0x7F for c in line)
        if not control and (not items or items[0].startswith("#")):
            continue
        try:
            if control:
                what = "a control character"
                raise Unreadable(what)  # noqa: TRY301 - as every other fault of a line
            policy.read_line(*items)
        except Unreadable as error:
            msg = f"{path}:{number}: {error}"
            raise Unreadable(msg) from None
    if policy.quorum is None:
        msg = f"{path}:{number}: no quorum line"
        raise Unreadable(msg)
    return policy


# --- What a run finds -------------------------------------------------------


@dataclass
class Finding:
    """What came of one file.

    Attributes:
        file: Its name.
        what: What kind of document it is.
        ok: Whether it holds.
        says: One sentence.
        facts: What it states, once it is shown to hold.
    """

    file: str
    what: str
    ok: bool
    says: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Run:
    """All that was asked, and what has been learned so far."""

    keys: list[LedgerKey]
    receipt_keys: list[Ed25519PublicKey]
    policy: Policy | None = None
    every_key: bool = False
    checkpoints: dict[tuple[str, int], bytes] = field(default_factory=dict)
    joined: set[tuple[str, int, int]] = field(default_factory=set)

    def checkpoint(self, note: str, *, trusted: bool = True) -> Checkpoint:
        """Open a checkpoint and hold it against those seen before.

        One that a trusted one continues needs no quorum of its own.
        """
        if not self.keys:
            msg = "give the ledger's key with --vkey or --policy"
            raise Unreadable(msg)
        found = open_checkpoint(note, self.keys)
        own = {key for key in self.keys if key.name == found.origin}
        if self.every_key and signers_of(note, list(own)) != own:
            msg = f"not every key of {_shown(found.origin)} signed"
            raise Failed(msg)
        self._demand_quorum(note, trusted=trusted)
        at = (found.origin, found.size)
        if self.checkpoints.setdefault(at, found.root) != found.root:
            msg = (
                f"the ledger signed two histories of {found.size} entries:"
                " keep both files, they prove it"
            )
            raise Failed(msg)
        return found

    def _demand_quorum(self, note: str, *, trusted: bool) -> None:
        if self.policy is None:
            return
        names = self.policy.witnessed(note)
        if trusted and not self.policy.is_quorum(names):
            shown = ", ".join(map(_shown, names)) or "nobody"
            msg = (
                f"the quorum {_shown(self.policy.quorum)} is missed:"
                f" cosigned by {shown}"
            )
            raise Failed(msg)

    def one_history(self, sizes: Iterable[tuple[str, int]]) -> bool:
        """Whether proofs in hand join all these checkpoints."""
        todo = set(sizes)
        reached = {todo.pop()} if todo else set()
        grown = True
        while grown:
            grown = False
            for origin, old, new in self.joined:
                pair = {(origin, old), (origin, new)}
                if pair & reached and not pair <= reached:
                    reached |= pair
                    grown = True
        return todo <= reached


def check_disclosure(document: dict[str, Any], run: Run) -> dict[str, Any]:
    """Check a disclosure proof.

    Args:
        document: The JSON.
        run: Keys, and what was seen before.

    Returns:
        What the entry states.

    Raises:
        Failed: It does not hold.

    """
    names = {"format", "subject", "audit", "proof"}
    _demand_keys(document, names | (document.keys() & {"place"}))
    own, own_commitment = _part(document["subject"], SUBJECT_DOMAIN)
    audit, audit_commitment = _part(document["audit"], AUDIT_DOMAIN)
    leaf = hashlib.sha256(
        LEAF_DOMAIN + own_commitment + audit_commitment
    ).digest()
    index, proof, note = _proof_file(_text(document["proof"]))
    checkpoint = run.checkpoint(note)
    check_inclusion(
        index=index,
        size=checkpoint.size,
        leaf=leaf_hash(leaf),
        proof=proof,
        root=checkpoint.root,
    )
    for name in ("kind", "decision"):
        if own.get(name) != audit.get(name):
            msg = "the two parts of the entry disagree"
            raise Failed(msg)
    stated = _stated(audit, _AUDIT_FACTS) | _own_facts(own, document)
    return stated | {
        "origin": checkpoint.origin,
        "index": index,
        "leaf": leaf.hex(),
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
    }


_AUDIT_FACTS: dict[str, type] = {
    "kind": str,
    "service": str,
    "purpose": str,
    "attributes": list,
    "outcome": str,
    "time": int,
    "decision": str,
}
_OWN_FACTS: dict[str, type] = {"subject": str, "detail": dict}
_PLACE_FACTS: dict[str, type] = {"counter": int, "previous": str}


def _own_facts(
    own: dict[str, Any], document: dict[str, Any]
) -> dict[str, Any]:
    """Read the person's part, and where the entry stands in its chain.

    One of the second chain only commits to its place; the document opens it
    once that chain is disclosed.
    """
    stated = _stated(own, _OWN_FACTS)
    if "chain" not in own:
        if "place" in document:
            msg = "an entry of the first chain states its place itself"
            raise Failed(msg)
        return stated | _stated(own, _PLACE_FACTS) | {"chain": "first"}
    if "counter" in own or "previous" in own:
        msg = "an entry stands in two chains"
        raise Failed(msg)
    stated["chain"] = "second"
    if "place" not in document:
        return stated | {"counter": None, "previous": None}
    place = document["place"]
    if not isinstance(place, dict):
        msg = "a place is not an object"
        raise Failed(msg)
    _demand_keys(place, {"salt", "counter", "previous"})
    found = _stated(place, _PLACE_FACTS)
    salt, counter = _text(place["salt"]), found["counter"]
    if (
        not re.fullmatch(r"[0-9a-f]{32}", salt)
        or not re.fullmatch(r"([0-9a-f]{64})?", found["previous"])
        or not 0 < counter < 1 << 63
    ):
        msg = "a place is malformed"
        raise Failed(msg)
    committed = hashlib.sha256(
        PLACE_DOMAIN
        + bytes.fromhex(salt)
        + counter.to_bytes(8, "big")
        + bytes.fromhex(found["previous"])
    )
    if committed.hexdigest() != own["chain"]:
        msg = "the place is another than the entry commits to"
        raise Failed(msg)
    return stated | found


def _stated(body: dict[str, Any], facts: dict[str, type]) -> dict[str, Any]:
    for name, kind in facts.items():
        if type(body.get(name)) is not kind:
            msg = f"the entry does not state its {name}"
            raise Failed(msg)
    return {name: body[name] for name in facts}


def _part(part: object, domain: bytes) -> tuple[dict[str, Any], bytes]:
    """Read one part; return its body and the commitment to it."""
    if not isinstance(part, dict):
        msg = "a part is not an object"
        raise Failed(msg)
    _demand_keys(part, {"salt", "body"})
    salt, body = _text(part["salt"]), _text(part["body"])
    if not re.fullmatch(r"[0-9a-f]{32}", salt):
        msg = "a salt is not 16 bytes in hexadecimal"
        raise Failed(msg)
    # The very words are hashed; they are parsed only to be shown.
    hashed = hashlib.sha256(domain + bytes.fromhex(salt) + _utf8(body))
    return _object(body), hashed.digest()


def _proof_file(text: str) -> tuple[int, list[bytes], str]:
    """Read a proof file (c2sp.org/tlog-proof@v1)."""
    head, _, note = text.partition("\n\n")
    lines = head.split("\n")
    if lines[0] != "c2sp.org/tlog-proof@v1" or len(lines) < 2:
        msg = "the proof is not a c2sp.org/tlog-proof@v1"
        raise Failed(msg)
    word, _, index = lines[1].partition(" ")
    if word != "index":
        msg = "the proof does not state its index"
        raise Failed(msg)
    return _decimal(index), [_base64(line) for line in lines[2:]], note


def check_continuation(document: dict[str, Any], run: Run) -> dict[str, Any]:
    """Check a consistency proof between two checkpoints.

    Args:
        document: The JSON.
        run: Keys, and what was seen before.

    Returns:
        The two sizes.

    Raises:
        Failed: It does not hold.

    """
    _demand_keys(document, {"format", "old", "new", "proof"})
    old = run.checkpoint(_text(document["old"]), trusted=False)
    new = run.checkpoint(_text(document["new"]))
    if old.origin != new.origin:
        msg = "the two checkpoints are of two ledgers"
        raise Failed(msg)
    if not isinstance(document["proof"], list):
        msg = "the proof is not a list"
        raise Failed(msg)
    check_consistency(
        old=old.size,
        new=new.size,
        proof=[_base64(each) for each in document["proof"]],
        old_root=old.root,
        new_root=new.root,
    )
    run.joined.add((old.origin, old.size, new.size))
    return {"origin": old.origin, "old": old.size, "new": new.size}


def check_head(document: dict[str, Any], run: Run) -> dict[str, Any]:
    """Check a person's head: how many entries there are about them.

    Args:
        document: The JSON.
        run: Keys, and what was seen before.

    Returns:
        What the ledger states.

    Raises:
        Failed: It does not hold.

    """
    _demand_keys(document, {"format", "statement", "checkpoint"})
    checkpoint = run.checkpoint(_text(document["checkpoint"]))
    note = _text(document["statement"])
    text, _ = _split_note(note)
    fields = text.split("\n")
    if len(fields) != 9 or fields[0] != HEAD or fields[8]:
        msg = "the statement does not read as a person's head"
        raise Failed(msg)
    # ML-DSA-44 signs checkpoints alone.
    own = [
        key
        for key in run.keys
        if key.name == fields[1] and key.algorithm == ED25519
    ]
    if not signers_of(note, own):
        msg = f"no Ed25519 key that you gave signed for {_shown(fields[1])}"
        raise Failed(msg)
    stated = Checkpoint(fields[1], _decimal(fields[5]), _base64(fields[6]))
    if stated != checkpoint:
        msg = "the statement is about another checkpoint than it carries"
        raise Failed(msg)
    counter = _decimal(fields[3])
    if not re.fullmatch(r"[0-9a-f]{64}" if counter else r"none", fields[4]):
        msg = "the statement does not name the newest entry"
        raise Failed(msg)
    return {
        "origin": fields[1],
        "subject": fields[2],
        "counter": counter,
        "leaf": fields[4],
        "size": stated.size,
        "root": stated.root.hex(),
        "time": _decimal(fields[7]),
    }


def check_release(
    document: dict[str, Any], folder: Path, run: Run
) -> dict[str, Any]:
    """Check a release proof, and the files of the extract beside it.

    Args:
        document: The JSON.
        folder: Where manifest, data and reports lie.
        run: Keys, and what was seen before.

    Returns:
        What the entry states, and the hash of each file.

    Raises:
        Failed: It does not hold.

    """
    names = {"format", "statement", "audit", "subject", "proof"}
    _demand_keys(document, names)
    audit, commitment = _part(document["audit"], AUDIT_DOMAIN)
    subject = _text(document["subject"])
    if not re.fullmatch(r"[0-9a-f]{64}", subject):
        msg = "a commitment is not 32 bytes in hexadecimal"
        raise Failed(msg)
    leaf = hashlib.sha256(LEAF_DOMAIN + bytes.fromhex(subject) + commitment)
    index, proof, note = _proof_file(_text(document["proof"]))
    checkpoint = run.checkpoint(note)
    check_inclusion(
        index=index,
        size=checkpoint.size,
        leaf=leaf_hash(leaf.digest()),
        proof=proof,
        root=checkpoint.root,
    )
    stated = _stated(audit, _AUDIT_FACTS | {"detail": dict})
    manifest = stated["detail"].get("manifest")
    if stated["kind"] != "release" or stated["outcome"] != "taken":
        msg = "the entry is not about an extract that was taken"
        raise Failed(msg)
    _check_statement(document, run, checkpoint.origin, stated)
    content = _file_of(folder, "manifest.json")
    if hashlib.sha256(content).hexdigest() != manifest:
        msg = "manifest.json is another than the entry names"
        raise Failed(msg)
    files = _object(content.decode(errors="replace")).get("files")
    if not isinstance(files, dict) or not files:
        msg = "the manifest names no files"
        raise Failed(msg)
    for name, wanted in files.items():
        if hashlib.sha256(_file_of(folder, name)).hexdigest() != wanted:
            msg = f"{_shown(name)} is another than the manifest names"
            raise Failed(msg)
    return stated | {
        "origin": checkpoint.origin,
        "index": index,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "files": files,
    }


def _check_statement(
    document: dict[str, Any], run: Run, origin: str, stated: dict[str, Any]
) -> None:
    """Check that the ledger's key signed for this extract and manifest."""
    note = _text(document["statement"])
    text, _ = _split_note(note)
    wanted = (
        f"{RELEASE}\n{origin}\n{stated['decision']}\n"
        f"{stated['detail'].get('manifest')}\n"
    )
    own = [
        key
        for key in run.keys
        if key.name == origin and key.algorithm == ED25519
    ]
    if text != wanted or not signers_of(note, own):
        msg = f"no Ed25519 key that you gave signed this for {_shown(origin)}"
        raise Failed(msg)


def _file_of(folder: Path, name: str) -> bytes:
    """Read a file of an extract; its name leads nowhere else."""
    if not re.fullmatch(r"[a-z][a-z0-9._-]{0,63}", name) or ".." in name:
        msg = f"{_shown(name)} is no name of a file of an extract"
        raise Failed(msg)
    try:
        return (folder / name).read_bytes()
    except OSError:
        msg = f"{_shown(name)} is missing"
        raise Failed(msg) from None


def check_promise(note: str, run: Run) -> dict[str, Any]:
    """Check an inclusion promise: its words, and that the ledger signed them.

    Args:
        note: The signed note.
        run: Keys.

    Returns:
        What is promised: the leaf hash, since when, and until when.

    Raises:
        Failed: It does not hold.
        Unreadable: No key was given.

    """
    if not run.keys:
        msg = "give the ledger's key with --vkey or --policy"
        raise Unreadable(msg)
    text, _ = _split_note(note)
    fields = text.split("\n")
    if len(fields) != 6 or fields[0] != PROMISE or fields[5]:
        msg = "the note does not read as an inclusion promise"
        raise Failed(msg)
    # ML-DSA-44 signs checkpoints alone.
    own = [
        key
        for key in run.keys
        if key.name == fields[1] and key.algorithm == ED25519
    ]
    if not signers_of(note, own):
        msg = f"no Ed25519 key that you gave signed for {_shown(fields[1])}"
        raise Failed(msg)
    hashed = _base64(fields[2])
    if len(hashed) != 32:
        msg = "the promised hash does not have 32 bytes"
        raise Failed(msg)
    at, delay = _decimal(fields[3]), _decimal(fields[4])
    return {
        "origin": fields[1],
        "leaf_hash": hashed.hex(),
        "time": at,
        "until": at + delay,
        "index": None,
    }


def keep_promises(findings: Sequence[Finding]) -> None:
    """Name the entry of each promise whose disclosure proof is at hand.

    Args:
        findings: Of all files; those of promises are completed.

    """
    entries = {
        (one.facts["origin"], leaf_hash(bytes.fromhex(one.facts["leaf"]))): one
        for one in findings
        if one.ok and one.what == "disclosure"
    }
    for found in findings:
        if not found.ok or found.what != "promise":
            continue
        facts = found.facts
        at = (facts["origin"], bytes.fromhex(facts["leaf_hash"]))
        if at in entries:
            facts["index"] = entries[at].facts["index"]
            found.says = f"the promise was kept: entry {facts['index']}"


def check_receipt(compact: str, run: Run) -> dict[str, Any]:
    """Check a receipt: a JWS over JSON, signed with Ed25519.

    Args:
        compact: Header, payload and signature in base64url, with dots.
        run: Keys.

    Returns:
        The payload, and under ``in_ledger`` the index of its entry; None
        where it holds no proof, or no ledger's key was given.

    Raises:
        Failed: It does not hold.

    """
    if not run.receipt_keys:
        msg = "give the key of the receipts with --receipt-key"
        raise Unreadable(msg)
    header, payload, signature = compact.split(".")
    stated = _object(_decoded(header))
    if stated.get("alg") not in {"Ed25519", "EdDSA"} or "crit" in stated:
        msg = "the receipt is not signed with Ed25519"
        raise Failed(msg)
    # The same key may sign other things; they are no receipts.
    kind = stated.get("typ")
    if not isinstance(kind, str) or kind not in _RECEIPTS:
        msg = "this is signed, but no receipt"
        raise Failed(msg)
    signed, signs = f"{header}.{payload}".encode(), _base64url(signature)
    if not any(_signed_by(key, signs, signed) for key in run.receipt_keys):
        msg = "no key that you gave signed the receipt"
        raise Failed(msg)
    content = _object(_decoded(payload))
    field_, value, agree = _RECEIPTS[kind]
    if content.get(field_) != value:
        msg = f"the receipt is not a {value}"
        raise Failed(msg)
    if kind == "consent-receipt+jws":
        _check_own_notice(content)
    return content | {"in_ledger": _entry_of(content, run, agree)}


def _check_own_notice(content: dict[str, Any]) -> None:
    try:
        notice = content["processing"]["privacy_notice"]
        named, text = notice["sha256"], notice["text"]
    except (KeyError, TypeError):
        msg = "the receipt holds no notice"
        raise Failed(msg) from None
    if hashlib.sha256(_utf8(_text(text))).hexdigest() != named:
        msg = "the receipt names another notice than it holds"
        raise Failed(msg)


Agreement = Callable[[dict[str, Any], dict[str, Any]], bool]


def _entry_of(
    content: dict[str, Any], run: Run, agree: Agreement
) -> int | None:
    """Check the ledger's proof in a receipt, and that it is about it."""
    proof = content.get("ledger")
    if proof is None or not (run.keys or run.policy):
        return None
    if not isinstance(proof, dict):
        msg = "the ledger's proof in the receipt is not an object"
        raise Failed(msg)
    entry = check_disclosure(proof, run)
    try:
        same = agree(content, entry)
    except (KeyError, TypeError, AttributeError, IndexError):
        same = False
    if not same:
        msg = "the ledger's entry in the receipt is about something else"
        raise Failed(msg)
    index: int = entry["index"]
    return index


def _consent_agrees(content: dict[str, Any], entry: dict[str, Any]) -> bool:
    detail, declared = entry["detail"], content["declaration"]
    processing = content["processing"]
    notice = processing["privacy_notice"]
    (answer,) = (
        one
        for one in content["event"]
        if one["event_id"] == content["event_id"]
    )
    return (
        entry["kind"] == "consent"
        and entry["subject"] == content["pii_principal_id"]
        and entry["service"] == declared["service"]
        and entry["purpose"] == declared["purpose"]
        and entry["outcome"] == answer["event_word"]
        and entry["attributes"] == answer["allowed"]
        and detail["event"] == content["event_id"]
        and detail["statement"] == processing["statement"]
        and detail["declaration"] == declared["digest"]
        and detail["notice"] in {"", notice["sha256"]}
        and (detail["served"] or None) == answer["served"]
        and detail["actor"] == answer["entity_id"]
        and (detail["mandate"] or None) == answer["mandate"]
        and (detail["officer"] or None) == answer["officer"]
        and _instant(answer["event_time"]) == detail["since"]
    )


def _kantara_agrees(content: dict[str, Any], entry: dict[str, Any]) -> bool:
    detail = entry["detail"]
    (service,) = content["services"]
    return (
        entry["kind"] == "consent"
        and entry["subject"] == content["piiPrincipalId"]
        and entry["service"] == service["service"]
        and detail["event"] == content["event"]
        and detail["actor"] == content["actor"]
        and detail["notice"] in {"", content["noticeHash"]}
        and detail["since"] == content["consentTimestamp"]
    )


def _use_agrees(content: dict[str, Any], entry: dict[str, Any]) -> bool:
    processing = content["processing"]
    (event,) = content["event"]
    said = {
        one["pii_attribute_id"]: {
            name: each
            for name, each in one.items()
            if name != "pii_attribute_id"
        }
        for one in content["pii"]
    }
    return (
        entry["kind"] in {"disclosure", "refusal"}
        and entry["subject"] == content["pii_principal_id"]
        and entry["decision"] == content["record_id"]
        and entry["service"] == processing["service"]
        and entry["purpose"] == processing["purpose"]
        and entry["outcome"] == processing["outcome"]
        and entry["attributes"] == processing["pii_information"]
        and entry["detail"]["attributes"] == said
        and _instant(event["event_time"]) == entry["time"]
    )


_RECEIPTS: dict[str, tuple[str, str, Agreement]] = {
    "consent-receipt+jws": ("schema", RECEIPT, _consent_agrees),
    "usage-receipt+jws": ("schema", USAGE, _use_agrees),
    "kantara-receipt+jws": ("version", KANTARA, _kantara_agrees),
}


@dataclass
class Chain:
    """What is at hand of one chain of entries about one person."""

    origin: str
    subject: str
    chain: str
    entries: list[dict[str, Any]] = field(default_factory=list)
    heads: list[dict[str, Any]] = field(default_factory=list)

    def faults(self) -> dict[str, Any]:
        """Say what is missing, stands twice, or does not follow."""
        held = {(e["counter"], e["index"], e["leaf"]): e for e in self.entries}
        by_counter: dict[int, list[dict[str, Any]]] = {}
        for at in sorted(held):
            by_counter.setdefault(at[0], []).append(held[at])
        top = max(
            [*by_counter, *(h["counter"] for h in self.heads)], default=0
        )
        return {
            "missing": _ranges_without(sorted(by_counter), top),
            "duplicated": [n for n, e in by_counter.items() if len(e) > 1],
            "broken": _broken(by_counter),
            "contradicted": _contradicted(by_counter, self.heads),
            "last": top,
        }


def _ranges_without(there: Sequence[int], top: int) -> list[list[int]]:
    """Name the ranges of 1 to `top` that are not there."""
    missing, after = [], 0
    for number in (*there, top + 1):
        if number > after + 1:
            missing.append([after + 1, number - 1])
        after = number
    return missing


def _broken(by_counter: dict[int, list[dict[str, Any]]]) -> list[int]:
    """Name the entries that do not follow the one before."""
    broken = []
    for number, found in by_counter.items():
        before = by_counter.get(number - 1, [])
        leaves = {e["leaf"]: e["index"] for e in before}
        for entry in found:
            named = entry["previous"]
            if number == 1:
                follows = named == ""
            elif before:
                follows = leaves.get(named, entry["index"]) < entry["index"]
            else:
                follows = named != ""
            if not follows or number < 1:
                broken.append(number)
    return sorted(set(broken))


def _contradicted(
    by_counter: dict[int, list[dict[str, Any]]], heads: list[dict[str, Any]]
) -> list[str]:
    """Say where a head and the entries, or two heads, cannot both hold."""
    said = []
    for head in heads:
        size, last = head["size"], head["counter"]
        for number, found in by_counter.items():
            if number > last and any(e["index"] < size for e in found):
                said.append(
                    f"the head at size {size} leaves out entry number {number}"
                )
        if any(
            e["leaf"] != head["leaf"] or e["index"] >= size
            for e in by_counter.get(last, ())
        ):
            said.append(f"the head at size {size} names another entry")
    ordered = sorted(heads, key=lambda head: head["size"])
    for old, new in itertools.pairwise(ordered):
        same = old["size"] == new["size"]
        if (
            new["counter"] < old["counter"]
            or (same and new["counter"] != old["counter"])
            or (
                new["counter"] == old["counter"] and new["leaf"] != old["leaf"]
            )
        ):
            said.append(
                f"the heads at size {old['size']} and {new['size']} differ:"
                " keep both files, they prove it"
            )
    return said


def check_complete(
    entries: Sequence[dict[str, Any]],
    run: Run,
    heads: Sequence[dict[str, Any]] = (),
) -> list[Finding]:
    """Check that entries about each person are all, from the first on.

    Args:
        entries: What `check_disclosure` gave.
        run: What joins their checkpoints.
        heads: What `check_head` gave.

    Returns:
        One finding a person, ledger and chain.

    """
    chains: dict[tuple[str, str, str], Chain] = {}

    def chain(of: dict[str, Any]) -> Chain:
        who = (of["origin"], str(of["subject"]), of.get("chain", "first"))
        return chains.setdefault(who, Chain(*who))

    for head in heads:
        chain(head).heads.append(head)
    for entry in entries:
        chain(entry).entries.append(entry)
    return [_complete(found, run) for found in chains.values()]


def _complete(chain: Chain, run: Run) -> Finding:
    facts: dict[str, Any] = {
        "subject": chain.subject,
        "origin": chain.origin,
        "chain": chain.chain,
        "entries": len({e["leaf"] for e in chain.entries}),
    }
    if any(e["counter"] is None for e in chain.entries):
        # What is withheld and lifted alone tells nothing of the others.
        says = f"{facts['entries']} entries that were withheld are in the"
        says += " ledger; whether there are others is not disclosed"
        return Finding(
            "all files", "completeness", ok=True, says=says, facts=facts
        )
    faults = chain.faults()
    facts |= faults
    head = max(chain.heads, key=lambda each: each["size"], default=None)
    facts["head"] = None if head is None else head["size"]
    said = _first_fault(faults)
    if said is None and not run.one_history(
        (each["origin"], each["size"]) for each in chain.entries + chain.heads
    ):
        said = (
            "the entries rest on checkpoints of several sizes: add the"
            " consistency proofs between them"
        )
    says = said or _all_here(chain, faults["last"], head)
    return Finding(
        "all files", "completeness", ok=said is None, says=says, facts=facts
    )


def _all_here(chain: Chain, last: int, head: dict[str, Any] | None) -> str:
    who = f"about {_shown(chain.subject)} in {_shown(chain.origin)}"
    which = "" if chain.chain == "first" else " that were withheld"
    if last == 0:
        return f"there is no entry {who}, at size {head and head['size']}"
    says = f"entries 1 to {last}{which} {who} are all here"
    if head is None and not which:
        return f"{says}; that there is no later one is shown by a head alone"
    if head is not None:
        says += f", and at size {head['size']} there were {head['counter']}"
    return says


def _first_fault(faults: dict[str, Any]) -> str | None:
    if faults["contradicted"]:
        return str(faults["contradicted"][0])
    if faults["duplicated"]:
        return (
            f"entry number {faults['duplicated'][0]} about this person stands"
            " twice: keep both files, they prove it"
        )
    if faults["broken"]:
        return (
            f"entry number {faults['broken'][0]} does not follow the one"
            " before"
        )
    if faults["missing"]:
        first, last = faults["missing"][0]
        if first == last:
            return f"entry number {first} about this person is not here"
        return (
            f"entries number {first} to {last} about this person are not here"
        )
    return None


def check_window(
    entries: Sequence[dict[str, Any]], span: tuple[int, int], *, whole: bool
) -> Finding:
    """Say which entries lie in a time.

    Args:
        entries: What `check_disclosure` gave.
        span: First and last second.
        whole: Whether the entries were shown to be all.

    Returns:
        The finding; it holds only where the entries are all.

    """
    within = {
        (e["time"], e["index"]): {
            name: e[name]
            for name in (
                "index",
                "counter",
                "chain",
                "time",
                "kind",
                "service",
            )
        }
        for e in entries
        if span[0] <= e["time"] <= span[1]
    }
    found = [within[at] for at in sorted(within)]
    says = (
        f"{len(found)} entries lie from {_when(span[0])} to {_when(span[1])}"
    )
    if not whole:
        says += ", but others may be missing"
    return Finding(
        "all files", "window", ok=whole, says=says, facts={"entries": found}
    )


# --- Reading files ----------------------------------------------------------


def read_file(path: Path, run: Run) -> Finding:
    """Read and check one file.

    Args:
        path: The file.
        run: Keys, and what was seen before.

    Returns:
        What came of it.

    Raises:
        Unreadable: It is nothing that is read here.

    """
    name = str(path)
    what, check = _recognise(path)
    try:
        facts = check(run)
    except Failed as error:
        return Finding(name, what, ok=False, says=str(error))
    return Finding(name, what, ok=True, says=_SAYS[what], facts=facts)


_SAYS = {
    "disclosure": "this entry is in the ledger",
    "consistency": "the later checkpoint continues the earlier one",
    "head": "the ledger states how many entries there are",
    "release": "the extract is the one that the ledger's key signed",
    "promise": "the ledger promised that an entry will be in it",
    "receipt": "the receipt is signed, and holds the notice that it names",
}


def _recognise(path: Path) -> tuple[str, Callable[[Run], dict[str, Any]]]:
    try:
        data = path.read_bytes()[: LARGEST_FILE + 1]
        text = data.decode()
    except (OSError, UnicodeDecodeError):
        msg = f"{path}: cannot be read"
        raise Unreadable(msg) from None
    if len(data) > LARGEST_FILE:
        msg = f"{path}: too long"
        raise Unreadable(msg)
    compact = text.strip()
    if re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", compact, re.ASCII):
        return "receipt", lambda run: check_receipt(compact, run)
    if text.startswith(f"{PROMISE}\n"):
        return "promise", lambda run: check_promise(text, run)
    try:
        document = _object(text)
    except Failed as error:
        msg = f"{path}: {error}"
        raise Unreadable(msg) from None
    if document.get("format") == DISCLOSURE:
        return "disclosure", lambda run: check_disclosure(document, run)
    if document.get("format") == CONSISTENCY:
        return "consistency", lambda run: check_continuation(document, run)
    if document.get("format") == HEAD:
        return "head", lambda run: check_head(document, run)
    if document.get("format") == RELEASE:
        folder = path.parent
        return "release", lambda run: check_release(document, folder, run)
    msg = f"{path}: neither a proof nor a promise nor a receipt"
    raise Unreadable(msg)


def _object(text: str) -> dict[str, Any]:
    """Read a JSON object that says nothing twice."""
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        msg = "not a JSON object"
        raise Failed(msg)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        msg = "a name stands twice"
        raise ValueError(msg)
    return found


def _demand_keys(document: dict[str, Any], names: set[str]) -> None:
    if set(document) != names:
        msg = f"the document does not hold exactly {', '.join(sorted(names))}"
        raise Failed(msg)


def _text(value: object) -> str:
    if not isinstance(value, str):
        msg = "a text is expected"
        raise Failed(msg)
    return value


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        msg = "a text is not UTF-8"
        raise Failed(msg) from None


def _base64url(text: str) -> bytes:
    """Read unpadded base64url, of its letters alone, in canonical form."""
    standard = text.replace("-", "+").replace("_", "/")
    return _base64(standard + "=" * (-len(standard) % 4))


def _decoded(text: str) -> str:
    try:
        return _base64url(text).decode()
    except UnicodeDecodeError:
        msg = "the receipt is not UTF-8"
        raise Failed(msg) from None


def read_receipt_key(text: str) -> Ed25519PublicKey:
    """Read a PEM file's path, or 32 bytes in hexadecimal."""
    msg = f"not an Ed25519 public key: {_shown(text)}"
    if re.fullmatch(r"[0-9a-f]{64}", text):
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    try:
        key = load_pem_public_key(Path(text).read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        raise Unreadable(msg) from None
    if not isinstance(key, Ed25519PublicKey):
        raise Unreadable(msg)
    return key


# --- Saying it --------------------------------------------------------------


def _shown(text: object) -> str:
    """Escape what a terminal could take for a command."""
    return "".join(
        c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(text)
    )


def _lines(finding: Finding) -> list[str]:
    mark = "ok  " if finding.ok else "FAIL"
    lines = [f"{mark} {_shown(finding.file)}: {_shown(finding.says)}"]
    facts = finding.facts
    if finding.what == "disclosure" and facts:
        lines += _entry_lines(facts)
    elif finding.what == "consistency" and facts:
        span = f"{facts['old']} to {facts['new']} entries"
        lines.append(f"     {_shown(facts['origin'])}, {span}")
    elif finding.what == "head" and facts:
        place = f"{facts['counter']} at {facts['size']} entries"
        lines.append(f"     {_shown(facts['origin'])}, {place}")
    elif finding.what == "release" and facts:
        lines += [
            (
                f"     ledger    {_shown(facts['origin'])}, entry "
                f"{facts['index']} of {facts['size']}"
            ),
            (
                f"     release   {_shown(facts['decision'])}, taken "
                f"{_when(facts['time'])}"
            ),
            (
                f"     for       {_shown(facts['service'])}, "
                f"{_shown(facts['purpose'])}"
            ),
        ]
    elif finding.what == "promise" and facts:
        span = f"{_when(facts['time'])} for {_when(facts['until'])}"
        lines.append(f"     {_shown(facts['origin'])}, {span}")
    elif finding.what == "receipt" and facts:
        lines += _receipt_lines(facts)
    elif finding.what == "window":
        lines += _window_lines(facts)
    return lines


def _window_lines(facts: dict[str, Any]) -> list[str]:
    return [
        f"     {_when(each['time'])}  entry {each['index']}:"
        f" {_shown(each['kind'])}, {_shown(each['service'])}"
        for each in facts["entries"]
    ]


def _receipt_lines(facts: dict[str, Any]) -> list[str]:
    index = facts.get("in_ledger")
    proved = (
        f"entry {index}"
        if index is not None
        else "not checked: give --vkey or --policy"
        if facts.get("ledger")
        else "no proof in it"
    )
    processing = facts["processing"]
    events = facts.get("event")
    event = events[0] if isinstance(events, list) and events else {}
    if not isinstance(event, dict):
        event = {}
    rows = {
        "answer": event.get("event_state"),
        "when": event.get("event_time"),
        "service": processing.get("service"),
        "question": processing.get("statement"),
        "allowed": processing.get("pii_information"),
        "record": facts.get("record_id"),
        "ledger": proved,
    }
    return [f"     {name:<9} {_shown(value)}" for name, value in rows.items()]


def _entry_lines(facts: dict[str, Any]) -> list[str]:
    names = ", ".join(map(str, facts["attributes"]))
    place = f"entry {facts['index']} of {facts['size']}"
    rows = [
        f"ledger    {facts['origin']}, {place}",
        f"when      {_when(facts['time'])}",
        f"what      {facts['kind']}: {facts['outcome']}",
        f"who       {facts['service']} for {facts['purpose']}",
        f"about     {names}",
        f"number    {_number(facts)} of the entries about this person",
    ]
    if facts["detail"]:
        rows.append(f"detail    {json.dumps(facts['detail'])}")
    return [f"     {_shown(row)}" for row in rows]


def _number(facts: dict[str, Any]) -> str:
    if facts["counter"] is None:
        return "not disclosed: one"
    withheld = "" if facts["chain"] == "first" else " (withheld)"
    return f"{facts['counter']}{withheld}"


def _when(time: int) -> str:
    try:
        at = datetime.fromtimestamp(time, UTC)
    except (ValueError, OverflowError, OSError):
        return str(time)
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="verifier.py",
        description="Check what a ledger handed out, offline.",
        epilog="Ends with 0 if all holds, 1 if not, 2 if asked wrongly.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--vkey",
        action="append",
        default=[],
        help="the ledger's published key, name+id+key; may be given again",
    )
    parser.add_argument(
        "--policy",
        type=Path,
        help="a trust policy: ledgers, witnesses and their quorum",
    )
    parser.add_argument(
        "--every-key",
        action="store_true",
        help="demand a signature of each key given for a ledger",
    )
    parser.add_argument(
        "--from",
        dest="since",
        help="with --to: which entries lie there; seconds or an ISO date",
    )
    parser.add_argument("--to", dest="until", help="see --from")
    parser.add_argument(
        "--receipt-key",
        action="append",
        default=[],
        help="the key of receipts: a PEM file, or 64 hexadecimal digits",
    )
    parser.add_argument(
        "--complete",
        action="store_true",
        help="demand every entry about the person, from the first on",
    )
    parser.add_argument(
        "--json", action="store_true", help="answer in JSON, for programs"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the files named on the command line.

    Args:
        arguments: Without the program's name; those of the process if
            ``None``.

    Returns:
        0 if all holds, 1 if something does not, 2 if asked wrongly.

    """
    asked = _arguments().parse_args(arguments)
    try:
        policy = read_policy(asked.policy) if asked.policy else None
        keys = [LedgerKey.parse(each) for each in asked.vkey]
        run = Run(
            keys=[*keys, *(policy.logs if policy else ())],
            receipt_keys=[
                read_receipt_key(each) for each in asked.receipt_key
            ],
            policy=policy,
            every_key=asked.every_key,
        )
        span = _span(asked.since, asked.until)
        findings = [read_file(path, run) for path in asked.files]
    except Unreadable as error:
        sys.stderr.write(f"{_shown(error)}\n")
        return 2
    keep_promises(findings)
    if asked.complete or span:
        findings += _together(findings, run, span)
    ok = all(found.ok for found in findings)
    if asked.json:
        report = {"ok": ok, "findings": [vars(each) for each in findings]}
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        for found in findings:
            sys.stdout.write("\n".join(_lines(found)) + "\n")
    return 0 if ok else 1


def _together(
    findings: Sequence[Finding], run: Run, span: tuple[int, int] | None
) -> list[Finding]:
    """What all that holds says together."""
    held: dict[str, list[dict[str, Any]]] = {"disclosure": [], "head": []}
    for found in findings:
        if found.ok and found.what in held:
            held[found.what].append(found.facts)
    more = check_complete(held["disclosure"], run, held["head"])
    if not more:
        more.append(
            Finding("all files", "completeness", ok=False, says="no entry")
        )
    if span:
        whole = all(found.ok for found in (*findings, *more))
        more.append(check_window(held["disclosure"], span, whole=whole))
    return more


def _span(since: str | None, until: str | None) -> tuple[int, int] | None:
    """Read two instants: POSIX seconds, or ISO 8601 (UTC if it says none).

    A date as the end means the whole of its day.
    """
    if since is None and until is None:
        return None
    if since is None or until is None:
        msg = "--from and --to go together"
        raise Unreadable(msg)
    end = _instant(until)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", until, re.ASCII):
        end += 86_399
    return _instant(since), end


def _instant(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        msg = f"neither seconds nor a date: {_shown(text)}"
        raise Unreadable(msg) from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return int(at.timestamp())


if __name__ == "__main__":
    sys.exit(main())
