"""What the record holds that stands in for unknown people.

Typical in number and length, and about nobody: the name is the placeholder
of forms, the address and domain are reserved for examples (RFC 2606).
"""

from types import MappingProxyType

TYPICAL = MappingProxyType(
    {
        "user.name.given": "Erika",
        "user.name.family": "Mustermann",
        "user.bdate": "1970-01-01",
        "user.gender": "female",
        "user.home-info.postal.street": "1 Example Street",
        "user.home-info.postal.city": "Example City",
        "user.home-info.postal.postalcode": "00000",
        "user.home-info.postal.country": "XX",
        "user.home-info.telecom.mobile": "+10000000000",
        "user.home-info.online.email": "nobody@example.org",
        "user.identity.number": "110101197001010016",
        "user.marital-status": "unknown",
    }
)
