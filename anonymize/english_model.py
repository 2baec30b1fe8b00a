"""Names in English by a language model, where one is installed already.

The models of spaCy are packages of Python. One that is installed is loaded
from where it lies; nothing is ever downloaded, and where there is none the
rules of `english_names` do alone. A model adds to the rules and takes
nothing away.
"""

import warnings
from typing import TYPE_CHECKING

from anonymize.overlaps import Hit

if TYPE_CHECKING:
    from spacy.language import Language

MODELS = ("en_core_web_trf", "en_core_web_lg", "en_core_web_md",
          "en_core_web_sm")  # fmt: skip
"""Models that are looked for, the best first."""
SCORE = 0.85
_KINDS = {
    "PERSON": "PERSON",
    "GPE": "LOCATION",
    "LOC": "LOCATION",
    "FAC": "LOCATION",
    "ORG": "ORGANIZATION",
}


class EnglishModel:
    """Finds what an installed model finds."""

    def __init__(self, language: "Language") -> None:
        """Take a loaded model.

        Args:
            language: spaCy's, with an entity recognizer.
        """
        self._language = language

    def find(self, text: str) -> list[Hit]:
        """Return the names in a text.

        Args:
            text: in folded form, up to a million characters.
        """
        return [
            Hit(
                entity=_KINDS[one.label_],
                start=one.start_char,
                end=one.end_char,
                score=SCORE,
            )
            for one in self._language(text).ents
            if one.label_ in _KINDS
        ]


def installed_model() -> EnglishModel | None:
    """Load the best model that is installed; None where there is none."""
    with warnings.catch_warnings():
        # spaCy still asks click for an old name.
        warnings.simplefilter("ignore", DeprecationWarning)
        import spacy  # noqa: PLC0415 - it takes a second, and may be unused
    for name in MODELS:
        if spacy.util.is_package(name):
            return EnglishModel(spacy.load(name))
    return None
