"""Citizen services: clients of the gate, and of nothing below it.

A service here is what any internal system of the body is: it has one
declared purpose, asks the gate for named attributes, and lives with what it
gets. It keeps no copy. `MovingHouse` is the pattern for the rest.

    service = MovingHouse(gate=gate, tenant="main")
    answer = await service.new_address(ById(subject=subject))
"""

from services.errors import ServiceError, UnderstandingGap
from services.moving_house import AddressAnswer, MovingHouse, NewAddress
from services.port import GatePort

__all__ = [
    "AddressAnswer",
    "GatePort",
    "MovingHouse",
    "NewAddress",
    "ServiceError",
    "UnderstandingGap",
]
