"""govuk-frontend's stylesheet, made fit for a body that is not GOV.UK.

The code is under the MIT licence; the crown, the royal crest and the GDS
Transport typeface are not, and stand for the government of one country. The
faces go, their stack becomes the reader's own system font with Noto behind
it, and every rule that shows crown or crest goes. What is left is searched
for their names, so that a new release cannot bring them back unseen.
"""

import re

# Latin first, then simplified and traditional Chinese, then what there is.
FONTS = (
    'system-ui,"Noto Sans","Noto Sans CJK SC","Noto Sans SC",'
    '"PingFang SC","Microsoft YaHei","Noto Sans CJK TC",arial,sans-serif'
)
FORBIDDEN = ("crown", "crest", "gds transport", "url(", "@font-face")

# A statement before a rule, such as @charset, is no part of the rule.
_RULE = re.compile(r"[^{};]*\{[^{}]*\}")
_EMPTY_BLOCK = re.compile(r"@(?:media|supports)[^{};]*\{\}")
_UNWANTED = re.compile(r"@font-face|crown|crest|copyright-logo", re.IGNORECASE)
_SOURCE_MAP = re.compile(r"/\*# sourceMappingURL=.*?\*/")


class StylesheetError(Exception):
    """The stylesheet still holds what must not be served."""


def adapt_stylesheet(source: str) -> str:
    """Remove the crown, the crest and the typeface from a stylesheet.

    Args:
        source: govuk-frontend's minified stylesheet.

    Returns:
        The stylesheet to serve. It refers to no other file.

    Raises:
        StylesheetError: something in `FORBIDDEN` is left.

    """
    adapted = _RULE.sub(_keep, _SOURCE_MAP.sub("", source))
    while _EMPTY_BLOCK.search(adapted):
        adapted = _EMPTY_BLOCK.sub("", adapted)
    adapted = adapted.replace("GDS Transport,arial,sans-serif", FONTS)
    left = [name for name in FORBIDDEN if name in adapted.lower()]
    if left:
        msg = f"the stylesheet still holds: {', '.join(left)}"
        raise StylesheetError(msg)
    return adapted


def _keep(rule: re.Match[str]) -> str:
    """Return the rule, or what opens the block around it, or nothing."""
    text = rule[0]
    return "" if _UNWANTED.search(text) else text
