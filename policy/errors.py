"""What can go wrong at the gate.

::

    PolicyError
    ├── NoDecision            policy.pdp: the engine gave no answer to act on
    ├── RequestInvalid        the request itself is malformed
    │   └── UnknownAttributes names that the catalogue does not have
    ├── NotPermitted          policies/api refused the caller
    ├── PersonUnknown         to an officer or the person, never to a service
    ├── RecordUnknown         no record of that id for this caller
    ├── FactsChanged          the caller acted on a superseded state
    ├── CredentialRefused     unknown, revoked or wrong service credential
    ├── ReleaseRefused        policies/release refused the extract
    └── ReplayImpossible      a stored decision cannot be opened any more

Messages carry ids and attribute names, never a value or a key. `NoDecision`
is never turned into a refusal: it is its own answer, with its own alarm.
"""

from collections.abc import Sequence


class PolicyError(Exception):
    """Base of everything that `policy` raises."""


class RequestInvalid(PolicyError):
    """The request is malformed; nothing was looked up."""


class UnknownAttributes(RequestInvalid):
    """The request names attributes that the catalogue does not have."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        super().__init__(
            f"{len(self.names)} attribute name(s) are not in the catalogue"
        )


class NotPermitted(PolicyError):
    """The caller may not do this; `reasons` are the policy's codes."""

    def __init__(self, action: str, reasons: Sequence[str]) -> None:
        self.action = action
        self.reasons = tuple(reasons)
        super().__init__(f"{action} refused: {', '.join(self.reasons)}")


class PersonUnknown(PolicyError):
    """No such person, told to an officer or to the person only."""


class RecordUnknown(PolicyError):
    """No record of that id for this caller, whoever else may have one."""


class FactsChanged(PolicyError):
    """What the caller saw is superseded: read again, then decide."""


class CredentialRefused(PolicyError):
    """The service's credential is unknown, revoked or wrong."""


class ReleaseRefused(PolicyError):
    """The release policy refused the extract; `reasons` are its codes."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(f"release refused: {', '.join(self.reasons)}")


class ReplayImpossible(PolicyError):
    """A stored decision cannot be replayed; the message says why."""
