"""Preferences as people write them in a file: YAML or JSON, read strictly.

    rules:
      - id: no-calls
        behavior: refuse
        purposes: [telemarketing]
      - id: studies-see-the-year
        behavior: limit
        level: 2
        attributes: [user.bdate]
        purposes: [historical, pseudo-analysis]
        recipients: [ours]
        terms: {times: 1, days: 30, until: 2030-01-01}
      - id: otherwise-yes
        behavior: allow

or ``preset: careful``. A condition that is left out holds for everything.
What `Preferences.text` returns is read as well.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NoReturn

import yaml

from consent.elements import categories_of, schema
from consent.errors import PreferencesInvalid
from consent.preferences import Behavior, Preferences, Rule
from consent.presets import PRESETS
from consent.rule_terms import (
    MOST_DAYS,
    MOST_TIMES,
    MOST_USES,
    NO_TERMS,
    Terms,
)
from consent.vocabulary import (
    Category,
    LegalBasis,
    Purpose,
    RecipientClass,
    Required,
    Retention,
)
from consent.yaml_reader import Place, YamlReader, closest

SCHEMA = "curtilage/preferences/1"
_WORDS: dict[str, type[StrEnum]] = {
    "categories": Category,
    "purposes": Purpose,
    "recipients": RecipientClass,
    "retentions": Retention,
    "required": Required,
    "bases": LegalBasis,
}
_COARSEST = 15
_LAST_SECOND = 9_999_999_999


def load_preferences(text: bytes, *, where: str) -> Preferences:
    """Read preferences from YAML or JSON.

    Args:
        text: UTF-8 bytes, at most 256 KiB.
        where: what to call the source in an error, such as a file name.

    Returns:
        The preferences.

    Raises:
        PreferencesInvalid: with line, column, fault and remedy.
    """
    reader = _PreferencesReader(where)
    return reader.preferences(reader.root(text))


class _PreferencesReader(YamlReader):
    def fail(
        self, at: yaml.Node | Place | None, what: str, remedy: str
    ) -> NoReturn:
        mark = at.start_mark if isinstance(at, yaml.Node) else at
        place = "" if mark is None else f":{mark.line + 1}:{mark.column + 1}"
        msg = f"{self.where}{place}: {what}; {remedy}"
        raise PreferencesInvalid(msg) from None

    def preferences(self, node: yaml.Node) -> Preferences:
        keys = self.mapping(node, (), ("schema", "preset", "rules"))
        if "schema" in keys and self.text(keys["schema"]) != SCHEMA:
            self.fail(keys["schema"], "another schema", f"write {SCHEMA}")
        if ("preset" in keys) == ("rules" in keys):
            self.fail(
                node, "rules or a preset are expected", "write one of the two"
            )
        if "preset" in keys:
            return self.preset(keys["preset"])
        return Preferences(
            rules=self.items(keys["rules"], self.rule, key=lambda r: r.id)
        )

    def preset(self, node: yaml.Node) -> Preferences:
        name = self.name(node)
        if name not in PRESETS:
            self.fail(
                node, "no such preset", f"use one of {', '.join(PRESETS)}"
            )
        return PRESETS[name]

    def rule(self, node: yaml.Node) -> Rule:
        keys = self.mapping(
            node,
            ("id", "behavior"),
            ("level", "attributes", "services", "terms", *_WORDS),
        )
        conditions: dict[str, Any] = {
            name: frozenset(
                self.items(keys[name], lambda one, w=words: self.word(one, w))  # type: ignore[misc] # mypy cannot type a bound default
            )
            for name, words in _WORDS.items()
            if name in keys
        }
        if "attributes" in keys:
            conditions["attributes"] = self.items(
                keys["attributes"], self.attribute
            )
        if "services" in keys:
            conditions["services"] = frozenset(
                self.items(keys["services"], self.name)
            )
        try:
            return Rule(
                id=self.text(keys["id"]),
                behavior=self.word(keys["behavior"], Behavior),
                level=self.integer(keys["level"], 1, _COARSEST)
                if "level" in keys
                else None,
                terms=self.terms(keys["terms"])
                if "terms" in keys
                else NO_TERMS,
                **conditions,
            )
        except PreferencesInvalid as error:
            if str(error).startswith(self.where):
                raise
            self.fail(node, str(error), "correct this rule")

    def attribute(self, node: yaml.Node) -> str:
        name = self.text(node)
        if categories_of(name) is None:
            self.fail(
                node,
                f"no element is called {name[:64]!r}",
                closest(iter(schema()), name),
            )
        return name

    def terms(self, node: yaml.Node) -> Terms:
        truths = ("paused", "notify", "no_onward_transfer")
        keys = self.mapping(
            node,
            (),
            (
                *("since", "until", "times", "days", "uses", "delete_days"),
                *truths,
            ),
        )
        found: dict[str, Any] = {
            name: self.integer(keys[name], 1, most)
            for name, most in (
                ("times", MOST_TIMES),
                ("days", MOST_DAYS),
                ("uses", MOST_USES),
                ("delete_days", MOST_DAYS),
            )
            if name in keys
        }
        for name in ("since", "until"):
            if name in keys:
                found[name] = self.instant(keys[name])
        for name in truths:
            if name in keys:
                found[name] = self.truth(keys[name])
        return Terms(**found)

    def instant(self, node: yaml.Node) -> int:
        """Read a day, at whose first second in UTC it is, or POSIX seconds."""
        value = node.value if isinstance(node, yaml.ScalarNode) else ""
        if value.isascii() and value.isdigit():
            return self.integer(node, 1, _LAST_SECOND)
        try:
            day = datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            self.fail(node, "a day is expected here", "such as 2026-01-31")
        return max(1, int(day.timestamp()))
