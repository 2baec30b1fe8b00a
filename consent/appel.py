"""APPEL 1.0 rule sets (W3C Working Draft, 15 April 2002, section 5).

A rule is a tree of expressions that is laid over the tree of a policy. Six
connectives say how the children of an expression are to be found among the
children of what it is laid over. The language is evaluated here as the draft
has it, its known defects included; `consent.preferences` is what a person's
own rules are written in.

Where the draft is silent: an expression without children asks only for
presence (``and``, ``or``) or for emptiness (the exact ones), and a ``non-``
connective without children is refused. An optional EXTENSION is not counted
against an exact connective. Where no rule is true, nothing is disclosed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from consent.errors import PreferencesInvalid
from consent.findings import Finding, Severity
from consent.p3p_extensions import is_mandatory
from consent.p3p_xml import Element
from consent.rulesets import Outcome, nothing_fires, read_rules
from consent.wildcards import matches

_NAMESPACE = re.compile(r"\{http://www\.w3\.org/\d{4}/\d{2}/APPELv1\}")
_MOST_STEPS = 300_000


class Connective(StrEnum):
    """How the children of an expression are to be found."""

    AND = "and"
    OR = "or"
    NON_AND = "non-and"
    NON_OR = "non-or"
    AND_EXACT = "and-exact"
    OR_EXACT = "or-exact"


_NEGATIVE = frozenset({Connective.NON_AND, Connective.NON_OR})
_EXACT = frozenset({Connective.AND_EXACT, Connective.OR_EXACT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """One element of a rule's body.

    Attributes:
        name: the name that what it is laid over must have.
        attributes: values that it must have; ``*`` is any run.
        text: text that it must have, or nothing.
        connective: how the children are to be found.
        children: expressions.
    """

    name: str
    attributes: tuple[tuple[str, str], ...] = ()
    text: str = ""
    connective: Connective = Connective.AND
    children: tuple["Expression", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AppelRule:
    """One rule.

    Attributes:
        behavior: what happens where it is true.
        description: what it calls itself.
        prompt: whether to ask the person first.
        message: what to ask them.
        persona: which persona of the person it is about.
        otherwise: whether it is always true.
        connective: how the expressions of the body are combined.
        body: expressions over POLICY and REQUEST-GROUP.
        line: where it stands.
        column: where it stands.
    """

    behavior: str
    description: str = ""
    prompt: bool = False
    message: str = ""
    persona: str = ""
    otherwise: bool = False
    connective: Connective = Connective.AND
    body: tuple[Expression, ...] = ()
    line: int = 0
    column: int = 0

    @property
    def catches_all(self) -> bool:
        """Whether it is true for every policy."""
        return self.otherwise or not self.body

    def holds(self, policy: Element, *, uri: str = "") -> bool:
        """Say whether the rule is true.

        Args:
            policy: a completed POLICY.
            uri: the resource in question.

        Raises:
            PreferencesInvalid: comparing takes too long.
        """
        if self.catches_all:
            return True
        evidence = [policy]
        if uri and any(e.name == "REQUEST-GROUP" for e in self.body):
            evidence.append(_request(uri))
        return _Matcher().connected(self.connective, self.body, evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppelRuleset:
    """A RULESET.

    Attributes:
        rules: its rules; the first that is true decides.
        findings: what was noticed.
        description: what it calls itself.
    """

    rules: tuple[AppelRule, ...]
    findings: tuple[Finding, ...] = ()
    description: str = ""

    def evaluate(self, policy: Element, *, uri: str = "") -> Outcome:
        """Say what the first rule that is true wants.

        Args:
            policy: a completed POLICY.
            uri: the resource in question, for rules that name one.

        Returns:
            The outcome; where no rule is true, nothing is disclosed.

        Raises:
            PreferencesInvalid: comparing takes too long.
        """
        for number, rule in enumerate(self.rules, start=1):
            if rule.holds(policy, uri=uri):
                return Outcome(
                    behavior=rule.behavior,
                    rule=number,
                    description=rule.description,
                    prompt=rule.prompt,
                    message=rule.message,
                )
        return nothing_fires()


def read_appel(
    text: bytes, *, where: str, repair: bool = True
) -> AppelRuleset:
    """Read an APPEL rule set.

    Args:
        text: the bytes of the file.
        where: what to call the source in errors and findings.
        repair: whether what is not well-formed may be mended.

    Returns:
        The rule set and what was noticed.

    Raises:
        PreferencesInvalid: it is no APPEL rule set.
    """
    root, mended = read_rules(text, where=where, repair=repair)
    return appel_of(root, where=where, mended=mended)


def appel_of(
    root: Element, *, where: str, mended: Sequence[Finding] = ()
) -> AppelRuleset:
    """Return an APPEL rule set of its XML; as `read_appel`."""
    return _Reader(where, list(mended)).ruleset(root)


def _request(uri: str) -> Element:
    def element(name: str, attributes: dict[str, str]) -> Element:
        return Element(
            name=name, namespace="", line=0, column=0, attributes=attributes
        )

    group = element("REQUEST-GROUP", {})
    group.children.append(element("REQUEST", {"uri": uri}))
    return group


class _Matcher:
    """Lays expressions over evidence, in bounded time."""

    def __init__(self) -> None:
        self._steps = 0

    def matches(self, e: Expression, n: Element) -> bool:
        """Say whether an expression fits what it is laid over."""
        self._steps += 1
        if self._steps > _MOST_STEPS:
            msg = "the rule set and the policy are too large to compare"
            raise PreferencesInvalid(msg)
        return (
            e.name == n.name
            and all(
                name in n.attributes and matches(value, n.attributes[name])
                for name, value in e.attributes
            )
            and (not e.text or matches(e.text, " ".join(n.text.split())))
            and self.connected(e.connective, e.children, n.children)
        )

    def connected(
        self,
        how: Connective,
        expressions: Sequence[Expression],
        nodes: Sequence[Element],
    ) -> bool:
        """Say whether children are found as a connective wants."""
        if how in _EXACT:
            return self._exact(how, expressions, nodes)
        if not expressions:
            return True
        found = (any(self.matches(e, n) for n in nodes) for e in expressions)
        if how is Connective.AND:
            return all(found)
        if how is Connective.NON_AND:
            return not all(found)
        return any(found) is (how is Connective.OR)

    def _exact(
        self,
        how: Connective,
        expressions: Sequence[Expression],
        nodes: Sequence[Element],
    ) -> bool:
        found = [False] * len(expressions)
        for node in nodes:
            covered = False
            for number, expression in enumerate(expressions):
                if self.matches(expression, node):
                    found[number] = covered = True
            if not covered and _counts(node):
                return False
        if not expressions:
            return True
        return all(found) if how is Connective.AND_EXACT else any(found)


def _counts(node: Element) -> bool:
    return node.name != "EXTENSION" or is_mandatory(node)


class _Reader:
    def __init__(self, where: str, found: list[Finding]) -> None:
        self._where = where
        self._found = found

    def ruleset(self, root: Element) -> AppelRuleset:
        """Read the root."""
        if _own(root.name) != "RULESET":
            self._fail(root, "the file is no APPEL rule set")
        rules = tuple(
            self._rule(child)
            for child in root.children
            if _own(child.name) == "RULE"
        )
        if not rules:
            self._fail(root, "the rule set has no rule")
        ends = [n for n, rule in enumerate(rules) if rule.catches_all]
        if not ends:
            self._note(
                root,
                "no-otherwise",
                "no rule catches all; what none holds for is blocked",
            )
        for rule in rules[ends[0] + 1 :] if ends else ():
            self._note(
                rule, "never-tried", "a rule before this one catches all"
            )
        return AppelRuleset(
            rules=rules,
            findings=tuple(self._found),
            description=_said(root, "description"),
        )

    def _rule(self, element: Element) -> AppelRule:
        behavior = _said(element, "behavior")
        if not behavior:
            self._fail(element, "the rule has no behavior")
        otherwise = any(_own(c.name) == "OTHERWISE" for c in element.children)
        body = tuple(
            self._expression(child)
            for child in element.children
            if _own(child.name) != "OTHERWISE"
        )
        if not body and not otherwise:
            self._note(
                element, "empty-rule", "the rule has no body; it is true"
            )
        prompt = _said(element, "prompt") or "no"
        if prompt not in {"yes", "no"}:
            self._fail(element, "prompt is neither yes nor no")
        return AppelRule(
            behavior=behavior,
            description=_said(element, "description"),
            prompt=prompt == "yes",
            message=_said(element, "promptmsg"),
            persona=_said(element, "persona"),
            otherwise=otherwise,
            connective=self._connective(element, empty=not body),
            body=body,
            line=element.line,
            column=element.column,
        )

    def _expression(self, element: Element) -> Expression:
        children = tuple(self._expression(c) for c in element.children)
        return Expression(
            name=_own(element.name) or element.name,
            attributes=tuple(
                (name, value)
                for name, value in element.attributes.items()
                if name != "connective"
            ),
            text=" ".join(element.text.split()),
            connective=self._connective(element, empty=not children),
            children=children,
        )

    def _connective(self, element: Element, *, empty: bool) -> Connective:
        said = _said(element, "connective") or Connective.AND.value
        try:
            connective = Connective(said)
        except ValueError:
            self._fail(element, f"{said[:32]!r} is no connective")
        if empty and connective in _NEGATIVE:
            self._fail(
                element, f"{connective} over nothing is neither true nor false"
            )
        return connective

    def _note(self, at: Element | AppelRule, code: str, message: str) -> None:
        self._found.append(
            Finding(
                where=self._where,
                line=at.line,
                column=at.column,
                code=code,
                message=message,
                severity=Severity.WARNING,
            )
        )

    def _fail(self, at: Element, what: str) -> NoReturn:
        msg = f"{self._where}:{at.line}:{at.column}: {what}"
        raise PreferencesInvalid(msg)


def _own(name: str) -> str:
    """Return a name without the namespace of APPEL."""
    return _NAMESPACE.sub("", name)


def _said(element: Element, name: str) -> str:
    """Return an attribute, written with the prefix of APPEL or without."""
    for key, value in element.foreign.items():
        if _NAMESPACE.sub("", key) == name and _NAMESPACE.match(key):
            return value
    return element.attributes.get(name, "")
