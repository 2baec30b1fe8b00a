"""One statement of a declaration, and the flat relation that it stands for.

P3P reads a statement as a product: every purpose, every recipient and the
retention hold for every element of data (P3P 1.0, section 3.3). The relation
follows Yu, Li and Antón, "A formal semantics for P3P": the product within
each statement, then the union over the statements, never the product over
the whole declaration. Two declarations with equal relations say the same,
however they cut their statements.

Where the purpose and the recipient both leave the person a choice, the flow
from one to the other happens only if both are chosen, so a row has the more
careful of the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

from consent.canonical import Json
from consent.elements import categories_of, covers
from consent.terms import BASIS_TERMS, PURPOSE_TERMS
from consent.vocabulary import (
    RECIPIENT_ORDER,
    REQUIRED_ORDER,
    RETENTION_ORDER,
    Category,
    LegalBasis,
    Purpose,
    RecipientClass,
    Required,
    Retention,
    SeparateGround,
    no_wider,
)

UNNAMED = "*"
"""The attribute of a statement that does not say what data it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementPurpose:
    """One purpose, and the choice that the person has about it."""

    purpose: Purpose
    required: Required = Required.ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class DataItem:
    """One element of data that a statement is about.

    Attributes:
        attribute: its name in the data schema.
        optional: whether the purpose can be fulfilled without it.
        categories: what kind of data it is. An element of fixed category
            always has the schema's, whatever is passed here.
    """

    attribute: str
    optional: bool = False
    categories: frozenset[Category] = frozenset()

    def __post_init__(self) -> None:
        fixed = categories_of(self.attribute)
        if fixed:
            object.__setattr__(self, "categories", fixed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuple:
    """One row of the relation: one flow of one kind of data.

    Attributes:
        attribute: the element, or `UNNAMED`.
        purpose: what it is used for.
        recipient: who gets it.
        retention: how long it is kept.
        required: what choice the person has about this flow.
        optional: whether the element is optional.
        category: one category of the element; ``other-category`` where it
            has none, because what is not said may be anything.
        retention_days: a bound in days on the retention, if one is stated.
        basis: why the flow is lawful.
    """

    attribute: str
    purpose: Purpose
    recipient: RecipientClass
    retention: Retention
    required: Required
    optional: bool
    category: Category
    retention_days: int | None
    basis: LegalBasis


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What is done with some data: a P3P STATEMENT, and its legal basis.

    Attributes:
        id: unique within the declaration, stable over its versions.
        purposes: what the data is used for.
        recipients: who gets it, as classes.
        retention: how long it is kept, as a class.
        data: the elements; each attribute once.
        basis: why this is lawful. Only consent is ever asked for.
        retention_days: the bound in days that the class stands for.
        consequence: what the person's answer changes, by language.
        non_identifiable: whether the data is anonymous on collection.
        recipient_choices: recipients about which the person has a choice.
        terms: what this is in shared vocabularies, such as
            ``dpv:DeliveryOfGoods``; see `all_terms` where nothing is said.
        separate: why the declaration asks for this apart, beyond what
            follows from the rest of it.
    """

    id: str
    purposes: tuple[StatementPurpose, ...]
    recipients: tuple[RecipientClass, ...]
    retention: Retention
    data: tuple[DataItem, ...]
    basis: LegalBasis = LegalBasis.CONSENT
    retention_days: int | None = None
    consequence: Mapping[str, str] = field(default_factory=dict)
    non_identifiable: bool = False
    recipient_choices: Mapping[RecipientClass, Required] = field(
        default_factory=dict
    )
    terms: tuple[str, ...] = ()
    separate: tuple[SeparateGround, ...] = ()

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of the statement's data, in its order."""
        return tuple(item.attribute for item in self.data)

    @property
    def essential(self) -> frozenset[str]:
        """The attributes without which the purpose cannot be fulfilled."""
        return frozenset(i.attribute for i in self.data if not i.optional)

    @property
    def all_terms(self) -> tuple[str, ...]:
        """What this is in shared vocabularies, each term once.

        The terms of the legal basis, those of the purposes of P3P, and
        those that the statement names.
        """
        said = (
            *BASIS_TERMS[self.basis],
            *(t for use in self.purposes for t in PURPOSE_TERMS[use.purpose]),
            *self.terms,
        )
        return tuple(dict.fromkeys(said))

    def tuples(self) -> frozenset[Tuple]:
        """Return the product that the statement stands for.

        Returns:
            The rows; data that is not named is one row per flow with the
            attribute `UNNAMED`.
        """
        items = self.data or (DataItem(attribute=UNNAMED),)
        return frozenset(row for item in items for row in self.tuples_of(item))

    def tuples_of(self, item: DataItem) -> tuple[Tuple, ...]:
        """Return the rows of one element, in the order of the statement.

        Args:
            item: an element of this statement.

        Returns:
            One row a purpose, recipient and category.
        """
        return tuple(
            Tuple(
                attribute=item.attribute,
                purpose=use.purpose,
                recipient=recipient,
                retention=self.retention,
                required=self._choice(use.required, recipient),
                optional=item.optional,
                category=category,
                retention_days=self.retention_days,
                basis=self.basis,
            )
            for use, recipient, category in product(
                self.purposes,
                self.recipients,
                sorted(item.categories) or (Category.OTHER,),
            )
        )

    def flows(self) -> list[tuple[Purpose, RecipientClass, Required]]:
        """Return each purpose with each recipient and the choice about it.

        Returns:
            The flows in the order of `tuples_of`, which has each of them
            once a category.
        """
        if not self.recipient_choices:
            return [
                (use.purpose, recipient, use.required)
                for use in self.purposes
                for recipient in self.recipients
            ]
        return [
            (use.purpose, to, self._choice(use.required, to))
            for use in self.purposes
            for to in self.recipients
        ]

    def _choice(self, purpose: Required, to: RecipientClass) -> Required:
        about = self.recipient_choices.get(to, Required.ALWAYS)
        return min(purpose, about, key=REQUIRED_ORDER.index)

    def document(self) -> dict[str, Json]:
        """Return all of the statement as JSON, for digest and storage."""
        # Left out where there is none: digests of before stay as they were.
        apart: dict[str, Json] = (
            {"separate": sorted(self.separate)} if self.separate else {}
        )
        return apart | {
            "id": self.id,
            "basis": self.basis.value,
            "consequence": dict(self.consequence),
            "data": [
                {
                    "attribute": item.attribute,
                    "categories": [c.value for c in sorted(item.categories)],
                    "optional": item.optional,
                }
                for item in self.data
            ],
            "non_identifiable": self.non_identifiable,
            "purposes": [
                {"purpose": use.purpose.value, "required": use.required.value}
                for use in self.purposes
            ],
            "recipients": [
                {
                    "recipient": name.value,
                    "required": self._choice(Required.ALWAYS, name).value,
                }
                for name in self.recipients
            ],
            "retention": self.retention.value,
            "retention_days": self.retention_days,
            # Left out where there are none: older texts keep their digest.
            **({"terms": list(self.terms)} if self.terms else {}),
        }

    def facts(self) -> dict[str, Json]:
        """Return what a decision needs of the statement, as JSON."""
        return {
            "basis": self.basis.value,
            "purposes": [
                {"purpose": use.purpose.value, "required": use.required.value}
                for use in self.purposes
            ],
            "recipients": [name.value for name in self.recipients],
            "retention": self.retention.value,
            "retention_days": self.retention_days,
            "data": {
                item.attribute: {
                    "optional": item.optional,
                    "categories": [c.value for c in sorted(item.categories)],
                }
                for item in self.data
            },
        }


def within(new: Tuple, old: Tuple) -> bool:
    """Say whether who agreed to one row has agreed to another.

    Args:
        new: the row in question.
        old: the row that was agreed to.

    Returns:
        True when `new` is the same flow or a narrower one: no more data, no
        wider recipient, no longer retention, no less choice, not made
        essential, for the same purpose, category and legal basis.
    """
    return (
        new.purpose == old.purpose
        and new.category == old.category
        and new.basis == old.basis
        and covers(old.attribute, new.attribute)
        and no_wider(RECIPIENT_ORDER, new.recipient, old.recipient)
        and no_wider(RETENTION_ORDER, new.retention, old.retention)
        and no_wider(REQUIRED_ORDER, new.required, old.required)
        and _days(new) <= _days(old)
        and (new.optional or not old.optional)
    )


def _days(row: Tuple) -> float:
    return float("inf") if row.retention_days is None else row.retention_days
