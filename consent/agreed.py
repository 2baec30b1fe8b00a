"""What a person agreed to, beside what is declared now.

Flows that were not agreed to, attributes that a yes no longer covers, and the
two notices line by line: what a person needs to see before answering anew,
and what an officer needs to answer why somebody is asked again.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from consent.declarations import Declaration, widening
from consent.notices import notice_for
from consent.records import ConsentEvent, ConsentState
from consent.statements import Tuple
from consent.vocabulary import EventType
from consent.wideness import kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """One answer, and how it lies to the version in force.

    Attributes:
        statement: the statement.
        event: the event that the person's answer is.
        before: digest of the version that was answered.
        now: digest of the version in force.
        notice_before: hash of the notice that was read, or nothing.
        notice_now: hash of the notice that would be read now.
        allowed: what was allowed.
        covered: what of that still is.
        wider: flows of the statement that were not agreed to.
        lines: the difference of the two notices, as `difflib` writes it;
            none where they are the same or the old one is not at hand.
    """

    statement: str
    event: str
    before: str
    now: str
    notice_before: str
    notice_now: str
    allowed: tuple[str, ...]
    covered: tuple[str, ...]
    wider: tuple[Tuple, ...]
    lines: tuple[str, ...]

    @property
    def asked_again(self) -> bool:
        """Whether the person is to be asked, for the difference."""
        return bool(self.wider) or set(self.covered) != set(self.allowed)


def agreed(
    event: ConsentEvent,
    state: ConsentState,
    old: Declaration,
    live: Declaration,
    text_of: Callable[[str], str],
) -> Agreed:
    """Compare what was agreed to with what is declared now.

    Args:
        event: the event that `state` rests on.
        state: what the person's answers mean.
        old: the version that was answered.
        live: the version in force.
        text_of: returns the stored text of a notice by its hash.

    Returns:
        The comparison.

    Raises:
        NoticeUnavailable: there is no notice in the language of the answer.
        UnknownNotice: the notice that was read is not stored any more.
    """
    language = event.language or next(iter(live.title))
    after = live.statement(state.statement)
    wider = [
        row
        for row in (() if after is None else after.tuples())
        if row in widening(old, live)
    ]
    now = notice_for(live, language, state.statement if after else "")
    given = state.state is EventType.GIVEN
    lines: list[str] = []
    if event.notice and event.notice != now.digest:
        lines = list(
            difflib.unified_diff(
                text_of(event.notice).splitlines(),
                now.text.splitlines(),
                "agreed",
                "now",
                lineterm="",
                n=0,
            )
        )
    return Agreed(
        statement=state.statement,
        event=str(event.id),
        before=old.digest,
        now=live.digest,
        notice_before=event.notice,
        notice_now=now.digest,
        allowed=state.attributes,
        covered=kept(state.attributes, old, live, state.statement)
        if given
        else (),
        wider=tuple(sorted(wider, key=repr)),
        lines=tuple(lines),
    )
