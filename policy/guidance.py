"""What a service hears beside a denial: of its own side, and nothing else.

`policies/guidance` is asked with a document that has no person in it, so
what comes out cannot tell of one (DESIGN.md, invariant 6). It is asked with
every denial alike, whatever the denial came from. It grants nothing, so
where the engine has no answer to it there is no guidance, and the decision
stands as it is.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from consent import Declaration
from policy.classification import Classification
from policy.decisions import (
    AccessRequest,
    ById,
    Guidance,
    Json,
    Minimum,
    Reason,
)
from policy.pdp import Cause, NoDecision, PolicyDecisionPoint

ENTRYPOINT = "curtilage/guidance/decision"
SCHEMA = "curtilage/guidance/1"
_UTMOST = 3
_NOBODY = ById(subject=UUID(int=0))


class Guide:
    """Asks the policies about a service's own side."""

    def __init__(
        self,
        *,
        pdp: PolicyDecisionPoint,
        classification: Mapping[str, Classification],
    ) -> None:
        self._pdp = pdp
        self._classification = classification

    async def about(
        self, request: AccessRequest, declaration: Declaration | None, now: int
    ) -> Guidance | None:
        """Say what a service lacks for a request.

        Args:
            request: of which the person is not looked at.
            declaration: of its service and purpose, if there is one.
            now: POSIX seconds.

        Returns:
            The guidance; None where the engine has no answer.

        """
        try:
            ruling = await self._pdp.decide(
                ENTRYPOINT, self.document(request, declaration, now)
            )
            return parse_guidance(ruling.document, request.attributes)
        except NoDecision:
            return None

    async def on(self, declaration: Declaration) -> Guidance | None:
        """Say of which attributes a declaration has more than it needs.

        The caller is taken to be in order: only the declaration is looked
        at.
        """
        names = dict.fromkeys(
            name for one in declaration.statements for name in one.attributes
        )
        promised = {"delete_by", *declaration.obligations}
        return await self.about(
            AccessRequest(
                tenant="",
                service=declaration.service,
                purpose=declaration.purpose,
                attributes=tuple(names),
                person=_NOBODY,
                understands=frozenset(promised),
                assurance=max(_UTMOST, declaration.assurance),
            ),
            declaration,
            declaration.valid_from,
        )

    def document(
        self, request: AccessRequest, declaration: Declaration | None, now: int
    ) -> dict[str, Any]:
        """The document of ``curtilage/guidance/1``; nobody is in it."""
        statements = () if declaration is None else declaration.statements
        names = dict.fromkeys(request.attributes) | dict.fromkeys(
            name for one in statements for name in one.attributes
        )
        return {
            "schema": SCHEMA,
            "now": now,
            "service": {
                "id": request.service,
                "purpose": request.purpose,
                "assurance": request.assurance,
                "understands": sorted(request.understands),
            },
            "request": {"attributes": list(request.attributes)},
            "declaration": None if declaration is None else declaration.facts,
            "catalogue": {
                name: {
                    "sensitivity": found.sensitivity,
                    "levels": found.levels,
                }
                for name in names
                if (found := self._classification.get(name)) is not None
            },
        }


def parse_guidance(
    answer: Mapping[str, Json], asked: Iterable[str]
) -> Guidance:
    """Read an engine's answer, strictly.

    Args:
        answer: the document of ``curtilage/guidance/1``.
        asked: the attribute names of the request.

    Raises:
        NoDecision: with cause ``malformed`` for any other shape.

    """
    try:
        return _parse(answer, set(asked))
    except (KeyError, TypeError, AttributeError):
        raise NoDecision(Cause.MALFORMED) from None


def _parse(answer: Mapping[str, Any], asked: set[str]) -> Guidance:
    found = answer["attributes"]
    if (
        set(answer) != {"schema", "attributes", "minimum"}
        or answer["schema"] != SCHEMA
        or set(found) != asked
    ):
        raise NoDecision(Cause.MALFORMED)
    return Guidance(
        missing={
            name: tuple(_reason(item) for item in one["reasons"])
            for name, one in sorted(found.items())
            if one["reasons"]
        },
        instead={
            name: _texts(one["instead"])
            for name, one in sorted(found.items())
            if one["instead"]
        },
        minimum=_minimum(answer["minimum"]),
    )


def _minimum(found: Mapping[str, Any] | None) -> Minimum | None:
    if found is None:
        return None
    assurance = found["assurance"]
    if set(found) != {"attributes", "assurance", "understands"} or (
        type(assurance) is not int
    ):
        raise NoDecision(Cause.MALFORMED)
    return Minimum(
        attributes=_texts(found["attributes"]),
        assurance=assurance,
        understands=_texts(found["understands"]),
    )


def _reason(found: Mapping[str, Any]) -> Reason:
    code, remedy = _texts([found["code"], found["remedy"]])
    return Reason(code=code, remedy=remedy)


def _texts(found: Iterable[Any]) -> tuple[str, ...]:
    if not all(type(one) is str for one in found):
        raise NoDecision(Cause.MALFORMED)
    return tuple(found)
