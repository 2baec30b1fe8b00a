"""A process that appends to a ledger until it is done or killed.

``python -m tests.ledger_child URL COUNT BATCH`` prints each index after its
commit has returned; a COUNT of 0 means for ever.
"""

import asyncio
import sys
from itertools import count

from api.databases import open_database
from consent.commit import Commit, GroupCommit
from tests.ledgers import draft, make_ledger


async def append(url: str, total: int, width: int) -> None:
    """Append through a group commit, `width` callers at a time.

    Args:
        url: The database.
        total: Entries by each caller; 0 for no end.
        width: Callers.

    """
    commits = GroupCommit(make_ledger(open_database(url)))

    async def call(number: int) -> None:
        for _ in range(total) if total else count():
            for each in await commits.submit(Commit(drafts=(draft(number),))):
                sys.stdout.write(f"{each.index}\n")
                sys.stdout.flush()

    await asyncio.gather(*(call(number + 1) for number in range(width)))
    await commits.drain()


if __name__ == "__main__":
    asyncio.run(append(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
