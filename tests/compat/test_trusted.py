"""`X-User` is believed where it comes from, and nowhere else."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from server.wire.trusted import LONGEST_ADDRESS, UNKNOWN, address_of, trusted_user, within

CAMPUS = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def test_a_name_from_a_trusted_network_is_believed() -> None:
    assert trusted_user(["adam"], "10.1.2.3", CAMPUS) == "adam"
    assert trusted_user(["adam"], "fd00::1", CAMPUS) == "adam"
    assert trusted_user(["adam"], "::ffff:10.1.2.3", CAMPUS) == "adam"


@pytest.mark.parametrize(
    "address", ["192.0.2.1", "11.0.0.1", "2001:db8::1", "::ffff:192.0.2.1", "", "10.0.0.1, 1.2.3.4"]
)
def test_a_name_from_elsewhere_is_not(address: str) -> None:
    assert trusted_user(["adam"], address, CAMPUS) is None
    assert not within(address, CAMPUS)


def test_nobody_is_trusted_unless_a_network_is_named() -> None:
    assert trusted_user(["adam"], "127.0.0.1", ()) is None


@pytest.mark.parametrize("named", [[], [""], [" adam"], ["adam "], ["a\nb"], ["a\x00"], ["a" * 65], ["adam", "eve"]])
def test_a_name_that_is_none_or_two_names_names_nobody(named: list[str]) -> None:
    assert trusted_user(named, "10.1.2.3", CAMPUS) is None


@pytest.mark.parametrize(
    ("noted", "hops", "address"),
    [
        ((), 0, "10.0.0.1"),
        (("1.2.3.4",), 0, "10.0.0.1"),
        (("1.2.3.4",), 1, "1.2.3.4"),
        (("6.6.6.6, 1.2.3.4",), 1, "1.2.3.4"),
        (("6.6.6.6", "1.2.3.4"), 2, "6.6.6.6"),
        (("1.2.3.4:51234",), 1, "1.2.3.4"),
        (("[2001:db8::1]:443",), 1, "2001:db8::1"),
        (("[2001:db8::1]",), 1, "2001:db8::1"),
        (("2001:DB8::1",), 1, "2001:db8::1"),
    ],
)
def test_the_address_is_what_the_outermost_of_our_proxies_noted(
    noted: tuple[str, ...], hops: int, address: str
) -> None:
    assert address_of("10.0.0.1", noted, hops) == address


@pytest.mark.parametrize(
    ("noted", "hops"),
    [((), 1), (("",), 1), (("unknown",), 1), (("_hidden",), 1), (("1.2.3.4",), 2), (("1.2.3.4,",), 1),
     (("10.0.0.1.",), 1), (("1.2.3.4:x",), 1), (("fe80::1%" + "e" * 99,), 1), (("10.0.0.256",), 1)],
)  # fmt: skip
def test_an_address_that_cannot_be_read_is_trusted_by_nothing(noted: tuple[str, ...], hops: int) -> None:
    """The proxy's own address, 10.0.0.1, is in a network that is trusted."""
    address = address_of("10.0.0.1", noted, hops)
    assert address == UNKNOWN
    assert trusted_user(["adam"], address, CAMPUS) is None


def test_an_address_is_no_longer_than_an_address_with_a_zone() -> None:
    longest = "fe80::1%".ljust(LONGEST_ADDRESS, "z")
    assert address_of("10.0.0.1", [longest], 1) == longest
    assert address_of("10.0.0.1", [longest + "z"], 1) == UNKNOWN
