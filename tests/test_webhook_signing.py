"""Signatures of Standard Webhooks: the published examples, and ours."""

import base64

import pytest

from api.webhook_signing import headers, shown_secret, sign
from policy import Scheme, SigningSecret
from tests.receivers import NotVerifiedError, verify

ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = 1614265330
BODY = b'{"test": 2432232314}'
SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SEED = "VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk="
SYMMETRIC = SigningSecret(
    scheme=Scheme.SYMMETRIC, key=base64.b64decode(SECRET)
)
ASYMMETRIC = SigningSecret(
    scheme=Scheme.ASYMMETRIC, key=base64.b64decode(SEED)
)
# As the libraries of the specification print them in their own tests
# (standard-webhooks/standard-webhooks: libraries/python, libraries/go).
V1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
V1A = (
    "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYG"
    "b7KaaBRdM5WqyeFiL8Ag=="
)


@pytest.mark.parametrize(
    ("secret", "expected"), [(SYMMETRIC, V1), (ASYMMETRIC, V1A)]
)
def test_published_examples(secret: SigningSecret, expected: str) -> None:
    """The example messages of the specification get its signatures."""
    found = headers(ID, BODY, [secret], now=AT)

    assert {
        "webhook-id": ID,
        "webhook-timestamp": str(AT),
        "webhook-signature": expected,
    } == found


@pytest.mark.parametrize(
    ("secret", "expected"), [(SYMMETRIC, V1), (ASYMMETRIC, V1A)]
)
def test_the_tests_verifier_takes_the_published_examples(
    secret: SigningSecret, expected: str
) -> None:
    """The verifier that the other tests trust agrees with the examples."""
    told = {
        "webhook-id": ID,
        "webhook-timestamp": str(AT),
        "webhook-signature": expected,
    }
    verify(shown_secret(secret), told, BODY, now=AT)

    for changed, body in (
        (told, BODY + b" "),
        (told | {"webhook-timestamp": str(AT + 1)}, BODY),
        (told | {"webhook-id": ID + "x"}, BODY),
        (told | {"webhook-signature": expected[:-4] + "AAA="}, BODY),
    ):
        with pytest.raises(NotVerifiedError):
            verify(shown_secret(secret), changed, body)
    with pytest.raises(NotVerifiedError, match="too old"):
        verify(shown_secret(secret), told, BODY, now=AT + 301)


def test_two_secrets_sign_until_the_old_one_ends() -> None:
    """Within the overlap either secret verifies; after it the new alone."""
    old = SigningSecret(scheme=Scheme.SYMMETRIC, key=b"o" * 32, until=AT)
    for now, counted in ((AT - 1, 2), (AT, 1)):
        told = headers(ID, BODY, [ASYMMETRIC, old], now=now)

        assert counted == len(told["webhook-signature"].split(" "))
        verify(shown_secret(ASYMMETRIC), told, BODY)
        if counted == 2:
            verify(shown_secret(old), told, BODY)
        else:
            with pytest.raises(NotVerifiedError):
                verify(shown_secret(old), told, BODY)


def test_the_private_half_is_shown_to_nobody() -> None:
    """What a service is given of an Ed25519 key is the public half."""
    shown = shown_secret(ASYMMETRIC)

    assert shown.startswith("whpk_")
    assert SEED not in shown
    assert base64.b64decode(shown[5:]) != ASYMMETRIC.key
    assert shown_secret(SYMMETRIC) == f"whsec_{SECRET}"
    assert SECRET not in repr(SYMMETRIC)
    assert sign(ASYMMETRIC, b"x") != sign(SYMMETRIC, b"x")
