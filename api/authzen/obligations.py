"""Obligations on the wire: AuthZEN's profile for obligations, draft 1.

They stand in ``context.obligations`` of an answer, and in ``obligations`` of
each result of a search, as ``{id, type, properties}``. Ours mean what our
declarations say, so all are of the profile's type ``custom``, with a vendor
and a name. Their order means nothing.

Who cannot carry one out must take the answer for a denial, and the profile
trusts that they do. We do not: a caller names in ``context.understands`` what
it carries out, and whatever comes with another duty is denied, or left out
of a search, as `policies/disclosure` decides.
"""

from collections.abc import Sequence
from typing import Any

from api.authzen.entities import BadRequestError, Members
from policy import Obligation

CUSTOM = "custom"
TYPES = (CUSTOM,)
VENDOR = "curtilage"
_MOST = 16
# Under which a caller lists types: as the draft has it, and as it had it.
_SUPPORTED = ("supported_obligations", "obligations_supported")


def metadata() -> dict[str, list[str]]:
    """The types that we issue, as the decision point's metadata has them."""
    return {name: list(TYPES) for name in _SUPPORTED}


def members(obligations: Sequence[Obligation]) -> list[dict[str, Any]]:
    """What goes with a value; each id is unique in its answer."""
    return [
        {
            "id": f"obl-{number}",
            "type": CUSTOM,
            "properties": {
                "vendor": VENDOR,
                "name": one.type,
                **({} if one.days is None else {"days": one.days}),
            },
        }
        for number, one in enumerate(obligations, 1)
    ]


def understood(context: Members) -> frozenset[str]:
    """The names of the obligations that a caller carries out.

    A caller that lists the types it supports, and not ``custom``, carries
    out none of ours. Types that we do not issue are ignored.

    Raises:
        BadRequestError: `understands` is no short list of strings.

    """
    found = context.get("understands", [])
    where, what = "context.understands", "an array of strings"
    if type(found) is not list or len(found) > _MOST:
        raise BadRequestError(where, what)
    if not all(type(one) is str for one in found):
        raise BadRequestError(where, what)
    for name in _SUPPORTED:
        listed = context.get(name, list(TYPES))
        if type(listed) is not list or CUSTOM not in listed:
            return frozenset()
    return frozenset(found)
