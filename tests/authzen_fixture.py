"""The fixture of the AuthZEN certification scenario, over HTTPS on loopback.

Its subjects, records and rules are a policy of their own, compiled and run
by the embedded engine as the product's are, and never beside them. The door
is the product's own router.
"""

import ipaddress
import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fastapi import FastAPI, Request

from api.app import Envelope
from api.authzen import (
    Answer,
    Asker,
    Limit,
    Metadata,
    Pages,
    authzen_router,
)
from api.authzen.entities import (
    ActionSearch,
    Evaluation,
    ResourceSearch,
    Search,
    SubjectSearch,
)
from api.problems import install_problems
from policy import Credential, EmbeddedPdp
from tests.engines import compiled, unhurried, write_policy
from tests.serving import HOST, free_port

ENTRYPOINT = "certification/decision"
REGO = """
package certification

decision := {"allow": allow}

default allow := false

archived if input.resource.properties.status == "archived"

allow if {
	input.subject.id in {"alice", "bob"}
	input.action.name == "read"
	input.resource.id in {"record-1", "record-2"}
}

allow if {
	input.subject.id == "alice"
	input.action.name == "write"
	input.resource.id in {"record-1", "record-2"}
	not archived
}

allow if {
	input.subject.properties.role == "admin"
	input.action.name == "write"
	archived
}

allow if {
	input.subject.id == "alice"
	input.action.name == "delete"
	input.action.properties.soft == true
	input.resource.id == "record-1"
}
"""
USERS: Mapping[str, Mapping[str, Any]] = {
    "alice": {},
    "bob": {"role": "admin"},
}
RECORDS: Mapping[str, Mapping[str, Any]] = {
    "record-1": {"status": "active"},
    "record-2": {"status": "archived"},
}
ACTIONS = ("read", "write", "delete")
CALLER = Credential(
    client_id="harness", service="harness", purpose="test", assurance=1
)


class FixtureEvaluator:
    """`Evaluator` over the scenario's policy."""

    def __init__(self, pdp: EmbeddedPdp) -> None:
        """Decide with an engine that runs the scenario's policy."""
        self._pdp = pdp

    async def evaluate(
        self,
        asker: Asker,  # noqa: ARG002 - the scenario has one caller
        asked: Evaluation,
    ) -> Answer:
        """Ask the policy about exactly what was sent."""
        return Answer(
            decision=await self._allows(
                {
                    "type": asked.subject.type,
                    "id": asked.subject.id,
                    "properties": asked.subject.properties,
                },
                {
                    "name": asked.action.name,
                    "properties": asked.action.properties,
                },
                {
                    "type": asked.resource.type,
                    "id": asked.resource.id,
                    "properties": asked.resource.properties,
                },
            )
        )

    async def search(
        self,
        asker: Asker,  # noqa: ARG002 - as above
        asked: Search,
    ) -> Sequence[Mapping[str, Any]]:
        """Ask the policy about every entity of the fixture."""
        if isinstance(asked, SubjectSearch):
            action, resource = asked.action, asked.resource
            return [
                {"type": "user", "id": name}
                for name, properties in USERS.items()
                if asked.type == "user"
                and await self._allows(
                    {"type": "user", "id": name, "properties": properties},
                    {"name": action.name, "properties": action.properties},
                    {
                        "type": resource.type,
                        "id": resource.id,
                        "properties": resource.properties,
                    },
                )
            ]
        subject = {
            "type": asked.subject.type,
            "id": asked.subject.id,
            "properties": asked.subject.properties,
        }
        if isinstance(asked, ResourceSearch):
            act = asked.action
            return [
                {"type": "record", "id": name}
                for name, properties in RECORDS.items()
                if asked.type == "record"
                and await self._allows(
                    subject,
                    {"name": act.name, "properties": act.properties},
                    {"type": "record", "id": name, "properties": properties},
                )
            ]
        return await self._actions(subject, asked)

    async def _actions(
        self, subject: Mapping[str, Any], asked: ActionSearch
    ) -> Sequence[Mapping[str, Any]]:
        resource = {
            "type": asked.resource.type,
            "id": asked.resource.id,
            "properties": asked.resource.properties,
        }
        return [
            {"name": name}
            for name in ACTIONS
            if await self._allows(
                subject, {"name": name, "properties": {}}, resource
            )
        ]

    async def _allows(
        self,
        subject: Mapping[str, Any],
        action: Mapping[str, Any],
        resource: Mapping[str, Any],
    ) -> bool:
        known = subject["type"] == "user" and resource["type"] == "record"
        ruling = await self._pdp.decide(
            ENTRYPOINT,
            {
                "subject": dict(subject),
                "action": dict(action),
                "resource": dict(resource),
            },
        )
        return known and ruling.document["allow"] is True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back over HTTPS."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:  # noqa: ANN401 - any JSON
        """The body as JSON."""
        return json.loads(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """A client that trusts the throw-away authority alone."""

    base: str
    trust: ssl.SSLContext

    def send(
        self,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """GET, or POST a body; bytes go as they are."""
        content = body
        if body is not None and not isinstance(body, bytes):
            content = json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - https on loopback
            self.base + path,
            data=content,  # type: ignore[arg-type] # bytes or None by now
            headers={"Content-Type": "application/json", **(headers or {})},
        )
        try:
            with urllib.request.urlopen(  # noqa: S310 - https on loopback
                request, context=self.trust, timeout=60
            ) as found:
                return Reply(
                    status=found.status,
                    headers=dict(found.headers),
                    text=found.read().decode(),
                )
        except urllib.error.HTTPError as error:
            with error:
                return Reply(
                    status=error.code,
                    headers=dict(error.headers),
                    text=error.read().decode(),
                )


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Make an authority and a certificate of this host, for one day.

    Returns:
        The authority's certificate, the server's, and its key.

    """
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "throw-away")])

    def certificate(
        subject: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
        )

    authority = (
        certificate(name, authority_key)
        .add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    host = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    served = (
        certificate(host, key)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address(HOST))]
            ),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    paths = (folder / "ca.pem", folder / "host.pem", folder / "key.pem")
    pem = serialization.Encoding.PEM
    for path, content in zip(
        paths,
        (
            authority.public_bytes(pem),
            served.public_bytes(pem),
            key.private_bytes(
                pem,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        ),
        strict=True,
    ):
        path.write_bytes(content)
    return paths


@contextmanager
def certified(opa_binary: Path, folder: Path) -> Iterator[Harness]:
    """Serve the fixture over HTTPS."""
    source = write_policy(folder / "policy", {"certification.rego": REGO})
    pdp = unhurried(compiled(opa_binary, source, (ENTRYPOINT,)))
    authority, certificate, key = certificates(folder / "tls")
    port = free_port()
    base = f"https://{HOST}:{port}"

    async def authenticate(_request: Request) -> Credential:
        return CALLER

    app = FastAPI()
    install_problems(app)
    app.include_router(
        authzen_router(
            FixtureEvaluator(pdp),
            authenticate=authenticate,
            metadata=Metadata(identifier=base),
            pages=Pages(bytes(32)),
            limit=Limit(1_000_000, time.monotonic),
        )
    )
    app.add_middleware(Envelope, random=bytes)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=HOST,
            port=port,
            ssl_certfile=str(certificate),
            ssl_keyfile=str(key),
            log_config=None,
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        yield Harness(
            base=base,
            trust=ssl.create_default_context(cafile=str(authority)),
        )
    finally:
        server.should_exit = True
        thread.join()
