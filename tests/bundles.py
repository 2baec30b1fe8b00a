"""Bundles of other revisions that decide as the software's own does."""

import json

from policy import bundle_files
from policy.bundle import DATA, MANIFEST, PLAN, manifest, serialize


def variant(name: str) -> dict[str, bytes]:
    """The software's own policies, with one more source of this name."""
    files = dict(bundle_files())
    described = json.loads(files[MANIFEST])
    files[MANIFEST] = serialize(
        manifest(
            plan=files[PLAN],
            data=files[DATA],
            sources={**described["sources"], name: "0" * 64},
            entrypoints=tuple(described["entrypoints"]),
            compiler=described["compiler"],
        )
    )
    return files
