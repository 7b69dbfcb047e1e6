"""Whom a client's address stands for, where addresses have equal shares."""

from __future__ import annotations

import pytest

from server.relay.admission import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::99", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("unknown", ""),
    ],
)
def test_an_address_of_the_new_kind_stands_for_its_network(address: str, network: str) -> None:
    assert network_of(address) == network
