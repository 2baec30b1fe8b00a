"""The free text of a release: scrubbed row by row, labelled at the end.

Looked for in a row's text are the row's own direct identifiers and
quasi-identifiers, which generalization would otherwise protect in one
column and give away in another; the columns that were given an entity; the
person's key; and what the caller knows of the person besides.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from anonymize.dates import DateShift
from anonymize.known import KnownValue
from anonymize.labels import ScrubbedText
from anonymize.roles import Role
from anonymize.spec import ExtractSpec
from anonymize.tables import Table

if TYPE_CHECKING:
    from anonymize.text import Scrubber
    from anonymize.value_index import ValueIndex

Progress = Callable[[str, int, int], None]
"""Called with a stage's name, how much is done, and how much there is."""
IDENTIFIER = "IDENTIFIER"
"""Label of a direct identifier without an entity of its own."""
ATTRIBUTE = "ATTRIBUTE"
"""Label of a quasi-identifier without an entity of its own."""
_STEP = 100


def scrub_texts(
    spec: ExtractSpec,
    table: Table,
    rows: Sequence[int],
    *,
    known: Mapping[str, Sequence[KnownValue]],
    scrubber: "Scrubber | None",
    progress: Progress,
    everybody: "ValueIndex | None" = None,
) -> dict[str, list[ScrubbedText]]:
    """Scrub the columns of free text.

    Args:
        spec: the terms.
        table: the rows handed in.
        rows: numbers of the rows that are published.
        known: by the person's key, further values of the person.
        scrubber: the scrubber; None builds one if there is any text.
        progress: told of how far the work is.
        everybody: values to find in every text, whosever it is.

    Returns:
        For each text column, the scrubbed text of each published row.

    Raises:
        TextTooLong: a text is too long.
    """
    columns = spec.of_role(Role.TEXT)
    done: dict[str, list[ScrubbedText]] = {name: [] for name in columns}
    if not columns:
        return done
    scrubber = scrubber or _new_scrubber()
    for number, row in enumerate(rows):
        if number % _STEP == 0:
            progress("text", number, len(rows))
        values = [*_values_of(spec, table, row, known)]
        shift = _shift_of(spec, table, row)
        for name in columns:
            text = scrubber.scrub(
                table[name][row],
                language=spec.language,
                known=values,
                everybody=everybody,
                shift=shift,
            )
            done[name].append(text)
    progress("text", len(rows), len(rows))
    return done


def _shift_of(spec: ExtractSpec, table: Table, row: int) -> DateShift | None:
    """Return what moves the dates of a row's person, where they move."""
    if not spec.shift_dates or not spec.pseudonym_key or not spec.person:
        return None
    return DateShift(
        spec.pseudonym_key, table[spec.person][row], within=spec.shift_dates
    )


def _new_scrubber() -> "Scrubber":
    # Presidio takes a second to load: only where there is text to search.
    from anonymize.text import Scrubber  # noqa: PLC0415 - see above

    return Scrubber()


def count_mentions(
    texts: Mapping[str, Sequence[ScrubbedText]],
) -> dict[str, int]:
    """Count the labels that scrubbed texts will have, by kind.

    Args:
        texts: scrubbed texts by column.
    """
    counts = Counter(
        mention.entity
        for column in texts.values()
        for text in column
        for mention in text.mentions()
    )
    return dict(sorted(counts.items()))


def _values_of(
    spec: ExtractSpec,
    table: Table,
    row: int,
    known: Mapping[str, Sequence[KnownValue]],
) -> Iterable[KnownValue]:
    usual = {Role.DIRECT: IDENTIFIER, Role.QUASI: ATTRIBUTE}
    for name, role in spec.columns.items():
        entity = spec.entities.get(name, usual.get(role))
        if entity is not None:
            yield KnownValue(entity=entity, text=table[name][row])
    if spec.person is not None:
        person = table[spec.person][row]
        yield KnownValue(entity=IDENTIFIER, text=person)
        yield from known.get(person, ())
