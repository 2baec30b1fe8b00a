"""What can go wrong at the gate.

::

    PolicyError
    ├── NoDecision            policy.pdp: the engine gave no answer to act on
    ├── RequestInvalid        the request itself is malformed
    │   └── UnknownAttributes names that the catalogue does not have
    ├── NotPermitted          policies/api refused the caller
    ├── PersonUnknown         to an officer or the person, never to a service
    ├── RecordUnknown         no record of that id for this caller
    ├── RestraintDamaged      a stored restraint does not read
    ├── FactsChanged          the caller acted on a superseded state
    ├── CredentialRefused     unknown, revoked or wrong service credential
    ├── NotRequestable        no consent is asked for what was denied
    ├── DuplicateRequest      an idempotency key was used for something else
    ├── AskedTooOften         one person was asked enough by one service
    ├── TaskUnknown           no task of that handle for this service
    ├── TaskExpired           the task's time is over
    ├── TaskSettled           the task is not open any more
    ├── ReleaseRefused        policies/release refused the extract
    └── ReplayImpossible      a stored decision cannot be opened any more

Messages carry ids and attribute names, never a value or a key. `NoDecision`
is never turned into a refusal: it is its own answer, with its own alarm.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


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


class RestraintDamaged(PolicyError):
    """A stored restraint of a person does not read: it was changed."""

    def __init__(self, subject: "UUID") -> None:
        self.subject = subject
        super().__init__(f"person {subject}: a stored restraint is no such")


class FactsChanged(PolicyError):
    """What the caller saw is superseded: read again, then decide."""


class ErasureWaits(PolicyError):
    """A legal hold stands: the erasure is recorded, and waits for its end."""

    def __init__(self, subject: "UUID") -> None:
        self.subject = subject
        super().__init__(
            f"person {subject} is under a legal hold: the erasure is "
            "recorded, all use is restricted, and it runs when the hold ends"
        )


class NotRequestable(PolicyError):
    """The declaration asks for no consent to what was denied."""

    def __init__(self, service: str, purpose: str) -> None:
        super().__init__(f"{service}/{purpose} asks for no consent to it")


class DuplicateRequest(PolicyError):
    """An idempotency key, or a denial, was used for another submission."""

    def __init__(self, task: "UUID") -> None:
        super().__init__(f"task {task} was made by another submission")


class AskedTooOften(PolicyError):
    """A service had one person asked often enough; again after `seconds`."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"again in {seconds} seconds")


class TaskUnknown(PolicyError):
    """No task of that handle, for this service; whose it may be is unsaid."""

    def __init__(self, task: object) -> None:
        super().__init__(f"no task {task}")


class TaskExpired(PolicyError):
    """The time of a task is over, whatever came of it."""

    def __init__(self, task: "UUID") -> None:
        super().__init__(f"task {task} has expired")


class TaskSettled(PolicyError):
    """A task is approved, or was cancelled: it cannot be cancelled."""

    def __init__(self, task: "UUID") -> None:
        super().__init__(f"task {task} is settled")


class CredentialRefused(PolicyError):
    """The service's credential is unknown, revoked or wrong."""


class ReleaseRefused(PolicyError):
    """The release policy refused the extract; `reasons` are its codes."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(f"release refused: {', '.join(self.reasons)}")


class ReplayImpossible(PolicyError):
    """A stored decision cannot be replayed; the message says why."""
