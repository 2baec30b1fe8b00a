"""`curtilage glass verify`: emergency access, held to the ledger."""

import typer

from api.cli.context import Json, instance
from api.cli.output import Output, speaks


@speaks
def verify(context: typer.Context, *, as_json: Json = False) -> None:
    """Hold emergency access, its refusals and its alerts to the ledger.

    Names each grant, step that was refused, and alert that was added without
    an entry, is missing, or was altered: also one that was put back to what
    it was, as a grant that had ended. Ends with 1 where there is one. Of
    whoever is erased the ledger tells nothing any more, and codes alone are
    looked at. An entry that is gone too is for `curtilage ledger verify`.

    Example: curtilage glass verify
    """
    out = Output(as_json=as_json)
    with (
        instance(context).platform() as platform,
        out.progress("Verifying emergency access", None) as advance,
    ):
        found = platform.glass_sweep.run(advance)
        size = platform.ledger.size()
    if not found:
        out.say(
            "Nothing is wrong: emergency access and its alerts are as the "
            f"ledger's {size} entries tell it."
        )
    if found or as_json:
        out.table(
            "findings",
            ("fault", "kind", "id", "entry", "columns"),
            [
                (
                    one.fault.value,
                    one.kind.value,
                    str(one.id),
                    one.entry,
                    list(one.columns) if as_json else ", ".join(one.columns),
                )
                for one in found
            ],
        )
    if found:
        raise typer.Exit(1)
