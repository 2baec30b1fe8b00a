"""A checkpoint is announced before anybody gets it, whoever signed it."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.witnesses import WitnessClient, WitnessFailedError
from consent.checkpoint import Checkpoint
from consent.cosignatures import CosignatureSigner
from consent.tlog_policy import KnownWitness
from tests.ledgers import fill, make_ledger, open_empty, person


class Withheld:
    """A place for checkpoints that can be full."""

    def __init__(self) -> None:
        """Be full at first."""
        self.full = True
        self.kept: list[int] = []

    def __call__(self, checkpoint: Checkpoint) -> None:
        """Keep one, or fail."""
        if self.full:
            raise OSError(28, "full")
        self.kept.append(checkpoint.size)


def test_what_is_not_announced_is_given_to_nobody(tmp_path: Path) -> None:
    """Committed and not yet announced: no witness and no reader gets it."""
    place, asked = Withheld(), list[bytes]()
    engine = open_empty("sqlite", tmp_path)
    signing = make_ledger(engine, announce=place)
    other = make_ledger(engine, announce=place)
    fill(signing, 3)
    with pytest.raises(OSError, match="full"):
        signing.checkpoint()
    last = other.publication.last()
    assert last is not None
    assert 3 == last.size

    def post(_: str, body: bytes) -> tuple[int, bytes]:
        asked.append(body)
        return 500, b""

    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    key = CosignatureSigner("w.example", private, lambda: 1).verifier
    witness = KnownWitness(name="w", key=key, url="http://w.example")
    client = WitnessClient(other, witness, post=post)
    for giving in (
        client.submit,
        other.publication.newest,
        lambda: other.consistency_file(3, 3),
        lambda: other.person_head(*person(1)),
        lambda: other.disclosure_proof(0, person(1)[1]),
    ):
        with pytest.raises(OSError, match="full"):
            giving()
    assert ([], []) == (asked, place.kept)

    place.full = False
    with pytest.raises(WitnessFailedError):
        client.submit()
    assert 1 == len(asked)
    assert [3] == place.kept
    assert other.publication.newest() is not None
    assert [3] == place.kept
