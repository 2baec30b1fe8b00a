"""What a service says it does: one immutable version of a P3P POLICY.

A declaration is content-addressed: its digest is SHA-256 over the canonical
JSON of everything in it, texts included, because a person agrees to texts.
The digest and the facts that decisions read are computed once, when the
object is made, and cannot be passed in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from consent.canonical import Json, digest
from consent.errors import DeclarationInvalid
from consent.predicates import too_many
from consent.statements import Statement, Tuple, within


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """Who answers for the processing (ISO/IEC TS 27560: PII controller).

    Attributes:
        id: a stable identifier of the body.
        name: its name, as its people know it.
        address: its postal address.
        contact: where to write or call about personal data.
        type: what kind of party it is.
        jurisdiction: whose law applies (ISO 3166 code).
        storage: the places where the data is kept.
    """

    id: str = ""
    name: str = ""
    address: str = ""
    contact: str = ""
    type: str = "public-body"
    jurisdiction: str = ""
    storage: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseTerms:
    """What an extract for this purpose must fulfil before it is handed out.

    Attributes:
        recipient: who gets the extract.
        k: the least size of an equivalence class.
        l: the least number of sensitive values in a class.
        suppression_limit: the largest share of rows left out, 0 to 1.
        sensitive: the attributes that count as sensitive.
        epsilon_thousandths: what a recipient may spend on noisy numbers, in
            thousandths of epsilon; None leaves it to the policies.
    """

    recipient: str
    k: int
    l: int  # noqa: E741 - the name that the literature gives it
    suppression_limit: float
    sensitive: tuple[str, ...] = ()
    epsilon_thousandths: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One version of what one service says about one of its purposes.

    Attributes:
        service: the service's id.
        purpose: our id of the purpose, such as ``address-change``.
        version: counts up from 1.
        title: what the service calls this, by language.
        purpose_text: why the data is needed, by language.
        statements: what is done with which data; ids are unique.
        controller: who answers for it.
        obligations: what the service promises for every released value.
        assurance: how surely a caller must be known (0 is not at all).
        release: terms of extracts, where the purpose is a statistic.
        valid_from: POSIX seconds from which it may be used.
        valid_until: POSIX seconds from which it may not, or None.
        digest: SHA-256 of the canonical JSON, 64 hexadecimal digits.
        facts: what decisions read of it. Shared, so never change it.

    Raises:
        DeclarationInvalid: there is no statement, two have one id, one
            names an attribute twice or has no purpose or no recipient, or
            more predicates are named about an attribute than
            `consent.predicates.MOST`.
    """

    service: str
    purpose: str
    version: int
    title: Mapping[str, str]
    purpose_text: Mapping[str, str]
    statements: tuple[Statement, ...]
    controller: Controller = field(default_factory=Controller)
    obligations: tuple[str, ...] = ()
    assurance: int = 0
    release: ReleaseTerms | None = None
    valid_from: int = 0
    valid_until: int | None = None
    digest: str = field(init=False, repr=False)
    facts: Mapping[str, Json] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for what in _contradictions(self):
            raise DeclarationInvalid(
                where=f"{self.service}/{self.purpose}/{self.version}",
                line=0,
                column=0,
                what=what,
                remedy="say each thing, and say it once",
            )
        object.__setattr__(self, "digest", digest(self.document()))
        object.__setattr__(self, "facts", _facts(self))

    def statement(self, name: str) -> Statement | None:
        """Return the statement of that id, or None."""
        for statement in self.statements:
            if statement.id == name:
                return statement
        return None

    def named(self) -> frozenset[str]:
        """Return the elements that its statements name."""
        return frozenset(
            name for one in self.statements for name in one.attributes
        )

    def tuples(self) -> frozenset[Tuple]:
        """Return the relation that the declaration stands for.

        Returns:
            The union of the products of its statements. Cutting, merging
            or reordering statements does not change it.
        """
        return frozenset(
            row for statement in self.statements for row in statement.tuples()
        )

    def document(self) -> dict[str, Json]:
        """Return everything that the declaration says, as JSON."""
        return {
            "schema": "curtilage/declaration/1",
            "service": self.service,
            "purpose": self.purpose,
            "version": self.version,
            "title": dict(self.title),
            "purpose_text": dict(self.purpose_text),
            "controller": {
                "id": self.controller.id,
                "name": self.controller.name,
                "address": self.controller.address,
                "contact": self.controller.contact,
                "type": self.controller.type,
                "jurisdiction": self.controller.jurisdiction,
                "storage": list(self.controller.storage),
            },
            "obligations": sorted(self.obligations),
            "assurance": self.assurance,
            "release": _release(self.release),
            "valid_from": self.valid_from,
            "valid_until": self.valid_until,
            "statements": [item.document() for item in self.statements],
        }


def _contradictions(declaration: Declaration) -> Iterator[str]:
    if not declaration.statements:
        yield "the declaration has no statement"
    ids = [statement.id for statement in declaration.statements]
    if len(set(ids)) != len(ids):
        yield "two statements have one id"
    for statement in declaration.statements:
        names = statement.attributes
        if len(set(names)) != len(names):
            yield f"statement {statement.id} names an attribute twice"
        if not (statement.purposes and statement.recipients):
            yield f"statement {statement.id} has no purpose or no recipient"
    for source in too_many(declaration.named()):
        yield f"so many questions about {source} together tell its value"


def _release(terms: ReleaseTerms | None) -> dict[str, Json] | None:
    if terms is None:
        return None
    said: dict[str, Json] = {
        "recipient": terms.recipient,
        "k": terms.k,
        "l": terms.l,
        "suppression_limit": terms.suppression_limit,
        "sensitive": sorted(terms.sensitive),
    }
    if terms.epsilon_thousandths is not None:
        said["epsilon_thousandths"] = terms.epsilon_thousandths
    return said


def _facts(declaration: Declaration) -> dict[str, Json]:
    facts: dict[str, Json] = {
        "digest": declaration.digest,
        "version": declaration.version,
        "valid_from": declaration.valid_from,
        "valid_until": declaration.valid_until,
        "assurance": declaration.assurance,
        "obligations": sorted(declaration.obligations),
        "statements": {
            statement.id: statement.facts()
            for statement in declaration.statements
        },
    }
    if declaration.release is not None:
        facts["release"] = _release(declaration.release)
    return facts


def widening(old: Declaration, new: Declaration) -> frozenset[Tuple]:
    """Return what a new version does beyond an old one.

    Args:
        old: the version that people agreed to.
        new: the version in question.

    Returns:
        The rows of `new` that lie within no row of `old`. Empty where the
        new version is the same or narrower, so that nobody is asked again.
    """
    known = old.tuples()
    return frozenset(
        row
        for row in new.tuples()
        if not any(within(row, before) for before in known)
    )
