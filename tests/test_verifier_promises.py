"""The stand-alone verifier on inclusion promises, and on a real instance."""

import json
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse

from api.pages.desk import CAST_NAME
from api.pages.sessions import Sessions
from consent import LedgerSigner
from consent.ledger import Ledger
from consent.promises import sign_promise
from consent.signed_notes import sign_note
from policy import PersonUnknown
from tests.databases import KINDS, Kind
from tests.doors import ASK, at_the_door, body_about
from tests.ledgers import (
    NOON,
    ORIGIN,
    SIGNER,
    VKEY,
    draft,
    make_ledger,
    open_empty,
    person,
)
from tests.test_pending import pend
from tests.test_signed_notes import signer
from tests.test_verifier_complete import Elsewhere, elsewhere
from tests.worlds import STREET, World, build_world

__all__ = ["elsewhere"]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return an empty ledger."""
    return make_ledger(open_empty("sqlite", tmp_path))


def test_a_promise_and_its_proof(ledger: Ledger, elsewhere: Elsewhere) -> None:
    """Alone it says until when; beside the proof, that it was kept."""
    (entry,) = pend(ledger, draft(1))
    (other,) = pend(ledger, draft(1))
    first, second = ledger.promise(entry), ledger.promise(other)
    assert first is not None
    assert second is not None
    ledger.settle()
    papers = [
        elsewhere.write("promise", first),
        elsewhere.write("other", second),
        elsewhere.write(
            "proof.json", ledger.disclosure_proof(0, person(1)[1])
        ),
    ]

    code, report = elsewhere.run(papers[0], "--vkey", VKEY)
    assert 0 == code
    (found,) = report["findings"]
    assert ("promise", None, NOON, NOON + 60) == (
        found["what"],
        found["facts"]["index"],
        found["facts"]["time"],
        found["facts"]["until"],
    )
    code, report = elsewhere.run(*papers, "--vkey", VKEY)
    assert 0 == code
    kept, open_, _ = report["findings"]
    assert (0, "the promise was kept: entry 0") == (
        kept["facts"]["index"],
        kept["says"],
    )
    assert open_["facts"]["index"] is None


def test_a_promise_that_does_not_hold(elsewhere: Elsewhere) -> None:
    """Another key, ledger, number, length or line; and no key at all."""
    good = sign_promise(b"l" * 32, origin=ORIGIN, at=7, signer=SIGNER)
    lines = (good.split("\n\n")[0] + "\n").split("\n")
    assert 0 == elsewhere.run(elsewhere.write("p", good), "--vkey", VKEY)[0]
    assert 2 == elsewhere.run(elsewhere.write("p", good))[0]

    forged = sign_promise(
        b"l" * 32, origin=ORIGIN, at=7, signer=signer(ORIGIN)
    )
    spoiled = [forged, good.replace("\n7\n", "\n8\n")]
    for number, changed in (
        (1, "city.example/log"),
        (2, "AAAA"),
        (3, "07"),
        (3, "x"),
        (4, "-1"),
        (4, "60\nmore"),
    ):
        words = [*lines]
        words[number] = changed
        spoiled.append(str(sign_note("\n".join(words), [SIGNER])))
    papers = [
        elsewhere.write(f"spoiled-{number}", note)
        for number, note in enumerate(spoiled)
    ]
    code, report = elsewhere.run(*papers, "--vkey", VKEY)
    assert 1 == code
    assert [False] * len(papers) == [one["ok"] for one in report["findings"]]


def cookie(world: World, name: str) -> str:
    """The cookie of somebody who is signed in."""
    platform = world.platform
    sessions = Sessions(
        secret=platform.secrets.session,
        secure=False,
        clock=platform.clock,
        random=platform.random,
    )
    answer = PlainTextResponse("")
    sessions.write(answer, sessions.draw(world.cast[name]))
    jar = SimpleCookie(answer.headers["set-cookie"])
    return f"{sessions.cookie}={jar[sessions.cookie].value}"


@pytest.mark.parametrize("kind", KINDS)
def test_the_count_and_all_proofs_of_a_real_person_are_complete(
    tmp_path: Path, elsewhere: Elsewhere, kind: Kind
) -> None:
    """From the page's route to the verifier; one taken out is missed."""
    with build_world(tmp_path / "home", database=kind) as world:
        platform, subject = world.platform, world.cast["consenting"]
        cast = [
            {"subject": str(world.cast[name]), "label": "", "description": ""}
            for name in ("consenting", "erased")
        ]
        (world.home / CAST_NAME).write_text(json.dumps(cast), "utf-8")
        with at_the_door(world) as door:
            for _ in range(2):
                body = body_about(world, "consenting", STREET)
                assert 200 == door.ask(body).status_code
            headers = {"Cookie": cookie(world, "consenting")}
            count = door.client.get("/me/uses/count", headers=headers)
            assert 200 == count.status_code
            assert "no-store" == count.headers["cache-control"]
            own = platform.vault.log_key(platform.vault.holding(subject))
            papers = [
                elsewhere.write(
                    f"proof-{one.index}.json",
                    door.client.get(
                        f"/me/uses/{one.index}/proof", headers=headers
                    ).text,
                )
                for one in platform.ledger.own_entries(own)
            ]
            gone = {"Cookie": cookie(world, "erased")}
            refused = door.client.get("/me/uses/count", headers=gone)
            assert refused.status_code != 200
            stranger = door.client.get(
                "/me/uses/count", follow_redirects=False
            )
            assert stranger.status_code != 200
            assert ASK not in stranger.text
        head = elsewhere.write("head.json", count.text)
        signing = LedgerSigner(
            name=platform.settings.origin, key=platform.secrets.ledger
        )
        key = str(signing.verifier)
        told = json.loads(count.text)["statement"].split("\n")
        assert str(subject) == told[2]
        assert len(papers) == int(told[3]) >= 3

        code, report = elsewhere.run(
            *papers, head, "--vkey", key, "--complete"
        )
        assert 0 == code, report
        assert "are all here" in report["findings"][-1]["says"]
        code, _ = elsewhere.run(*papers[1:], head, "--vkey", key, "--complete")
        assert 1 == code
        with pytest.raises(PersonUnknown):
            platform.eraser.erase(world.cast["erased"])
