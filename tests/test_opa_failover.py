"""Several OPA servers: one answers; what was decided is not asked again."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from policy import FailoverPdp
from policy.opa import OpaPdp, Patience
from policy.pdp import Cause, NoDecision
from tests.test_opa import (
    CALM,
    PATH,
    PROVENANCE,
    REVISION,
    answer,
    decided,
    free_port,
    served,
)

BROKEN = {
    "down": (b"", Cause.DOWN),
    "503": (answer({}, "503 Service Unavailable"), Cause.DOWN),
    "another bundle": (
        answer(
            {"result": {}, "provenance": {"bundles": {"b": {"revision": "2"}}}}
        ),
        Cause.WRONG_REVISION,
    ),
}
FINAL = {
    "undefined": (decided(), Cause.UNDEFINED),
    "500": (answer({}, "500 X"), Cause.EVALUATION_ERROR),
    "self-made": (answer({"result": True}), Cause.WRONG_REVISION),
    "malformed": (decided(result=[]), Cause.MALFORMED),
}


def servers(urls: Sequence[str], patience: Patience = CALM) -> FailoverPdp:
    """Make a decision point over these addresses."""
    return FailoverPdp(
        [
            OpaPdp(url=url, revision=REVISION, patience=patience)
            for url in urls
        ],
        seconds=120.0,
    )


@pytest.mark.parametrize("case", BROKEN)
def test_the_next_server_answers(case: str) -> None:
    """One that is down or on another bundle is passed over, and stays so."""
    reply, _cause = BROKEN[case]
    seen: list[bytes] = []

    async def ask() -> list[object]:
        async with (
            served([reply] * 9, seen) as broken,
            served([decided(result={"n": n}) for n in range(3)]) as good,
            servers([broken, good]) as pdp,
        ):
            return [(await pdp.decide(PATH, {})).document for _ in range(3)]

    assert [{"n": 0}, {"n": 1}, {"n": 2}] == asyncio.run(ask())
    assert 1 == len(seen)


@pytest.mark.parametrize("case", ["undefined", "500", "malformed"])
def test_what_was_decided_is_not_asked_again(case: str) -> None:
    """Another server would come to the same, so none is asked."""
    reply, cause = FINAL[case]
    seen: list[bytes] = []

    async def ask() -> Cause:
        async with (
            served([reply]) as first,
            served([decided(result={})], seen) as second,
            servers([first, second]) as pdp,
        ):
            with pytest.raises(NoDecision) as raised:
                await pdp.decide(PATH, {})
            return raised.value.cause

    assert (cause, []) == (asyncio.run(ask()), seen)


def test_no_server_is_no_decision() -> None:
    """With all of them gone the last cause is told; with none named, never."""

    async def ask() -> Cause:
        urls = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
        async with servers(urls) as pdp:
            with pytest.raises(NoDecision) as raised:
                await pdp.decide(PATH, {})
            return raised.value.cause

    assert Cause.DOWN == asyncio.run(ask())
    with pytest.raises(ValueError, match="no OPA server"):
        FailoverPdp([])


def test_the_deadline_is_that_of_all_servers() -> None:
    """However many hang, one decision ends in its time."""

    async def ask() -> Cause:
        async with (
            served([b"slow"]) as first,
            served([b"slow"]) as second,
            FailoverPdp(
                [
                    OpaPdp(url=url, revision=REVISION, patience=CALM)
                    for url in (first, second)
                ],
                seconds=0.3,
            ) as pdp,
        ):
            with pytest.raises(NoDecision) as raised:
                await pdp.decide(PATH, {})
            return raised.value.cause

    assert Cause.TIMEOUT == asyncio.run(ask())


@pytest.mark.parametrize(
    "make",
    [
        lambda url: OpaPdp(url=url, revision=REVISION, patience=CALM),
        lambda url: servers([url]),
    ],
)
def test_a_server_is_confirmed_by_its_revision(
    make: Callable[[str], OpaPdp | FailoverPdp],
) -> None:
    """It answers under the revision that must decide, or it does not count."""

    async def ask() -> Cause:
        async with (
            served(
                [decided(), decided(result={}), BROKEN["another bundle"][0]]
            ) as url,
            make(url) as pdp,
        ):
            await pdp.confirm()
            await pdp.confirm()
            with pytest.raises(NoDecision) as raised:
                await pdp.confirm()
            return raised.value.cause

    assert Cause.WRONG_REVISION == asyncio.run(ask())


def test_policies_that_change_around_a_condition_give_none() -> None:
    """Old before and new after: nothing says which of them compiled it."""
    new = "2" * 64

    def under(revision: str) -> bytes:
        bundles = {"bundles": {"b": {"revision": revision}}}
        return answer({"provenance": PROVENANCE | bundles})

    compiled = answer({"result": {"query": {}}})

    async def ask() -> tuple[str, Cause]:
        replies = [
            *(under(new), compiled, under(new)),
            *(under(REVISION), compiled, under(new)),
        ]
        async with served(replies) as url, servers([url]) as pdp:
            pdp.expect(new, also=REVISION)
            revision, _ = await pdp.filter(PATH, {})
            with pytest.raises(NoDecision) as raised:
                await pdp.filter(PATH, {})
            return revision, raised.value.cause

    assert (new, Cause.WRONG_REVISION) == asyncio.run(ask())


def test_while_policies_change_each_answer_says_which() -> None:
    """Old and new are believed, a third is not, and afterwards the new."""
    new = "2" * 64
    third = "3" * 64

    def under(revision: str) -> bytes:
        return answer(
            {
                "result": {},
                "provenance": PROVENANCE
                | {"bundles": {"b": {"revision": revision}}},
            }
        )

    async def ask() -> list[str]:
        found = []
        replies = [under(r) for r in (REVISION, new, third, REVISION, new)]
        async with served(replies) as url, servers([url]) as pdp:
            pdp.expect(new, also=REVISION)
            found += [(await pdp.decide(PATH, {})).revision for _ in range(2)]
            with pytest.raises(NoDecision):
                await pdp.decide(PATH, {})
            pdp.expect(new)
            with pytest.raises(NoDecision):
                await pdp.decide(PATH, {})
            found.append((await pdp.decide(PATH, {})).revision)
            assert new == pdp.revision
        return found

    assert [REVISION, new, new] == asyncio.run(ask())
