"""What a release is to be: the specification of an extract.

It comes from the policy decision on a release, or from a YAML file for the
command line. A column that it does not name is refused, not left out: who
adds a column to a table must decide what it is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from anonymize.criteria import Criteria
from anonymize.csvfile import DELIMITERS, guarded
from anonymize.dates import MOST_DAYS
from anonymize.errors import InvalidSpec
from anonymize.hierarchies import Hierarchy
from anonymize.models import OfPeople, OfValues
from anonymize.population import Population
from anonymize.roles import Role

PSEUDONYM = "pseudonym"
"""Name of the column that holds pseudonyms."""
LANGUAGES = frozenset({"en", "zh"})
"""Languages that free text is searched in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractSpec:
    """The terms of one release to one recipient.

    Attributes:
        columns: the role of every column but `person`, in the order of
            publication.
        hierarchies: the hierarchy of each quasi-identifier.
        k: smallest class, in rows.
        l: fewest distinct values of each sensitive column in a class.
        suppression_limit: share of the rows that may be left out.
        models: privacy models beside k and distinct l.
        of_people: models of the people that a label matches, which need the
            population.
        population: the people that those of the table are among.
        k_alone: why nothing but k is asked of a table that has sensitive
            columns.
        fast: form the classes in the way that is best for its time, rather
            than in several, of which the best is taken.
        weights: how much the labels of a quasi-identifier matter beside
            those of others, 1 where none is given; above 0.
        sets: publish intervals and sets of the values that occur in a
            class, rather than labels of the hierarchies.
        recipient: label of who receives the extract.
        purpose: label of what it is for.
        person: the column that holds an opaque key of the person, one row
            a person; it never leaves.
        pseudonym_key: derived key of 32 bytes or more, under which people
            are named in the column `pseudonym`; None publishes no names.
        entities: for a column of the same row the label that its value gets
            where it occurs in free text, such as PERSON. Direct identifiers
            without one have IDENTIFIER.
        language: language of free text, ``en`` or ``zh``.
        shift_dates: dates in free text move by up to so many days, each
            person's by a number of their own (`dates`); 0 labels them.
        delimiter: what stands between the cells of files.
    """

    columns: Mapping[str, Role]
    hierarchies: Mapping[str, Hierarchy]
    k: int
    l: int = 1  # noqa: E741 - the literature's own name for it
    suppression_limit: float = 0.0
    models: tuple[OfValues, ...] = ()
    of_people: tuple[OfPeople, ...] = ()
    population: Population | None = field(default=None, repr=False)
    k_alone: str = ""
    fast: bool = False
    weights: Mapping[str, float] = field(default_factory=dict)
    sets: bool = False
    recipient: str
    purpose: str = ""
    person: str | None = None
    pseudonym_key: bytes | None = field(default=None, repr=False)
    entities: Mapping[str, str] = field(default_factory=dict)
    language: str = "en"
    shift_dates: int = 0
    delimiter: str = ","

    def __post_init__(self) -> None:
        """Refuse terms that contradict one another."""
        for fault in self._faults():
            raise InvalidSpec(fault)
        _ = self.criteria

    @property
    def criteria(self) -> Criteria:
        """k, l and the suppression limit."""
        return Criteria(
            k=self.k, l=self.l, suppression_limit=self.suppression_limit
        )

    def of_role(self, role: Role) -> tuple[str, ...]:
        """Return the columns of a role, in order of publication."""
        return tuple(name for name, is_ in self.columns.items() if is_ is role)

    def _faults(self) -> list[str]:
        return [*self._column_faults(), *self._other_faults()]

    def _column_faults(self) -> list[str]:
        faults = []
        quasi = {*self.of_role(Role.QUASI)}
        if quasi != {*self.hierarchies}:
            names = ", ".join(sorted(quasi ^ {*self.hierarchies}))
            faults.append(
                "each quasi-identifier has one hierarchy and no other column "
                f"has any; at fault: {names}"
            )
        if not any(role.published for role in self.columns.values()):
            faults.append("no column would be published")
        if self.l > 1 and not self.of_role(Role.SENSITIVE):
            faults.append("l is asked for, but no column is sensitive")
        if {model.column for model in self.models} - {
            *self.of_role(Role.SENSITIVE)
        }:
            faults.append(
                "a privacy model is of a column that is not sensitive"
            )
        if self.of_people and self.population is None:
            faults.append("a model of people needs the population")
        if self.population is not None and self.population.columns != (
            self.of_role(Role.QUASI)
        ):
            faults.append("the population has the quasi-identifiers, in order")
        if {*self.weights} - quasi or not all(
            0 < each < math.inf for each in self.weights.values()
        ):
            faults.append("a weight is above 0 and of a quasi-identifier")
        if {*self.entities} - {*self.columns}:
            faults.append("an entity is given to a column that is not there")
        return faults

    def _other_faults(self) -> list[str]:
        faults = []
        if self.delimiter not in DELIMITERS:
            faults.append("the delimiter is one of , ; | and tab")
        if self.language not in LANGUAGES:
            faults.append("the language is en or zh")
        if not 0 <= self.shift_dates <= MOST_DAYS:
            faults.append(f"dates move by at most {MOST_DAYS} days")
        if self.shift_dates and self.pseudonym_key is None:
            faults.append("dates move under a pseudonym key: there is none")
        if not self.recipient:
            faults.append("a release has a recipient")
        if self.person == "" or not all(
            name and guarded(name) == name and "\0" not in name
            for name in self.columns
        ):
            faults.append(
                "every column has a name, which a spreadsheet does not take "
                "for a formula"
            )
        if self.person in self.columns:
            faults.append("the person's column has no role: it never leaves")
        if self.pseudonym_key is not None and self.person is None:
            faults.append("pseudonyms need the person's column")
        if self.pseudonym_key is not None and PSEUDONYM in self.columns:
            faults.append(f"the column name {PSEUDONYM} is taken")
        return faults
