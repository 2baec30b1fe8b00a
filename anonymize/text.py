"""Free text: what is personal in it is found and replaced by labels.

Four layers. The person's own values (`known`), whose recall is complete by
construction; patterns with check digits where there are any (`patterns`);
names, places and addresses of people who are not known, by rule
(`chinese_names`, `chinese_addresses`, `english_names`); and every further
occurrence of what those found. The second and third run inside Presidio's
analyzer, so that a deployment can add recognizers of its own.

Overlaps are resolved by rank, then score, then length: known value, checked
pattern, pattern, repeated pattern, name. What any of them covered is gone,
whichever label stands there (`overlaps`).

Presidio is used without a language model and without its network call. Its
default engine starts a download, its e-mail recognizer fetches the list of
public suffixes at the first address that it sees, and a pattern that times
out is skipped. So the engine here is the one that does nothing, the registry
holds only the recognizers given, and those neither open a socket nor can
time out. A test runs the whole in a network namespace without routes.

Rules for names miss some, and take some words for names: both are measured
in the tests. Where a name may not be missed, hand in what is known.
"""

import warnings
from collections.abc import Iterable, Sequence
from typing import Protocol

from anonymize.chinese_addresses import ChineseAddresses
from anonymize.chinese_names import ChineseNames
from anonymize.dates import DateShift
from anonymize.english_model import installed_model
from anonymize.english_names import EnglishNames
from anonymize.errors import InvalidSpec, MissingExtra, TextTooLong
from anonymize.folding import compact, plain
from anonymize.known import KnownValue, KnownValues, Match
from anonymize.labels import (
    LITERAL,
    LITERAL_HINT,
    QUOTED,
    Mention,
    ScrubbedText,
)
from anonymize.overlaps import Finding, Hit, Rank, resolve
from anonymize.passages import Tell, search_passages
from anonymize.patterns import Patterns
from anonymize.repeats import NAMES, Repeats
from anonymize.value_index import ValueIndex

try:
    with warnings.catch_warnings():
        # spaCy, which Presidio imports, still asks click for an old name.
        warnings.simplefilter("ignore", DeprecationWarning)
        from presidio_analyzer import (
            AnalyzerEngine,
            ContextAwareEnhancer,
            EntityRecognizer,
            LocalRecognizer,
            RecognizerRegistry,
            RecognizerResult,
        )
        from presidio_analyzer.nlp_engine import NoOpNlpEngine
except ImportError as missing:
    raise MissingExtra(library="presidio-analyzer") from missing

DATE = "DATE"
"""Kind whose values can be moved rather than labelled."""
MAX_LENGTH = 200_000
"""Longest text that is searched, in characters."""
THRESHOLD = 0.3
"""Score from which a finding counts."""
ENTITIES = (
    "ACCOUNT", "ADDRESS", "AGE", "CARD", "CN_ID", "DATE", "EMAIL", "IBAN",
    "IP_ADDRESS", "LOCATION", "ORGANIZATION", "PASSPORT", "PERMIT", "PERSON",
    "PHONE", "PLATE", "US_SSN", "ZIP_CODE",
)  # fmt: skip
"""Kinds that are looked for without further recognizers."""
_LANGUAGES = ("en", "zh")
_SURE = 0.9


def _silent(stage: str, done: int, total: int) -> None:
    """Tell nobody of progress."""


class Layer(Protocol):
    """A way to find something in a text in folded form."""

    def find(self, text: str) -> list[Hit]:
        """Return what is found, in any order, overlapping or not."""


class _Recognizer(LocalRecognizer):
    """Presidio's frame around one of our layers."""

    def __init__(self, layer: Layer, *, name: str, language: str) -> None:
        self._layer = layer
        super().__init__(
            supported_entities=[*ENTITIES],
            name=name,
            supported_language=language,
        )

    def load(self) -> None:
        """Nothing is loaded."""

    def analyze(
        self, text: str, entities: Sequence[str], nlp_artifacts: object = None
    ) -> list[RecognizerResult]:
        """Return Presidio's results for a folded text."""
        del entities, nlp_artifacts
        return [
            RecognizerResult(hit.entity, hit.start, hit.end, hit.score)
            for hit in self._layer.find(text)
        ]


class _NoContext(ContextAwareEnhancer):
    """Leaves scores as they are: the layers have weighed context already.

    Presidio's own copies every result, and compares lemmas that there are
    none of without a model.
    """

    def __init__(self) -> None:
        super().__init__(0.0, 0.0, 0, 0)

    def enhance_using_context(
        self,
        text: str,
        raw_results: list[RecognizerResult],
        nlp_artifacts: object,
        recognizers: list[EntityRecognizer],
        context: list[str] | None = None,
    ) -> list[RecognizerResult]:
        """Return the results as they are."""
        del text, nlp_artifacts, recognizers, context
        return raw_results


class Scrubber:
    """Finds personal data in texts. Build one and use it for many texts."""

    def __init__(
        self,
        *,
        recognizers: Iterable[EntityRecognizer] = (),
        threshold: float = THRESHOLD,
        names: bool = True,
    ) -> None:
        """Build the analyzer. Nothing is downloaded.

        Args:
            recognizers: further recognizers of Presidio, for instance one
                for names; what they load and where from is theirs.
            threshold: score from which a finding counts, from 0 to 1.
            names: look for names and places by rule, too, and by a model
                of English that is installed already, if there is one.
        """
        engine = NoOpNlpEngine(
            [{"lang_code": code, "model_name": ""} for code in _LANGUAGES]
        )
        engine.load()
        layers: dict[str, Layer] = {"patterns": Patterns()}
        if names:
            layers |= {
                "Chinese names": ChineseNames(),
                "Chinese addresses": ChineseAddresses(),
                "English names": EnglishNames(),
            }
            model = installed_model()
            if model is not None:
                layers["English model"] = model
        own = [
            _Recognizer(layer, name=name, language=code)
            for code in _LANGUAGES
            for name, layer in layers.items()
        ]
        registry = RecognizerRegistry(
            recognizers=[*own, *recognizers],
            supported_languages=[*_LANGUAGES],
        )
        self._threshold = threshold
        self._analyzer = AnalyzerEngine(
            registry=registry,
            nlp_engine=engine,
            supported_languages=[*_LANGUAGES],
            context_aware_enhancer=_NoContext(),
        )

    def find(
        self,
        text: str,
        *,
        language: str,
        known: Iterable[KnownValue] = (),
        everybody: ValueIndex | None = None,
    ) -> list[Finding]:
        """Return spans that do not overlap and hold all that was found.

        Args:
            text: the text.
            language: ``en`` or ``zh``.
            known: values of the person whose text it is.
            everybody: values of everybody, whoever the text is about.

        Raises:
            TextTooLong: the text has more than `MAX_LENGTH` characters.
            InvalidSpec: the language is another one.
        """
        if len(text) > MAX_LENGTH:
            msg = (
                f"a text has {len(text)} characters, more than {MAX_LENGTH}; "
                "split it"
            )
            raise TextTooLong(msg)
        if language not in _LANGUAGES:
            msg = "the language is en or zh"
            raise InvalidSpec(msg)
        folded = compact(text)
        found = [
            *_known(KnownValues(known).find(text, folded)),
            *_known(everybody.find(text, folded) if everybody else ()),
            *self._patterns(text, language),
            *_literals(text),
        ]
        repeats = Repeats()
        repeats.add(text, found)
        finder = repeats.ready()
        if finder is not None:
            found += finder.find(text, folded, found)
        return resolve(found)

    def find_all(
        self,
        passages: Sequence[str],
        *,
        language: str,
        known: Iterable[KnownValue] = (),
        everybody: ValueIndex | None = None,
        tell: Tell = _silent,
    ) -> list[list[Finding]]:
        """Search the passages of one document, however long.

        What is found in one passage is found again in all.

        Args:
            passages: its texts, of any length.
            language: ``en`` or ``zh``.
            known: values of the people whose document it is.
            everybody: values of everybody, whoever the document is about.
            tell: told of the stage, and of characters done and to do.

        Raises:
            InvalidSpec: the language is another one.
        """
        values = [*known]
        return search_passages(
            passages,
            lambda text: self.find(
                text, language=language, known=values, everybody=everybody
            ),
            tell,
        )

    def scrub(
        self,
        text: str,
        *,
        language: str,
        known: Iterable[KnownValue] = (),
        everybody: ValueIndex | None = None,
        shift: DateShift | None = None,
    ) -> ScrubbedText:
        """Return a text with mentions in place of what was found.

        Args:
            text: the text.
            language: ``en`` or ``zh``.
            known: values of the person whose text it is.
            everybody: values of everybody, whoever the text is about.
            shift: moves the person's dates; None labels them.

        Raises:
            TextTooLong: the text has more than `MAX_LENGTH` characters.
            InvalidSpec: the language is another one.
        """
        found = self.find(
            text, language=language, known=known, everybody=everybody
        )
        return replaced(text, found, shift)

    def _patterns(self, text: str, language: str) -> Iterable[Finding]:
        folded = plain(text)
        results = self._analyzer.analyze(
            text=folded.text,
            language=language,
            score_threshold=self._threshold,
        )
        for result in results:
            start, end = folded.original(result.start, result.end)
            if result.entity_type in NAMES:
                rank = Rank.NAME
            elif result.score >= _SURE:
                rank = Rank.CHECKED
            else:
                rank = Rank.PATTERN
            yield Finding(
                entity=result.entity_type,
                key=compact(text[start:end]).text,
                start=start,
                end=end,
                rank=rank,
                score=result.score,
            )


def replaced(
    text: str, found: Iterable[Finding], shift: DateShift | None = None
) -> ScrubbedText:
    """Put mentions, and moved dates, in place of what was found.

    Args:
        text: the text.
        found: spans that do not overlap, in the order of the text.
        shift: moves dates; None labels them.
    """
    pieces: list[str | Mention] = []
    at = 0
    for finding in found:
        pieces.append(text[at : finding.start])
        moved = None
        if shift is not None and finding.entity == DATE:
            moved = shift.move(text[finding.start : finding.end])
        pieces.append(moved or Mention(entity=finding.entity, key=finding.key))
        at = finding.end
    pieces.append(text[at:])
    return ScrubbedText(tuple(piece for piece in pieces if piece))


def _known(matches: Iterable[Match]) -> Iterable[Finding]:
    for match in matches:
        yield Finding(
            entity=match.entity,
            key=match.key,
            start=match.start,
            end=match.end,
            rank=Rank.KNOWN,
            score=1.0,
        )


def _literals(text: str) -> Iterable[Finding]:
    """Text that reads like a label of ours must not be taken for one."""
    if LITERAL_HINT.search(text) is None:
        return
    for match in LITERAL.finditer(text):
        yield Finding(
            entity=QUOTED,
            key=match[0],
            start=match.start(),
            end=match.end(),
            rank=Rank.PATTERN,
            score=0.0,
        )
