"""How many requests an address sends in a minute: the core with a clock of its own, and the gateway that asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.address_rate import AddressRate
from tests.hostile.http_raw import Reply, Wire, request
from tests.hostile.site import CHAT, Site, site
from tests.hostile.test_held_bytes import BODY


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_holds_in_any_sixty_seconds_and_for_each_address_alone() -> None:
    clock = Clock()
    rate = AddressRate(2, clock)
    assert rate.take("a") == 0
    clock.now = 20.0
    assert rate.take("a") == 0
    clock.now = 30.0
    assert rate.take("a") == 30.0, "as soon as the first one is a minute old"
    assert rate.take("b") == 0
    clock.now = 60.0
    assert rate.take("a") == 0, "a refused one was not counted"
    assert rate.take("a") == 20.0
    assert rate.refused == 2
    assert rate.words == "2 requests a minute, for each address"


def test_it_is_off_at_0_and_remembers_nothing_then() -> None:
    rate = AddressRate(0, Clock())
    assert [rate.take("a") for _ in range(1000)] == [0.0] * 1000
    assert (len(rate), rate.refused) == (0, 0)


def test_no_number_of_addresses_fills_the_memory() -> None:
    rate = AddressRate(1, Clock(), remembered=10)
    assert [rate.take(str(number)) for number in range(100)] == [0.0] * 100
    assert len(rate) == 10
    assert rate.take("99") > 0
    assert rate.take("0") == 0, "it asked longest ago, and is forgotten"


@pytest.fixture(scope="module")
def limited() -> Iterator[Site]:
    """A gateway behind a proxy, where an address has three requests a minute."""
    with site(max_requests_per_address=3) as built:
        yield built


def expecting(limited: Site, path: str, headers: dict[str, str]) -> Reply:
    """The answer to a request that sends its body only when it may."""
    with Wire(limited.url) as wire:
        wire.send(request("POST", path, headers | {"Content-Length": "5000000", "Expect": "100-continue"}))
        reply = wire.reply()
        assert reply is not None
        return reply


def test_who_has_used_up_the_minute_sends_no_body_and_hears_which_limit_that_is(limited: Site) -> None:
    here = limited.headers()
    for _ in range(3):
        reply = limited.ask(request("POST", CHAT, here, BODY))
        assert reply is not None
        assert reply.status == 200
    refused = expecting(limited, CHAT, here)
    assert refused.status == 429
    assert b'"rate_limit_exceeded"' in refused.body
    assert b"Rate limit reached: 3 requests a minute, for each address." in refused.body
    assert 0 < int(refused.headers["retry-after"]) <= 60
    other = expecting(limited, "/v1/messages", here)
    assert (other.status, b'"rate_limit_error"' in other.body) == (429, True)
    assert expecting(limited, CHAT, here | {"Authorization": "Bearer fg_wrong"}).status == 429, "nor guesses at a token"
    elsewhere = limited.post(CHAT, BODY)
    assert elsewhere is not None
    assert elsewhere.status == 200
    assert limited.services.occupancy.requests.refused == 3


def test_all_whose_address_is_unknown_are_one(limited: Site) -> None:
    here = {name: value for name, value in limited.headers().items() if name != "X-Forwarded-For"}
    statuses = [ask(limited, here | unknown) for unknown in UNKNOWN]
    assert statuses == [200, 200, 200, 429]


UNKNOWN: list[dict[str, str]] = [{}, {"X-Forwarded-For": "nonsense"}, {"X-Forwarded-For": "1.2.3.4.5"}, {}]


def ask(limited: Site, headers: dict[str, str]) -> int:
    reply = limited.ask(request("POST", CHAT, headers, BODY))
    assert reply is not None
    return reply.status


def test_a_network_of_64_bits_is_one_address(limited: Site) -> None:
    here = limited.headers()
    hosts = [f"2001:db8:1:2::{number}" for number in range(1, 5)]
    assert [ask(limited, here | {"X-Forwarded-For": host}) for host in hosts] == [200, 200, 200, 429]


def test_a_check_of_health_is_never_refused_and_counts_nothing(limited: Site) -> None:
    here = limited.headers()
    for _ in range(5):
        reply = limited.ask(request("GET", "/healthz", here))
        assert reply is not None
        assert reply.status == 200
    pages = [limited.ask(request("GET", "/status.json", here)) for _ in range(4)]
    assert [page.status for page in pages if page is not None] == [200, 200, 200, 429]
