"""Synthetic people: as many as wanted, the same for the same seed.

Nobody here can be taken for a real person. Latin names are spelling
alphabet words with surnames such as Sample; Chinese given names are pairs
of the heavenly stems and earthly branches; identity numbers carry correct
check digits (GB 11643, MOD 11-2) under region codes 99xxxx, which are not
assigned; e-mail addresses stand under example.org (RFC 2606); telephone
numbers stand in blocks reserved for fiction or in one repeated block.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_GIVEN = [
    "Alfa",
    "Bravo",
    "Charlie",
    "Delta",
    "Echo",
    "Foxtrot",
    "Golf",
    "Hotel",
    "India",
    "Juliett",
    "Kilo",
    "Lima",
    "Mike",
    "November",
    "Oscar",
    "Papa",
    "Quebec",
    "Romeo",
    "Sierra",
    "Tango",
    "Uniform",
    "Victor",
    "Whiskey",
    "Yankee",
    "Zulu",
]
_FAMILY = [
    "Sample",
    "Example",
    "Specimen",
    "Placeholder",
    "Mockford",
    "Testerly",
    "Fixture",
    "Dummett",
    "Stubbins",
    "Trialson",
    "Proofman",
    "Draftwell",
    "Pilotson",
    "Demonte",
    "Modelman",
]
_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨"
_STEMS = "甲乙丙丁戊己庚辛壬癸"
_BRANCHES = "子丑寅卯辰巳午未申酉戌亥"
_PLACES = (
    ("Northbank", "North", "10"),
    ("Southgate", "South", "20"),
    ("Eastfield", "East", "30"),
    ("Westbridge", "West", "40"),
    ("Midton", "Centre", "50"),
)
_PLACES_ZH = (
    ("样例市", "样例省", "91"),
    ("测试市", "测试省", "92"),
    ("示范市", "示范省", "93"),
)
_STREETS = ("Sample Street", "Example Road", "Specimen Lane", "Test Avenue")
_STREETS_ZH = ("样例路", "测试街", "示范大道", "试验巷")
_EDUCATION = ("primary", "secondary", "vocational", "bachelor", "master")
_MARITAL = ("single", "married", "divorced", "widowed")
_JOBS = ("clerk", "driver", "teacher", "nurse", "engineer", "retired")
_BENEFIT = ("none", "housing", "family", "disability")
_NOTES = (
    (
        "{name} called from {phone} about the {benefit} benefit. Confirmed "
        "the identity number {identity} and asked for a letter to {email}."
    ),
    (
        "Visit at the counter. {name}, born {born}, lives at {street}, "
        "{city}. Wants the reminder by e-mail ({email})."
    ),
    (
        "Complaint about a late payment, taken by telephone ({phone}). "
        "{name} will send proof of income. No further action."
    ),
)
_NOTES_ZH = (
    (
        "{name}来电{phone}咨询{benefit}补贴，已核对身份证号{identity}，"
        "回信寄{email}。"
    ),
    "窗口办理：{name}，{born}出生，现住{city}{street}，请发邮件至{email}。",
    "电话投诉付款延迟（{phone}），{name}将补交收入证明，暂无后续。",
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticPerson:
    """One made-up person: the language of their name, and their values."""

    language: str
    values: Mapping[str, str]


def identity_number(region: int, born: str, serial: int) -> str:
    """A resident identity number with its check character.

    Args:
        region: six digits.
        born: ``YYYY-MM-DD``.
        serial: 0 to 999; odd for men.

    """
    body = f"{region:06d}{born.replace('-', '')}{serial:03d}"
    total = sum(
        weight * int(digit)
        for weight, digit in zip(_WEIGHTS, body, strict=True)
    )
    return body + _CHECK[total % 11]


def synthetic_people(count: int, *, seed: int) -> Iterator[SyntheticPerson]:
    """Yield `count` people; every third has a Chinese name."""
    source = random.Random(seed)  # noqa: S311 - synthetic people, not keys
    for number in range(count):
        chinese = number % 3 == 2
        yield _person(source, number, chinese=chinese)


def _person(
    source: random.Random, number: int, *, chinese: bool
) -> SyntheticPerson:
    male = source.random() < 0.5
    year = min(2007, max(1930, round(source.gauss(1975, 18))))
    born = f"{year}-{source.randint(1, 12):02d}-{source.randint(1, 28):02d}"
    # Region and serial are spread by the number, so all are distinct.
    region = 990001 + number // 450
    serial = number % 450 * 2 + (1 if male else 0)
    given, family = _name(source, chinese=chinese)
    city, state, code = source.choice(_PLACES_ZH if chinese else _PLACES)
    house = source.randint(1, 180)
    street = source.choice(_STREETS_ZH if chinese else _STREETS)
    phone = (
        f"+8619900{number % 1000000:06d}"
        if chinese
        else f"+447700900{number % 1000:03d}"
    )
    income = max(0, round(source.lognormvariate(10.2, 0.6) / 100) * 100)
    facts = {
        "name": family + given if chinese else f"{given} {family}",
        "phone": phone,
        "identity": identity_number(region, born, serial),
        "email": f"person{number:06d}@example.org",
        "born": born,
        "street": f"{street}{house}号" if chinese else f"{house} {street}",
        "city": city,
        "benefit": source.choice(_BENEFIT),
    }
    note = source.choice(_NOTES_ZH if chinese else _NOTES).format(**facts)
    return SyntheticPerson(
        language="zh-Hans" if chinese else "en",
        values={
            "user.name.given": given,
            "user.name.family": family,
            "user.bdate": born,
            "user.gender": "male" if male else "female",
            "user.identity.number": facts["identity"],
            "user.home-info.postal.street": facts["street"],
            "user.home-info.postal.city": city,
            "user.home-info.postal.stateprov": state,
            "user.home-info.postal.postalcode": (
                f"{code}{source.randint(0, 9999):04d}"
            ),
            "user.home-info.postal.country": "ZZ",
            "user.home-info.telecom.mobile": phone,
            "user.home-info.online.email": facts["email"],
            "user.jobtitle": source.choice(_JOBS),
            "user.marital-status": source.choice(_MARITAL),
            "user.education": source.choice(_EDUCATION),
            "user.household.size": str(source.randint(1, 6)),
            "user.income.annual": str(income),
            "user.benefit.status": facts["benefit"],
            "user.case.note": note,
        },
    )


def _name(source: random.Random, *, chinese: bool) -> tuple[str, str]:
    if chinese:
        given = source.choice(_STEMS) + source.choice(_BRANCHES)
        return given, source.choice(_SURNAMES)
    return source.choice(_GIVEN), source.choice(_FAMILY)
