"""What a start demands before anything opens: the journal, and agreement.

The erasure journal must be there and verify; neither database may know more
of it than it holds; nobody whose erasure it records may be in either
database; the ledger must be the one that gave its newest checkpoint away.
Where one of these fails, a file was put back from a copy by hand, and
`curtilage restore` does what is missing.
"""

import hmac
from collections.abc import Callable
from pathlib import Path

from api.anchors import Anchors
from api.secrets import Secrets
from api.settings import Settings
from consent import Ledger
from vault import Custody, ErasureJournal, JournalUnavailable

STATE_NAME = "restore.state"


class RolledBackError(Exception):
    """A database is older than the erasure journal says."""


class RestoreUnfinishedError(Exception):
    """A restore was begun and has not come to its end."""


def open_journal(
    settings: Settings,
    secrets: Secrets,
    custody: Custody,
    *,
    clock: Callable[[], int],
    random: Callable[[int], bytes],
) -> ErasureJournal:
    """Open the journal, or begin the one of an instance of before it.

    Raises:
        JournalUnavailable: it is missing though a database knows it.
        JournalDamaged: it does not verify, or is shorter than a database
            knows.

    """
    path, key = settings.journal_path, secrets.journal_key()
    marks = custody.marks()
    if marks or path.exists():
        if not path.exists():
            msg = (
                f"{path}: the erasure journal is missing, and the "
                f"{' and the '.join(marks)} database knows of one. Put its "
                "newest copy in place; without it nothing is opened"
            )
            raise JournalUnavailable(msg)
        journal = ErasureJournal(
            path, key=key, tenant=settings.tenant, clock=clock
        )
        for name, position in marks.items():
            journal.demand(position, held_by=f"the {name} database")
        return journal
    journal = ErasureJournal.create(
        path,
        key=key,
        tenant=settings.tenant,
        origin=settings.origin,
        clock=clock,
        random=random,
    )
    for subject in custody.erased():
        journal.intend(
            subject,
            kek_epoch=custody.kek_epoch(subject),
            note_tags=(),
            ledger_tags=(),
        )
        journal.complete(subject)
    custody.mark(journal.position)
    return journal


def past_names(
    settings: Settings, secrets: Secrets, clock: Callable[[], int]
) -> list[str]:
    """Names that the ledger had before; none where there is no journal."""
    path = settings.journal_path
    if not path.exists():
        return []
    journal = ErasureJournal(
        path, key=secrets.journal_key(), tenant=settings.tenant, clock=clock
    )
    return [one for one in journal.origins if one != settings.origin]


def demand_origin(journal: ErasureJournal, settings: Settings) -> None:
    """Hold the ledger's name in the settings against the journal's.

    Raises:
        RolledBackError: they differ.

    """
    if journal.origins and journal.origins[-1] != settings.origin:
        msg = (
            f"the ledger is named {journal.origins[-1]} since it was "
            f"restored, and the settings say {settings.origin}. Set origin "
            "to the former"
        )
        raise RolledBackError(msg)


def demand_erasures(journal: ErasureJournal, custody: Custody) -> None:
    """See to it that nobody whose erasure was finished is there again.

    Raises:
        RolledBackError: a database was put back from a copy.

    """
    subjects = [one.subject for one in journal.completed()]
    found = custody.survivors(subjects)
    if found:
        raise RolledBackError(_rolled_back(" and the ".join(found)))


def demand_ledger(anchors: Anchors, ledger: Ledger) -> None:
    """See to it that the ledger is not shorter than what it gave away.

    What was altered in it is for `curtilage ledger verify` to name.

    Raises:
        RolledBackError: it is shorter.

    """
    newest = anchors.newest(ledger.origin)
    if newest is not None and ledger.size() < newest.size:
        raise RolledBackError(_rolled_back("data"))


def continues(anchors: Anchors, ledger: Ledger) -> bool:
    """Say whether the stored ledger contains its newest checkpoint."""
    newest = anchors.newest(ledger.origin)
    if newest is None:
        return True
    if ledger.size() < newest.size:
        return False
    return hmac.compare_digest(ledger.root_at(newest.size), newest.root)


def refuse_unfinished(home: Path) -> None:
    """Refuse to start on what a restore left half done.

    Raises:
        RestoreUnfinishedError: there is such a state.

    """
    if (home / STATE_NAME).exists():
        msg = (
            f"{home / STATE_NAME}: a restore was begun here and did not "
            "come to its end. Run the same `curtilage restore` again; what "
            "was there before it is kept until then"
        )
        raise RestoreUnfinishedError(msg)


def _rolled_back(which: str) -> str:
    return (
        f"the {which} database is older than the erasure journal: it was "
        "put back from a copy. Run `curtilage restore replay`, which "
        "carries the erasures since then out again"
    )
