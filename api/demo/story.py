"""The story that the demo tells, scene by scene, on a filled instance.

Every scene does the real thing through the real doors and prints what came
of it. A scene that did not end as it must raises `StoryError`, so a demo
that ran to its end is also a test.
"""

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
)
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import consent
from api.bootstrap import bootstrap
from api.demo.world import World, officer
from api.pages.desk import GateDesk
from api.pages.port import ReceiptForm
from api.platform import Platform
from consent import EventType, LedgerInconsistent, render_notice
from policy import (
    AccessRequest,
    Answer,
    ByIdentifier,
    Caller,
    CallerKind,
    Disclosure,
    Effect,
    ReleaseRequest,
)

EIGHT = (
    "user.name.given",
    "user.name.family",
    "user.home-info.postal.street",
    "user.home-info.postal.city",
    "user.home-info.postal.postalcode",
    "user.bdate",
    "user.home-info.telecom.mobile",
    "user.income.annual",
)
COLUMNS = (
    "user.bdate",
    "user.gender",
    "user.home-info.postal.postalcode",
    "user.household.size",
    "user.benefit.status",
    "user.case.note",
)
_PAST = {
    "release": "released",
    "generalize": "made coarser",
    "withhold": "withheld",
}
_SHOWN = 4
SERVICE, PURPOSE = "moving-house", "address-change"
Progress = Callable[[str, int, int], None]


class StoryError(Exception):
    """A scene did not end as it must."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """Where the story is told: the platform, its people, the terminal."""

    platform: Platform
    world: World
    console: Console
    bars: Callable[[], AbstractContextManager[Progress]]
    facts: dict[str, Any] = field(default_factory=dict)

    def title(self, number: int, text: str) -> None:
        """Announce a scene."""
        self.console.print()
        self.console.print(f"{number}. {text}", style="bold")


async def tell(stage: Stage) -> Mapping[str, Any]:
    """Tell the whole story; returns its figures."""
    scenes: tuple[Callable[[Stage], Awaitable[None]], ...] = (
        a_service_asks,
        the_person_withdraws,
        an_extract_is_taken,
        evidence_is_verified_offline,
        the_ledger_verifies,
        one_byte_is_changed,
    )
    async with stage.platform.running():
        for scene in scenes:
            await scene(stage)
    return stage.facts


async def ask(stage: Stage) -> Disclosure:
    """Ask for eight attributes, as the moving-house service."""
    return await stage.platform.gate.disclose(
        AccessRequest(
            tenant=stage.platform.settings.tenant,
            service=SERVICE,
            purpose=PURPOSE,
            attributes=EIGHT,
            person=ByIdentifier(
                attribute="user.identity.number",
                value=stage.world.hero_number,
            ),
            understands=frozenset({"delete_by", "notify", "mask"}),
            assurance=2,
        )
    )


async def a_service_asks(stage: Stage) -> None:
    """Scene 1: some released, some generalized, some withheld."""
    stage.title(1, "A service asks for eight attributes of one person")
    answer = await ask(stage)
    await _show(stage, answer)
    effects = {one.effect for one in answer.attributes}
    if effects != set(Effect):
        msg = "the first answer should release, generalize and withhold"
        raise StoryError(msg)
    stage.facts["disclosure"] = answer.ledger_index


async def the_person_withdraws(stage: Stage) -> None:
    """Scene 2: the same request, after the consents are withdrawn."""
    stage.title(2, "The person withdraws, and the service asks again")
    platform, hero = stage.platform, stage.world.hero
    declaration = platform.consents.declaration(SERVICE, PURPOSE)
    if declaration is None:
        msg = "the moving-house service is not declared"
        raise StoryError(msg)
    for statement in declaration.statements:
        event = await platform.person.answer(
            Caller(kind=CallerKind.PERSON, id=str(hero)),
            hero,
            Answer(
                service=SERVICE,
                purpose=PURPOSE,
                statement=statement.id,
                type=EventType.WITHDRAWN,
                attributes=(),
                declaration=declaration.digest,
                notice=render_notice(declaration, "en").digest,
                language="en",
            ),
        )
        stage.facts["withdrawal"] = event.id
    answer = await ask(stage)
    await _show(stage, answer)
    if any(one.value is not None for one in answer.attributes):
        msg = "something was released after the withdrawal"
        raise StoryError(msg)


async def an_extract_is_taken(stage: Stage) -> None:
    """Scene 3: k = 5, asked by one officer and taken by another."""
    stage.title(3, "An officer takes a de-identified extract (k = 5)")
    desk = stage.platform.releases
    release = await desk.request(
        officer("analyst-1", "analyst"),
        ReleaseRequest(
            service="statistics-office",
            purpose="population-statistics",
            recipient="statistics-office",
            columns=COLUMNS,
            k=5,
            l=2,
            sensitive="user.benefit.status",
        ),
    )
    folder = stage.platform.settings.home / "extract"
    with stage.bars() as progress:
        taken = await desk.take(
            officer("compliance-officer", "compliance"),
            release,
            folder,
            progress=progress,
        )
    table = Table("risk report", "", box=SIMPLE_HEAD)
    for label, value in (
        ("people asked for / left out", f"{taken.rows_in} / {taken.left_out}"),
        ("rows published", taken.rows_out),
        ("smallest class (k)", taken.k),
        ("fewest sensitive values in a class (l)", taken.l),
        ("highest risk of a match", f"{taken.highest_risk:.3f}"),
        ("average risk of a match", f"{taken.average_risk:.3f}"),
        ("information lost (NCP)", f"{taken.ncp:.3f}"),
        ("manifest, in the ledger", f"{taken.manifest[:16]}…"),
    ):
        table.add_row(label, str(value))
    stage.console.print(table)
    stage.console.print(f"Files: {folder}/data.csv, report.md, manifest.json")
    stage.facts["extract"] = {"k": taken.k, "rows": taken.rows_out}


async def evidence_is_verified_offline(stage: Stage) -> None:
    """Scene 4: a receipt and a disclosure proof, with public keys alone."""
    stage.title(4, "A receipt and a proof are verified offline")
    platform, hero = stage.platform, stage.world.hero
    desk = GateDesk(platform)
    receipt = await desk.receipt(
        hero, stage.facts["withdrawal"], ReceiptForm.ISO
    )
    use = await desk.usage_receipt(hero, stage.facts["disclosure"])
    proof = await desk.proof(hero, stage.facts["disclosure"])
    folder = platform.settings.home / "evidence"
    folder.mkdir()
    (folder / "receipt.jws").write_text(receipt, "ascii")
    (folder / "use.jws").write_text(use, "ascii")
    (folder / "proof.json").write_text(proof, "utf-8")
    (folder / "receipts.pem").write_bytes(
        platform.secrets.receipt.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
    )
    verifier = Path(consent.__file__).with_name("verifier.py")
    ledger = ("--vkey", platform.ledger_vkey)
    for arguments in (
        ("proof.json", *ledger),
        ("receipt.jws", "--receipt-key", "receipts.pem", *ledger),
        ("use.jws", "--receipt-key", "receipts.pem", *ledger),
    ):
        _verify_elsewhere(stage, verifier, folder, arguments)


async def the_ledger_verifies(stage: Stage) -> None:
    """Scene 5: every leaf and root, recomputed."""
    stage.title(5, "The ledger verifies")
    with stage.bars() as progress:
        verified = stage.platform.ledger.verify(
            lambda done, total: progress("ledger entries", done, total)
        )
    stage.console.print(
        f"{verified.size} entries, every leaf and root recomputed: "
        f"root {verified.root.hex()[:32]}…"
    )
    stage.facts["entries"] = verified.size


async def one_byte_is_changed(stage: Stage) -> None:
    """Scene 6: a copy of the database with one byte changed is found out."""
    stage.title(6, "One byte is changed in a copy of the database file")
    platform = stage.platform
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        _copy(platform, home)
        place = _flip(home / "data" / "data.db", stage.facts["disclosure"])
        copied = bootstrap(
            platform.settings.model_copy(update={"home": home}),
            clock=platform.clock,
        )
        try:
            copied.ledger.verify(lambda _done, _total: None)
        except LedgerInconsistent as found:
            stage.console.print(f"byte {place} flipped: found, {found}")
        else:
            msg = "a changed byte was not found"
            raise StoryError(msg)
        finally:
            copied.close()


async def _show(stage: Stage, answer: Disclosure) -> None:
    """The service's view, with the person's view of the entry beside it."""
    platform, hero = stage.platform, stage.world.hero
    page = await GateDesk(platform).own_uses(hero, None, 1)
    own = {one.attribute: one for one in page.entries[0].attributes}
    table = Table(
        "attribute", "the service sees", "the person sees", box=SIMPLE_HEAD
    )
    for one in answer.attributes:
        told = one.value if one.value is not None else f"({one.reason})"
        seen = own[one.attribute]
        table.add_row(
            one.attribute.removeprefix("user."),
            told,
            f"{_PAST[seen.effect.value]}: "
            f"{platform.reasons.text(seen.reason, 'en')}",
        )
    stage.console.print(table)
    stage.console.print(
        f"Ledger entry {answer.ledger_index} was durable before the answer."
    )


def _verify_elsewhere(
    stage: Stage, verifier: Path, folder: Path, arguments: tuple[str, ...]
) -> None:
    """Run the stand-alone verifier in a folder that holds the files alone."""
    with tempfile.TemporaryDirectory() as name:
        elsewhere = Path(name)
        shutil.copy(verifier, elsewhere / "verifier.py")
        for file in folder.iterdir():
            shutil.copy(file, elsewhere)
        done = subprocess.run(  # noqa: S603 - our own file, our own arguments
            (sys.executable, "-I", "verifier.py", *arguments),
            cwd=elsewhere,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        msg = f"{arguments[0]} did not verify: {done.stderr or done.stdout}"
        raise StoryError(msg)
    lines = done.stdout.strip().splitlines()
    stage.console.print("\n".join(lines[:_SHOWN]), markup=False)


def _copy(platform: Platform, home: Path) -> None:
    """Copy an instance as an operator would: databases, keys, secrets."""
    source = platform.settings.home
    for part in ("keys", "kek", "secrets", "journal"):
        shutil.copytree(source / part, home / part)
    target = home / "data" / "data.db"
    target.parent.mkdir()
    with (
        closing(sqlite3.connect(source / "data" / "data.db")) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)


def _flip(path: Path, index: int) -> int:
    """Flip one bit, in the file, of what an entry sealed for its person."""
    with closing(sqlite3.connect(path)) as database:
        (sealed,) = database.execute(
            "SELECT own FROM ledger_entry WHERE idx = ?", (index,)
        ).fetchone()
    content = bytearray(path.read_bytes())
    place = content.find(sealed[-32:])
    if place < 0:
        msg = f"entry {index} does not stand in one piece"
        raise StoryError(msg)
    content[place] ^= 1
    path.write_bytes(content)
    return place
