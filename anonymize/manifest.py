"""The manifest: what an extract is, bound to its files by their hashes.

Canonical JSON. Its own hash goes into the ledger entry that is made before
the data go out, and whoever signs releases signs it. It holds no value of a
row. The check of a folder (`checker.check_folder`) needs nothing else.
"""

from collections.abc import Mapping

from anonymize.canonical import canonical_json, digest
from anonymize.checker import CHECKER, Checked
from anonymize.hierarchies import hierarchy_digest
from anonymize.report import ReleaseReport, decimal
from anonymize.roles import Role
from anonymize.spec import PSEUDONYM, ExtractSpec

SCHEMA = "curtilage/extract-manifest/1"
ENGINE = "portfolio/1"
"""Name and version of the engine."""


def make_manifest(
    spec: ExtractSpec,
    report: ReleaseReport,
    checked: Checked,
    files: Mapping[str, bytes],
    reference: Mapping[str, Mapping[str, int]],
) -> bytes:
    """Build the manifest of an extract.

    Args:
        spec: the terms of the release.
        report: its report.
        checked: what the independent check of the data found.
        files: content of each file of the extract but the manifest.
        reference: rows of each value handed in, of the columns whose models
            compare with them.

    Returns:
        The bytes of ``manifest.json``.
    """
    columns = [
        {"name": name, "role": role.value}
        for name, role in spec.columns.items()
        if role.published
    ]
    if spec.pseudonym_key is not None:
        columns.insert(0, {"name": PSEUDONYM, "role": PSEUDONYM})
    withheld = [*spec.of_role(Role.DIRECT)]
    if spec.person is not None:
        withheld.append(spec.person)
    return canonical_json(
        {
            "schema": SCHEMA,
            "status": "de-identified",
            "recipient": spec.recipient,
            "purpose": spec.purpose,
            "engine": ENGINE,
            "checker": CHECKER,
            "labels": "S" if spec.sets else "H",
            "delimiter": spec.delimiter,
            "formula_guard": "apostrophe",
            "files": {name: digest(data) for name, data in files.items()},
            "columns": columns,
            "withheld": withheld,
            "hierarchies": {
                name: hierarchy_digest(each)
                for name, each in spec.hierarchies.items()
            },
            "criteria": {
                "k": spec.k,
                "l": spec.l,
                "suppression_limit": decimal(spec.suppression_limit),
                "k_alone": spec.k_alone,
                "models": [model.describe() for model in spec.models],
                "of_people": [model.describe() for model in spec.of_people],
                "population": (
                    None if spec.population is None else spec.population.digest
                ),
                "reference": {
                    name: {**counts} for name, counts in reference.items()
                },
            },
            "basis": "published" if report.published_only else "input",
            "rows": {
                "in": report.rows_in,
                "out": report.rows_out,
                "suppressed": report.suppressed,
                "allowed": report.allowed,
            },
            "reached": {
                "k": checked.k,
                "l": checked.l,
                "rows": checked.rows,
                "suppressed": checked.suppressed,
                "classes": len(checked.class_sizes),
                "ncp": decimal(report.ncp),
                "models": [
                    f"{each.reached:.6f}"
                    for each in checked.models
                    if each.column
                ],
            },
        }
    )
