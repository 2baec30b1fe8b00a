"""The newest checkpoint that was given away, kept beside the journal.

The erasure journal has a checkpoint anchored now and then; this small file
has the very last, replaced whole each time before the checkpoint leaves.
With both, a restored ledger that is older than what was given away is told
from one that is not, and goes on under a new name instead of a fork.
"""

import base64
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from consent import Checkpoint
from vault import Anchor, ErasureJournal, JournalUnavailable

ANCHOR_SECONDS = 3600


class Anchors:
    """Keeps the checkpoints that were given away.

    Args:
        journal: of erasures; the file stands beside it.
        clock: gives POSIX seconds.

    """

    def __init__(
        self, journal: ErasureJournal, clock: Callable[[], int]
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._path = journal.path.with_name(f"{journal.path.name}.checkpoint")

    def newest(self, origin: str) -> Anchor | None:
        """Give the largest checkpoint known for a ledger, if any."""
        known = [self._journal.anchor_of(origin), self._last()]
        mine = [one for one in known if one and one.origin == origin]
        return max(mine, key=lambda one: one.size, default=None)

    def keep(self, anchor: Anchor) -> None:
        """Keep a checkpoint; it may be given away once this returns.

        Raises:
            JournalUnavailable: it cannot be kept.

        """
        try:
            with self._locked():
                self._replace(anchor)
        except OSError as error:
            msg = (
                f"{self._path}: the newest checkpoint cannot be kept "
                f"({error.strerror}), so it is not given away. See to the "
                "disk, then try again"
            )
            raise JournalUnavailable(msg) from None
        if self._clock() - self._journal.anchored_at >= ANCHOR_SECONDS:
            self._journal.anchor(anchor)

    def announced(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint that the ledger is about to give away."""
        self.keep(
            Anchor(
                origin=checkpoint.origin,
                size=checkpoint.size,
                root=checkpoint.root,
            )
        )

    def settle(self, origin: str) -> None:
        """Write the newest checkpoint into the journal, unless it is there."""
        newest = self.newest(origin)
        known = self._journal.anchor_of(origin)
        if newest is not None and (known is None or known.size < newest.size):
            self._journal.anchor(newest)

    def _replace(self, anchor: Anchor) -> None:
        known = self._last()
        if (
            known
            and known.origin == anchor.origin
            and known.size >= anchor.size
        ):
            return
        root = base64.b64encode(anchor.root).decode()
        text = f"{anchor.origin}\n{anchor.size}\n{root}\n"
        fresh = self._path.with_suffix(".new")
        handle = os.open(
            fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600
        )
        try:
            os.write(handle, text.encode())
            os.fsync(handle)
        finally:
            os.close(handle)
        fresh.replace(self._path)

    def _last(self) -> Anchor | None:
        try:
            origin, size, root = self._path.read_text("utf-8").split("\n")[:3]
            return Anchor(
                origin=origin, size=int(size), root=base64.b64decode(root)
            )
        except (OSError, ValueError):
            # The journal's own anchors are what must be there.
            return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep two processes from putting an older one over a newer."""
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
            os.fsync(folder)
        finally:
            os.close(folder)
