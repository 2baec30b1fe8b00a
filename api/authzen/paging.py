"""Pages of search results, by signed tokens (Authorization API 1.0, 8.2).

A token says where the next page begins and is bound to everything else that
was asked, and to who asked; with any other value it is refused. Pages are no
snapshot: each is searched anew.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer

from api.authzen.entities import BadRequestError, Members

MOST = 100
_SALT = "curtilage/authzen/page/1"


class Pages:
    """Cuts results into pages.

    Args:
        key: of the tokens' signatures, at least 16 bytes.

    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._tokens = URLSafeSerializer(
            key, salt=_SALT, signer_kwargs={"digest_method": hashlib.sha256}
        )

    def start(self, body: Members, asked_by: str) -> tuple[int, int]:
        """Where the page begins, and how long it may be.

        Raises:
            BadRequestError: `page` is misshapen, or its token was made for
                another question, or by nobody here.

        """
        page = body.get("page", {})
        where, what = "page", "an object"
        if type(page) is not dict:
            raise BadRequestError(where, what)
        limit = page.get("limit", MOST)
        if type(limit) is not int or limit < 1:
            where, what = "page.limit", "a whole number above 0"
            raise BadRequestError(where, what)
        token = page.get("token", "")
        where, what = "page.token", "the token of the page before"
        if type(token) is not str:
            raise BadRequestError(where, what)
        if not token:
            return 0, min(limit, MOST)
        try:
            begin, bound = self._tokens.loads(token)
        except (BadSignature, ValueError, TypeError):
            raise BadRequestError(where, what) from None
        if not hmac.compare_digest(bound, self._bound(body, asked_by)):
            raise BadRequestError(where, what)
        return int(begin), min(limit, MOST)

    def cut(
        self,
        body: Members,
        asked_by: str,
        found: Sequence[Mapping[str, Any]],
    ) -> dict[str, Any]:
        """One page of what was found, as the API has it.

        Raises:
            BadRequestError: as `start`.

        """
        begin, limit = self.start(body, asked_by)
        end = begin + limit
        results = [dict(one) for one in found[begin:end]]
        token = ""
        if end < len(found):
            token = str(self._tokens.dumps([end, self._bound(body, asked_by)]))
        if not token and "page" not in body:
            return {"results": results}
        return {
            "page": {"next_token": token, "count": len(results)},
            "results": results,
        }

    def _bound(self, body: Members, asked_by: str) -> str:
        asked = {name: one for name, one in body.items() if name != "page"}
        text = json.dumps({"by": asked_by, "asked": asked}, sort_keys=True)
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[
            :32
        ]
