"""`/w3c/p3p.xml` and the policies: what is declared, as P3P 1.0 XML.

Open to everybody: declarations are public, and nothing here is about a
person. A request for them needs, and is asked for, no cookie (P3P 1.0,
section 2.4.3, the safe zone).
"""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from api.platform import Platform
from api.portal import portal_declaration
from consent import (
    POLICIES_PATH,
    REFERENCE_PATH,
    Controller,
    Declaration,
    P3PDocument,
    pipl_vocabulary,
    site_policies,
    site_references,
    write_p3p,
)

MEDIA_TYPE = "application/p3p+xml"
PIPL_PATH = "/ns/pipl"
# As long as EXPIRY says.
_KEPT = "public, max-age=86400"


def p3p_router(platform: Platform) -> APIRouter:
    """Routes for browsers that read P3P, and for whoever is curious."""
    router = APIRouter(include_in_schema=False)

    @router.get(REFERENCE_PATH)
    async def references() -> Response:
        """Which policy is about which address."""
        return _xml(site_references(_in_force(platform).values()))

    @router.get(POLICIES_PATH)
    async def policies(request: Request) -> Response:
        """What every service, and the pages themselves, do."""
        live = _in_force(platform)
        language = _language(request.headers.get("accept-language", ""))
        response = _xml(
            site_policies(
                live.values(),
                portal=portal_declaration(_controller(platform, live)),
                language=language,
            )
        )
        response.headers["Content-Language"] = language
        response.headers["Vary"] = "Accept-Language"
        return response

    @router.get(PIPL_PATH)
    async def pipl() -> Response:
        """Our vocabulary of the PIPL beside DPV, as JSON-LD."""
        return Response(
            pipl_vocabulary(),
            media_type="application/ld+json",
            headers={"Cache-Control": _KEPT},
        )

    return router


def _xml(document: P3PDocument) -> Response:
    return Response(
        write_p3p(document),
        media_type=MEDIA_TYPE,
        headers={
            "Cache-Control": _KEPT,
            "X-Content-Type-Options": "nosniff",
        },
    )


def _in_force(platform: Platform) -> Mapping[tuple[str, str], Declaration]:
    """The highest version of each service and purpose, in its time."""
    now = platform.clock()
    live: dict[tuple[str, str], Declaration] = {}
    for one in platform.consents.declarations():
        # They come by version.
        live[one.service, one.purpose] = one
    return {
        key: one
        for key, one in live.items()
        if one.valid_from <= now
        and (one.valid_until is None or now < one.valid_until)
    }


def _controller(
    platform: Platform, live: Mapping[tuple[str, str], Declaration]
) -> Controller:
    """The body, as its declarations name it."""
    for _, one in sorted(live.items()):
        if one.controller.name:
            return one.controller
    return Controller(
        name=platform.settings.tenant, contact=platform.settings.origin
    )


def _language(wanted: str) -> str:
    """The first language that is asked for and that there is."""
    for part in wanted.split(","):
        tag = part.partition(";")[0].strip().lower()
        if tag.startswith("zh"):
            return "zh-Hans"
        if tag.startswith("en"):
            return "en"
    return "en"
