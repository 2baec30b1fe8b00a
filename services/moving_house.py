"""Moving house: pass a new address on to the offices that need it.

The first of the life events. It asks for the new address with the person's
consent, in one request, and gives a complete address or none: half an
address helps nobody (DESIGN.md, invariant 10 makes the gate see to that).
When it gets none it cannot know why, and says what the person can do.
"""

from dataclasses import dataclass

from policy import AccessRequest, Disclosed, Effect, SubjectRef
from services.errors import UnderstandingGap
from services.port import GatePort

SERVICE = "moving-house"
PURPOSE = "address-change"
STREET = "user.home-info.postal.street"
CITY = "user.home-info.postal.city"
POSTAL_CODE = "user.home-info.postal.postalcode"
MOBILE = "user.home-info.telecom.mobile"
# The address is kept for as many days as the declaration says, then
# deleted, and the person is told: this service does both.
KEEPS = frozenset({"delete_by", "notify"})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NewAddress:
    """A whole address; `mobile` is there if the person allowed it."""

    street: str
    city: str
    postal_code: str
    mobile: str | None
    delete_after_days: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressAnswer:
    """What the service knows now.

    `address` is `None` when the gate withheld any part of it. Then the
    person is asked to look at their consents, in the same words whether
    they refused, never answered or do not exist.
    """

    address: NewAddress | None
    ask_person: bool
    ledger_index: int | None


class MovingHouse:
    """The service itself: it holds the gate and its own name."""

    def __init__(self, *, gate: GatePort, tenant: str) -> None:
        self._gate = gate
        self._tenant = tenant

    async def new_address(self, person: SubjectRef) -> AddressAnswer:
        """Ask the gate for the person's address.

        Raises:
            UnderstandingGap: a value carries an unknown promise.
            NoDecision: from the gate.

        """
        answer = await self._gate.disclose(
            AccessRequest(
                tenant=self._tenant,
                service=SERVICE,
                purpose=PURPOSE,
                attributes=(STREET, CITY, POSTAL_CODE, MOBILE),
                person=person,
                understands=KEEPS,
                assurance=2,
            )
        )
        found = {one.attribute: one for one in answer.attributes}
        address = _address(found)
        return AddressAnswer(
            address=address,
            ask_person=address is None,
            ledger_index=answer.ledger_index,
        )


def _address(found: dict[str, Disclosed]) -> NewAddress | None:
    parts = [_exact(found[name]) for name in (STREET, CITY, POSTAL_CODE)]
    if any(part is None for part in parts):
        return None
    days = [
        item.days
        for one in found.values()
        for item in one.obligations
        if item.type == "delete_by" and item.days is not None
    ]
    street, city, postal_code = (part or "" for part in parts)
    return NewAddress(
        street=street,
        city=city,
        postal_code=postal_code,
        mobile=_exact(found[MOBILE]),
        delete_after_days=min(days, default=None),
    )


def _exact(one: Disclosed) -> str | None:
    """The value, if it may be used as it is; a coarser one is no address."""
    unknown = {item.type for item in one.obligations} - KEEPS
    if unknown:
        msg = f"{one.attribute} came with {', '.join(sorted(unknown))}"
        raise UnderstandingGap(msg)
    return one.value if one.effect is Effect.RELEASE else None
