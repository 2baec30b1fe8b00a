"""Trust policies: the specification's example, its rules, and quorums."""

from itertools import chain, combinations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from consent.checkpoint import sign_checkpoint
from consent.cosignatures import CosignatureSigner
from consent.errors import NoteUntrusted, TrustPolicyInvalid
from consent.signed_notes import NoteSignature, SignedNote, join_vkey
from consent.tlog_policy import TrustPolicy, read_trust_policy
from tests.ledgers import NOON, ORIGIN, SIGNER, VKEY
from tests.test_checkpoint import CHECKPOINT

NAMES = ("X1", "X2", "X3", "Y1", "Y2", "Y3")
WITNESSES = {
    name: CosignatureSigner(
        f"witness.example/{name}",
        Ed25519PrivateKey.from_private_bytes(name.encode() * 16)
        if name in {"X1", "Y1"}
        else MLDSA44PrivateKey.from_seed_bytes(name.encode() * 16),
        lambda: NOON,
    )
    for name in NAMES
}
LINES = "".join(
    f"witness {name} {signer.verifier}\n" for name, signer in WITNESSES.items()
)
X1, X2 = (str(WITNESSES[name].verifier) for name in ("X1", "X2"))
# https://c2sp.org/tlog-policy, its own example with keys.
EXAMPLE = f"""
log {VKEY}

{LINES}
group X-witnesses 2 X1 X2 X3
group Y-witnesses any Y1 Y2 Y3
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def read(text: str) -> TrustPolicy:
    """Read a policy."""
    return read_trust_policy(text.encode(), where="policy")


def subsets() -> list[tuple[str, ...]]:
    """All sets of the six witnesses."""
    return list(
        chain.from_iterable(
            combinations(NAMES, n) for n in range(len(NAMES) + 1)
        )
    )


def test_the_specifications_example() -> None:
    """Two of X and one of Y, for all 64 sets of witnesses."""
    policy = read(EXAMPLE)
    for found in subsets():
        x = sum(name.startswith("X") for name in found)
        y = sum(name.startswith("Y") for name in found)

        assert (x >= 2 and y >= 1) is policy.is_quorum(found)
    assert [SIGNER.verifier] == policy.keys_of(ORIGIN)
    assert [ORIGIN] == policy.origins()
    assert [] == policy.keys_of("other.example")


@pytest.mark.parametrize(
    ("quorum", "least"),
    [("any", 1), ("all", 6), *((str(k), k) for k in range(1, 7))],
)
def test_k_of_n(quorum: str, least: int) -> None:
    """A group counts its members."""
    group = f"group g {quorum} {' '.join(NAMES)}\nquorum g\n"
    policy = read(LINES + group)
    for found in subsets():
        assert (len(found) >= least) is policy.is_quorum(found)


def test_a_quorum_of_one_and_of_none() -> None:
    """A witness by itself, or nobody."""
    one, none = read(LINES + "quorum X1\n"), read("quorum none\n")

    assert one.is_quorum(["X1"])
    assert not one.is_quorum(["X2"])
    assert none.is_quorum([])


@pytest.mark.parametrize(
    "text",
    [
        "\t quorum \t none \t\n",
        "# comment \u00e9\n \t# another\n\nquorum none\n",
        "quorum none",
        f"log {VKEY} https://town.example/log\nquorum none\n",
        f"witness \u00e9 {X1} http://127.0.0.1:1/a\nquorum \u00e9\n",
    ],
)
def test_what_a_file_may_look_like(text: str) -> None:
    """Blanks, tabs, comments, URLs, and names that are not ASCII."""
    assert read(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("# nothing\n", 2),
        ("quorum none\nquorum none\n", 2),
        ("quorum X1\n", 1),
        (f"quorum X1\nwitness X1 {X1}\n", 1),
        (f"witness X1 {X1}\nwitness X1 {X2}\nquorum none\n", 2),
        (f"witness X1 {X1}\nwitness X2 {X1}\nquorum none\n", 2),
        (f"witness none {X1}\nquorum none\n", 1),
        (f"witness X1 {VKEY}\nquorum none\n", 1),
        (f"witness X1\nquorum none\n{X1}\n", 1),
        (f"log {X1}\nquorum none\n", 1),
        (f"log {VKEY}\nlog {VKEY}\nquorum none\n", 2),
        (f"log {VKEY} ftp://a\nquorum none\n", 1),
        (f"log {VKEY} http://a b\nquorum none\n", 1),
        (f"log {VKEY} file:///etc/passwd\nquorum none\n", 1),
        (f"log {VKEY[:-1]}\nquorum none\n", 1),
        (LINES + "group g 0 X1\nquorum g\n", 7),
        (LINES + "group g 2 X1\nquorum g\n", 7),
        (LINES + "group g 01 X1\nquorum g\n", 7),
        (LINES + "group g some X1\nquorum g\n", 7),
        (LINES + "group g any\nquorum g\n", 7),
        (LINES + "group g any X1 X1\nquorum g\n", 7),
        (LINES + "group g any none\nquorum g\n", 7),
        (LINES + "group g any g\nquorum g\n", 7),
        (LINES + "group X1 any X2\nquorum X1\n", 7),
        (LINES + "group g any X1\ngroup h any X1 X2\nquorum h\n", 8),
        ("quorum none # comment\n", 1),
        ("Quorum none\n", 1),
        ("quorum\u00a0none\n", 1),
        ("quorum none\r\n", 1),
        ("quorum none\x00\n", 1),
        ("quorum none\x7f\n", 1),
        ("other thing\nquorum none\n", 1),
    ],
)
def test_a_file_that_is_no_policy(text: str, line: int) -> None:
    """One clear error that names file and line."""
    with pytest.raises(TrustPolicyInvalid) as caught:
        read(text)

    assert ("policy", line) == (caught.value.where, caught.value.line)


def test_one_key_under_two_names_is_one_witness() -> None:
    """Else one witness could make a quorum of two."""
    key = WITNESSES["X1"].verifier
    again = join_vkey("witness.example/other", 4, key.public_key)
    text = f"witness a {key}\nwitness b {again}\ngroup g 2 a b\nquorum g\n"

    with pytest.raises(TrustPolicyInvalid):
        read(text)


def test_a_checkpoint_with_its_quorum() -> None:
    """Signature lines that hold are counted, unknown ones ignored."""
    policy = read(EXAMPLE)
    few = sign_checkpoint(CHECKPOINT, [SIGNER, WITNESSES["X1"]])
    enough = sign_checkpoint(
        CHECKPOINT, [SIGNER, *(WITNESSES[n] for n in ("X1", "X3", "Y2"))]
    )

    assert {"X1": NOON, "X3": NOON, "Y2": NOON} == policy.demand_quorum(enough)
    with pytest.raises(NoteUntrusted, match="quorum X-and-Y is missed"):
        policy.demand_quorum(few)
    with pytest.raises(NoteUntrusted):
        policy.demand_quorum(sign_checkpoint(CHECKPOINT, [SIGNER]))


def test_one_failing_cosignature_spoils_it() -> None:
    """A known witness's line that does not hold is not passed over."""
    policy = read(EXAMPLE)
    note = sign_checkpoint(
        CHECKPOINT, [SIGNER, *(WITNESSES[n] for n in ("X1", "X2", "X3", "Y1"))]
    )
    *lines, last = note.signatures
    forged = NoteSignature(
        name=last.name, key_id=last.key_id, signature=last.signature[::-1]
    )

    with pytest.raises(NoteUntrusted):
        policy.demand_quorum(
            SignedNote(text=note.text, signatures=(*lines, forged))
        )


def test_the_same_line_twice_counts_once() -> None:
    """A witness's signature repeated is still one witness."""
    policy = read(EXAMPLE)
    note = sign_checkpoint(CHECKPOINT, [SIGNER, WITNESSES["X1"]])
    twice = SignedNote(
        text=note.text, signatures=(*note.signatures, note.signatures[-1])
    )

    assert {"X1": NOON} == policy.cosigned(twice)
