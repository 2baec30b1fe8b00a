"""Fills a new instance with people, services, preferences and answers.

Everything is drawn from one seed but the ids and keys, which are random as
in any instance. People enter through the registrar's door, as any import
does; their answers enter as paper forms.
"""

import asyncio
import itertools
import json
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from api.demo.people import SyntheticPerson, synthetic_people
from api.platform import Platform
from consent import (
    PRESETS,
    Behavior,
    ConsentEvent,
    Declaration,
    EventType,
    LegalBasis,
    Preferences,
    Rule,
    load_yaml,
    render_notice,
)
from policy import Caller, CallerKind, Form

SOURCE = "population-register"
BATCH = 500
HERO = 0
"""Who the story is about: the first person of the register."""

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the demo made: its people, in the order of the generator."""

    subjects: tuple[UUID, ...]
    hero: UUID
    hero_number: str
    credentials: dict[str, tuple[str, str]]


def officer(name: str, *roles: str) -> Caller:
    """An officer of the demo, named by what they do."""
    return Caller(kind=CallerKind.OFFICER, id=name, roles=roles)


def declarations() -> Iterator[Declaration]:
    """The demo's declarations, in the order of their file names."""
    for path in sorted((Path(__file__).parent / "declarations").iterdir()):
        yield load_yaml(path.read_bytes(), where=path.name)


def fill_vault(
    platform: Platform, count: int, seed: int, progress: Progress
) -> tuple[list[UUID], list[SyntheticPerson]]:
    """Admit `count` synthetic people, in batches with an entry each."""
    asyncio.run(
        platform.registrar.may_import(officer("registrar", "registrar"))
    )
    subjects: list[UUID] = []
    everybody: list[SyntheticPerson] = []
    people = synthetic_people(count, seed=seed)
    while batch := list(itertools.islice(people, BATCH)):
        admitted = platform.registrar.admit_now(
            [one.values for one in batch], source=SOURCE
        )
        subjects.extend(admitted.subjects)
        everybody.extend(batch)
        progress(len(batch))
    return subjects, everybody


def register_services(platform: Platform) -> dict[str, tuple[str, str]]:
    """Publish every declaration, by two, and make a credential for each."""
    credentials = {}
    for one in declarations():
        asyncio.run(_publish(platform, one))
        credentials[one.service] = platform.credentials.issue(
            service=one.service, purpose=one.purpose, assurance=2
        )
    return credentials


async def _publish(platform: Platform, declaration: Declaration) -> None:
    number = await platform.declarations.propose(
        officer("registrar", "registrar"), declaration
    )
    await platform.declarations.approve(
        officer("compliance-officer", "compliance"), number
    )


def enter_forms(
    platform: Platform,
    subjects: list[UUID],
    people: list[SyntheticPerson],
    seed: int,
    progress: Progress,
) -> int:
    """Record everybody's preferences and answers; returns the entries."""
    source = random.Random(seed + 1)  # noqa: S311 - synthetic answers
    asked = [
        (one, statement.id)
        for one in declarations()
        for statement in one.statements
        if statement.basis is LegalBasis.CONSENT
    ]
    now = platform.clock()
    written = 0
    numbered = iter(enumerate(zip(subjects, people, strict=True)))
    while batch := list(itertools.islice(numbered, BATCH)):
        forms = [
            hero_form(subject, now)
            if number == HERO
            else _form(subject, person.language, asked, source, now)
            for number, (subject, person) in batch
        ]
        written += platform.registrar.enter_forms_now(forms)
        progress(len(batch))
    return written


def hero_form(subject: UUID, now: int) -> Form:
    """The answers that the story needs: yes to moving house, with rules."""
    answers = [
        _event(one, statement.id, subject, EventType.GIVEN, "en", now)
        for one in declarations()
        if one.service == "moving-house"
        for statement in one.statements
    ]
    return Form(
        subject=subject,
        answers=tuple(answers),
        preferences=Preferences(
            rules=(
                Rule(
                    id="only-my-birth-year",
                    behavior=Behavior.LIMIT,
                    level=2,
                    attributes=("user.bdate",),
                ),
                Rule(
                    id="no-calls",
                    behavior=Behavior.REFUSE,
                    attributes=("user.home-info.telecom",),
                ),
                Rule(id="otherwise-yes", behavior=Behavior.ALLOW),
            )
        ),
    )


def write_cast(path: Path, subjects: list[UUID]) -> None:
    """Name the people who may be chosen at sign-in."""
    roles = (
        ("Moved house last week", "上周刚搬家"),
        ("Answered on paper", "曾以纸质表格答复"),
        ("Chinese-language letters", "使用中文信函"),
        ("Claims housing benefit", "申请住房补贴"),
        ("Borrows books", "经常借书"),
        ("Never answered anything", "从未作答"),
    )
    cast = [
        {
            "subject": str(subject),
            "label": {
                "en": f"Person {number + 1:04d}",
                "zh-Hans": f"人员 {number + 1:04d}",
            },
            "description": {"en": english, "zh-Hans": chinese},
        }
        for number, (subject, (english, chinese)) in enumerate(
            zip(subjects, roles, strict=False)
        )
    ]
    path.write_text(json.dumps(cast, ensure_ascii=False), "utf-8")


def _form(
    subject: UUID,
    language: str,
    asked: list[tuple[Declaration, str]],
    source: random.Random,
    now: int,
) -> Form:
    answers = []
    for declaration, statement in asked:
        drawn = source.random()
        if drawn < 0.2:
            kind = EventType.GIVEN
        elif drawn < 0.3:
            kind = EventType.REFUSED
        else:
            continue
        answers.append(
            _event(declaration, statement, subject, kind, language, now)
        )
    preset = source.choice((*PRESETS, None, None, None, None))
    return Form(
        subject=subject,
        answers=tuple(answers),
        preferences=None if preset is None else PRESETS[preset],
    )


def _event(  # noqa: PLR0917 - the parts of one answer
    declaration: Declaration,
    name: str,
    subject: UUID,
    kind: EventType,
    language: str,
    now: int,
) -> ConsentEvent:
    statement = declaration.statement(name)
    given = kind is EventType.GIVEN
    return ConsentEvent(
        id=uuid.uuid4(),
        subject=subject,
        service=declaration.service,
        purpose=declaration.purpose,
        statement=name,
        declaration=declaration.digest,
        notice=render_notice(declaration, language).digest,
        language=language,
        type=kind,
        attributes=statement.attributes if given and statement else (),
        at=now,
        actor="self",
        channel="paper",
    )
