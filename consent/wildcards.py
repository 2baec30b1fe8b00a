"""Patterns with ``*`` for any run of characters, in linear time.

Used for the URIs and cookies of policy reference files (P3P 1.0, section
2.3.2.2) and for the values in APPEL rules. There is no other special
character and no escape; who needs a literal asterisk writes it as the
pattern's own language says (``%2A`` in URIs).
"""


def matches(pattern: str, text: str) -> bool:
    """Say whether a pattern matches the whole of a text.

    Args:
        pattern: the pattern; ``*`` stands for 0 or more characters.
        text: the text.

    Returns:
        True when it does. The pieces between the asterisks are looked for
        from left to right, each once, so that no pattern is slow.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    if not text.startswith(first):
        return False
    at = len(first)
    *middle, last = rest
    for piece in middle:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(text) - at >= len(last) and text.endswith(last)
