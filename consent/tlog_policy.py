"""Trust policies: https://c2sp.org/tlog-policy.

A file of lines that names logs, witnesses, groups of them, and the quorum: a
checkpoint is good if one of the logs signed it and the quorum cosigned it.
The same file serves the ledger (which witnesses to ask), a witness (which
logs to follow) and whoever verifies.

Stricter than the specification: the key in a ``log`` line is of type 0x01 or
0x06, that in a ``witness`` line of 0x04 or 0x06; at most 256 logs, witnesses
and groups; a URL is http or https.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from consent.cosignatures import CosignatureKey, read_log_key
from consent.errors import NoteMalformed, NoteUntrusted, TrustPolicyInvalid
from consent.signed_notes import SignedNote, VerifierKey

NONE = "none"
MOST_NAMES = 256
LARGEST_POLICY = 1 << 20
_URL = re.compile(r"https?://[^\s?#]+", re.ASCII)
_COUNT = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLog:
    """A log that the policy accepts.

    Attributes:
        key: Its key, named as its origin.
        url: Where it is served; empty if the policy does not say.
    """

    key: VerifierKey | CosignatureKey
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWitness:
    """A witness that the policy knows.

    Attributes:
        name: Its name within the policy.
        key: Its key.
        url: Its submission prefix; empty if the policy does not say.
    """

    name: str
    key: CosignatureKey
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """At least `least` of `members` must have witnessed."""

    least: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustPolicy:
    """Which logs and which witnesses make a checkpoint good.

    Attributes:
        logs: Accepted logs.
        witnesses: Known witnesses by name.
        groups: Groups by name, each after its members.
        quorum: Name of a witness or group, or `NONE`.
    """

    logs: tuple[KnownLog, ...]
    witnesses: Mapping[str, KnownWitness]
    groups: Mapping[str, Group]
    quorum: str

    def keys_of(self, origin: str) -> list[VerifierKey | CosignatureKey]:
        """Return the keys that the policy accepts for an origin."""
        return [log.key for log in self.logs if log.key.name == origin]

    def origins(self) -> list[str]:
        """Return the origins of the accepted logs, each once."""
        return list(dict.fromkeys(log.key.name for log in self.logs))

    def cosigned(self, note: SignedNote) -> dict[str, int]:
        """Check the cosignatures of known witnesses on a checkpoint.

        Args:
            note: The checkpoint, which a log's key vouches for.

        Returns:
            When each witness cosigned, by its name in the policy.

        Raises:
            NoteUntrusted: A known witness's cosignature does not hold.

        """
        known = {
            (each.key.name, each.key.key_id): each
            for each in self.witnesses.values()
        }
        found: dict[str, int] = {}
        for line in note.signatures:
            if witness := known.get((line.name, line.key_id)):
                at = witness.key.time_of(note.text, line.signature)
                found[witness.name] = at
        return found

    def demand_quorum(self, note: SignedNote) -> dict[str, int]:
        """Refuse a checkpoint that too few witnesses cosigned.

        Args:
            note: The checkpoint, which a log's key vouches for.

        Returns:
            When each witness cosigned, by its name in the policy.

        Raises:
            NoteUntrusted: The quorum is missed, or a known witness's
                cosignature does not hold.

        """
        found = self.cosigned(note)
        if not self.is_quorum(found):
            msg = (
                f"the quorum {self.quorum} is missed: cosigned by"
                f" {', '.join(sorted(found)) or 'nobody'}"
            )
            raise NoteUntrusted(msg)
        return found

    def is_quorum(self, witnessed: Collection[str]) -> bool:
        """Whether these witnesses are enough."""
        if self.quorum == NONE:
            return True
        holds = {name: name in witnessed for name in self.witnesses}
        # A group stands after its members, so one pass decides all.
        for name, group in self.groups.items():
            count = sum(holds[member] for member in group.members)
            holds[name] = count >= group.least
        return holds[self.quorum]


class _Reading:
    """What has been read of a file so far."""

    def __init__(self) -> None:
        self.logs: list[KnownLog] = []
        self.witnesses: dict[str, KnownWitness] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self._keys: set[tuple[str, bytes]] = set()
        self._members: set[str] = set()

    def line(self, items: list[str]) -> None:
        """Take one line.

        Raises:
            ValueError: It says nothing that a policy says.
            NoteMalformed: A key in it is malformed.

        """
        word, *rest = items
        if word == "log" and 1 <= len(rest) <= 2:
            key = read_log_key(rest[0])
            self._once("log", key.public_key)
            self.logs.append(KnownLog(key=key, url=_url(rest[1:])))
        elif word == "witness" and 2 <= len(rest) <= 3:
            self._witness(rest[0], rest[1], _url(rest[2:]))
        elif word == "group" and len(rest) >= 3:
            self._group(rest[0], rest[1], rest[2:])
        elif word == "quorum" and len(rest) == 1:
            self._quorum(rest[0])
        else:
            msg = "a line reads log, witness, group or quorum, and its items"
            raise ValueError(msg)

    def _witness(self, name: str, vkey: str, url: str) -> None:
        self._fresh(name)
        key = CosignatureKey.parse(vkey)
        self._once("witness", key.public_key)
        self.witnesses[name] = KnownWitness(name=name, key=key, url=url)

    def _group(self, name: str, count: str, members: list[str]) -> None:
        self._fresh(name)
        for member in members:
            self._known(member)
            if member in self._members:
                msg = f"{member} is a member already"
                raise ValueError(msg)
            self._members.add(member)
        least = {"any": 1, "all": len(members)}.get(count)
        if least is None and _COUNT.fullmatch(count):
            least = int(count)
        if least is None or not 1 <= least <= len(members):
            msg = f"a group asks for any, all, or 1 to {len(members)}"
            raise ValueError(msg)
        self.groups[name] = Group(least=least, members=tuple(members))

    def _quorum(self, name: str) -> None:
        if self.quorum is not None:
            msg = "there is a quorum already"
            raise ValueError(msg)
        if name != NONE:
            self._known(name)
        self.quorum = name

    def _fresh(self, name: str) -> None:
        if name == NONE or name in self.witnesses or name in self.groups:
            msg = f"the name {name} is taken"
            raise ValueError(msg)
        if len(self.witnesses) + len(self.groups) >= MOST_NAMES:
            msg = f"at most {MOST_NAMES} witnesses and groups are read"
            raise ValueError(msg)

    def _known(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            msg = f"{name} is not defined above"
            raise ValueError(msg)

    def _once(self, what: str, public_key: bytes) -> None:
        if (what, public_key) in self._keys:
            msg = f"a {what} with this key stands above"
            raise ValueError(msg)
        if len(self.logs) >= MOST_NAMES:
            msg = f"at most {MOST_NAMES} logs are read"
            raise ValueError(msg)
        self._keys.add((what, public_key))


def read_trust_policy(data: bytes, *, where: str) -> TrustPolicy:
    """Read a policy file.

    Args:
        data: The file's bytes.
        where: Its name, for errors.

    Returns:
        The policy.

    Raises:
        TrustPolicyInvalid: It is none; the error names the line.

    """
    if len(data) > LARGEST_POLICY:
        raise TrustPolicyInvalid(where=where, line=1, what="too long")
    reading, number = _Reading(), 0
    for number, line in enumerate(data.split(b"\n"), start=1):
        if any((c < 0x20 and c != 0x09) or c == 0x7F for c in line):
            what = "a control character"
            raise TrustPolicyInvalid(where=where, line=number, what=what)
        # Names are octets to the format; the escape keeps them apart.
        text = line.decode("utf-8", "surrogateescape")
        items = re.findall(r"[^ \t]+", text)
        if not items or items[0].startswith("#"):
            continue
        try:
            reading.line(items)
        except (ValueError, NoteMalformed) as error:
            raise TrustPolicyInvalid(
                where=where, line=number, what=_shown(error)
            ) from None
    if reading.quorum is None:
        what = "no quorum line; `quorum none` asks for no witness"
        raise TrustPolicyInvalid(where=where, line=number, what=what)
    return TrustPolicy(
        logs=tuple(reading.logs),
        witnesses=MappingProxyType(reading.witnesses),
        groups=MappingProxyType(reading.groups),
        quorum=reading.quorum,
    )


def _url(items: list[str]) -> str:
    if items and not _URL.fullmatch(items[0]):
        msg = "a URL begins with http:// or https:// and has no query"
        raise ValueError(msg)
    return "".join(items)


def _shown(error: Exception) -> str:
    return str(error).encode("utf-8", "backslashreplace").decode()
