"""The headers that every answer of the pages carries.

The Content Security Policy (CSP level 3) lets a page use its own origin and
nothing else; inline styles and scripts do not run. A page is never stored; a
static file, whose address holds the digest of all static files, for ever.
"""

from starlette.responses import Response

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
IMMUTABLE = "public, max-age=31536000, immutable"


def guard_headers(response: Response) -> Response:
    """Add the security headers to an answer.

    Args:
        response: the answer; a ``Cache-Control`` of its own is kept.

    Returns:
        The same answer.

    """
    headers = response.headers
    headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    headers["Referrer-Policy"] = "no-referrer"
    headers["X-Content-Type-Options"] = "nosniff"
    headers.setdefault("Cache-Control", "no-store")
    return response
