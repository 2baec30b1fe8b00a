"""Check, offline, what a ledger handed out. One file, no ledger needed.

    python verifier.py proof.json --vkey 'town.example/log+1a2b3c4d+AQ...'

It needs Python 3.11 and the package ``cryptography``, and imports nothing
else: copy it anywhere. It reads

- disclosure proofs: this entry, with these words, is in the ledger that the
  key signed;
- consistency proofs: the later checkpoint continues the earlier one, nothing
  before was changed or taken out;
- several disclosure proofs together: with ``--complete``, that they are all
  entries about one person from the first to the last one given;
- consent receipts (a JSON Web Signature with Ed25519, in compact form), with
  ``--receipt-key``: they are signed, and hold the notice that they name.

It ends with 0 if all holds, 1 if something does not, 2 if it was asked
wrongly or a file is nothing that it reads. What it cannot say: whether
there is a later entry than the last one given, and whether other people are
shown another ledger; for the latter compare checkpoints with a witness.

The formats are in LEDGER.md. Merkle proofs are checked by the algorithms of
RFC 9162 sections 2.1.3.2 and 2.1.4.2, independently of the ledger's code.
"""

import argparse
import base64
import binascii
import hashlib
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
RECEIPT = "curtilage/receipt/1"
LEAF_DOMAIN = b"curtilage/ledger/1/leaf\x00"
SUBJECT_DOMAIN = b"curtilage/ledger/1/subject\x00"
AUDIT_DOMAIN = b"curtilage/ledger/1/audit\x00"
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
    """A ledger's public key, as its operator publishes it."""

    name: str
    key_id: bytes
    key: Ed25519PublicKey

    @classmethod
    def parse(cls, text: str) -> "LedgerKey":
        """Read ``name+id+key`` (c2sp.org/signed-note); Ed25519 only."""
        parts = text.strip().split("+", 2)
        msg = f"not a verifier key: {_shown(text)}"
        if len(parts) != 3 or not parts[0]:
            raise Unreadable(msg)
        try:
            raw = _base64(parts[2])
        except Failed:
            raise Unreadable(msg) from None
        key_id = hashlib.sha256(parts[0].encode() + b"\n" + raw).digest()[:4]
        if len(raw) != 33 or raw[0] != 1 or key_id.hex() != parts[1]:
            raise Unreadable(msg)
        key = Ed25519PublicKey.from_public_bytes(raw[1:])
        return cls(parts[0], key_id, key)


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
    text, separator, lines = note.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        msg = "the checkpoint is not a signed note"
        raise Failed(msg)
    text += "\n"
    fields = text.split("\n")
    if len(fields) != 4 or fields[3]:
        msg = "the checkpoint does not read origin, size, root"
        raise Failed(msg)
    origin, size, root = fields[0], _decimal(fields[1]), _base64(fields[2])
    if len(root) != 32:
        msg = "the root does not have 32 bytes"
        raise Failed(msg)
    known = {(key.name, key.key_id): key for key in keys}
    signed = False
    for line in lines[:-1].split("\n"):
        match = re.fullmatch(r"\u2014 (\S+) (\S+)", line)
        if not match:
            msg = "a signature line of the checkpoint is malformed"
            raise Failed(msg)
        blob = _base64(match[2])
        key = known.get((match[1], blob[:4]))
        if key is not None and key.name == origin:
            if not _signed_by(key.key, blob[4:], text.encode()):
                msg = "a signature of the checkpoint does not hold"
                raise Failed(msg)
            signed = True
    if not signed:
        msg = f"no key that you gave signed for {_shown(origin)}"
        raise Failed(msg)
    return Checkpoint(origin, size, root)


def _signed_by(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
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
    checkpoints: dict[tuple[str, int], bytes] = field(default_factory=dict)
    joined: set[tuple[str, int, int]] = field(default_factory=set)

    def checkpoint(self, note: str) -> Checkpoint:
        """Open a checkpoint and hold it against those seen before."""
        if not self.keys:
            msg = "give the ledger's key with --vkey"
            raise Unreadable(msg)
        found = open_checkpoint(note, self.keys)
        at = (found.origin, found.size)
        if self.checkpoints.setdefault(at, found.root) != found.root:
            msg = (
                f"the ledger signed two histories of {found.size} entries:"
                " keep both files, they prove it"
            )
            raise Failed(msg)
        return found

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
    _demand_keys(document, {"format", "subject", "audit", "proof"})
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
    stated = _stated(audit, _AUDIT_FACTS) | _stated(own, _OWN_FACTS)
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
_OWN_FACTS: dict[str, type] = {
    "subject": str,
    "counter": int,
    "previous": str,
    "detail": dict,
}


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
    old = run.checkpoint(_text(document["old"]))
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


def check_receipt(compact: str, run: Run) -> dict[str, Any]:
    """Check a consent receipt: a JWS over JSON, signed with Ed25519.

    Args:
        compact: Header, payload and signature in base64url, with dots.
        run: Keys.

    Returns:
        The payload.

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
    if stated.get("typ") != "consent-receipt+jws":
        msg = "this is signed, but no consent receipt"
        raise Failed(msg)
    signed, signs = f"{header}.{payload}".encode(), _base64url(signature)
    if not any(_signed_by(key, signs, signed) for key in run.receipt_keys):
        msg = "no key that you gave signed the receipt"
        raise Failed(msg)
    content = _object(_decoded(payload))
    if content.get("schema") != RECEIPT:
        msg = f"the receipt is not a {RECEIPT}"
        raise Failed(msg)
    try:
        notice = content["processing"]["privacy_notice"]
        named, text = notice["sha256"], notice["text"]
    except (KeyError, TypeError):
        msg = "the receipt holds no notice"
        raise Failed(msg) from None
    if hashlib.sha256(_utf8(_text(text))).hexdigest() != named:
        msg = "the receipt names another notice than it holds"
        raise Failed(msg)
    return content


def check_complete(
    entries: Sequence[dict[str, Any]], run: Run
) -> list[Finding]:
    """Check that entries about each person are all, from the first on.

    Args:
        entries: What `check_disclosure` gave.
        run: What joins their checkpoints.

    Returns:
        One finding a person and ledger.

    """
    people: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in entries:
        who = (entry["origin"], str(entry["subject"]))
        people.setdefault(who, []).append(entry)
    findings = []
    for (origin, subject), theirs in people.items():
        said = _gap(theirs) or _unjoined(theirs, run)
        findings.append(
            Finding(
                file="all files",
                what="completeness",
                ok=said is None,
                says=said
                or f"entries 1 to {len(theirs)} about {_shown(subject)} in"
                f" {_shown(origin)} are all here",
                facts={"subject": subject, "entries": len(theirs)},
            )
        )
    return findings


def _gap(entries: list[dict[str, Any]]) -> str | None:
    """Say where the chain of a person's entries breaks."""
    chain = {(e["counter"], e["index"]): e for e in entries}
    previous, last = "", -1
    for number, (at, entry) in enumerate(sorted(chain.items()), start=1):
        if at[0] != number:
            return f"entry number {number} about this person is not here"
        if entry["previous"] != previous or at[1] <= last:
            return f"entry number {number} does not follow the one before"
        previous, last = entry["leaf"], at[1]
    entries[:] = [chain[at] for at in sorted(chain)]
    return None


def _unjoined(entries: list[dict[str, Any]], run: Run) -> str | None:
    if run.one_history((e["origin"], e["size"]) for e in entries):
        return None
    return (
        "the entries rest on checkpoints of several sizes: add the"
        " consistency proofs between them"
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
    try:
        document = _object(text)
    except Failed as error:
        msg = f"{path}: {error}"
        raise Unreadable(msg) from None
    if document.get("format") == DISCLOSURE:
        return "disclosure", lambda run: check_disclosure(document, run)
    if document.get("format") == CONSISTENCY:
        return "consistency", lambda run: check_continuation(document, run)
    msg = f"{path}: neither a proof nor a receipt"
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
    elif finding.what == "receipt" and facts:
        lines += _receipt_lines(facts)
    return lines


def _receipt_lines(facts: dict[str, Any]) -> list[str]:
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
        f"number    {facts['counter']} of the entries about this person",
    ]
    if facts["detail"]:
        rows.append(f"detail    {json.dumps(facts['detail'])}")
    return [f"     {_shown(row)}" for row in rows]


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
        run = Run(
            keys=[LedgerKey.parse(each) for each in asked.vkey],
            receipt_keys=[
                read_receipt_key(each) for each in asked.receipt_key
            ],
        )
        findings = [read_file(path, run) for path in asked.files]
    except Unreadable as error:
        sys.stderr.write(f"{_shown(error)}\n")
        return 2
    if asked.complete:
        entries = [
            found.facts
            for found in findings
            if found.ok and found.what == "disclosure"
        ]
        findings += check_complete(entries, run)
        if not entries:
            findings.append(
                Finding("all files", "completeness", ok=False, says="no entry")
            )
    ok = all(found.ok for found in findings)
    if asked.json:
        report = {"ok": ok, "findings": [vars(each) for each in findings]}
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        for found in findings:
            sys.stdout.write("\n".join(_lines(found)) + "\n")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
