"""A person's record as one canonical text, for them and for comparison.

The same record gives the same bytes: objects with sorted keys, no spaces,
UTF-8, values by attribute number, versions newest first. Nothing is in it
that a merge of records leaves behind.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple
from uuid import UUID

from vault.catalogue import Catalogue
from vault.grants import HistoricValue
from vault.places import attribute_of

FORMAT = "curtilage/export/1"


class Part(NamedTuple):
    """One record: whose, and every version of what it holds, by place."""

    subject: UUID
    versions: Mapping[int, list[HistoricValue]]


def export(tenant: str, catalogue: Catalogue, parts: Iterable[Part]) -> bytes:
    """Write records down.

    Args:
        tenant: whose vault.
        catalogue: gives the names.
        parts: the person's record, then those that are merged into it.

    """
    document = {
        "format": FORMAT,
        "tenant": tenant,
        "records": [
            {
                "subject": str(part.subject),
                "values": [
                    {
                        "attribute": catalogue.numbered(
                            attribute_of(place)
                        ).name,
                        "place": place,
                        "versions": [_version(one) for one in listed],
                    }
                    for place, listed in sorted(part.versions.items())
                ],
            }
            for part in parts
        ],
    }
    return json.dumps(
        document, ensure_ascii=False, sort_keys=True, separators=(",", ":")
    ).encode()


def _version(one: HistoricValue) -> dict[str, Any]:
    return {
        **asdict(one),
        "disputes": [
            {**asdict(dispute), "id": str(dispute.id)}
            for dispute in one.disputes
        ],
    }
