"""What an extract rests on: purpose, grounds and consents as they stood.

Every change of a consent, a preference or a restraint is an entry of the
ledger. So the number of its entries, taken before the first person is looked
at, is the revision of all consents together: whoever replays the entries up
to there finds what the cohort was made of.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

import anonymize
from consent import Declaration
from policy.cohort import Cohort


def release_basis(
    declaration: Declaration | None,
    *,
    columns: Iterable[str],
    bundle: str,
    entries: int,
    now: int,
    cohort: Cohort,
) -> anonymize.Basis:
    """Say what an extract rests on, for its report.

    Args:
        declaration: the version in force; None cannot be released under.
        columns: the attributes that leave.
        bundle: revision of the policies that decided its terms.
        entries: of the ledger when the cohort began to be gathered.
        now: as of when consents were looked at, POSIX seconds.
        cohort: who is in it, and how many are not and why.
    """
    leaving = {*columns}
    at = datetime.fromtimestamp(now, UTC).isoformat()
    stated = {
        "Consents and restrictions as of": f"{at}, ledger entry {entries}",
        "Policies": f"bundle {bundle}",
    }
    if declaration is not None:
        grounds = sorted(
            {
                statement.basis.value
                for statement in declaration.statements
                if leaving & {item.attribute for item in statement.data}
            }
        )
        stated = {
            "Declaration": (
                f"{declaration.service}/{declaration.purpose}, version "
                f"{declaration.version}, SHA-256 {declaration.digest}"
            ),
            **{
                f"Declared purpose ({language})": said
                for language, said in declaration.purpose_text.items()
            },
            "Legal grounds": ", ".join(grounds) or "none",
            **stated,
        }
    return anonymize.Basis(
        stated=stated,
        counted={
            "People whose columns may all be used": len(cohort.subjects),
            "People left out": cohort.left_out,
            **{
                f"Left out: {code}": many
                for code, many in sorted(cohort.reasons.items())
            },
        },
    )
