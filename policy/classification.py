"""How each attribute is classified, and how the gate makes it coarser.

Three facts about an attribute reach the policies and never its value:

- `sensitivity`: 1 ordinary, 2 identifying or financial, 3 a special
  category (GDPR article 9, PIPL article 28);
- `levels`: how many steps coarser the gate can make it (0: all or nothing);
- `role`: what it is in an extract (`direct` identifiers never leave).

A generalization is a pure function of the canonical text. It never looks
more than one attribute wide, so that what it keeps can be read off here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

Generalization = Callable[[str], str]


class Role(StrEnum):
    """What an attribute is in an extract."""

    DIRECT = "direct"
    QUASI = "quasi"
    SENSITIVE = "sensitive"
    TEXT = "text"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """One attribute's class; `steps[n - 1]` makes level n of it.

    `legal_days` is how long a law has the value kept, counted from the day
    of its recording; it goes before what declarations say.
    """

    sensitivity: int
    role: Role
    steps: tuple[Generalization, ...] = ()
    legal_days: int | None = None

    @property
    def levels(self) -> int:
        """How many levels of generalization there are."""
        return len(self.steps)


def month(date: str) -> str:
    """``1987-04-23`` becomes ``1987-04``."""
    return date[:7]


def year(date: str) -> str:
    """``1987-04-23`` becomes ``1987``."""
    return date[:4]


def decade(date: str) -> str:
    """``1987-04-23`` becomes ``1980-1989``."""
    return f"{date[:3]}0-{date[:3]}9"


def band(width: int) -> Generalization:
    """Integers in bands of `width`: with 10, ``37`` becomes ``30-39``."""

    def step(number: str) -> str:
        low = int(number) // width * width
        return f"{low}-{low + width - 1}"

    return step


def prefix(length: int) -> Generalization:
    """The first `length` characters, then an asterisk."""

    def step(text: str) -> str:
        return f"{text[:length]}*"

    return step


def initial(text: str) -> str:
    """The first character and a full stop."""
    return f"{text[:1]}."


def domain(email: str) -> str:
    """``name@example.org`` becomes ``*@example.org``."""
    return f"*@{email.rpartition('@')[2]}"


def last_four(text: str) -> str:
    """Asterisks and the last four characters."""
    return f"{'*' * max(len(text) - 4, 4)}{text[-4:]}"


def _direct(*steps: Generalization, sensitivity: int = 2) -> Classification:
    return Classification(
        sensitivity=sensitivity, role=Role.DIRECT, steps=steps
    )


def _quasi(*steps: Generalization, sensitivity: int = 1) -> Classification:
    return Classification(
        sensitivity=sensitivity, role=Role.QUASI, steps=steps
    )


def _sensitive(*steps: Generalization, sensitivity: int = 2) -> Classification:
    return Classification(
        sensitivity=sensitivity, role=Role.SENSITIVE, steps=steps
    )


def _other(*steps: Generalization) -> Classification:
    return Classification(sensitivity=1, role=Role.OTHER, steps=steps)


def _text() -> Classification:
    return Classification(sensitivity=3, role=Role.TEXT)


def standard_classification() -> Mapping[str, Classification]:
    """Classify every attribute of the vault's standard catalogue.

    A test holds the two lists equal, so that a new attribute cannot enter
    the vault without somebody having said how delicate it is.
    """
    return {
        **_names_and_contacts(),
        **_identifiers(),
        **_circumstances(),
        **_special_categories(),
    }


def _names_and_contacts() -> dict[str, Classification]:
    found = {
        "user.name.prefix": _direct(sensitivity=1),
        "user.name.given": _direct(initial, sensitivity=1),
        "user.name.middle": _direct(initial, sensitivity=1),
        "user.name.family": _direct(initial, sensitivity=1),
        "user.name.suffix": _direct(sensitivity=1),
        "user.name.nickname": _direct(sensitivity=1),
        "user.home-info.postal.organization": _direct(sensitivity=1),
        "user.home-info.telecom.telephone": _direct(last_four),
        "user.home-info.telecom.mobile": _direct(last_four),
        "user.home-info.telecom.fax": _direct(last_four),
        "user.home-info.online.uri": _direct(),
        "user.business-info.telecom.telephone": _direct(last_four),
        "user.business-info.online.email": _direct(domain),
        "user.home-info.online.email": _direct(domain),
    }
    for place in ("home-info", "business-info"):
        postal = f"user.{place}.postal"
        found |= {
            f"{postal}.street": _direct(),
            f"{postal}.city": _quasi(),
            f"{postal}.stateprov": _quasi(),
            f"{postal}.postalcode": _quasi(prefix(4), prefix(2)),
            f"{postal}.country": _quasi(),
        }
    return found


def _identifiers() -> dict[str, Classification]:
    return {
        "user.identity.number": _direct(last_four),
        "user.identity.passport": _direct(last_four),
        "user.tax.number": _direct(last_four),
        "user.vehicle.registration": _direct(last_four),
        "user.bank.account": _direct(last_four),
        "user.property.address": _direct(),
        "user.identifier.phone": _direct(last_four),
        "user.identifier.email": _direct(domain),
        "user.identifier.account": _direct(),
        "user.identifier.card": _direct(last_four),
    }


def _circumstances() -> dict[str, Classification]:
    return {
        "user.bdate": _quasi(month, year, decade),
        "user.age": _quasi(band(5), band(10), band(20)),
        "user.gender": _quasi(),
        "user.nationality": _quasi(),
        "user.marital-status": _quasi(),
        "user.education": _quasi(),
        "user.workclass": _quasi(),
        "user.occupation": _quasi(),
        "user.jobtitle": _quasi(),
        "user.employer": _quasi(sensitivity=2),
        "user.department": _quasi(),
        "user.household.size": _quasi(band(3)),
        "user.household.role": _quasi(),
        "user.income.annual": _sensitive(band(10000), band(50000)),
        "user.income.source": _sensitive(),
        "user.salary-class": _sensitive(),
        "user.benefit.status": _sensitive(),
        "user.benefit.kind": _sensitive(),
        "user.benefit.amount": _sensitive(band(1000)),
        "user.pension.status": _sensitive(),
        "user.property.value": _sensitive(band(50000)),
        "user.case.status": _other(),
        "user.language": _other(),
        "user.interests": _other(),
        "user.life-event": _sensitive(),
    }


def _special_categories() -> dict[str, Classification]:
    return {
        "user.race": _quasi(sensitivity=3),
        "user.religion": _sensitive(sensitivity=3),
        "user.health.disability": _sensitive(sensitivity=3),
        "user.health.note": _text(),
        "user.case.note": _text(),
    }
