"""The one table from error to status, and the one shape of a refusal."""

import asyncio
import importlib
import pkgutil
from collections.abc import Iterator
from uuid import UUID

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import anonymize
import api.pages.errors as pages
import consent
import policy
import services
import vault
from api.app import Envelope, Message, Send
from api.problems import (
    TYPE_BASE,
    install_problems,
    problem_of,
    problem_table,
    row_of,
)
from tests.doors import assert_problem

BASES = (
    vault.VaultError,
    consent.ConsentError,
    anonymize.AnonymizeError,
    policy.PolicyError,
    services.ServiceError,
    pages.PagesError,
)
CANARY = "0 Canary Street"
NOBODY = UUID(int=0)


def every_module() -> None:
    """Import all of our modules, so that no subclass is missed."""
    for package in (vault, consent, anonymize, policy, services):
        for found in pkgutil.walk_packages(
            package.__path__, f"{package.__name__}."
        ):
            importlib.import_module(found.name)


def leaves(kind: type[Exception]) -> Iterator[type[Exception]]:
    """The classes below `kind` that have none below them, in our code."""
    below = [
        one
        for one in kind.__subclasses__()
        if not one.__module__.startswith("tests")
    ]
    if not below:
        yield kind
    for one in below:
        yield from leaves(one)


def test_every_leaf_has_a_row() -> None:
    """No error of ours falls to the last resort, nor to its base's row."""
    every_module()
    table = problem_table()
    missing = [
        f"{one.__module__}.{one.__name__}"
        for base in BASES
        for one in leaves(base)
        if one is not base and row_of(one) is None
    ]

    assert [] == missing
    assert not set(BASES) & table.keys()
    assert Exception not in table


def test_the_trees_are_walked() -> None:
    """The walk sees leaves of every package, so the test above means it."""
    every_module()

    assert all(len(list(leaves(base))) >= 1 for base in BASES)
    assert policy.NoDecision in leaves(policy.PolicyError)
    assert vault.CryptoFailure in leaves(vault.VaultError)
    assert consent.LedgerBusy in leaves(consent.ConsentError)


def test_rows_are_sensible() -> None:
    """Each row has a title and a remedy, and a slug has one meaning."""
    rows = problem_table().values()
    by_slug = {one.slug: one for one in rows}

    assert all(one == by_slug[one.slug] for one in rows)
    assert all(one.title and one.remedy for one in rows)
    assert {400, 401, 403, 404, 409, 410, 422, 429, 500, 503} >= {
        one.status for one in rows
    }


def errors() -> list[tuple[Exception, int, str, dict[str, object]]]:
    """Errors with their status, slug and what more is told."""
    unmet = anonymize.CriteriaNotMet(k_asked=5, k_reached=2, suppressed=9)
    told = {"k_asked": 5, "k_reached": 2, "l_asked": 1, "l_reached": None}
    down = policy.NoDecision(policy.Cause.DOWN, CANARY)
    value = vault.InvalidValue("user.bdate", "not-a-date")
    taken = vault.DuplicateIdentifier("user.identity.number", (3,))
    place = {"where": CANARY, "line": 1, "what": CANARY, "remedy": CANARY}
    return [
        (down, 503, "no-decision", {"cause": "down"}),
        (consent.LedgerUnavailable(CANARY), 503, "ledger-unavailable", {}),
        (consent.LedgerBusy(CANARY), 503, "ledger-unavailable", {}),
        (vault.KeyUnavailable(CANARY), 503, "keys-unavailable", {}),
        (vault.CryptoFailure(NOBODY), 500, "stored-data-refused", {}),
        (
            consent.LedgerInconsistent(index=1, what=CANARY),
            500,
            "stored-data-refused",
            {},
        ),
        (anonymize.ExtractTampered(CANARY), 500, "stored-data-refused", {}),
        (
            value,
            422,
            "invalid-value",
            {"attribute": "user.bdate", "reason": "not-a-date"},
        ),
        (
            taken,
            409,
            "duplicate-identifier",
            {"attribute": "user.identity.number"},
        ),
        (
            vault.NotIndexed("user.bdate"),
            422,
            "not-an-identifier",
            {"attribute": "user.bdate"},
        ),
        (vault.UnknownAttribute(CANARY), 422, "unknown-attribute", {}),
        (vault.UnknownSubject(NOBODY), 404, "unknown-record", {}),
        (unmet, 409, "model-unsatisfied", told),
        (consent.ConsentNotAsked(CANARY), 422, "consent-not-asked", {}),
        (
            consent.DeclarationInvalid(column=1, **place),
            422,
            "invalid-file",
            {},
        ),
        (consent.DeclarationFrozen(CANARY), 409, "conflict", {}),
        (consent.UnknownEntry(CANARY), 404, "unknown-record", {}),
        (policy.RecordUnknown(CANARY), 404, "unknown-record", {}),
        (policy.PersonUnknown(CANARY), 404, "unknown-record", {}),
        (policy.FactsChanged(CANARY), 409, "stale", {}),
        (policy.ReplayImpossible(CANARY), 410, "erased", {}),
        (policy.CredentialRefused(CANARY), 401, "unauthenticated", {}),
        (policy.UnknownAttributes([CANARY]), 422, "unknown-attribute", {}),
        (
            policy.NotPermitted("erase", ["role_missing"]),
            403,
            "not-permitted",
            {"reasons": ["role_missing"]},
        ),
        (
            policy.ReleaseRefused(["k_too_small"]),
            403,
            "not-permitted",
            {"reasons": ["k_too_small"]},
        ),
        (pages.Forbidden(CANARY), 403, "wrong-form-token", {}),
        (pages.NotFound(CANARY), 404, "unknown-record", {}),
        (pages.Conflict(CANARY), 409, "stale", {}),
        (RuntimeError(CANARY), 500, "internal", {}),
        (ValueError(CANARY), 500, "internal", {}),
        (KeyError(CANARY), 500, "internal", {}),
    ]


@pytest.mark.parametrize(
    ("error", "status", "slug", "more"),
    errors(),
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else "",
)
def test_an_error_becomes_its_problem(
    error: Exception, status: int, slug: str, more: dict[str, object]
) -> None:
    """Status, type, ids and codes; the error's own text never leaves."""
    app = FastAPI()
    install_problems(app)

    @app.get("/")
    def raising() -> None:
        raise error

    app.add_middleware(Envelope, random=bytes)
    with TestClient(app, raise_server_exceptions=False) as client:
        found = client.get("/")

    body = assert_problem(found, status)
    assert f"{TYPE_BASE}{slug}" == body["type"]
    assert {key: body[key] for key in more} == more
    assert "Canary" not in found.text
    assert (status == 503) == ("retry-after" in found.headers)
    assert (status == 401) == ("www-authenticate" in found.headers)


def test_the_last_resort_is_for_others() -> None:
    """What is not ours is internal, and says that nothing was disclosed."""
    assert "internal" == problem_of(RuntimeError("x")).slug
    assert None is row_of(RuntimeError)


def test_an_answer_that_has_begun_is_not_followed_by_a_problem() -> None:
    """An error after the first byte is logged and leaves no second answer."""
    sent: list[str] = []

    async def half(_scope: object, _receive: object, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": []}
        )
        raise RuntimeError(CANARY)

    async def sending(message: Message) -> None:
        sent.append(message["type"])

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "headers": []}
    envelope = Envelope(half, random=bytes)
    asyncio.run(envelope(scope, receive, sending))

    assert ["http.response.start"] == sent
