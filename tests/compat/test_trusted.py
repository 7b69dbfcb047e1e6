"""`X-User` is believed where it comes from, and nowhere else."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from server.wire.trusted import trusted_user, within

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
