"""Uploads that do not end, and bodies that wait: what a gateway holds of them is bounded, and asked for beforehand."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import orjson
import pytest

from server.ledger.limits import parse_limits
from tests.hostile.catalogue import RATE, Answer, assert_is
from tests.hostile.http_raw import Reply, Wire, chunked, request
from tests.hostile.site import CHAT, TRANSPORTS, Site, site

AUDIO = "/v1/audio/transcriptions"
MIB = 1 << 20
BOBS = count(1)
MINE = Answer(
    429,
    "too_many_bytes",
    "Your requests hold too many bytes here at once: send fewer or smaller ones until some of them have ended.",
    kind="rate_limit_error",
    anthropic_kind="rate_limit_error",
    headers={"retry-after": "5", "retry-after-ms": "5000"},
)
FULL = Answer(
    503,
    "bodies_full",
    "The gateway holds as many bytes of requests as it may. Smaller requests are taken first.",
    kind="server_error",
    anthropic_kind="overloaded_error",
    headers={"retry-after": "5", "retry-after-ms": "5000"},
)
MINUTE = replace(RATE, message="Rate limit reached: 2 requests a minute, for each person.")
BODY = orjson.dumps({"model": "gpt-5", "messages": [{"role": "user", "content": "x"}]})


@pytest.fixture(scope="module", params=TRANSPORTS)
def small(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A gateway that holds little."""
    most = {"max_held_bytes": 100 * MIB, "max_held_bytes_per_person": 30 * MIB, "max_held_bytes_per_address": 40 * MIB}
    with site(transport=request.param, **most, linger_seconds=1.0) as built:
        yield built


@pytest.fixture
def bob(small: Site) -> str:
    name = f"bob{next(BOBS)}"
    return small.do(small._running.token_of, name)


def figure(services: Site, name: str) -> float:
    with Wire(services.url) as wire:
        wire.send(request("GET", "/metrics", {}))
        reply = wire.reply()
    assert reply is not None
    line = next(line for line in reply.body.decode().splitlines() if line.startswith(f"{name} "))
    return float(line.rpartition(" ")[2])


def held(services: Site) -> int:
    """The bytes that are held between two turns of the gateway's loop."""

    async def total() -> int:
        return services.services.occupancy.bodies.total

    return services.do(total)


class Uploads:
    """Uploads that have begun and do not end."""

    def __init__(self, services: Site) -> None:
        self._house = services
        self._wires: list[Wire] = []

    def begin(self, token: str, size: int, address: dict[str, str] | None = None) -> Reply | None:
        """Announce so many bytes and send a few. The refusal, if there is one; None if the body is awaited."""
        where = address or self._house.from_elsewhere()
        headers = where | {"Authorization": f"Bearer {token}", "Content-Type": "multipart/form-data; boundary=x"}
        wire = Wire(self._house.url)
        self._wires.append(wire)
        wire.send(request("POST", AUDIO, headers | {"Content-Length": str(size), "Expect": "100-continue"}))
        reply = wire.reply()
        assert reply is not None
        return None if reply.status == 100 else reply

    def __enter__(self) -> Uploads:
        return self

    def __exit__(self, *error: object) -> None:
        for wire in self._wires:
            wire.close()
        self._house.rest()


def test_a_hundred_and_twenty_unfinished_uploads_of_one_person_hold_what_one_person_may(small: Site) -> None:
    with small.untouched(), Uploads(small) as uploads:
        replies = [uploads.begin(small.token, 26 * MIB) for _ in range(120)]
        assert replies[0] is None
        for refused in replies[1:]:
            assert_is(refused, MINE, AUDIO)
        assert held(small) == 26 * MIB
        assert figure(small, "fairgate_bodies_held_bytes") == 26 * MIB
        assert figure(small, 'fairgate_bodies_refused_total{bound="person"}') == 119
    assert held(small) == 0


def test_meanwhile_others_are_served(small: Site, bob: str) -> None:
    with Uploads(small) as uploads:
        uploads.begin(small.token, 26 * MIB)
        reply = small.post(CHAT, BODY, Authorization=f"Bearer {bob}")
    assert reply is not None
    assert reply.status == 200


def test_an_address_holds_what_an_address_may(small: Site, bob: str) -> None:
    here = small.from_elsewhere()
    before = figure(small, 'fairgate_bodies_refused_total{bound="address"}')
    with Uploads(small) as uploads:
        assert uploads.begin(small.token, 26 * MIB, here) is None
        assert_is(uploads.begin(bob, 26 * MIB, here), MINE, AUDIO)
        assert uploads.begin(bob, 26 * MIB) is None
    assert figure(small, 'fairgate_bodies_refused_total{bound="address"}') == before + 1


def test_in_all_the_last_part_is_for_those_who_come_with_little(small: Site, bob: str) -> None:
    cleo, dora = (small.do(small._running.token_of, name) for name in ("cleo", "dora"))
    with Uploads(small) as uploads:
        for token in (small.token, bob, cleo):
            assert uploads.begin(token, 25 * MIB) is None
        assert_is(uploads.begin(dora, 26 * MIB), FULL, AUDIO)
        reply = small.post(CHAT, BODY, Authorization=f"Bearer {dora}")
        assert reply is not None
        assert reply.status == 200
        assert figure(small, 'fairgate_bodies_refused_total{bound="all"}') == 1


def test_chunks_are_held_as_they_come(small: Site) -> None:
    headers = small.headers(Content_Type="multipart/form-data; boundary=x", Transfer_Encoding="chunked")
    with small.untouched(), Uploads(small) as uploads, Wire(small.url) as wire:
        assert uploads.begin(small.token, 20 * MIB) is None
        wire.send_all(request("POST", AUDIO, headers) + chunked(b"x" * (11 * MIB)))
        assert_is(wire.reply(), MINE, AUDIO)
        assert held(small) == 20 * MIB


def test_what_is_packed_counts_as_long_as_it_is_unpacked(small: Site) -> None:
    plain = orjson.dumps({**orjson.loads(BODY), "padding": "x" * (7 * MIB)})
    with small.untouched(), Uploads(small) as uploads:
        assert uploads.begin(small.token, 24 * MIB) is None
        assert_is(small.post(CHAT, gzip.compress(plain), Content_Encoding="gzip"), MINE, CHAT)


# The rate is asked before the body is read


@pytest.fixture(scope="module", params=TRANSPORTS)
def slow(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A gateway where each person has two requests a minute."""
    with site(transport=request.param, limits=parse_limits("2 requests/minute"), linger_seconds=1.0) as built:
        yield built


def test_whose_minute_is_used_up_is_refused_before_the_body(slow: Site) -> None:
    token = slow.do(slow._running.token_of, "busy")
    for _ in range(2):
        reply = slow.post(CHAT, BODY, Authorization=f"Bearer {token}")
        assert reply is not None
        assert reply.status == 200
    slow.rest()
    headers = slow.headers(Authorization=f"Bearer {token}", Content_Length=str(8 * MIB))
    with slow.untouched(), Wire(slow.url) as wire:
        wire.send(request("POST", CHAT, headers))
        reply = wire.reply()
        assert reply is not None
        assert reply.headers["x-ratelimit-remaining-requests"] == "0"
        assert_is(reply, MINUTE, CHAT)


def test_unfinished_uploads_count_and_are_given_back(slow: Site) -> None:
    token = slow.do(slow._running.token_of, "uploader")
    with slow.untouched(), Uploads(slow) as uploads:
        replies = [uploads.begin(token, 1000) for _ in range(10)]
        assert replies[:2] == [None, None]
        for refused in replies[2:]:
            assert_is(refused, MINUTE, AUDIO)
    for body, status in ((b"{", 400), (b"{}", 400), (BODY, 200), (BODY, 200), (BODY, 429)):
        reply = slow.post(CHAT, body, Authorization=f"Bearer {token}")  # what is no request takes nothing either
        assert reply is not None
        assert reply.status == status
        slow.rest()
