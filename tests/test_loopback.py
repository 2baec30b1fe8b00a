"""The network guard: only this machine can be reached from a test."""

import asyncio
import socket
from pathlib import Path

import pytest

from tests.loopback import NetworkRefusedError, is_local


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", b"localhost", None]
)
def test_this_machine_is_local(host: object) -> None:
    """Loopback addresses, and no address at all, are this machine."""
    assert is_local(host)


@pytest.mark.parametrize(
    "host",
    ["192.0.2.1", "0.0.0.0", "2001:db8::1", "localhost.example"],  # noqa: S104 - refused here
)
def test_another_machine_is_not_local(host: str) -> None:
    """Other addresses and names are not, nor is every address at once."""
    assert not is_local(host)


def test_connecting_to_another_machine_is_refused() -> None:
    """A plain connection stops at the guard, before the network."""
    with socket.socket() as door, pytest.raises(NetworkRefusedError):
        door.connect(("192.0.2.1", 9))


def test_sending_to_another_machine_is_refused() -> None:
    """A datagram stops at the guard too."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door,
        pytest.raises(NetworkRefusedError),
    ):
        door.sendto(b"x", ("192.0.2.1", 9))


def test_looking_up_a_name_is_refused() -> None:
    """A name is not even looked up."""
    with pytest.raises(NetworkRefusedError):
        socket.getaddrinfo("example.org", 443)


def test_an_event_loop_is_refused_too() -> None:
    """The guard sees connections of asyncio."""
    with pytest.raises(NetworkRefusedError):
        asyncio.run(asyncio.open_connection("192.0.2.1", 9))


def test_loopback_and_the_file_system_are_open(tmp_path: Path) -> None:
    """Servers of the tests can be reached."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "door"))
