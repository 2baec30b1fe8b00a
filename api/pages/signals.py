"""Global Privacy Control: a browser's header that refuses sharing.

W3C, Global Privacy Control, section 3.1: ``Sec-GPC: 1`` says it and any
other value says nothing. Several header fields count as one where one of
them is exactly ``1``, also after something on the way joined them with
commas (RFC 9110, section 5.3).
"""

from starlette.requests import Request

HEADER = "sec-gpc"
_LONGEST = 200


def says_no(request: Request) -> bool:
    """Tell whether a request carries the signal."""
    return any(
        part.strip() == "1"
        for value in request.headers.getlist(HEADER)
        for part in value.split(",")
    )


def where_of(request: Request) -> str:
    """Name the route that a request came to, as evidence.

    The template of the path, never the path: an address of a page may name
    an entry or an attribute of the person.
    """
    route = request.scope.get("route")
    path = getattr(route, "path", "") or ""
    return f"{request.method} {path}"[:_LONGEST]
