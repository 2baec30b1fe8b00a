"""The smallest change under which a decision would have come out otherwise.

Facts of a decision are changed one by one (`policy.supposing`), and whether a
set of changes turns an attribute over is found by deciding again, by the same
engine on the same code path, never by reasoning about rules. Sets are tried
by size, so the first that turn it over are the smallest there are; beyond
`MOST` changes a set is made by leaving out of all of them what is not needed,
and is smallest only in that nothing can be left out of it.

What a service may hear is computed apart, for a person who allows
everything: it depends on the request, the declaration and the instant and on
nobody (DESIGN.md, invariant 6).
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from consent import StoredPreferences
from policy.decisions import AccessRequest, Decision, Effect
from policy.facts import Facts, FactSource
from policy.pdp import Cause, NoDecision
from policy.supposing import (
    Change,
    ChangeKind,
    Supposed,
    made_willing,
    options_of,
    suppose,
)
from policy.vocabulary import Side

MOST = 3
"""So many changes together are tried in every combination."""

Decide = Callable[[AccessRequest, Facts, int], Decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual:
    """What would turn one attribute over.

    Attributes:
        attribute: its name.
        effect: what was decided.
        reasons: why, in codes.
        changes: sets of changes of one size, each enough by itself.
        smallest: whether no smaller set of the changes that are known is
            enough.
    """

    attribute: str
    effect: Effect
    reasons: tuple[str, ...]
    changes: tuple[tuple[Change, ...], ...]
    smallest: bool


class Counterfactuals:
    """Finds what would turn the attributes of one decision over.

    Args:
        supposed: what was decided on.
        facts: matches preferences with declarations.
        decide: decides, as the gate does.
        most: so many changes together are tried in every combination.
    """

    def __init__(
        self,
        supposed: Supposed,
        *,
        facts: FactSource,
        decide: Decide,
        most: int = MOST,
    ) -> None:
        self._supposed = supposed
        self._willing = made_willing(supposed)
        self._facts = facts
        self._decide = decide
        self._most = most
        self._decisions: dict[
            tuple[bool, frozenset[Change]], Decision | None
        ] = {}

    def of(self, attribute: str) -> Counterfactual:
        """Find what would turn one attribute over.

        Args:
            attribute: one of those asked for.

        Raises:
            NoDecision: there is none without any change.
        """
        granted = self._granted(attribute, ())

        def turned(changes: Sequence[Change]) -> bool:
            found = self._granted(attribute, changes)
            return found is not None and found is not granted

        options = options_of(
            self._supposed, attribute, granted=granted is True
        )
        return self._found(attribute, options, turned, willing=False)

    def for_the_service(self, attribute: str) -> Counterfactual:
        """Find what the service alone could have done; nobody is in it.

        Args:
            attribute: one of those asked for.

        Raises:
            NoDecision: there is none without any change.
        """

        def granted(changes: Sequence[Change]) -> bool:
            return self._granted(attribute, changes, willing=True) is True

        options = [
            change
            for change in options_of(self._willing, attribute, granted=False)
            if change.side is Side.SERVICE and not granted(())
        ]
        return self._found(attribute, options, granted, willing=True)

    def _found(
        self,
        attribute: str,
        options: Sequence[Change],
        turned: Callable[[Sequence[Change]], bool],
        *,
        willing: bool,
    ) -> Counterfactual:
        decision = self._decided((), willing=willing)
        if decision is None:
            raise NoDecision(Cause.UNDEFINED)
        one = decision.attributes[attribute]
        found = _smallest(options, turned, self._most)
        smallest = True
        if options and not found and turned(every := _together(options)):
            found, smallest = [_needed(every, turned)], False
        return Counterfactual(
            attribute=attribute,
            effect=one.effect,
            reasons=tuple(sorted(reason.code for reason in one.reasons)),
            changes=tuple(found),
            smallest=smallest,
        )

    def _granted(
        self,
        attribute: str,
        changes: Sequence[Change],
        *,
        willing: bool = False,
    ) -> bool | None:
        """Whether it leaves; None where there is no decision."""
        made = self._decided(changes, willing=willing)
        if made is None:
            return None
        return made.attributes[attribute].effect is not Effect.WITHHOLD

    def _decided(
        self, changes: Sequence[Change], *, willing: bool
    ) -> Decision | None:
        """Decide with changes, once for all attributes."""
        key = (willing, frozenset(changes))
        if key not in self._decisions:
            made = suppose(self._supposed, changes)
            # Whatever the service asks for then, everybody allows it.
            made = made_willing(made) if willing else made
            try:
                self._decisions[key] = self._engine(made)
            except NoDecision:
                self._decisions[key] = None
        return self._decisions[key]

    def _engine(self, made: Supposed) -> Decision:
        facts = replace(
            made.facts,
            verdicts=self._facts.verdicts(
                StoredPreferences(version=0, preferences=made.preferences),
                made.facts.declaration,
            ),
        )
        return self._decide(made.request, facts, made.now)


def _smallest(
    options: Sequence[Change],
    turned: Callable[[Sequence[Change]], bool],
    most: int,
) -> list[tuple[Change, ...]]:
    """Every set of the least size that turns, of up to `most` changes."""
    for size in range(1, most + 1):
        found = [
            chosen
            for chosen in itertools.combinations(options, size)
            if not _contradicts(chosen) and turned(chosen)
        ]
        if found:
            return _modest(found)
    return []


def _modest(found: Iterable[tuple[Change, ...]]) -> list[tuple[Change, ...]]:
    """Leave out what only differs in a level higher than is enough."""
    kept: dict[tuple[object, ...], tuple[Change, ...]] = {}
    for one in found:
        shape = tuple(
            (change.kind, change.what, change.within) for change in one
        )
        kept.setdefault(shape, one)
    return list(kept.values())


def _contradicts(chosen: Sequence[Change]) -> bool:
    """Whether two changes are of one thing that is only once."""
    single = [
        change.kind
        for change in chosen
        if change.kind in {ChangeKind.ASSURANCE, ChangeKind.TIME}
    ]
    return len(set(single)) != len(single)


def _together(options: Sequence[Change]) -> tuple[Change, ...]:
    """All changes at once; of what is only once, the strongest or first."""
    chosen = [
        change
        for change in options
        if change.kind not in {ChangeKind.ASSURANCE, ChangeKind.TIME}
    ]
    chosen += [
        change for change in options if change.kind is ChangeKind.ASSURANCE
    ][-1:]
    chosen += [change for change in options if change.kind is ChangeKind.TIME][
        :1
    ]
    return tuple(chosen)


def _needed(
    every: tuple[Change, ...], turned: Callable[[Sequence[Change]], bool]
) -> tuple[Change, ...]:
    """Leave out whatever is not needed, one after the other."""
    left = every
    for change in every:
        fewer = tuple(one for one in left if one is not change)
        if turned(fewer):
            left = fewer
    return left
