"""What would have turned a decision over, decided again to be sure of it."""

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from consent import EventType, StoredPreferences
from policy import (
    AccessRequest,
    EmbeddedPdp,
    Form,
    RestraintKind,
    RestraintStore,
)
from policy.counterfactual import Counterfactual, Counterfactuals
from policy.decisions import Decision, Effect, parse_decision
from policy.facts import Facts, FactSource
from policy.gate import ENTRYPOINT
from policy.supposing import Change, ChangeKind, Supposed, options_of, suppose
from policy.vocabulary import Side
from tests.engines import unhurried
from tests.worlds import (
    ADDRESS,
    BIRTH,
    CITY,
    EVERYTHING,
    INCOME,
    MOBILE,
    PURPOSE,
    STREET,
    World,
    build_world,
)

Kind = ChangeKind
DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A world, and what decides there."""

    world: World
    facts: FactSource
    pdp: EmbeddedPdp

    def decide(
        self, request: AccessRequest, facts: Facts, now: int
    ) -> Decision:
        """Decide, as the gate does."""
        ruling = self.pdp.evaluate(
            ENTRYPOINT, self.facts.input_document(request, facts, now)
        )
        assert isinstance(ruling, dict)
        return self.world.platform.gate.within_reach(
            parse_decision(ruling, request.attributes, revision="")
        )

    def supposed(
        self, name: str, request: AccessRequest | None = None
    ) -> Supposed:
        """What would be decided on about somebody, now."""
        platform, world = self.world.platform, self.world
        asked = world.request(name) if request is None else request
        now = world.clock()
        holding, facts = platform.reader.now(
            lambda conn: self.facts.gather(conn, asked, now)
        )
        stored = platform.consents.preferences(holding.subject)
        return Supposed(
            request=asked,
            facts=facts,
            now=now,
            preferences=stored.preferences,
        )

    def of(
        self, supposed: Supposed, attribute: str, *, most: int = 3
    ) -> Counterfactual:
        """What would turn an attribute over."""
        return Counterfactuals(
            supposed, facts=self.facts, decide=self.decide, most=most
        ).of(attribute)

    def granted(
        self, supposed: Supposed, changes: tuple[Change, ...], attribute: str
    ) -> bool:
        """Decide with changes, in a way of the test's own."""
        made = suppose(supposed, changes)
        verdicts = self.facts.verdicts(
            StoredPreferences(version=0, preferences=made.preferences),
            made.facts.declaration,
        )
        decided = self.decide(
            made.request, replace(made.facts, verdicts=verdicts), made.now
        )
        return decided.attributes[attribute].effect is not Effect.WITHHOLD


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """The cast, and an extra whose consent ran out and who objects."""
    home = tmp_path_factory.mktemp("counterfactual") / "home"
    with build_world(home, extra=2) as world:
        platform = world.platform
        event = replace(
            world.event("extra-0", EventType.GIVEN),
            expires_at=world.clock() + DAY,
        )
        platform.registrar.enter_forms_now(
            [Form(subject=world.cast["extra-0"], answers=(event,))]
        )
        world.clock.now += 2 * DAY
        restraints = RestraintStore(
            tenant=platform.settings.tenant,
            engine=platform.data,
            consents=platform.consents,
            random=os.urandom,
        )
        with platform.data.begin() as conn:
            restraints.impose(
                conn,
                world.cast["extra-1"],
                RestraintKind.OBJECTION,
                now=world.clock(),
                purpose=PURPOSE,
            )
        yield Asked(
            world=world,
            facts=FactSource(
                vault=platform.vault,
                consents=platform.consents,
                restraints=restraints,
                classification=platform.classification,
            ),
            pdp=unhurried(),
        )


def kinds(found: Counterfactual) -> set[tuple[tuple[Kind, str], ...]]:
    """Each set of changes, as kinds and what they are about."""
    return {
        tuple((change.kind, change.what) for change in one)
        for one in found.changes
    }


@pytest.mark.parametrize(
    ("name", "attribute", "expected"),
    [
        ("silent", STREET, {((Kind.CONSENT, "address"),)}),
        ("refusing", STREET, {((Kind.CONSENT, "address"),)}),
        ("withdrawn", BIRTH, {((Kind.CONSENT, "address"),)}),
        ("limited", MOBILE, {((Kind.ALLOW, MOBILE),)}),
        ("restricted", STREET, {((Kind.UNRESTRICT, ""),)}),
        ("valueless", CITY, {((Kind.PROVIDE, CITY),)}),
        ("valueless", BIRTH, {((Kind.PROVIDE, BIRTH),)}),
        (
            "valueless",
            STREET,
            {((Kind.PROVIDE, CITY),), ((Kind.OPTIONAL, CITY),)},
        ),
        (
            "extra-0",
            STREET,
            {((Kind.CONSENT, "address"),), ((Kind.TIME, ""),)},
        ),
        (
            "consenting",
            INCOME,
            {((Kind.DECLARE, INCOME), (Kind.CONSENT, "address"))},
        ),
        ("nobody at all", STREET, set()),
    ],
)
def test_each_character_has_their_way_out(
    asked: Asked,
    name: str,
    attribute: str,
    expected: set[tuple[tuple[Kind, str], ...]],
) -> None:
    """The smallest change names the one thing that stands against it."""
    found = asked.of(asked.supposed(name), attribute)

    assert Effect.WITHHOLD is found.effect
    assert found.reasons
    assert expected == kinds(found)
    assert found.smallest


def test_what_was_granted_has_its_ways_too(asked: Asked) -> None:
    """Each act that would have withheld it, alone."""
    found = asked.of(asked.supposed("consenting"), STREET)

    assert Effect.RELEASE is found.effect
    told = {kind for [(kind, _)] in kinds(found)}
    assert {
        Kind.WITHDRAW,
        Kind.REFUSE,
        Kind.RESTRICT,
        Kind.UNPROMISE,
        Kind.UNDECLARE,
    } <= told
    # No objection stands against what somebody agreed to.
    assert Kind.OBJECT not in told


def test_an_obligation_that_was_not_promised_is_the_services(
    asked: Asked,
) -> None:
    """The service's own change is told, and is enough."""
    request = replace(
        asked.world.request("consenting"), understands=frozenset()
    )
    found = asked.of(asked.supposed("consenting", request), STREET)

    assert {((Kind.PROMISE, "delete_by"),)} == kinds(found)
    [[change]] = found.changes
    assert Side.SERVICE is change.side


REQUESTS = (
    ("silent", frozenset({"delete_by"}), 2, EVERYTHING),
    ("limited", frozenset[str](), 2, EVERYTHING),
    ("refusing", frozenset[str](), 0, (STREET, MOBILE)),
    ("valueless", frozenset[str](), 0, (*ADDRESS, INCOME)),
    ("restricted", frozenset({"delete_by"}), 0, (STREET, INCOME)),
    ("extra-0", frozenset[str](), 2, (STREET, BIRTH)),
    ("consenting", frozenset({"delete_by"}), 2, EVERYTHING),
)


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case[0])
def test_by_brute_force_nothing_smaller_is_enough(
    asked: Asked, case: tuple[str, frozenset[str], int, tuple[str, ...]]
) -> None:
    """Every set of fewer changes leaves it; every set that is told turns it.

    The changes tried are those of all attributes asked for, in both
    directions, and not only those that were thought to matter.
    """
    name, understands, assurance, attributes = case
    request = replace(
        asked.world.request(name, *attributes),
        understands=understands,
        assurance=assurance,
    )
    supposed = asked.supposed(name, request)
    universe = list(
        dict.fromkeys(
            change
            for attribute in attributes
            for granted in (False, True)
            for change in options_of(supposed, attribute, granted=granted)
        )
    )
    for attribute in attributes:
        found = asked.of(supposed, attribute)
        was = asked.granted(supposed, (), attribute)
        assert found.changes, attribute
        [size] = {len(one) for one in found.changes}
        for one in found.changes:
            assert asked.granted(supposed, one, attribute) is not was
        if not found.smallest:
            for one in found.changes[0]:
                fewer = tuple(c for c in found.changes[0] if c is not one)
                assert asked.granted(supposed, fewer, attribute) is was
            size = 4
        for fewer_than in range(1, min(size, 3)):
            for chosen in itertools.combinations(universe, fewer_than):
                assert asked.granted(supposed, chosen, attribute) is was


def test_beyond_what_is_tried_nothing_can_be_left_out(asked: Asked) -> None:
    """A larger set is told as such, and each change in it is needed."""
    request = replace(
        asked.world.request("refusing", STREET), understands=frozenset()
    )
    supposed = asked.supposed("refusing", request)
    found = asked.of(supposed, STREET, most=1)

    assert not found.smallest
    assert {((Kind.PROMISE, "delete_by"), (Kind.CONSENT, "address"))} == kinds(
        found
    )
    assert found.changes == asked.of(supposed, STREET).changes


@pytest.mark.parametrize("understands", [frozenset(), {"delete_by"}])
def test_a_service_hears_the_same_of_everybody(
    asked: Asked, understands: frozenset[str]
) -> None:
    """Its own side alone, and not whether there is such a person."""
    names = [*asked.world.cast, "nobody at all"]
    heard = set()
    for name in names:
        request = replace(
            asked.world.request(name), understands=frozenset(understands)
        )
        found = Counterfactuals(
            asked.supposed(name, request),
            facts=asked.facts,
            decide=asked.decide,
        )
        told = [found.for_the_service(one) for one in EVERYTHING]
        assert all(
            change.side is Side.SERVICE
            for one in told
            for changes in one.changes
            for change in changes
        )
        heard.add(repr(told))
    assert len(names) > 8
    assert 1 == len(heard)


def test_a_service_hears_what_its_declaration_lacks(asked: Asked) -> None:
    """Of what it did not declare, and of what it did not promise."""
    request = replace(asked.world.request("refusing"), understands=frozenset())
    found = Counterfactuals(
        asked.supposed("refusing", request),
        facts=asked.facts,
        decide=asked.decide,
    )

    assert {((Kind.PROMISE, "delete_by"),)} == kinds(
        found.for_the_service(STREET)
    )
    assert {((Kind.PROMISE, "delete_by"), (Kind.DECLARE, INCOME))} == kinds(
        found.for_the_service(INCOME)
    )
