"""The index entries that a value must have, and no others.

One list of what should stand is used by the writer, by the back-fill and by
the sweep, so that the three cannot differ.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from vault.catalogue import Catalogue
from vault.errors import UnknownAttribute
from vault.indexes import BlindIndex
from vault.places import attribute_of, holds_value
from vault.specs import Spec


class Held(NamedTuple):
    """One current value: where it stands, its version and its text."""

    place: int
    version: int
    text: str


class Entries(NamedTuple):
    """Rows for the unique and for the shared indexes."""

    unique: list[dict[str, Any]]
    shared: list[dict[str, Any]]


class Indexing:
    """Makes the entries of one tenant."""

    def __init__(
        self, *, tenant: str, index: BlindIndex, catalogue: Catalogue
    ) -> None:
        """Take the collaborators."""
        self._tenant = tenant
        self._index = index
        self._catalogue = catalogue

    def entries(
        self,
        specs: Iterable[Spec],
        subject: UUID,
        who: Any,  # noqa: ANN401 - an id in the driver's own form
        held: Sequence[Held],
    ) -> Entries:
        """Give every entry that a person's values must have.

        Args:
            specs: the indexes, with the key versions to write.
            subject: the person.
            who: the same, as the database's driver takes it.
            held: the values; those of no index are passed over.

        """
        made = Entries([], [])
        by_attribute: dict[int, list[Spec]] = {}
        for spec in specs:
            by_attribute.setdefault(spec.attribute, []).append(spec)
        for one in held:
            if not holds_value(one.place):
                continue
            for spec in by_attribute.get(attribute_of(one.place), ()):
                for version in spec.written:
                    if spec.unique:
                        row = self._unique(spec, subject, one, version)
                        made.unique.append(row | {"subject": who})
                    elif row := self._shared(spec, one, version):
                        made.shared.append(row | {"subject": who})
        return made

    def _unique(
        self, spec: Spec, subject: UUID, one: Held, key_version: int
    ) -> dict[str, Any]:
        attribute = self._catalogue.numbered(spec.attribute)
        digest = self._index.digest(attribute, one.text, key_version)
        return {
            "tenant": self._tenant,
            "attribute": spec.attribute,
            "key_version": key_version,
            "digest": digest,
            "version": one.version,
            "place": one.place,
            "binding": self._index.binding(
                one.place, subject, digest, one.version, key_version
            ),
        }

    def _shared(
        self, spec: Spec, one: Held, key_version: int
    ) -> dict[str, Any]:
        try:
            attribute = self._catalogue.numbered(spec.attribute)
        except UnknownAttribute:
            return {}
        digest = self._index.candidate(
            attribute, spec.prefix, spec.bits, one.text, key_version
        )
        if digest is None:
            return {}
        return {
            "tenant": self._tenant,
            "attribute": spec.attribute,
            "prefix": spec.prefix,
            "key_version": key_version,
            "digest": digest,
            "place": one.place,
        }
