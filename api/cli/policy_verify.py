"""`curtilage policy verify`: what officers settled, held to the ledger."""

from collections.abc import Iterator, Sequence

import typer

from api.cli.context import Json, instance
from api.cli.output import Output, speaks
from policy import ProposalFault, ProposalFinding, ProposalKind


@speaks
def verify(context: typer.Context, *, as_json: Json = False) -> None:
    """Hold proposals, and which policies are in force, to the ledger.

    Names each proposal of policies or of a declaration, and each request for
    an extract, that was added without an entry, is missing, or was altered:
    its proposer, what became of it, or what it proposes. Names what is in
    force where the entries put other policies there. Ends with 1 where there
    is one. An entry that is gone too is for `curtilage ledger verify`.

    Example: curtilage policy verify
    """
    out = Output(as_json=as_json)
    with (
        instance(context).platform() as platform,
        out.progress("Verifying proposals", None) as advance,
    ):
        found = platform.proposal_sweep.run(advance)
        size = platform.ledger.size()
    if not found:
        out.say(
            "Nothing is wrong: every proposal, and what is in force, is as "
            f"the ledger's {size} entries tell it."
        )
    if found or as_json:
        show_proposals(out, found)
    for hint in _hints(found):
        out.say(hint)
    if found:
        raise typer.Exit(1)


def _hints(found: Sequence[ProposalFinding]) -> Iterator[str]:
    """Say what helps where it is no backup."""
    if any(one.kind is ProposalKind.IN_FORCE for one in found):
        yield (
            "What is in force: an officer puts it right by `curtilage policy "
            "rollback --to NUMBER`, which goes on from the entries."
        )
    if any(
        one.fault is ProposalFault.CONTRADICTED
        and one.kind is not ProposalKind.IN_FORCE
        for one in found
    ):
        yield (
            "What is contradicted: no backup mends it, for it is the entries "
            "that do not fit each other. Nobody acts on it any more; propose "
            "or request it anew."
        )


def show_proposals(out: Output, found: Sequence[ProposalFinding]) -> None:
    """Print what the sweep found."""
    out.table(
        "findings",
        (
            *("fault", "kind", "service", "purpose", "number"),
            *("entry", "columns"),
        ),
        [
            (
                one.fault.value,
                one.kind.value,
                one.service,
                one.purpose,
                one.number,
                one.entry,
                list(one.columns) if out.as_json else ", ".join(one.columns),
            )
            for one in found
        ],
    )
