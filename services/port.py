"""The port to the gate: all that a citizen service may reach."""

from typing import Protocol

from policy import AccessRequest, Disclosure


class GatePort(Protocol):
    """What answers an `AccessRequest`; in the product, `policy.Gate`."""

    async def disclose(self, request: AccessRequest) -> Disclosure:
        """Answer one request; the ledger entry is durable on return."""
        ...
