"""KEKs sealed by AWS KMS (extra aws-kms).

One symmetric KMS key an epoch, under an alias. The KEK is sealed with the
context as encryption context, which KMS authenticates and writes in its
trail; it names the tenant and a random id, and no person. KMS destroys a key
only after a waiting time, seven days at least, during which its owner could
still call it back: `grace` says so, and an erasure's certificate adds it.

Credentials come the client's own way, which on a machine of AWS asks the
machine's metadata service.
"""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from vault.custodians import Kind, driver_missing
from vault.errors import KeyUnavailable

_DAYS = 7
_CONTEXT = "curtilage"


class AwsKmsCustodian:
    """Keys of one account and region.

    Args:
        region: such as ``eu-central-1``.
        endpoint: another address than the region's own; empty for none.

    """

    def __init__(self, *, region: str, endpoint: str = "") -> None:
        self._region = region
        self._endpoint = endpoint
        self._client: Any = None
        self._lock = threading.RLock()

    @property
    def kind(self) -> Kind:
        """AWS KMS."""
        return Kind.AWS_KMS

    @property
    def grace(self) -> int:
        """The least waiting time that KMS takes."""
        return _DAYS * 86_400

    def make(self, name: str, key_id: UUID) -> None:
        """Make a key and its alias, unless there is such an alias.

        A crash between the two leaves a key without alias, which seals
        nothing; its tag names the epoch's id.
        """
        with self._kms() as kms:
            if self._found(kms, name) is not None:
                return
            made = kms.create_key(
                Description=f"Curtilage {name}",
                Tags=[{"TagKey": "curtilage-key", "TagValue": str(key_id)}],
            )
            kms.create_alias(
                AliasName=_alias(name),
                TargetKeyId=made["KeyMetadata"]["KeyId"],
            )

    def seal(self, name: str, context: bytes, secret: bytes) -> bytes:
        """Seal: the service's own blob."""
        with self._kms() as kms:
            answer = kms.encrypt(
                KeyId=_alias(name),
                Plaintext=secret,
                EncryptionContext=_context(context),
            )
            sealed: bytes = answer["CiphertextBlob"]
            return sealed

    def open(self, name: str, context: bytes, sealed: bytes) -> bytes:
        """Open what `seal` made, under this key and no other."""
        with self._kms() as kms:
            answer = kms.decrypt(
                KeyId=_alias(name),
                CiphertextBlob=sealed,
                EncryptionContext=_context(context),
            )
            opened: bytes = answer["Plaintext"]
            return opened

    def destroy(self, name: str) -> None:
        """Schedule a key's deletion; from now on it opens nothing.

        KMS itself refuses a key that waits. Its alias goes too, so that a
        deletion that somebody calls back brings no name back with it.
        """
        with self._kms() as kms:
            found = self._found(kms, name)
            if found is None:
                return
            if found["KeyState"] != "PendingDeletion":
                kms.schedule_key_deletion(
                    KeyId=found["KeyId"], PendingWindowInDays=_DAYS
                )
            kms.delete_alias(AliasName=_alias(name))

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            client, self._client = self._client, None
            if client is not None:
                client.close()

    def _found(self, kms: Any, name: str) -> Any:  # noqa: ANN401 - the driver's own types
        try:
            return kms.describe_key(KeyId=_alias(name))["KeyMetadata"]
        except kms.exceptions.NotFoundException:
            return None

    @contextmanager
    def _kms(self) -> Iterator[Any]:
        boto3, errors = _driver()
        with self._lock:
            try:
                if self._client is None:
                    self._client = boto3.session.Session().client(
                        "kms",
                        region_name=self._region,
                        endpoint_url=self._endpoint or None,
                    )
                yield self._client
            except errors.ClientError as error:
                what = str(error.response.get("Error", {}).get("Code", ""))
            except (errors.BotoCoreError, ValueError) as error:
                what = type(error).__name__
            else:
                return
        msg = (
            f"AWS KMS in {self._region} refuses: {what}. Check "
            "CURTILAGE_KMS_REGION, the credentials, and whether the key is "
            "there"
        )
        raise KeyUnavailable(msg)


def _alias(name: str) -> str:
    return f"alias/{name}"


def _context(context: bytes) -> dict[str, str]:
    return {_CONTEXT: base64.b64encode(context).decode("ascii")}


def _driver() -> tuple[Any, Any]:
    try:
        import boto3.session  # noqa: PLC0415 - an extra, imported when used
        import botocore.exceptions  # noqa: PLC0415 - as above
    except ImportError:
        raise driver_missing(Kind.AWS_KMS) from None
    return boto3, botocore.exceptions
