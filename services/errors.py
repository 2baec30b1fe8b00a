"""What can go wrong in a citizen service.

::

    ServiceError
    └── UnderstandingGap   the gate attached a promise that is not kept here

Whatever the gate raises passes through unchanged: a service has nothing to
add to `NoDecision`.
"""


class ServiceError(Exception):
    """Base of everything that `services` raises."""


class UnderstandingGap(ServiceError):
    """A value came with an obligation that this service does not keep."""
