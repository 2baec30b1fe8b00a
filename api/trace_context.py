"""The caller's place in its own trace (W3C Trace Context, level 1).

Only `traceparent` is read. What is malformed is as if it had not been sent:
a trace is of use to whoever sent it, and no reason to refuse anything.
"""

import re

from starlette.requests import Request

_VERSION_0 = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
# A later version may add members behind a hyphen (section 3.2.4).
_LATER = re.compile(
    r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"
)
_HEADER = "traceparent"
_LONGEST = 256


def caller_trace(request: Request) -> str | None:
    """Trace and span of the caller, with a hyphen between.

    Returns:
        32 and 16 hexadecimal digits; None where no header came, more than
        one did, or it is not one of the specification.

    """
    sent = request.headers.getlist(_HEADER)
    if len(sent) != 1 or len(sent[0]) > _LONGEST:
        return None
    text = sent[0]
    pattern = _VERSION_0 if text.startswith("00-") else _LATER
    found = pattern.fullmatch(text)
    if found is None:
        return None
    trace, span = found.groups()
    if not trace.strip("0") or not span.strip("0"):
        return None
    return f"{trace}-{span}"
