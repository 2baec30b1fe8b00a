"""Made-up inputs of the benchmark policy, the same for every run.

100 services with 4 purposes each, 40 attributes, and inputs of one request
for some attributes against some consents of one person.
"""

from random import Random
from typing import Any

NOW = 1_790_000_000
_ATTRIBUTES = [f"person.part{n // 8}.attribute{n}" for n in range(40)]


def base_documents(seed: int = 20) -> dict[str, Any]:
    """The services with their purposes, and the attributes."""
    draw = Random(seed)  # noqa: S311 - a reproducible population
    return {
        "services": {
            f"service-{n}": {
                "clearance": draw.randint(1, 4),
                "purposes": {
                    f"purpose-{p}": {
                        "assurance": draw.randint(1, 3),
                        "attributes": sorted(draw.sample(_ATTRIBUTES, 24)),
                        "retention_days": draw.choice([30, 90, 365]),
                    }
                    for p in range(4)
                },
            }
            for n in range(100)
        },
        "attributes": {
            name: {
                "sensitivity": draw.randint(1, 4),
                "notify": draw.random() < 0.5,
            }
            for name in _ATTRIBUTES
        },
    }


def inputs(
    count: int, *, attributes: int = 8, consents: int = 20, seed: int = 8
) -> list[dict[str, Any]]:
    """Requests, each against the consents of one person."""
    draw = Random(seed)  # noqa: S311 - a reproducible population
    return [_input(draw, attributes, consents) for _ in range(count)]


def _input(draw: Random, attributes: int, consents: int) -> dict[str, Any]:
    service = f"service-{draw.randrange(102)}"
    purpose = f"purpose-{draw.randrange(4)}"
    asked = draw.sample(_ATTRIBUTES, attributes)
    return {
        "context": {"now": NOW, "assurance": draw.randint(1, 3)},
        "request": {
            "service": service,
            "purpose": purpose,
            "attributes": asked,
        },
        "consents": [
            {
                "id": f"consent-{n}",
                "recipient": draw.choice([service, "service-7"]),
                "purpose": draw.choice([purpose, purpose, "purpose-0"]),
                "status": draw.choice(["active", "active", "withdrawn"]),
                "expires_at": NOW + draw.randint(-1000, 10_000),
                "retention_days": draw.choice([30, 90, 365, 730]),
                "mask": draw.random() < 0.3,
                "attributes": sorted(
                    draw.sample(asked, min(5, len(asked)))
                    + draw.sample(_ATTRIBUTES, 3)
                ),
            }
            for n in range(consents)
        ],
    }
