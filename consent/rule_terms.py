"""On what terms a rule permits: how often, how many times, until when.

A rule that allows or limits may add terms. They are conditions on each use,
so they are judged when somebody asks and not when rules are matched: `hold_of`
is a pure function of the terms, of what was used before, and of the instant.

Uses are counted for each rule, service and purpose, from the first one on:
"at most twice in 30 days" means each service, for each of its purposes. A
use is one disclosure in which at least one value left under the rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from consent.errors import PreferencesInvalid

DAY = 86_400
MOST_TIMES = 100
"""The most uses in a period that a rule may name; so many are remembered."""

MOST_DAYS = 3660
MOST_USES = 1_000_000
_END_OF_TIME = 1_000_000_000_000


class Hold(StrEnum):
    """Why something that rules permit is not permitted now.

    Attributes:
        PAUSED: the person paused the rule.
        WINDOW: the rule permits at other times.
        USES: the rule's number of uses is used up.
        FREQUENCY: the rule's number of uses in its period is used up.
        SIGNAL: the person's browser refuses optional sharing.
    """

    PAUSED = "paused"
    WINDOW = "window"
    USES = "uses"
    FREQUENCY = "frequency"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """What was used under one rule, by one service for one purpose.

    Attributes:
        total: how many uses there were.
        recent: POSIX seconds of the last of them, at most `MOST_TIMES`.
    """

    total: int = 0
    recent: tuple[int, ...] = ()

    def after(self, now: int) -> "Uses":
        """Return what stands after one more use at `now`."""
        recent = (*self.recent, now)[-MOST_TIMES:]
        return Uses(total=self.total + 1, recent=recent)


NO_USES = Uses()


def _within(number: int | None, least: int, most: int) -> bool:
    return number is None or (type(number) is int and least <= number <= most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of one rule; without any, nothing more is asked.

    Attributes:
        since: POSIX seconds from which the rule permits, or None.
        until: POSIX seconds from which it no longer does, or None.
        times: uses in any period of `days`; both or neither.
        days: the length of that period in days of 86,400 seconds.
        uses: uses in all, or None.
        paused: whether the person paused the rule.
        delete_days: days after which whoever gets a value deletes it, or
            None.
        notify: whether they have to tell the person of each use.
        no_onward_transfer: whether they may pass it on to nobody.

    Raises:
        PreferencesInvalid: a number is out of its range, or a period lacks
            its number.
    """

    since: int | None = None
    until: int | None = None
    times: int | None = None
    days: int | None = None
    uses: int | None = None
    paused: bool = False
    delete_days: int | None = None
    notify: bool = False
    no_onward_transfer: bool = False

    def __post_init__(self) -> None:
        within = (
            _within(self.since, 1, _END_OF_TIME)
            and _within(self.until, 1, _END_OF_TIME)
            and _within(self.times, 1, MOST_TIMES)
            and _within(self.days, 1, MOST_DAYS)
            and _within(self.uses, 1, MOST_USES)
            and _within(self.delete_days, 1, MOST_DAYS)
            and {bool}
            == {
                type(one)
                for one in (self.paused, self.notify, self.no_onward_transfer)
            }
        )
        if not within or (self.times is None) != (self.days is None):
            msg = (
                f"terms name 1 to {MOST_TIMES} times in 1 to {MOST_DAYS}"
                f" days, 1 to {MOST_USES} uses, and dates"
            )
            raise PreferencesInvalid(msg)
        if (
            self.since is not None
            and self.until is not None
            and self.until <= self.since
        ):
            msg = "a window ends after it begins"
            raise PreferencesInvalid(msg)

    @property
    def counted(self) -> bool:
        """Whether uses must be counted to know what the terms say."""
        return self.times is not None or self.uses is not None


NO_TERMS = Terms()

RuleTerms = tuple[tuple[str, Terms], ...]
"""Terms with the ids of their rules; each of them must be met."""


def demands(terms: RuleTerms) -> tuple[tuple[str, int | None], ...]:
    """Say what a person's rules have whoever gets a value promise.

    Args:
        terms: of every rule that permits it.

    Returns:
        Names of obligations, in order; ``delete_by`` with the fewest days
        that any of the rules names.
    """
    days = [
        each.delete_days for _, each in terms if each.delete_days is not None
    ]
    found: list[tuple[str, int | None]] = []
    if days:
        found.append(("delete_by", min(days)))
    if any(each.no_onward_transfer for _, each in terms):
        found.append(("no_onward_transfer", None))
    if any(each.notify for _, each in terms):
        found.append(("notify", None))
    return tuple(found)


def hold_of(
    terms: RuleTerms, uses: Mapping[str, Uses], now: int
) -> tuple[Hold, str] | None:
    """Say which term is not met at an instant.

    Args:
        terms: all of them must be met.
        uses: what was used before, by rule id.
        now: POSIX seconds.

    Returns:
        The first hold, in the order of `Hold` and then of the terms, with
        the id of its rule; None where every term is met.
    """
    found = [
        (hold, rule)
        for rule, each in terms
        if (hold := _hold(each, uses.get(rule, NO_USES), now)) is not None
    ]
    return min(found, key=lambda one: _ORDER[one[0]], default=None)


_ORDER = {hold: rank for rank, hold in enumerate(Hold)}


def _hold(terms: Terms, used: Uses, now: int) -> Hold | None:
    if terms.paused:
        return Hold.PAUSED
    if (terms.since is not None and now < terms.since) or (
        terms.until is not None and now >= terms.until
    ):
        return Hold.WINDOW
    if terms.uses is not None and used.total >= terms.uses:
        return Hold.USES
    if terms.times is not None and terms.days is not None:
        start = now - terms.days * DAY
        if sum(at > start for at in used.recent) >= terms.times:
            return Hold.FREQUENCY
    return None
