"""XPref rule sets: conditions in XPath over a completed policy.

Agrawal, Kiernan, Srikant, Xu, "XPref: a preference language for P3P". A rule
is a behavior and a condition; the first condition that is true decides. The
conditions are XPath 2.0, run by the library elementpath (MIT, imported
when used), so nothing here is shared with the evaluator of APPEL.

A condition comes from a stranger: what is no part of looking at a policy
(other documents, time, patterns, long ranges) is refused when it is read,
and a condition that looks at too much ends as an error. A condition of
``every ... satisfies`` is true where there is nothing to satisfy it, as
XPath has it: a policy that names no purpose passes a test of its purposes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from xml.etree import ElementTree as ET

from consent.errors import PreferencesInvalid
from consent.evidence import as_tree
from consent.findings import Finding, Severity
from consent.p3p_xml import Element
from consent.rulesets import Outcome, nothing_fires, read_rules

LONGEST = 4096
"""Characters in one condition at most."""

_MOST_STEPS = 100_000
_LARGE = 20_000
# Lists of constants are walked without asking the context.
_MOST_COMMAS = 32
_WORDS = frozenset(
    [
        "/",
        "//",
        "*",
        "[",
        "(",
        ",",
        ".",
        "..",
        "@",
        "$",
        "=",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "|",
        "::",
        "and",
        "or",
        "not",
        "if",
        "every",
        "some",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "is",
        "union",
        "intersect",
        "except",
        "(name)",
        "(string)",
        "(integer)",
        "(decimal)",
        "child",
        "attribute",
        "self",
        "descendant",
        "descendant-or-self",
        "parent",
        "ancestor",
        "ancestor-or-self",
        "following-sibling",
        "preceding-sibling",
        "node",
        "text",
        "name",
        "local-name",
        "true",
        "false",
        "count",
        "exists",
        "empty",
        "string",
        "boolean",
        "contains",
        "starts-with",
        "ends-with",
        "normalize-space",
        "lower-case",
        "upper-case",
        "string-length",
        "last",
        "position",
    ]
)
_COUNTED = (
    "inner_focus_select",
    "iter_product",
    "iter_self",
    "iter_attributes",
    "iter_children_or_self",
    "iter_matching_nodes",
    "iter_parent",
    "iter_siblings",
    "iter_descendants",
    "iter_ancestors",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class XPrefRule:
    """One rule.

    Attributes:
        behavior: what happens where it is true.
        condition: XPath 2.0; ``true`` and ``false`` stand for themselves.
        description: what it calls itself.
        prompt: whether to ask the person first.
        message: what to ask them.
    """

    behavior: str
    condition: str
    description: str = ""
    prompt: bool = False
    message: str = ""

    def holds(self, tree: ET.Element) -> bool:
        """Say whether the condition is true.

        Args:
            tree: a completed POLICY without namespaces.

        Raises:
            PreferencesInvalid: the condition is no XPath, uses what is
                refused, looks at too much, or has no truth value.
        """
        return _evaluate(_parsed(self.condition), tree)


@dataclass(frozen=True, slots=True, kw_only=True)
class XPrefRuleset:
    """A RULESET of XPref.

    Attributes:
        rules: its rules; the first that is true decides.
        findings: what was noticed.
    """

    rules: tuple[XPrefRule, ...]
    findings: tuple[Finding, ...] = ()

    def evaluate(self, policy: Element, *, uri: str = "") -> Outcome:
        """Say what the first rule that is true wants.

        Args:
            policy: a completed POLICY.
            uri: not looked at; XPref has no words for resources.

        Returns:
            The outcome; where no rule is true, nothing is disclosed.

        Raises:
            PreferencesInvalid: a rule cannot be evaluated.
        """
        del uri
        tree = as_tree(policy)
        for number, rule in enumerate(self.rules, start=1):
            if rule.holds(tree):
                return Outcome(
                    behavior=rule.behavior,
                    rule=number,
                    description=rule.description,
                    prompt=rule.prompt,
                    message=rule.message,
                )
        return nothing_fires()


def read_xpref(
    text: bytes, *, where: str, repair: bool = True
) -> XPrefRuleset:
    """Read an XPref rule set.

    Args:
        text: the bytes of the file.
        where: what to call the source in errors and findings.
        repair: whether what is not well-formed may be mended.

    Returns:
        The rule set and what was noticed.

    Raises:
        PreferencesInvalid: it is no XPref rule set, a condition is no XPath
            or uses what is refused, or elementpath is not installed.
    """
    root, mended = read_rules(text, where=where, repair=repair)
    return xpref_of(root, where=where, mended=mended)


def xpref_of(
    root: Element, *, where: str, mended: Sequence[Finding] = ()
) -> XPrefRuleset:
    """Return an XPref rule set of its XML; as `read_xpref`."""
    found = list(mended)
    if root.name != "RULESET":
        _fail(where, root, "the file is no XPref rule set")
    rules = []
    for element in root.all("RULE"):
        said = element.attributes
        if not said.get("behavior") or not said.get("condition"):
            _fail(where, element, "the rule has no behavior or no condition")
        rules.append(
            XPrefRule(
                behavior=said["behavior"],
                condition=said["condition"],
                description=said.get("description", ""),
                prompt=said.get("prompt") == "yes",
                message=said.get("promptmsg", ""),
            )
        )
        try:
            _parsed(said["condition"])
        except PreferencesInvalid as error:
            _fail(where, element, f"{error}")
    if not rules:
        _fail(where, root, "the rule set has no rule")
    if rules[-1].condition.strip() not in {"true", "true()"}:
        found.append(
            Finding(
                where=where,
                line=root.line,
                column=root.column,
                code="no-otherwise",
                message="the last rule does not catch all; what none holds"
                " for is blocked",
                severity=Severity.WARNING,
            )
        )
    return XPrefRuleset(rules=tuple(rules), findings=tuple(found))


def _fail(where: str, at: Element, what: str) -> None:
    msg = f"{where}:{at.line}:{at.column}: {what}"
    raise PreferencesInvalid(msg)


def _library() -> Any:  # noqa: ANN401 - an optional library, imported when used
    try:
        return import_module("elementpath")
    except ModuleNotFoundError:
        msg = "XPref needs the extra: pip install curtilage[preferences]"
        raise PreferencesInvalid(msg) from None


def _parsed(condition: str) -> Any:  # noqa: ANN401 - a token of the library
    library = _library()
    if len(condition) > LONGEST:
        msg = f"the condition has more than {LONGEST} characters"
        raise PreferencesInvalid(msg)
    if condition.count(",") > _MOST_COMMAS:
        msg = f"the condition has more than {_MOST_COMMAS} commas"
        raise PreferencesInvalid(msg)
    if condition.strip() in {"true", "false"}:
        condition = condition.strip() + "()"
    # The library evaluates constants while it parses, without any bound. What
    # stands first needs a policy, so it stops at once.
    whole = f"exists(/) and ({condition})"
    try:
        token = library.XPath2Parser().parse(whole)
        words = {each.symbol for each in token.iter()}
    except (library.ElementPathError, RecursionError, ValueError) as error:
        msg = f"the condition is no XPath 2.0 ({type(error).__name__})"
        raise PreferencesInvalid(msg) from None
    for word in sorted(words - _WORDS):
        msg = f"the condition uses {word[:32]!r}, which is refused"
        raise PreferencesInvalid(msg)
    return token


def _evaluate(token: Any, tree: ET.Element) -> bool:  # noqa: ANN401 - as above
    library = _library()
    size = sum(len(node.text or "") + 20 for node in tree.iter())
    steps = _MOST_STEPS // (1 + size // _LARGE)
    counting = _counting(library.XPathContext, steps)
    context = counting(ET.ElementTree(tree))
    try:
        return bool(token.boolean_value(token.select(context)))
    except (library.ElementPathError, RecursionError, ValueError) as error:
        msg = f"the condition has no truth value ({type(error).__name__})"
        raise PreferencesInvalid(msg) from None


def _counting(base: Any, steps: int) -> Any:  # noqa: ANN401 - a class of the library
    """Return a context that gives up when it has looked at too much."""
    left = [steps]

    def counted(original: Callable[..., Iterator[Any]]) -> Any:  # noqa: ANN401 - a method of a class of the library
        def stepping(*args: Any, **named: Any) -> Iterator[Any]:  # noqa: ANN401 - whatever it takes
            left[0] -= 1
            for item in original(*args, **named):
                left[0] -= 1
                if left[0] < 0:
                    msg = "the condition looks at too much of the policy"
                    raise PreferencesInvalid(msg)
                yield item

        return stepping

    return type(
        "CountingContext",
        (base,),
        {name: counted(getattr(base, name)) for name in _COUNTED},
    )
