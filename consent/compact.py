"""Compact policies: the ``P3P`` header, both ways (P3P 1.0, section 4).

A compact policy is the union of what the statements of a policy say, as
tokens. Where one purpose occurs with different choices, the least choice
wins: always over opt-out over opt-in. It was meant for cookies, and sites
let it drift apart from the file it was made from; `drift` says how far.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from consent import compact_tokens as words
from consent.compact_tokens import (
    ACCESS,
    CATEGORIES,
    CHOICES,
    PURPOSES,
    RECIPIENTS,
    REMEDIES,
    RETENTIONS,
)
from consent.errors import DeclarationInvalid
from consent.findings import Finding, Severity
from consent.p3p_model import (
    DataTerm,
    Dispute,
    P3PPolicy,
    P3PStatement,
    PurposeTerm,
    RecipientTerm,
)
from consent.vocabulary import (
    REQUIRED_ORDER,
    Access,
    Category,
    Purpose,
    RecipientClass,
    Required,
    Retention,
)

K = TypeVar("K")

LARGEST = 8192
"""Characters in a header at most."""

_CP = re.compile(
    r"""\bCP\s*=\s*(?:"([^"]*)"?|'([^']*)'?|(.*))""", re.IGNORECASE | re.DOTALL
)
_POLICYREF = re.compile(
    r"""\bpolicyref\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE
)
_IDENTIFYING = frozenset(
    {
        Category.PHYSICAL,
        Category.ONLINE,
        Category.GOVERNMENT,
        Category.FINANCIAL,
        Category.UNIQUEID,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactPolicy:
    """What a compact policy says.

    Attributes:
        access: what a person may see; several only where it is wrong.
        disputes: whether there is a way to settle disputes.
        remedies: ``correct``, ``money``, ``law``.
        non_identifiable: whether no statement is about identified data.
        purposes: what data is used for, and the choice about it.
        recipients: who gets it, and the choice about it.
        retentions: how long it is kept.
        categories: what kinds of data.
        test: whether it must not be acted on.
    """

    access: frozenset[Access] = frozenset()
    disputes: bool = False
    remedies: frozenset[str] = frozenset()
    non_identifiable: bool = False
    purposes: Mapping[Purpose, Required] = field(default_factory=dict)
    recipients: Mapping[RecipientClass, Required] = field(default_factory=dict)
    retentions: frozenset[Retention] = frozenset()
    categories: frozenset[Category] = frozenset()
    test: bool = False

    def tokens(self) -> tuple[str, ...]:
        """Return its tokens in the order of the specification.

        Returns:
            Each with its suffix, ``a`` included; none for ``CUR`` and
            ``OUR``, about which there is no choice.
        """
        return tuple(_tokens(self))

    def text(self) -> str:
        """Return it as it stands between the quotes of ``CP="..."``."""
        return " ".join(self.tokens())


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactReading:
    """What a header says.

    Attributes:
        policy: its compact policy; unknown words are left out.
        policyref: the address of the reference file, or nothing.
        findings: what was noticed.
    """

    policy: CompactPolicy
    policyref: str
    findings: tuple[Finding, ...]

    @property
    def valid(self) -> bool:
        """Whether it is a compact policy at all."""
        return all(f.severity is not Severity.ERROR for f in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How a compact policy differs from the policy that it stands for.

    Attributes:
        missing: tokens that only the full policy has.
        extra: tokens that only the header has.
    """

    missing: tuple[str, ...]
    extra: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether they differ at all."""
        return bool(self.missing or self.extra)


def _tokens(policy: CompactPolicy) -> Iterator[str]:
    yield from (t for t, word in ACCESS.items() if word in policy.access)
    if policy.disputes:
        yield words.DISPUTES
    yield from (t for t, word in REMEDIES.items() if word in policy.remedies)
    if policy.non_identifiable:
        yield words.NON_IDENTIFIABLE
    for token, purpose in PURPOSES.items():
        if purpose in policy.purposes:
            yield token + _suffix(purpose, policy.purposes[purpose])
    for token, recipient in RECIPIENTS.items():
        if recipient in policy.recipients:
            yield token + _suffix(recipient, policy.recipients[recipient])
    yield from (t for t, w in RETENTIONS.items() if w in policy.retentions)
    yield from (t for t, w in CATEGORIES.items() if w in policy.categories)
    if policy.test:
        yield words.TEST


def _suffix(word: Purpose | RecipientClass, required: Required) -> str:
    if word in {Purpose.CURRENT, RecipientClass.OURS}:
        return ""
    return next(s for s, choice in CHOICES.items() if choice is required)


def compact_of(policy: P3PPolicy) -> CompactPolicy:
    """Return what the compact policy of a policy says.

    Args:
        policy: the full policy.

    Returns:
        The union of its statements. What ENTITY holds does not count.
    """
    statements = policy.statements
    return CompactPolicy(
        access=frozenset(filter(None, [policy.access])),
        disputes=bool(policy.disputes),
        remedies=frozenset(r for d in policy.disputes for r in d.remedies),
        non_identifiable=bool(statements)
        and all(each.non_identifiable for each in statements),
        purposes=_least(
            (term.purpose, term.required)
            for each in statements
            for term in each.purposes
        ),
        recipients=_least(
            (term.recipient, term.required)
            for each in statements
            for term in each.recipients
        ),
        retentions=frozenset(
            r for each in statements for r in each.retentions
        ),
        categories=frozenset(
            category
            for each in statements
            for term in _widest(each.data)
            for category in term.categories
        ),
        test=policy.test,
    )


def _widest(data: Iterable[DataTerm]) -> Iterator[DataTerm]:
    """Yield the terms that no other term of the statement includes.

    Whoever says ``dynamic.clickstream`` has said its ``clientip``; saying it
    again adds no data, so it adds no category either.
    """
    terms = {term.attribute: term for term in data}
    for name, term in terms.items():
        above = name.rpartition(".")[0]
        while above and above not in terms:
            above = above.rpartition(".")[0]
        if not above:
            yield term


def _least(terms: Iterable[tuple[K, Required]]) -> dict[K, Required]:
    found: dict[K, Required] = {}
    for word, required in terms:
        before = found.get(word, required)
        found[word] = max(before, required, key=REQUIRED_ORDER.index)
    return found


def policy_of_compact(
    compact: CompactPolicy, *, name: str = "compact"
) -> P3PPolicy:
    """Return the policy that a compact policy stands for.

    Args:
        compact: the compact policy.
        name: what to call the policy.

    Returns:
        One statement of all purposes, recipients and retentions over
        miscellaneous data of all categories.
    """
    return P3PPolicy(
        name=name,
        access=next(iter(sorted(compact.access)), None),
        test=compact.test,
        disputes=(Dispute(remedies=tuple(sorted(compact.remedies))),)
        if compact.disputes or compact.remedies
        else (),
        statements=(
            P3PStatement(
                non_identifiable=compact.non_identifiable,
                purposes=tuple(
                    PurposeTerm(purpose=word, required=required)
                    for word, required in compact.purposes.items()
                ),
                recipients=tuple(
                    RecipientTerm(recipient=word, required=required)
                    for word, required in compact.recipients.items()
                ),
                retentions=tuple(sorted(compact.retentions)),
                data=(
                    DataTerm(
                        attribute="dynamic.miscdata",
                        categories=compact.categories,
                    ),
                )
                if compact.categories
                else (),
            ),
        ),
    )


def drift(full: CompactPolicy, sent: CompactPolicy) -> Drift:
    """Say how a header differs from the policy that it stands for.

    Args:
        full: what the policy says, by `compact_of`.
        sent: what the header says.

    Returns:
        The tokens that only one of them has.
    """
    ours, theirs = full.tokens(), sent.tokens()
    return Drift(
        missing=tuple(token for token in ours if token not in theirs),
        extra=tuple(token for token in theirs if token not in ours),
    )


def load_compact(text: str, *, where: str) -> CompactPolicy:
    """Read a compact policy, or refuse it.

    Args:
        text: as for `read_compact`.
        where: what to call the source in an error.

    Returns:
        What it says.

    Raises:
        DeclarationInvalid: the first thing that makes it none, by its code.
    """
    reading = read_compact(text, where=where)
    for found in reading.findings:
        if found.severity is Severity.ERROR:
            raise DeclarationInvalid(
                where=where,
                line=found.line,
                column=found.column,
                what=found.message,
                remedy="use the tokens of P3P 1.0, section 4.2",
                code=found.code,
            )
    return reading.policy


def read_compact(text: str, *, where: str) -> CompactReading:
    """Read a compact policy and say what is wrong with it.

    Args:
        text: tokens, ``CP="tokens"``, or a whole ``P3P`` header.
        where: what to call the source in findings.

    Returns:
        What it says and what was noticed. Only the first compact policy of
        a header counts.
    """
    return _CompactReader(text, where).read()


class _CompactReader:
    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where
        self._found: list[Finding] = []
        self._tokens: list[tuple[str, str, int]] = []

    def read(self) -> CompactReading:
        """Read it all."""
        if len(self._text) > LARGEST:
            self._note(1, "too-long", f"it is longer than {LARGEST}")
            self._text = ""
        start, value = self._value()
        self._split(value, start)
        policy = self._policy()
        self._note_contradictions(policy)
        ref = _POLICYREF.search(self._text)
        self._found.sort(key=lambda found: found.column)
        return CompactReading(
            policy=policy,
            policyref="" if ref is None else ref[1] or ref[2] or "",
            findings=tuple(self._found),
        )

    def _note(
        self,
        column: int,
        code: str,
        message: str,
        severity: Severity = Severity.ERROR,
    ) -> None:
        self._found.append(
            Finding(
                where=self._where,
                line=1,
                column=column,
                code=code,
                message=message,
                severity=severity,
            )
        )

    def _warn(self, column: int, code: str, message: str) -> None:
        self._note(column, code, message, Severity.WARNING)

    def _value(self) -> tuple[int, str]:
        """Return the tokens of the first compact policy, and where."""
        found = _CP.search(self._text)
        if found is None:
            if _POLICYREF.search(self._text):
                self._note(1, "no-compact", "there is no compact policy")
                return 0, ""
            return 0, self._text
        if _CP.search(self._text, found.end()):
            self._warn(
                found.end() + 1,
                "second-header",
                "only the first compact policy counts",
            )
        group = next(n for n in (1, 2, 3) if found[n] is not None)
        if group < 3 and found.end() == found.end(group):
            self._warn(
                found.start(group) + 1,
                "open-quote",
                "its quotation mark is never closed",
            )
        return found.start(group), found[group]

    def _split(self, value: str, start: int) -> None:
        if value != value.strip():
            self._warn(start + 1, "odd-space", "spaces stand around it")
        if "  " in value.strip() or re.search(r"[^\S ]", value):
            self._warn(
                start + 1, "odd-space", "one space stands between tokens"
            )
        for found in re.finditer(r"\S+", value):
            column = start + found.start() + 1
            token = found[0]
            name, suffix = token[:3], token[3:]
            known = name in words.TOKENS or name == words.DRAFT
            choice = name in PURPOSES or name in RECIPIENTS
            choice |= name == words.DRAFT
            if not known or (suffix and not (choice and suffix in CHOICES)):
                self._note(
                    column, "unknown-token", f"{token[:16]!r} is no token"
                )
                continue
            if any(name == before for before, _, _ in self._tokens):
                self._warn(column, "token-twice", f"{name} stands twice")
            self._tokens.append((name, suffix, column))
        if not self._tokens and not self._found:
            self._note(1, "no-compact", "there is no token in it")

    def _policy(self) -> CompactPolicy:
        for name, suffix, column in self._tokens:
            if suffix and name in {"CUR", "OUR"}:
                self._warn(
                    column, "no-choice", f"there is no choice about {name}"
                )
            if name == words.DRAFT:
                self._warn(
                    column, "draft-word", "CUS is of a draft; read as TAI"
                )
        names = {name for name, _, _ in self._tokens}

        def some(table: Mapping[str, K]) -> frozenset[K]:
            return frozenset(table[name] for name in names if name in table)

        return CompactPolicy(
            access=some(ACCESS),
            disputes=words.DISPUTES in names,
            remedies=some(REMEDIES),
            non_identifiable=words.NON_IDENTIFIABLE in names,
            purposes=_least(self._chosen({**PURPOSES, **_DRAFT})),
            recipients=_least(self._chosen(RECIPIENTS)),
            retentions=some(RETENTIONS),
            categories=some(CATEGORIES),
            test=words.TEST in names,
        )

    def _chosen(self, table: Mapping[str, K]) -> Iterator[tuple[K, Required]]:
        for name, suffix, _ in self._tokens:
            if name in table:
                free = name in {"CUR", "OUR"} or not suffix
                yield (
                    table[name],
                    Required.ALWAYS if free else CHOICES[suffix],
                )

    def _note_contradictions(self, policy: CompactPolicy) -> None:
        if not self._tokens:
            return
        identifying = policy.categories & _IDENTIFYING
        for wrong, code, message in (
            (not policy.access, "no-access", "it says no ACCESS"),
            (
                len(policy.access) > 1,
                "several-accesses",
                "it says more than one ACCESS",
            ),
            (not policy.purposes, "no-purpose", "it says no purpose"),
            (not policy.recipients, "no-recipient", "it says no recipient"),
            (
                not policy.retentions,
                "no-retention-said",
                "it says no retention",
            ),
            (
                not policy.categories and not policy.non_identifiable,
                "no-categories",
                "it says no category, and is not NID",
            ),
            (
                len(policy.retentions) > 1,
                "several-retentions",
                "it says more than one retention",
            ),
            (
                {Retention.NONE, Retention.INDEFINITELY} <= policy.retentions,
                "kept-and-not-kept",
                "it keeps nothing (NOR) and for ever (IND)",
            ),
            (
                policy.non_identifiable and bool(identifying),
                "identifiable",
                "it is NID, yet has categories that identify",
            ),
            (
                Access.NONIDENT in policy.access and bool(identifying),
                "identifiable",
                "it is NOI, yet has categories that identify",
            ),
            (
                bool(policy.remedies) and not policy.disputes,
                "no-disputes",
                "it has a remedy, yet no DSP",
            ),
            (policy.test, "test", "it is for testing; nobody acts on it"),
        ):
            if wrong:
                self._warn(1, code, message)


_DRAFT: Mapping[str, Purpose] = {words.DRAFT: Purpose.TAILORING}
