"""Signed notes: the published example, strictness, several signatures."""

import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given
from hypothesis import strategies as st

from consent.errors import NoteError, NoteMalformed, NoteUntrusted
from consent.signed_notes import (
    LARGEST_NOTE,
    MOST_SIGNATURES,
    LedgerSigner,
    NoteSignature,
    SignedNote,
    VerifierKey,
    open_note,
    parse_note_untrusted,
    sign_note,
)

# https://c2sp.org/signed-note
PUBLISHED_VKEY = (
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
)
PUBLISHED_NOTE = (
    "This is an example message.\n"
    "\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Z"
    "tg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()


def signer(name: str, seed: int = 1) -> LedgerSigner:
    """Make a signer with a known key."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return LedgerSigner(name, key)


ANNA, BRUNO = signer("anna.example/log"), signer("bruno.example", 2)
NOTE = sign_note("origin\n7\n", [ANNA, BRUNO])


def test_published_example() -> None:
    """The specification's own note is trusted by its own key."""
    key = VerifierKey.parse(PUBLISHED_VKEY)
    note = open_note(PUBLISHED_NOTE, [key])

    assert "This is an example message.\n" == note.text
    assert PUBLISHED_NOTE == bytes(note)
    assert PUBLISHED_VKEY == str(key)


def test_each_signature_is_enough() -> None:
    """A reader who knows one of two keys trusts the note."""
    assert NOTE == open_note(bytes(NOTE), [ANNA.verifier])
    assert NOTE == open_note(bytes(NOTE), [BRUNO.verifier])


def test_unknown_keys_are_ignored_by_name_and_id() -> None:
    """A key of another name, or of the same name with another id, is none."""
    for stranger in (signer("carla.example"), signer(ANNA.name, 9)):
        with pytest.raises(NoteUntrusted):
            open_note(bytes(NOTE), [stranger.verifier])
    with pytest.raises(NoteUntrusted):
        open_note(bytes(NOTE), [])


def test_one_failing_known_signature_spoils_the_note() -> None:
    """A known key's failing signature is not outvoted by another's."""
    first, second = NOTE.signatures
    forged = NoteSignature(
        name=second.name, key_id=second.key_id, signature=first.signature
    )
    note = SignedNote(text=NOTE.text, signatures=(first, forged))

    assert open_note(bytes(note), [ANNA.verifier])
    with pytest.raises(NoteUntrusted):
        open_note(bytes(note), [ANNA.verifier, BRUNO.verifier])


def test_a_changed_text_is_refused() -> None:
    """A signature is over the text, to its last newline."""
    note = bytes(NOTE).replace(b"7", b"8")

    with pytest.raises(NoteUntrusted):
        open_note(note, [ANNA.verifier])


def test_the_last_empty_line_separates() -> None:
    """A text may hold empty lines of its own."""
    note = sign_note("a\n\nb\n", [ANNA])

    assert "a\n\nb\n" == open_note(bytes(note), [ANNA.verifier]).text


GOOD = bytes(NOTE).decode()
LINE = str(NOTE.signatures[0])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text\n",
        "text\n\n",
        GOOD[:-1],
        GOOD + "\n",
        GOOD + "junk\n",
        GOOD.replace("— ", "- "),
        GOOD.replace("— ", "—"),
        GOOD.replace("\n", "\r\n"),
        "bell\x07\n\n" + LINE,
        "tab\there\n\n" + LINE,
        "text\n\n" + LINE.replace("anna", "an na"),
        "text\n\n" + LINE.replace("anna", "an+na"),
        "text\n\n" + LINE.replace("anna.example/log", ""),
        "text\n\n" + LINE.replace("=", ""),
        "text\n\n" + LINE.replace("=", "=="),
        "text\n\n" + LINE[:-2] + "*\n",
        "text\n\n— anna.example/log AAAA\n",
        "text\n\n" + LINE * (MOST_SIGNATURES + 1),
    ],
)
def test_malformed_notes(text: str) -> None:
    """Anything but the one exact form is refused."""
    with pytest.raises(NoteMalformed):
        parse_note_untrusted(text.encode())


def test_notes_that_are_no_text_or_too_long() -> None:
    """Bytes that are not UTF-8, and a megabyte too many, are refused."""
    with pytest.raises(NoteMalformed):
        parse_note_untrusted(b"\xff\n\n" + LINE.encode())
    with pytest.raises(NoteMalformed):
        parse_note_untrusted(b"a" * LARGEST_NOTE + bytes(NOTE))


def test_sixteen_signatures_are_read() -> None:
    """The specification asks that at least sixteen be accepted."""
    signers = [signer(f"w{n}.example", n + 1) for n in range(16)]
    note = sign_note("text\n", signers)

    assert note == open_note(bytes(note), [signers[15].verifier])


@given(st.data())
@example(None)
def test_notes_are_not_malleable(data: st.DataObject | None) -> None:
    """What parses is written back to the same bytes, however mangled."""
    mangled = bytearray(bytes(NOTE))
    if data is not None:
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(0, len(mangled) - 1))
            if data.draw(st.booleans()):
                mangled[place] = data.draw(st.integers(0, 255))
            else:
                mangled[place:place] = data.draw(st.binary(max_size=3))
    try:
        note = parse_note_untrusted(bytes(mangled))
    except NoteMalformed:
        return

    assert bytes(mangled) == bytes(note)


@given(st.text(alphabet="ab+ \n—=AQ/0", max_size=60))
def test_any_text_parses_to_itself_or_not(text: str) -> None:
    """No short text makes the parser raise anything else."""
    try:
        note = parse_note_untrusted(text.encode())
    except NoteMalformed:
        return

    assert text == str(note)


@given(st.data())
def test_verifier_keys_are_not_malleable(data: st.DataObject) -> None:
    """A verifier key that parses is written back to the same text."""
    place = data.draw(st.integers(0, len(PUBLISHED_VKEY) - 1))
    letter = data.draw(st.characters(codec="ascii"))
    mangled = PUBLISHED_VKEY[:place] + letter + PUBLISHED_VKEY[place + 1 :]
    try:
        key = VerifierKey.parse(mangled)
    except NoteError:
        return

    assert mangled == str(key)
    assert mangled == PUBLISHED_VKEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+530d903a",
        "example.com/foo+530d903b" + PUBLISHED_VKEY[24:],
        "example.com/foo+530D903A" + PUBLISHED_VKEY[24:],
        "example.com/fou+530d903a" + PUBLISHED_VKEY[24:],
        # Another algorithm: ECDSA, type byte 2.
        "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        # A key that is too short.
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4",
    ],
)
def test_malformed_verifier_keys(text: str) -> None:
    """A key of another form, type or id is refused."""
    with pytest.raises(NoteMalformed):
        VerifierKey.parse(text)


@pytest.mark.parametrize("text", ["", "no newline", "bell\x07\n"])
def test_texts_that_no_note_can_carry(text: str) -> None:
    """What could not be read back is not signed."""
    with pytest.raises(NoteMalformed):
        sign_note(text, [ANNA])


def test_a_note_needs_a_signer() -> None:
    """A note without signatures is none."""
    with pytest.raises(NoteMalformed):
        sign_note("text\n", [])


@pytest.mark.parametrize(
    "name", ["", "a b", "a+b", "a\u2003b", "a\nb", "a\x85b"]
)
def test_names_that_no_line_can_carry(name: str) -> None:
    """A key's name holds no space, plus sign or control character."""
    with pytest.raises(NoteMalformed):
        signer(name)


def test_a_signing_key_stays_where_it_is() -> None:
    """A signer shows its public key alone and is not pickled."""
    assert f"LedgerSigner({str(ANNA.verifier)!r})" == repr(ANNA)
    with pytest.raises(TypeError):
        pickle.dumps(ANNA)
