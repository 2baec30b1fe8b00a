"""Re-wraps in a process of its own, slowly enough to be killed.

``python -m tests.rewrap_child FOLDER PAGES`` prints a line for each page, and
after so many goes no further.
"""

import os
import sys
import time
from pathlib import Path

from api.databases import open_database
from vault import Argon2Cost, FileKeyProvider, KeyStore
from vault import rewrapping as job

CHEAP = Argon2Cost(memory_kib=32, iterations=1, lanes=1)
NOW = 1_790_000_000


def keys_in(folder: Path) -> KeyStore:
    """Open the keys of a folder."""
    return KeyStore(
        engine=open_database(f"sqlite:///{folder}/keys.db"),
        provider=FileKeyProvider(folder / "keks", b"passphrase", cost=CHEAP),
        tenant="town",
        clock=lambda: NOW,
        random=os.urandom,
    )


def main() -> None:
    """Go on until killed."""
    job.PAGE = 4
    left = iter(range(int(sys.argv[2]) - 1))

    def shown(count: int) -> None:
        sys.stdout.write(f"{count}\n")
        sys.stdout.flush()
        time.sleep(600 if next(left, None) is None else 0.01)

    keys_in(Path(sys.argv[1])).rewrap(shown)


if __name__ == "__main__":
    main()
