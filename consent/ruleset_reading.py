"""Rule sets of either language, told apart by what they say."""

from consent.appel import appel_of
from consent.errors import PreferencesInvalid
from consent.evidence import Evidence
from consent.rulesets import Outcome, Ruleset, read_rules
from consent.xpref import xpref_of


def read_ruleset(text: bytes, *, where: str, repair: bool = True) -> Ruleset:
    """Read an APPEL or an XPref rule set.

    Args:
        text: the bytes of the file.
        where: what to call the source in errors and findings.
        repair: whether what is not well-formed may be mended.

    Returns:
        The rule set: XPref where its rules have conditions, else APPEL.

    Raises:
        PreferencesInvalid: it is neither, or cannot be evaluated.
    """
    root, mended = read_rules(text, where=where, repair=repair)
    if not root.name.endswith("RULESET"):
        msg = f"{where}:{root.line}:{root.column}: the file is no rule set"
        raise PreferencesInvalid(msg)
    if any("condition" in rule.attributes for rule in root.all("RULE")):
        return xpref_of(root, where=where, mended=mended)
    return appel_of(root, where=where, mended=mended)


def evaluate_ruleset(
    ruleset: Ruleset, evidence: Evidence, *, uri: str = ""
) -> Outcome:
    """Say what a rule set wants done about a policy.

    Args:
        ruleset: the rule set.
        evidence: the policy.
        uri: the resource in question, for rules that name one.

    Returns:
        What the first rule that is true wants; ``block`` where none is.

    Raises:
        PreferencesInvalid: a rule cannot be evaluated.
    """
    return ruleset.evaluate(evidence.policy, uri=uri)
