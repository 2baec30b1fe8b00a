"""Forms are read with limits, and nothing but a form is taken."""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from api.pages.errors import FormInvalid
from api.pages.forms import MAX_BYTES, MAX_FIELDS, Form, read_form

TYPE = "application/x-www-form-urlencoded"
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def read(body: bytes, media: str = TYPE) -> Form:
    """Read a form out of a request with that body."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "type": "http",
        "headers": [(b"content-type", media.encode())],
    }
    return asyncio.run(read_form(Request(scope, receive)))


@given(st.dictionaries(TEXT.filter(bool), TEXT, max_size=20))
def test_fields_come_back(fields: Mapping[str, str]) -> None:
    """What a browser encodes is what is read."""
    form = read(urlencode(fields).encode())

    assert fields == {name: form.one(name) for name in form.fields}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_form_or_refused(body: bytes) -> None:
    """No body gets past as anything but fields of text."""
    try:
        form = read(body)
    except FormInvalid:
        return

    assert all(
        isinstance(each, str) for v in form.fields.values() for each in v
    )


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (b"a=b", "multipart/form-data; boundary=x"),
        (b"a=b", "application/json"),
        (b"a=b", ""),
        (b"a=" + b"b" * MAX_BYTES, TYPE),
        (b"&".join([b"a=b"] * (MAX_FIELDS + 1)), TYPE),
        (b"a=%ff", TYPE),
        (b"a=\xc3\xa9", TYPE),
    ],
)
def test_what_no_page_sends_is_refused(body: bytes, media: str) -> None:
    """Other types, too much, and broken text are refused."""
    with pytest.raises(FormInvalid):
        read(body, media)


def test_single_field_must_be_single() -> None:
    """A field that came twice has no one value."""
    form = read(b"a=1&a=2&b=3&b=3")

    assert ("3",) == form.many("b")
    assert form.one("c") is None
    with pytest.raises(FormInvalid):
        form.one("a")
    with pytest.raises(FormInvalid):
        form.need("c")


def test_form_does_not_print_its_fields() -> None:
    """What a person typed stays out of logs."""
    assert "secret" not in repr(read(b"a=secret"))
