"""Finding people by what identifies them, through blind indexes.

No value leaves: a look-up takes a value and gives ids. Somebody unknown costs
the same statement, tag and comparison as somebody known.
"""

from collections.abc import Callable, Iterator, Sequence
from hmac import compare_digest
from unicodedata import normalize
from uuid import UUID

from vault.catalogue import Attribute, Catalogue, validate
from vault.deks import StoredDek
from vault.envelope import OpenSubject
from vault.errors import STRANGE, CryptoFailure, NotIndexed, VaultError
from vault.grants import Holding
from vault.history import text_of
from vault.indexes import BlindIndex
from vault.merging import is_merged
from vault.opening import verified
from vault.places import slots
from vault.rows import DataRows, Found
from vault.specs import Spec, Specs
from vault.values import index_form
from vault.writing import CHUNK

_LOOK_UPS = 3


class LookUp:
    """Look-ups among one tenant's people.

    Args:
        rows: the data database.
        catalogue: the attributes.
        specs: which indexes there are.
        ready: gives the decoy's id and the index keys.
        own: fetches one record alone, as `Vault.own_holding`.
        whole: fetches the whole that a record is part of, as `Vault.holding`.
        opening: opens a person's keys, as long as the context lasts.

    """

    def __init__(
        self,
        *,
        rows: DataRows,
        catalogue: Catalogue,
        specs: Specs,
        ready: Callable[[], tuple[UUID, BlindIndex]],
        own: Callable[[UUID], Holding],
        whole: Callable[[UUID], Holding],
        opening: Callable[[StoredDek], OpenSubject],
    ) -> None:
        self._rows = rows
        self._catalogue = catalogue
        self._specs = specs
        self._ready = ready
        self._own = own
        self._whole = whole
        self._open = opening

    def spelled(self, attribute: str, value: str) -> str:
        """Give the form of a value under which it is looked up.

        Raises:
            UnknownAttribute: the name is not in the catalogue.
            InvalidValue: the text is no value of it.

        """
        declared = self._catalogue[attribute]
        return index_form(declared.kind, validate(declared, value))

    def find(
        self, attribute: str, value: str, *, whole: bool = True
    ) -> UUID | None:
        """Find the person with an identifier.

        Args:
            attribute: its name.
            value: the identifier.
            whole: whether, of a record that is read with others, the
                surviving one is given; else the one that has it itself.

        Raises:
            NotIndexed: exact look-up is not declared for the attribute.
            InvalidValue: the text is no value of it.
            CryptoFailure: the entry was altered, moved to somebody else, or
                restored from earlier.

        """
        declared = self._catalogue[attribute]
        if not declared.index:
            raise NotIndexed(attribute)
        decoy, index = self._ready()
        text = validate(declared, value)
        found: UUID | None = None
        for version in self._served(declared.number):
            one = self._found(
                index, declared, text, version, decoy, whole=whole
            )
            found = found or one
        return found

    def find_each(
        self, attribute: str, values: Sequence[str]
    ) -> list[UUID | VaultError | None]:
        """Find several people by an identifier, in few statements.

        Returns:
            For each value, what `find` would return or raise.

        Raises:
            NotIndexed: exact look-up is not declared for the attribute.

        """
        declared = self._catalogue[attribute]
        if not declared.index:
            raise NotIndexed(attribute)
        served = self._served(declared.number)
        if len(served) != 1:
            return [self._tried(attribute, value) for value in values]
        try:
            return self._found_each(declared, values, served[0])
        except STRANGE:
            # One entry spoils what is read of all: each is read alone.
            return [self._tried(attribute, value) for value in values]

    def _found_each(
        self, declared: Attribute, values: Sequence[str], key_version: int
    ) -> list[UUID | VaultError | None]:
        decoy, index = self._ready()
        texts: list[str | VaultError] = []
        for value in values:
            try:
                texts.append(validate(declared, value))
            except VaultError as error:
                texts.append(error)
        digests = [
            index.digest(declared, text, key_version)
            for text in texts
            if isinstance(text, str)
        ]
        rows = iter(
            zip(
                digests,
                self._rows.find_each(
                    declared.number, key_version, digests, decoy
                ),
                strict=True,
            )
        )
        found: list[UUID | VaultError | None] = []
        for value, text in zip(values, texts, strict=True):
            if not isinstance(text, str):
                found.append(text)
                continue
            digest, row = next(rows)
            shown = row or Found(decoy, 1, bytes(16), declared.number, None)
            tag = index.binding(
                shown.place, shown.subject, digest, shown.version, key_version
            )
            bound = compare_digest(tag, shown.binding)
            if row is None:
                found.append(None)
            elif bound and row.version == row.current and row.alias is None:
                found.append(row.subject)
            else:
                # Changed meanwhile, part of another record, or altered.
                found.append(self._tried(declared.name, value))
        return found

    def _tried(self, attribute: str, value: str) -> UUID | VaultError | None:
        try:
            return self.find(attribute, value)
        except VaultError as error:
            return error

    def search(
        self,
        attribute: str,
        value: str,
        *,
        whole: bool | None = None,
        limit: int = 100,
    ) -> list[UUID]:
        """Find people by a value, or its beginning, that many may share.

        The longest declared prefix that the value has leads to candidates;
        each is opened and compared, so that nobody is found by chance. The
        case of letters does not matter. No value leaves the vault.

        Args:
            attribute: its name.
            value: what the value is, or begins with.
            whole: whether it is the value, or its beginning; as the index
                that serves is declared, if left out.
            limit: at most so many people are given, in order of their ids.
                Candidates who do not answer do not count.

        Returns:
            Ids, each once; for a record that is part of another, the id of
            the whole.

        Raises:
            NotIndexed: no index is declared, or the value is too short for
                the shortest declared prefix.
            CryptoFailure: a candidate's record does not verify.

        """
        declared = self._catalogue[attribute]
        sought = normalize("NFC", value).strip().casefold()
        chosen = [
            one
            for one in self._specs.recent()
            if one.attribute == declared.number
            and one.served
            and not one.unique
            and one.prefix <= len(sought)
            and (one.prefix or whole is not False)
        ]
        if not sought or not chosen:
            raise NotIndexed(attribute)
        spec = max(chosen, key=lambda one: one.prefix)
        index = self._ready()[1]
        digests = [
            (version, digest)
            for version in spec.served
            if (
                digest := index.candidate(
                    declared, spec.prefix, spec.bits, sought, version
                )
            )
        ]
        exact = not spec.prefix if whole is None else whole
        found: dict[UUID, None] = {}
        for subject in self._candidates(spec, digests):
            if len(found) == limit:
                break
            one = self._answering(subject, declared, sought, whole=exact)
            if one is not None:
                found[one] = None
        return [*found]

    def _candidates(
        self, spec: Spec, digests: Sequence[tuple[int, bytes]]
    ) -> Iterator[UUID]:
        """List who may have a value, by id, a page at a time."""
        after: UUID | None = None
        while page := self._rows.candidates(
            spec.attribute, spec.prefix, digests, after=after, limit=CHUNK
        ):
            yield from page
            after = page[-1]

    def _answering(
        self, subject: UUID, attribute: Attribute, sought: str, *, whole: bool
    ) -> UUID | None:
        """Give the whole record of which a candidate that answers is part."""
        holding = self._own(subject)
        if not holding.known:
            return None
        if not self._answers(holding, attribute, sought, whole=whole):
            return None
        if is_merged(holding.stored):
            holding = self._whole(subject)
        return holding.subject if holding.known else None

    def _answers(
        self,
        holding: Holding,
        attribute: Attribute,
        sought: str,
        *,
        whole: bool,
    ) -> bool:
        with self._open(holding.dek) as keys:
            rows = verified(keys, holding.stored)
            for place in slots(attribute.number):
                if place in rows:
                    held = text_of(keys, rows[place]).casefold()
                    if held == sought or (
                        not whole and held.startswith(sought)
                    ):
                        return True
        return False

    def _served(self, number: int) -> tuple[int, ...]:
        spec = self._specs.find(number, 0)
        return () if spec is None else spec.served

    def _found(
        self,
        index: BlindIndex,
        attribute: Attribute,
        text: str,
        key_version: int,
        decoy: UUID,
        *,
        whole: bool,
    ) -> UUID | None:
        digest = index.digest(attribute, text, key_version)
        number = attribute.number
        attempt = 0
        while True:
            attempt += 1
            try:
                found = self._rows.find(number, key_version, digest, decoy)
                # Somebody unknown costs the same tag as somebody known, and
                # the same comparison.
                shown = found or Found(decoy, 1, bytes(16), number, None)
                tag = index.binding(
                    shown.place,
                    shown.subject,
                    digest,
                    shown.version,
                    key_version,
                )
                bound = compare_digest(tag, shown.binding)
            except STRANGE:
                raise CryptoFailure from None
            if found is None:
                return None
            if bound and found.version == found.current:
                break
            # Entry and value are two statements: a change may have come
            # between them. What stays so was altered.
            if attempt == _LOOK_UPS:
                raise CryptoFailure(found.subject)
        if whole and found.alias is not None:
            root = self._whole(found.subject)
            return root.subject if root.known else None
        return found.subject
