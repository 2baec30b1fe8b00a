"""Tests talk to this machine alone: every other address is refused.

An audit hook sees each connection that Python makes, whichever library asks
for it. It cannot be removed again, which here is what is wanted. It does not
see what a C library or another process does; those are started by us, on
loopback addresses.
"""

import ipaddress
import sys

_ADDRESS_SECOND = {
    "socket.connect",
    "socket.bind",
    "socket.sendto",
    "socket.sendmsg",
}
_HOST_FIRST = {"socket.getaddrinfo", "socket.gethostbyname"}


class NetworkRefusedError(RuntimeError):
    """A test tried to reach another machine."""


def guard_network() -> None:
    """Refuse every address but loopback, from now on and in this process."""
    sys.addaudithook(_watch)


def is_local(host: object) -> bool:
    """Tell whether a host is this machine.

    Args:
        host: what stands in a socket address, or None where none is given.

    """
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in {None, "", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event in _ADDRESS_SECOND:
        address = arguments[1]
        # A socket of the file system has a path for an address.
        if not isinstance(address, tuple):
            return
        host = address[0]
    elif event in _HOST_FIRST:
        host = arguments[0]
    else:
        return
    if not is_local(host):
        msg = f"tests may not reach {host!r}: only loopback ({event})"
        raise NetworkRefusedError(msg)
