"""A process that appends to a ledger until it is done or killed.

``python -m tests.ledger_child URL COUNT BATCH`` prints each index after its
commit has returned; a COUNT of 0 means for ever. With ``--pending`` it is one
of several workers, and prints each leaf that was promised.
"""

import asyncio
import sys
from itertools import count

from api.databases import open_database
from consent.commit import Commit, GroupCommit
from tests.ledgers import draft, make_ledger


async def append(
    url: str, total: int, width: int, *, direct: bool = True
) -> None:
    """Append through a group commit, `width` callers at a time.

    Args:
        url: The database.
        total: Entries by each caller; 0 for no end.
        width: Callers.
        direct: Entries have their index at once.

    """
    commits = GroupCommit(make_ledger(open_database(url)), direct=direct)
    commits.start()

    async def call(number: int) -> None:
        for _ in range(total) if total else count():
            for each in await commits.submit(Commit(drafts=(draft(number),))):
                told = each.index if direct else each.leaf.hex()
                sys.stdout.write(f"{told}\n")
                sys.stdout.flush()

    await asyncio.gather(*(call(number + 1) for number in range(width)))
    await commits.drain()


if __name__ == "__main__":
    asyncio.run(
        append(
            sys.argv[1],
            int(sys.argv[2]),
            int(sys.argv[3]),
            direct="--pending" not in sys.argv,
        )
    )
