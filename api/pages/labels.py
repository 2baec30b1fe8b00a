"""Plain words for attributes, sources and reasons.

Attribute names and groups come from ``api/locales/attributes.yaml``, which
covers the whole catalogue (a test compares them). Reason texts belong to the
policies: the composition root hands over the vocabulary's file, and a code
without a text is an error. An attribute that the catalogue does not know can
still stand in the ledger, since a service may have asked for it; it is shown
as it was asked.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from api.pages.dates import plain_value
from api.pages.errors import PagesMisconfigured
from api.pages.i18n import LOCALES, Language, Localized, localized, read_yaml
from api.pages.port import Text
from consent import label as question
from consent import predicate_of

Reasons = Mapping[str, Text]
"""Reason code to its text for the person, by language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeLabel:
    """What an attribute is called, and the group that it stands in."""

    group: str
    text: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The words for groups, attributes and sources.

    Attributes:
        groups: group to its title, in the order of the page.
        attributes: attribute name to its label, in the order of the page.
        sources: source, or who gets extracts, to its name; one without
            a name shows as it is.
        values: attribute to those of its values that have a name.

    """

    groups: Mapping[str, Text]
    attributes: Mapping[str, AttributeLabel]
    sources: Mapping[str, Text]
    values: Mapping[str, Mapping[str, Text]]

    def attribute(self, name: str, language: Language) -> Localized:
        """Return what an attribute is called, or a predicate asks.

        What is neither is shown by its name as it is.
        """
        known = self.attributes.get(name)
        if known is not None:
            return localized(known.text, language)
        if predicate_of(name) is not None:
            return Localized(
                text=question(name, str(language)), language=str(language)
            )
        return Localized(text=name, language="zxx")

    def value(
        self, attribute: str, value: str, language: Language
    ) -> Localized:
        """Return what a value is called, or the value as it is read.

        Dates are written out; nothing else without a name is changed.
        """
        text = self.values.get(attribute, {}).get(value)
        if text is not None:
            return localized(text, language)
        return Localized(
            text=plain_value(value, language), language=str(language)
        )

    def source(self, name: str, language: Language) -> Localized:
        """Return what a source is called, or the name as it is."""
        label = self.sources.get(name)
        if label is None:
            return Localized(text=name, language="und")
        return localized(label, language)

    def in_order(self, names: Iterable[str]) -> list[str]:
        """Return attribute names in the order of the page."""
        place = {name: at for at, name in enumerate(self.attributes)}
        return sorted(names, key=lambda name: (place.get(name, 10**6), name))


def load_labels(path: Path = LOCALES / "attributes.yaml") -> Labels:
    """Load the words for groups, attributes and sources.

    Args:
        path: the file.

    Returns:
        The labels.

    Raises:
        PagesMisconfigured: a label is missing in a language, or stands in a
            group that is not there.

    """
    document = read_yaml(path)
    groups = {key: _complete(key, t) for key, t in document["groups"].items()}
    attributes = {
        name: AttributeLabel(
            group=entry["group"],
            text=_complete(
                name, {k: v for k, v in entry.items() if k != "group"}
            ),
        )
        for name, entry in document["attributes"].items()
    }
    for name, label in attributes.items():
        if label.group not in groups:
            msg = f"the label of {name} stands in no group"
            raise PagesMisconfigured(msg)
    return Labels(
        groups=MappingProxyType(groups),
        attributes=MappingProxyType(attributes),
        sources=MappingProxyType(
            {key: _complete(key, t) for key, t in document["sources"].items()}
        ),
        values=MappingProxyType(
            {
                name: MappingProxyType(
                    {
                        key: _complete(f"{name}: {key}", text)
                        for key, text in each.items()
                    }
                )
                for name, each in document["values"].items()
            }
        ),
    )


def load_reasons(text: bytes) -> Reasons:
    """Read the policies' vocabulary of reasons.

    Args:
        text: the bytes of ``policies/vocabulary/reasons.json``: a list of
            objects with ``code`` and ``text`` by language.

    Returns:
        Reason code to text.

    Raises:
        PagesMisconfigured: a text is missing in a language.

    """
    return MappingProxyType(
        {
            entry["code"]: _complete(entry["code"], entry["text"])
            for entry in json.loads(text)
        }
    )


def _complete(key: str, text: Text) -> Text:
    if set(text) != set(Language):
        msg = f"the label of {key} is not in every language"
        raise PagesMisconfigured(msg)
    return MappingProxyType(dict(text))
