"""Text made of bytes.

Strings of the engine are Unicode, while OPA's may hold any bytes. What a
decoder finds is carried along if it is not UTF-8; to look into it has no
answer here, rather than an approximate one.
"""

from policy.engine.builtins.operands import sized_text
from policy.engine.errors import OutsideProfile
from policy.engine.values import Raw


def of_bytes(content: bytes) -> str:
    """The string that these bytes are.

    Args:
        content: UTF-8.

    Returns:
        The string.

    Raises:
        OutsideProfile: they are not UTF-8.
    """
    try:
        return sized_text(content.decode())
    except UnicodeDecodeError:
        msg = "a string that is not UTF-8"
        raise OutsideProfile(msg) from None


def decoded(content: bytes) -> str:
    """The string that these bytes are, UTF-8 or not."""
    try:
        return sized_text(content.decode())
    except UnicodeDecodeError:
        return Raw(sized_text(content.decode(errors="surrogateescape")))
