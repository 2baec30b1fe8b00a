"""Where webhooks may go: what the settings name, and nowhere else.

An endpoint's host must be on the list, and so must the address that it
resolves to: the name is looked up once for each attempt, every address is
checked, and the connection goes to the address that was checked (so a name
that changes its answer in between reaches nothing). Loopback, private and
other special addresses are refused unless a network of the settings holds
them. Plain ``http`` is for loopback alone.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeAlias
from urllib.parse import SplitResult, urlsplit

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], Sequence[str]]
_PORTS = {"http": 80, "https": 443}
_LONGEST_URL = 2000
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PRINTABLE = range(0x21, 0x7F)


class AddressRefusedError(ValueError):
    """Webhooks may not go there. Says why, in a word and a sentence."""

    def __init__(self, word: str, sentence: str) -> None:
        self.word = word
        super().__init__(sentence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An endpoint's address, taken apart.

    Attributes:
        secure: whether TLS is spoken.
        host: its name, for TLS and the ``Host`` header.
        port: its port.
        path: path and query.
    """

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The ``Host`` header."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == _PORTS["https" if self.secure else "http"]
        return name if usual else f"{name}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What the settings allow.

    Attributes:
        hosts: names, each with its port or None for the scheme's own.
        networks: in which special addresses may be.
    """

    hosts: frozenset[tuple[str, int | None]]
    networks: tuple[Network, ...]

    def target(self, url: str) -> Target:
        """Take an address apart, if its form and host are allowed.

        Args:
            url: of the endpoint.

        Raises:
            AddressRefusedError: it is not allowed; nothing was looked up.
        """
        if len(url) > _LONGEST_URL or any(
            ord(each) not in _PRINTABLE for each in url
        ):
            _refuse("malformed", "the address is not a URL in ASCII")
        parts, port = _split(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            _refuse("scheme", "the address begins with https:// and a host")
        if "@" in parts.netloc or parts.fragment:
            _refuse("malformed", "the address has no user and no fragment")
        host = parts.hostname.rstrip(".")
        usual = _PORTS[parts.scheme]
        named: set[tuple[str, int | None]] = {(host, port or usual)}
        if port in {None, usual}:
            named.add((host, None))
        if not named & self.hosts:
            _refuse(
                "host-not-allowed",
                f"webhook_hosts does not name {host}:{port or usual}",
            )
        path = parts.path or "/"
        return Target(
            secure=parts.scheme == "https",
            host=host,
            port=port or usual,
            path=f"{path}?{parts.query}" if parts.query else path,
        )

    def pin(self, target: Target, resolve: Resolve) -> str:
        """Return the one address to connect to.

        Args:
            target: from `target`.
            resolve: looks a name up.

        Raises:
            AddressRefusedError: one of its addresses is not allowed, or
                plain http would leave this machine.
            OSError: the name has no address.
        """
        found = resolve(target.host, target.port)
        for text in found:
            address = ipaddress.ip_address(text)
            if not self._may(address):
                _refuse(
                    "address-not-allowed",
                    f"{target.host} is in a network that webhook_networks "
                    "does not name",
                )
            if not target.secure and not _plain(address).is_loopback:
                _refuse("scheme", "plain http is for loopback alone")
        if not found:
            msg = "the name has no address"
            raise OSError(msg)
        return found[0]

    def _may(self, address: Address) -> bool:
        plain = _plain(address)
        if any(
            plain.version == one.version and plain in one
            for one in self.networks
        ):
            return True
        return plain.is_global and not plain.is_multicast


def parse_hosts(text: str) -> frozenset[tuple[str, int | None]]:
    """Read the setting `webhook_hosts`.

    Raises:
        ValueError: an item is no host or host:port.
    """
    found = set()
    for item in _items(text):
        parts, port = _split(f"//{item}")
        if not parts.hostname or parts.netloc != item or "@" in item:
            msg = "webhook_hosts lists host or host:port, with commas"
            raise ValueError(msg)
        found.add((parts.hostname.rstrip("."), port))
    return frozenset(found)


def parse_networks(text: str) -> tuple[Network, ...]:
    """Read the setting `webhook_networks`.

    Raises:
        ValueError: an item is no network.
    """
    try:
        return tuple(ipaddress.ip_network(item) for item in _items(text))
    except ValueError:
        msg = "webhook_networks lists networks such as 10.1.0.0/16"
        raise ValueError(msg) from None


def allowed(hosts: str, networks: str) -> Allowed:
    """Read both settings."""
    return Allowed(hosts=parse_hosts(hosts), networks=parse_networks(networks))


def look_up(host: str, port: int) -> list[str]:
    """Ask the system's resolver for the addresses of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one leads to, where it leads to one.

    Mapped (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056).
    """
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        _refuse("malformed", "the address is not a URL")
    return parts, port


def _items(text: str) -> list[str]:
    return [item for item in text.replace(",", " ").split() if item]


def _refuse(word: str, sentence: str) -> NoReturn:
    raise AddressRefusedError(word, sentence)
