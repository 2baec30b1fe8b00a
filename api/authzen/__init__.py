"""The AuthZEN door: may this service read that attribute, as a standard API.

OpenID's Authorization API 1.0 in five endpoints and a metadata document.
`router.authzen_router` speaks the protocol over any `Evaluator`;
`services.ServiceEvaluator` is the product's, on the gate.

===============  ============================================================
subject          the asking service itself: type ``service``, its id. A
                 service asks only as itself; never the data subject
action           ``read``; ``properties.purpose`` may repeat the purpose of
                 the credential and can be no other
resource         type ``attribute``, the attribute's name as id, and in
                 ``properties.person`` whom it is about: ``{"id": ...}`` or
                 ``{"identifier": {"attribute": ..., "value": ...}}``
context          ``understands``, the obligations that the caller carries
                 out, and ``supported_obligations`` of the obligations
                 profile (`obligations`). Never the clock: ours is our own
===============  ============================================================

A denial that consent could lift carries ``access_request``: the service has
the person asked (`requests.requests_router`), polls a task, and evaluates
again with the approval (Access Request and Approval Profile, draft 1).

Each answer about a person is an entry of the ledger, and opens nothing. What
depends on the person is one code (DESIGN.md, invariant 6); no decision is a
503, in a batch for the whole of it, and never ``false``.
"""

from api.authzen.denials import Denials
from api.authzen.limits import Limit
from api.authzen.metadata import Metadata
from api.authzen.paging import Pages
from api.authzen.port import Answer, Asker, Evaluator
from api.authzen.requests import RequestDoor, requests_router
from api.authzen.router import authzen_router
from api.authzen.services import ServiceEvaluator

__all__ = [
    "Answer",
    "Asker",
    "Denials",
    "Evaluator",
    "Limit",
    "Metadata",
    "Pages",
    "RequestDoor",
    "ServiceEvaluator",
    "authzen_router",
    "requests_router",
]
