"""`curtilage vouch`: codes for rows of before there were codes."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any
from uuid import UUID

import typer

from api.cli.consent import show_findings
from api.cli.context import Actor, Json, instance, officer
from api.cli.output import Output, Tally, counted, moment, speaks
from api.cli.policy_verify import show_proposals
from api.platform import Platform
from api.secrets import add_vouched
from policy import NONE, OURS, FactFault, Registered


@speaks
def vouch(
    context: typer.Context,
    actor: Actor = "",
    *,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            help="What is shown is right; do not ask.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Vouch for the rows that decide, in an instance of before codes.

    Answers, rules, mandates and restraints are first held to their ledger
    entries, as `curtilage consent verify` does, and proposals, requests for
    extracts and policies as `curtilage policy verify` does; where one
    differs, nothing is vouched for. Declarations, credentials, requests with
    all that they ask for, which policies are in force, grants of emergency
    access that stand and alerts that are open, or that were changed, are
    shown, and you say whether they are right. From then on a row that this
    instance did not write decides nothing, also where somebody can write the
    database. A new instance needs none of this. After rows were put right
    from elsewhere, it makes their codes anew. Restart servers afterwards;
    may be run again.

    Example: curtilage vouch
    """
    out = Output(as_json=as_json)
    with instance(context).platform() as platform:
        _demand_sound(platform, out, but=FactFault.UNVOUCHED)
        seen = platform.vouching.registered()
        _show(seen)
        _show_emergencies(seen, platform.vouching.changed())
        if not yes:
            typer.confirm("Is all of this right?", abort=True, err=True)
        with out.progress("Vouching", None) as advance:
            people = platform.vouching.everybody(advance)
        platform.vouching.registers(officer(actor).id, people, seen)
        # What was written meanwhile is held to the ledger as well, and has
        # its code, too.
        platform.macs.required = True
        _demand_sound(platform, out)
        settings = platform.settings
        add_vouched(
            settings.secrets_path,
            settings.opened_passphrase(),
            random=platform.random,
        )
    out.result(
        {"people": people},
        f"What decides about {counted(people, 'person', 'people')}, and what "
        "is declared, issued and in force, has its code. Restart servers "
        "that run.",
    )


def _demand_sound(
    platform: Platform, out: Output, *, but: FactFault | None = None
) -> None:
    """End where the ledger tells of other rows.

    Raises:
        typer.Exit: it does, with 1; they are shown.

    """
    with out.progress("Verifying consents", None) as advance:
        sweep = platform.fact_sweep().run(Tally(advance))
        found = [one for one in sweep if one.fault is not but]
    if found:
        show_findings(out, found)
        raise typer.Exit(1)
    with out.progress("Verifying proposals", None) as advance:
        differing = platform.proposal_sweep.run(advance, codes=but is None)
    if differing:
        show_proposals(out, differing)
        raise typer.Exit(1)


def _show(seen: Registered) -> None:
    for digest, version, service, purpose in seen.declarations:
        told = f"{service}/{purpose}, version {version}, {digest}"
        _say(f"declaration {told}")
    for rule in seen.rules:
        told = ", ".join(str(one) for one in rule)
        _say(f"rule of visibility {told}")
    for client, service, purpose, assurance, _, at, ended in seen.credentials:
        told = f"{service}/{purpose}, assurance {assurance}, {moment(at)}"
        past = "" if ended is None else f" to {moment(ended)}"
        _say(f"credential {client}: {told}{past}")
    for one in seen.proposals:
        what = "{service}/{purpose}, version {version}, {digest}"
        _show_proposal("proposed declaration", what, one)
    for one in seen.bundles:
        what = "{revision}"
        if one["archive"] is not None:
            what += ", with an archive"
        _show_proposal("proposed policies", what, one)
    for one in seen.releases:
        _say(_release(one))
    live = seen.live
    ours = live["number"] == OURS
    told = "as the software carries them" if ours else live["revision"]
    _say(f"policies in force {live['number']}: {told}")
    if live["shadow"] != NONE:
        told = f"{live['shadow']}: {live['shadow_revision']}"
        _say(f"policies in the shadow {told}")


def _show_emergencies(seen: Registered, changed: Collection[UUID]) -> None:
    """Show what stands, is open or was changed, and count the rest."""
    odd = set(map(str, changed))
    grants = [
        one
        for one in seen.grants
        if one["ended_at"] is None or one["id"] in odd
    ]
    alerts = [
        one
        for one in seen.alerts
        if one["closed_at"] is None or one["id"] in odd
    ]
    for one in grants:
        told = (
            f"{one['attributes']} of {one['subject']} for {one['purpose']} "
            f"to {one['officer']}, {moment(one['at'])} to "
            f"{moment(one['ends'])}, used {one['uses']} times, approved by "
            f"{one['approver'] or 'nobody'}, due {moment(one['deadline'])}"
        )
        past = f", ended by {one['ended_by']}" if one["ended_by"] else ""
        _say(f"emergency access {one['id']}: {told}{past}")
    for one in alerts:
        told = f"{one['kind']} about {one['glass']}, {moment(one['at'])}"
        past = f", closed by {one['closed_by']}" if one["closed_by"] else ""
        _say(f"alert {one['id']}: {told}{past}")
    ended = len(seen.grants) - len(grants)
    closed = len(seen.alerts) - len(alerts)
    if ended or closed:
        told = f"{ended} that ended or was refused; alerts closed: {closed}"
        _say(f"emergency access besides: {told}")


def _show_proposal(kind: str, what: str, one: Mapping[str, Any]) -> None:
    by = f"by {one['proposer']}, {moment(one['proposed_at'])}"
    became = one["state"]
    if one["decided_at"] is not None:
        became += f" by {one['officer']}, {moment(one['decided_at'])}"
    against = f" against {one['base']}" if one["base"] else ""
    told = f"{what.format_map(one)}, {by}{against}; {became}"
    _say(f"{kind} {one['number']}: {told}")


def _release(one: Mapping[str, Any]) -> str:
    by = f"by {one['officer']}, {moment(one['at'])}"
    approved = f", approved by {one['approver']}" if one["approver"] else ""
    return (
        f"release {one['id']}: {one['service']}/{one['purpose']} to "
        f"{one['recipient']}, {by}; {one['outcome']}{approved}; it asks for "
        f"{one['request']}"
    )


def _say(text: str) -> None:
    """Print a line for whoever looks through it, and nothing that hides.

    What is shown may be a forger's: no character of it moves the cursor.
    """
    plain = "".join(one if one.isprintable() else "?" for one in text)
    typer.echo(plain, err=True)
