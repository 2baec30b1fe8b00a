"""What a P3P file says, word for word: the full model of P3P 1.0.

P3P 1.0, sections 2.3 and 3, with the additions of 1.1 that carry meaning for
a person: primary purposes, statement groups and jurisdictions. Nothing is
widened here: a statement without a PURPOSE has none. What it then means for
the person is `consent.p3p_statements.statement_of`.
"""

from dataclasses import dataclass, field

from consent.dataschema import DataSchema
from consent.expiry import Expiry
from consent.policy_reference import ReferenceFile
from consent.vocabulary import (
    Access,
    Category,
    Purpose,
    RecipientClass,
    Required,
    Retention,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Markup:
    """An element that is carried along and not understood."""

    name: str
    namespace: str
    attributes: tuple[tuple[str, str], ...] = ()
    text: str = ""
    children: tuple["Markup", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """An EXTENSION.

    Attributes:
        place: the name of the element that it stands in.
        optional: whether who does not understand it may go on reading.
        content: what stands in it.
    """

    place: str
    optional: bool = True
    content: tuple[Markup, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PurposeTerm:
    """One purpose, the choice about it, and its text if it is another."""

    purpose: Purpose
    required: Required = Required.ALWAYS
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientTerm:
    """One recipient, the choice about it, and who it is in words."""

    recipient: RecipientClass
    required: Required = Required.ALWAYS
    descriptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTerm:
    """One DATA of a statement.

    Attributes:
        attribute: the element of the schema.
        optional: whether it may be left out.
        categories: its kinds, by the schema or as said.
        base: the schema that it is of, where that is neither the base data
            schema nor the file's own.
        local: whether the file's own schema defines it.
        other: what its ``other-category`` is, in words.
    """

    attribute: str
    optional: bool = False
    categories: frozenset[Category] = frozenset()
    base: str = ""
    local: bool = False
    other: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class P3PStatement:
    """One STATEMENT.

    Attributes:
        consequence: the short explanation that a person is shown.
        non_identifiable: whether NON-IDENTIFIABLE stands in it.
        purposes: its purposes, each once.
        recipients: its recipients, each once.
        retentions: its retention; several only where the file is wrong.
        data: its elements, each once.
        primary: P3P 1.1 primary purposes, which refine ``current``.
        jurisdictions: P3P 1.1: where the recipients are.
        group: P3P 1.1: the STATEMENT-GROUP that it belongs to.
        extensions: what else stands in it.
        line: where it stands.
        column: where it stands.
    """

    consequence: str = ""
    non_identifiable: bool = False
    purposes: tuple[PurposeTerm, ...] = ()
    recipients: tuple[RecipientTerm, ...] = ()
    retentions: tuple[Retention, ...] = ()
    data: tuple[DataTerm, ...] = ()
    primary: tuple[str, ...] = ()
    jurisdictions: tuple[Markup, ...] = ()
    group: str = ""
    extensions: tuple[Extension, ...] = ()
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The mark of who settles a dispute."""

    src: str
    alt: str = ""
    width: str = ""
    height: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """One way to settle a dispute.

    Attributes:
        resolution: ``service``, ``independent``, ``court`` or ``law``.
        service: where to turn to.
        verification: what proves membership.
        short: a description in a few words.
        long: a description.
        image: a mark.
        remedies: ``correct``, ``money``, ``law``.
        extensions: what else stands in it.
    """

    resolution: str = ""
    service: str = ""
    verification: str = ""
    short: str = ""
    long: str = ""
    image: Image | None = None
    remedies: tuple[str, ...] = ()
    extensions: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class P3PPolicy:
    """One POLICY.

    Attributes:
        name: its name; what follows ``#`` in its address.
        discuri: where people read it.
        opturi: where they choose.
        language: of its texts.
        test: whether it must not be acted on.
        expiry: how long it is good for.
        entity: who declares: elements of ``business`` and their values.
        access: what a person may see.
        disputes: how disputes are settled.
        statements: what is done with which data.
        groups: P3P 1.1 STATEMENT-GROUP-DEFs.
        schema: the elements that the policy defines itself.
        extensions: what else stands in it.
        line: where it stands.
        column: where it stands.
    """

    name: str = ""
    discuri: str = ""
    opturi: str = ""
    language: str = ""
    test: bool = False
    expiry: Expiry | None = None
    entity: tuple[tuple[str, str], ...] = ()
    access: Access | None = None
    disputes: tuple[Dispute, ...] = ()
    statements: tuple[P3PStatement, ...] = ()
    groups: tuple[Markup, ...] = ()
    schema: DataSchema = field(default_factory=DataSchema)
    extensions: tuple[Extension, ...] = ()
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class P3PDocument:
    """A P3P file.

    Attributes:
        root: ``META``, ``POLICIES`` or ``POLICY``.
        language: of its texts, where no policy says another.
        expiry: how long its policies are good for.
        policies: its policies, in their order.
        references: which policy is about what; None where it is no META.
    """

    root: str
    language: str = ""
    expiry: Expiry | None = None
    policies: tuple[P3PPolicy, ...] = ()
    references: ReferenceFile | None = None

    def policy(self, name: str) -> P3PPolicy | None:
        """Return the policy of that name, or None."""
        return next((p for p in self.policies if p.name == name), None)
