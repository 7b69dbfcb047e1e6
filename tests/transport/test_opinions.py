"""What our transport takes for a request is one for others, too, with the same body: so no proxy is fooled by us.

h11 is the reference; llhttp and Tornado are heard as well. Where one of them takes what we refuse, that is our
strictness; the other way round would be a hole.
"""

from __future__ import annotations

import pytest

from tests.hostile.test_framing import MALFORMED
from tests.transport.memory import Message, read_by_ours
from tests.transport.mutations import RIGHT, cut, nearly_right
from tests.transport.opinions import read_by_h11, read_by_llhttp, read_by_tornado

FEW, MANY = 40, 250  # requests of one test
PLAIN = bytes([*range(0x80), *[ord("x")] * 0x80])  # h11 has no letters beyond ASCII in a target, as Tornado and we have


def plain(message: Message) -> Message:
    """The same message with an x for each letter that is no ASCII."""
    headers = tuple((name, value.encode("latin-1").translate(PLAIN).decode()) for name, value in message.headers)
    target = message.target.encode("latin-1").translate(PLAIN).decode()
    return Message(message.method, target, headers, message.body.translate(PLAIN))


def meaning(message: Message) -> Message:
    """The same message, whose headers have no order; how its framing is spelled, h11 makes uniform."""
    headers = {(name, value.lower() if name == "transfer-encoding" else value) for name, value in message.headers}
    return message._replace(headers=tuple(sorted(each for each in headers if each[0] != "content-length")))


async def insist_on_agreement(data: bytes) -> int:
    """What we find, the others find; gives how many requests that were."""
    ours = [meaning(plain(message)) for message in await read_by_ours(data)]
    assert ours == [meaning(message) for message in read_by_h11(data.translate(PLAIN))][: len(ours)], data
    tornados = [meaning(plain(message)) for message in await read_by_tornado(data)]
    assert ours == tornados[: len(ours)], data
    first = read_by_llhttp(data) if ours else None
    if first is not None:
        assert meaning(plain(first)) == ours[0]._replace(method=""), data
    return len(ours)


@pytest.mark.parametrize("data", RIGHT)
@pytest.mark.gen_test
async def test_what_is_right_is_one_request_for_all(data: bytes) -> None:
    assert await insist_on_agreement(data) == 1
    assert (read_by_llhttp(data) is None) is (b"Upgrade" in data or data.startswith(b"CONNECT"))


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.gen_test
async def test_what_is_not_clearly_http_is_none_for_us(name: str) -> None:
    if not name.startswith("88"):  # too many arguments are a matter of the application
        assert await read_by_ours(MALFORMED[name]) == []


async def agree(start: int, count: int) -> list[int]:
    """How many requests were found in what each of the seeds gives."""
    return [await insist_on_agreement(nearly_right(seed)) for seed in range(start, start + count)]


@pytest.mark.gen_test
async def test_of_what_is_nearly_right_we_take_nothing_that_others_read_differently() -> None:
    found = await agree(0, FEW)
    assert found.count(0) > FEW / 4, "the changes matter"
    assert sum(found) > FEW / 4, "and not too much"


@pytest.mark.gen_test
async def test_how_the_network_cuts_what_is_sent_changes_nothing() -> None:
    for seed in range(FEW):
        data = nearly_right(seed)
        whole = await read_by_ours(data)
        assert await read_by_ours(data, lambda data, seed=seed: cut(data, seed)) == whole, data  # type: ignore[misc]


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 1000 + 8 * MANY, MANY))
@pytest.mark.gen_test
async def test_the_same_of_many_more(start: int) -> None:
    await agree(start, MANY)


@pytest.mark.soak
@pytest.mark.parametrize("start", range(10_000, 10_000 + 400 * MANY, MANY))
@pytest.mark.gen_test
async def test_the_same_of_a_hundred_thousand(start: int) -> None:
    await agree(start, MANY)
