"""The bytes of a form, read with limits.

Only ``application/x-www-form-urlencoded`` (URL standard, section 5) is
taken: the pages send nothing else, and without files there is no multipart
parser to attack. Stricter than the standard: the bytes must be UTF-8.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.requests import Request

from api.pages.errors import FormInvalid

MAX_BYTES = 65_536
MAX_FIELDS = 256
_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The fields of one form; never printed."""

    fields: Mapping[str, list[str]]

    def __repr__(self) -> str:
        return "Form()"

    def one(self, name: str) -> str | None:
        """Return the only value of a field, or None if it is absent.

        Args:
            name: the field.

        Returns:
            The value.

        Raises:
            FormInvalid: the field came more than once.

        """
        values = self.fields.get(name, [])
        if len(values) > 1:
            msg = f"the field {name} came more than once"
            raise FormInvalid(msg)
        return values[0] if values else None

    def need(self, name: str) -> str:
        """Return the only value of a field that our page always sends.

        Args:
            name: the field.

        Returns:
            The value.

        Raises:
            FormInvalid: the field is absent or came more than once.

        """
        value = self.one(name)
        if value is None:
            msg = f"the field {name} is missing"
            raise FormInvalid(msg)
        return value

    def many(self, name: str) -> tuple[str, ...]:
        """Return all values of a field, without doubles, in order."""
        return tuple(dict.fromkeys(self.fields.get(name, [])))


async def read_form(request: Request) -> Form:
    """Read a form out of a request.

    Args:
        request: the request; its body is read once.

    Returns:
        The form.

    Raises:
        FormInvalid: another media type, too long, too many fields, or
            not UTF-8.

    """
    media = request.headers.get("content-type", "").partition(";")[0]
    if media.strip().lower() != _TYPE:
        msg = "the form is of another media type"
        raise FormInvalid(msg)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            msg = f"the form is longer than {MAX_BYTES} bytes"
            raise FormInvalid(msg)
    try:
        fields = parse_qs(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        msg = "the form cannot be read"
        raise FormInvalid(msg) from None
    return Form(fields=fields)
