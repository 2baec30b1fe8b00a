"""What is left of a yes under another version than the one it was given to.

`consent.records` reads answers by it, `consent.comparing` plans by it.
"""

from collections.abc import Collection

from consent.declarations import Declaration
from consent.separation import separate_grounds
from consent.statements import Statement, within


def kept(
    attributes: Collection[str],
    old: Declaration | None,
    live: Declaration,
    name: str,
) -> tuple[str, ...]:
    """Say which attributes a yes still covers.

    Args:
        attributes: what was allowed.
        old: the version that was answered; None where it is not known.
        live: the version in force.
        name: the statement.

    Returns:
        The attributes of the statement in `live` whose flows are all within
        what was agreed to, in its order; none where something that held for
        the whole old version was given up, or where it is asked apart now
        and was not then.
    """
    before = None if old is None else old.statement(name)
    after = live.statement(name)
    if old is None or before is None or after is None or given_up(old, live):
        return ()
    if terms_added(before, after):
        return ()
    if not separate_grounds(live, after) <= separate_grounds(old, before):
        return ()
    agreed = [row for row in before.tuples() if row.attribute in attributes]
    return tuple(
        item.attribute
        for item in after.data
        if all(
            any(within(row, flow) for flow in agreed)
            for row in after.tuples_of(item)
        )
    )


def terms_added(old: Statement, new: Statement) -> tuple[str, ...]:
    """Say what a statement is that it was not, in shared vocabularies.

    Args:
        old: the statement that people agreed to.
        new: the statement in question.

    Returns:
        The terms that it names and that did not follow from the old one.
    """
    before = set(old.all_terms)
    return tuple(term for term in new.terms if term not in before)


def given_up(old: Declaration, new: Declaration) -> tuple[str, ...]:
    """Say what held for all of one version and not for another.

    Args:
        old: the version that people agreed to.
        new: the version in question.

    Returns:
        ``controller`` where another body answers for it, ``jurisdiction``
        where another law applies, ``obligations`` where something that was
        promised for every released value is no longer promised.
    """
    found = []
    if old.controller.id != new.controller.id:
        found.append("controller")
    if old.controller.jurisdiction != new.controller.jurisdiction:
        found.append("jurisdiction")
    if not set(old.obligations) <= set(new.obligations):
        found.append("obligations")
    return tuple(found)
