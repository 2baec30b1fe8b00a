"""The page of who owes an answer: services, days, and nobody else."""

import asyncio
from pathlib import Path

from api.pages.desk import unanswered
from api.pages.i18n import load_strings
from api.pages.port import Reply
from api.pages.unanswered import PATH
from policy import HappeningKind
from tests.pages_fake import Visitor, fake_desk, make_fake_app
from tests.worlds import build_world


def test_each_service_stands_with_its_days() -> None:
    """What it was told, since when, until when, and how late it is."""
    page = Visitor(make_fake_app(fake_desk())).get(PATH).text

    assert "(days late: 6)" in page
    assert "Consent was withdrawn" in page
    assert "The data was erased" in page
    assert page.count('scope="row"') == len(HappeningKind)


def test_every_happening_has_words() -> None:
    """In both languages, and no two alike."""
    for strings in load_strings().values():
        words = {strings(f"happening.{one}") for one in HappeningKind}
        assert len(HappeningKind) == len(words)


def test_outside_demo_mode_there_is_no_page() -> None:
    """As of every page, until officers can prove who they are."""
    app = make_fake_app(fake_desk(), demo=False)

    assert 404 == Visitor(app).get(PATH).status_code


def test_a_withdrawal_stands_on_it_until_it_is_answered(
    tmp_path: Path,
) -> None:
    """The list is the desk's own: who was told, and of nobody by name."""
    with build_world(tmp_path / "home") as world:
        asked = unanswered(world.platform)
        assert 0 == asyncio.run(asked())[0].days_late
        world.clock.now += 40 * 86_400
        [owed] = asyncio.run(asked())

        assert ("Moving house", "consent.withdrawn", Reply.WAITING) == (
            owed.title["en"],
            owed.kind,
            owed.reply,
        )
        assert owed.days_late >= 1
        for subject in world.cast.values():
            assert str(subject) not in repr(owed)
