"""The metadata of the decision point (Authorization API 1.0, section 9).

Served where the standard wants it: the well-known part goes between host and
path of the identifier. Only over https, because the identifier is an https
address by definition; without one in the settings there is no document.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from api.authzen import obligations

WELL_KNOWN = "/.well-known/authzen-configuration"
PREFIX = "/access/v1"
EVALUATION = f"{PREFIX}/evaluation"
EVALUATIONS = f"{PREFIX}/evaluations"
SEARCHES = ("subject", "resource", "action")
REQUESTS = f"{PREFIX}/requests"
REQUESTING = "urn:openid:authzen:capability:access-request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Where the decision point is reached.

    Attributes:
        identifier: https address without query and fragment; the endpoints
            stand below it.
        asks: whether people's consent can be asked for.

    """

    identifier: str
    asks: bool = False

    @property
    def path(self) -> str:
        """Path of the document on this host."""
        return WELL_KNOWN + urlsplit(self.identifier).path.rstrip("/")

    @property
    def requests(self) -> str:
        """Address at which a person's consent is asked for."""
        return self.identifier.rstrip("/") + REQUESTS

    def members(self) -> dict[str, Any]:
        """The document."""
        base = self.identifier.rstrip("/")
        return {
            "policy_decision_point": self.identifier,
            "access_evaluation_endpoint": base + EVALUATION,
            "access_evaluations_endpoint": base + EVALUATIONS,
            **{
                f"search_{one}_endpoint": f"{base}{PREFIX}/search/{one}"
                for one in SEARCHES
            },
            **obligations.metadata(),
            **(
                {
                    "access_request_endpoint": self.requests,
                    "capabilities": [REQUESTING],
                }
                if self.asks
                else {}
            ),
        }
