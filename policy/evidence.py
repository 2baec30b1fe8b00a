"""What the ledger knows of a person's record, held against the record.

Every entry about a person that reads or changes their record carries the
record's epoch in the person's part. The last of them is a witness: a record
whose epoch is below it was set back as a whole, with its state, which nothing
inside the data database could show.
"""

from uuid import UUID

from consent import Ledger
from vault import Vault, VaultError

EPOCH = "epoch"
_PAGE = 8


class EpochWitness:
    """Gives the least epoch that a record must have, by the ledger.

    An import leaves one entry a batch and names nobody, so a record is first
    witnessed when somebody reads or changes it. What is withheld from the
    person is not asked.
    """

    def __init__(self, *, vault: Vault, ledger: Ledger) -> None:
        self._vault = vault
        self._ledger = ledger

    def __call__(self, subject: UUID) -> int:
        """Give the epoch of the last entry that has one; 0 if none has.

        Raises:
            EntryUnreadable: a stored entry was changed; the ledger's own
                sweep says which.

        """
        try:
            log_key = self._vault.log_key(self._vault.own_holding(subject))
        except VaultError:
            return 0  # the sweep names what is wrong with the key
        before: int | None = None
        while entries := self._ledger.own_entries(
            log_key, before=before, limit=_PAGE
        ):
            for entry in entries:
                epoch = entry.detail.get(EPOCH)
                if isinstance(epoch, int):
                    return epoch
            before = entries[-1].index
        return 0
