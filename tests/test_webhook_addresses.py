"""Webhooks go where the settings say, and nowhere else."""

from collections.abc import Callable, Sequence

import pytest
from pydantic import ValidationError

from api.settings import Settings
from api.webhook_addresses import AddressRefusedError, allowed

HOSTS = "hooks.town.example, internal.example:8443, 127.0.0.1:9000, [::1]:9000"


def answering(*addresses: str) -> Callable[[str, int], Sequence[str]]:
    """A resolver that knows one answer."""
    return lambda _host, _port: addresses


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("https://elsewhere.example/", "host-not-allowed"),
        ("https://hooks.town.example:444/", "host-not-allowed"),
        ("https://internal.example/", "host-not-allowed"),
        ("https://hooks.town.example.evil.example/", "host-not-allowed"),
        ("https://evil.example\\@hooks.town.example/", "malformed"),
        ("https://hooks.town.example@evil.example/", "malformed"),
        ("https://user:pw@hooks.town.example/", "malformed"),
        ("https://hooks.town.example/#part", "malformed"),
        ("https://hooks.town.example/a\r\nX: y", "malformed"),
        ("https://hooks.town.example/ä", "malformed"),
        ("https://hooks.town.example:port/", "malformed"),
        ("https://[::1/", "malformed"),
        ("ftp://hooks.town.example/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("//hooks.town.example/", "scheme"),
        ("gopher://127.0.0.1:9000/", "scheme"),
        ("https://2130706433:9000/", "host-not-allowed"),
        ("https://0x7f.1:9000/", "host-not-allowed"),
        ("https://hooks.town.example/" + "a" * 2000, "malformed"),
    ],
)
def test_refused_before_any_look_up(url: str, word: str) -> None:
    """What is not on the list, or not an address, is refused by its form."""
    with pytest.raises(AddressRefusedError) as caught:
        allowed(HOSTS, "0.0.0.0/0, ::/0").target(url)

    assert word == caught.value.word


def test_a_name_in_other_letters_is_the_same_host() -> None:
    """Case and a final dot change nothing; path and query are kept."""
    found = allowed(HOSTS, "").target("https://HOOKS.town.example./a?b=c")

    assert ("hooks.town.example", 443, "/a?b=c") == (
        found.host,
        found.port,
        found.path,
    )
    assert "hooks.town.example" == found.authority


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - nothing is bound
        "224.0.0.1",
        "fe80::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::",
    ],
)
def test_special_addresses_are_refused(address: str) -> None:
    """A name on the list that answers with an inner address reaches nothing.

    Also where only one of its answers is such an address.
    """
    reach = allowed(HOSTS, "")
    target = reach.target("https://hooks.town.example/")
    for answers in ((address,), ("93.184.216.34", address)):
        with pytest.raises(AddressRefusedError) as caught:
            reach.pin(target, answering(*answers))

        assert "address-not-allowed" == caught.value.word


def test_named_networks_open_what_they_hold_and_no_more() -> None:
    """A private network is reached once it is named, over TLS."""
    reach = allowed(HOSTS, "10.1.0.0/16, fd00::/8")
    target = reach.target("https://internal.example:8443/")

    assert "10.1.2.3" == reach.pin(target, answering("10.1.2.3"))
    assert "fd00::1" == reach.pin(target, answering("fd00::1"))
    assert "93.184.216.34" == reach.pin(target, answering("93.184.216.34"))
    for other in ("10.2.0.1", "::ffff:10.2.0.1", "127.0.0.1"):
        with pytest.raises(AddressRefusedError):
            reach.pin(target, answering(other))
    with pytest.raises(OSError, match="no address"):
        reach.pin(target, answering())


def test_plain_http_is_for_loopback() -> None:
    """And for loopback only where the settings name it."""
    inner = allowed(HOSTS, "127.0.0.0/8, 10.0.0.0/8")
    here = inner.target("http://127.0.0.1:9000/")

    assert "127.0.0.1" == inner.pin(here, answering("127.0.0.1"))
    for address in ("10.0.0.1", "93.184.216.34"):
        with pytest.raises(AddressRefusedError, match="loopback"):
            inner.pin(here, answering(address))
    with pytest.raises(AddressRefusedError):
        allowed(HOSTS, "").pin(here, answering("127.0.0.1"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook_hosts", "https://hooks.town.example/"),
        ("webhook_hosts", "a@b"),
        ("webhook_hosts", "a:b"),
        ("webhook_networks", "10.1.2.3/8"),
        ("webhook_networks", "localhost"),
        ("webhook_hours", "0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(name: str, value: str) -> None:
    """A mistake in the settings is found when they are read."""
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})  # type: ignore[arg-type] # a table of cases


def test_nothing_is_allowed_by_default() -> None:
    """Without the setting no address is one."""
    with pytest.raises(AddressRefusedError):
        allowed(Settings().webhook_hosts, Settings().webhook_networks).target(
            "https://hooks.town.example/"
        )
