"""Free text: what is personal in it is found and replaced by labels.

Three layers. The person's own values (`known`), whose recall is complete by
construction; patterns with check digits where there are any (`patterns`),
run inside Presidio's analyzer so that a deployment can add recognizers of
its own; and every further occurrence of what those two found.

Presidio is used without a language model and without its network call. Its
default engine starts a download, its e-mail recognizer fetches the list of
public suffixes at the first address that it sees, and a pattern that times
out is skipped. So the engine here is the one that does nothing, the registry
holds only the recognizers given, and those neither open a socket nor can
time out. A test runs the whole in a network namespace without routes.

Not found: names and places of people who are not known, unless a recognizer
for them is added.
"""

import re
import warnings
from collections.abc import Iterable, Sequence

from anonymize.errors import InvalidSpec, MissingExtra, TextTooLong
from anonymize.folding import compact, plain
from anonymize.known import KnownValue, KnownValues
from anonymize.labels import Mention, ScrubbedText
from anonymize.overlaps import Finding, Rank, resolve
from anonymize.patterns import Rule, make_rules

try:
    with warnings.catch_warnings():
        # spaCy, which Presidio imports, still asks click for an old name.
        warnings.simplefilter("ignore", DeprecationWarning)
        from presidio_analyzer import (
            AnalyzerEngine,
            EntityRecognizer,
            LocalRecognizer,
            RecognizerRegistry,
            RecognizerResult,
        )
        from presidio_analyzer.nlp_engine import NoOpNlpEngine
except ImportError as missing:
    raise MissingExtra(library="presidio-analyzer") from missing

MAX_LENGTH = 200_000
"""Longest text that is searched, in characters."""
THRESHOLD = 0.3
"""Score from which a finding counts."""
_LANGUAGES = ("en", "zh")
_SURE = 0.9
_LITERAL = re.compile(r"<[A-Z][A-Z_]{0,40}_[0-9]{1,9}>")
_REPEATED = 4
"""Shortest found value that is looked for again, in folded characters."""


class _Recognizer(LocalRecognizer):
    """Presidio's frame around one of our rules."""

    def __init__(self, rule: Rule, *, name: str, language: str) -> None:
        self._rule = rule
        super().__init__(
            supported_entities=[rule.entity],
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
        rule = self._rule
        group = "value" if "value" in rule.regex.groupindex else 0
        results = []
        for match in rule.regex.finditer(text):
            start, end = match.span(group)
            score = rule.score
            if rule.check is not None:
                length = rule.check(match[group])
                if not length:
                    continue
                end, score = start + length, rule.checked
            results.append(RecognizerResult(rule.entity, start, end, score))
        return results


class Scrubber:
    """Finds personal data in texts. Build one and use it for many texts."""

    def __init__(
        self,
        *,
        recognizers: Iterable[EntityRecognizer] = (),
        threshold: float = THRESHOLD,
    ) -> None:
        """Build the analyzer. Nothing is downloaded.

        Args:
            recognizers: further recognizers of Presidio, for instance one
                for names; what they load and where from is theirs.
            threshold: score from which a finding counts, from 0 to 1.
        """
        engine = NoOpNlpEngine(
            [{"lang_code": code, "model_name": ""} for code in _LANGUAGES]
        )
        engine.load()
        own = [
            _Recognizer(rule, name=f"{rule.entity} {number}", language=code)
            for code in _LANGUAGES
            for number, rule in enumerate(make_rules())
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
        )

    def find(
        self, text: str, *, language: str, known: Iterable[KnownValue] = ()
    ) -> list[Finding]:
        """Return spans that do not overlap and hold all that was found.

        Args:
            text: the text.
            language: ``en`` or ``zh``.
            known: values of the person whose text it is.

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
        found = [
            *_known(text, KnownValues(known)),
            *self._patterns(text, language),
            *_literals(text),
        ]
        return resolve([*found, *_repeated(text, found)])

    def scrub(
        self, text: str, *, language: str, known: Iterable[KnownValue] = ()
    ) -> ScrubbedText:
        """Return a text with mentions in place of what was found.

        Args:
            text: the text.
            language: ``en`` or ``zh``.
            known: values of the person whose text it is.

        Raises:
            TextTooLong: the text has more than `MAX_LENGTH` characters.
            InvalidSpec: the language is another one.
        """
        pieces: list[str | Mention] = []
        at = 0
        for finding in self.find(text, language=language, known=known):
            pieces.append(text[at : finding.start])
            pieces.append(Mention(entity=finding.entity, key=finding.key))
            at = finding.end
        pieces.append(text[at:])
        return ScrubbedText(tuple(piece for piece in pieces if piece))

    def _patterns(self, text: str, language: str) -> Iterable[Finding]:
        folded = plain(text)
        results = self._analyzer.analyze(
            text=folded.text,
            language=language,
            score_threshold=self._threshold,
        )
        for result in results:
            start, end = folded.original(result.start, result.end)
            sure = result.score >= _SURE
            yield Finding(
                entity=result.entity_type,
                key=compact(text[start:end]).text,
                start=start,
                end=end,
                rank=Rank.CHECKED if sure else Rank.PATTERN,
                score=result.score,
            )


def _known(text: str, values: KnownValues) -> Iterable[Finding]:
    for match in values.find(text):
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
    for match in _LITERAL.finditer(text):
        yield Finding(
            entity="QUOTED",
            key=match[0],
            start=match.start(),
            end=match.end(),
            rank=Rank.PATTERN,
            score=0.0,
        )


def _repeated(text: str, found: Sequence[Finding]) -> Iterable[Finding]:
    """Find what was found by a pattern wherever else it stands."""
    values = {
        text[each.start : each.end]: each
        for each in found
        if each.rank is not Rank.KNOWN and len(each.key) >= _REPEATED
    }
    finder = KnownValues(
        (
            KnownValue(entity=each.entity, text=value)
            for value, each in values.items()
        ),
        forms_too=False,
    )
    for match in finder.find(text):
        yield Finding(
            entity=match.entity,
            key=match.key,
            start=match.start,
            end=match.end,
            rank=Rank.REPEATED,
            score=0.0,
        )
