"""Refused requests are written once, however many ask for that at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import cast

import pytest

from server.auth.tokens import TokenCheck
from server.ledger.refused import RefusedRequest
from server.relay.refused import MOST_OF_ADDRESS, MOST_UNKNOWN, RefusedRequests
from server.store.base import Caller, Store, StoreError

UNKNOWN = RefusedRequest(
    request_id="req_1",
    person_id="",
    token_id=None,
    model="",
    endpoint="/v1/chat/completions",
    code="invalid_api_key",
    status=401,
    first_at=1,
    last_at=1,
)


class SlowCheck:
    """Knows whose every token is, a turn of the event loop later."""

    asked = 0

    def digest(self, secret: str) -> bytes:
        return secret.encode()

    async def why_refused(self, digest: bytes, address: str) -> tuple[Caller, str]:
        self.asked += 1
        await asyncio.sleep(0)
        return Caller("ada", "ada", "t1"), "expired"


class Shelf:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.kept: dict[str, RefusedRequest] = {}
        self.trouble: BaseException | None = None

    async def put_refused(self, refused: Sequence[RefusedRequest]) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.kept |= {each.request_id: each for each in refused}


@pytest.mark.gen_test
async def test_two_who_write_at_once_count_each_refusal_once() -> None:
    shelf = Shelf()
    refused = RefusedRequests(cast(Store, shelf), cast(TokenCheck, SlowCheck()))
    for _ in range(3):
        refused.note_unknown("Bearer fg_x", None, "127.0.0.1", UNKNOWN)
    await asyncio.gather(refused.write(), refused.write())
    (one,) = shelf.kept.values()
    assert (one.person_id, one.detail, one.count) == ("ada", "expired", 3)


@pytest.mark.gen_test
async def test_who_invents_tokens_takes_no_look_up_from_another_address() -> None:
    shelf, check = Shelf(), SlowCheck()
    refused = RefusedRequests(cast(Store, shelf), cast(TokenCheck, check))
    for number in range(1_000):
        refused.note_unknown(f"Bearer fg_{number}", None, "10.0.0.1", replace(UNKNOWN, request_id=f"req_a{number}"))
    refused.note_unknown("Bearer fg_mine", None, "10.0.0.2", replace(UNKNOWN, request_id="req_mine", model="gpt-5"))
    await refused.write()
    assert check.asked == MOST_OF_ADDRESS + 1
    assert "req_mine" in shelf.kept


@pytest.mark.gen_test
async def test_neither_addresses_nor_pages_that_ask_for_a_write_make_more_look_ups() -> None:
    shelf, check = Shelf(), SlowCheck()
    refused = RefusedRequests(cast(Store, shelf), cast(TokenCheck, check))
    for number in range(1_000):
        refused.note_unknown(f"Bearer fg_{number}", None, f"10.0.0.{number // 5}", UNKNOWN)
        await refused.write()
    assert check.asked == MOST_UNKNOWN


@pytest.mark.gen_test
async def test_a_write_waits_for_none_that_come_meanwhile() -> None:
    class Pressed(SlowCheck):
        async def why_refused(self, digest: bytes, address: str) -> tuple[Caller, str]:
            refused.note_unknown(f"Bearer fg_{self.asked}", None, f"10.0.1.{self.asked}", UNKNOWN)
            return await super().why_refused(digest, address)

    shelf, check = Shelf(), Pressed()
    refused = RefusedRequests(cast(Store, shelf), cast(TokenCheck, check))
    refused.note_unknown("Bearer fg_x", None, "10.0.0.1", UNKNOWN)
    await refused.write()
    assert check.asked == 1


@pytest.mark.gen_test
async def test_what_a_cancelled_or_failed_write_held_is_written_by_the_next() -> None:
    shelf = Shelf()
    refused = RefusedRequests(cast(Store, shelf), cast(TokenCheck, SlowCheck()))
    refused.note(replace(UNKNOWN, person_id="ada"))
    for trouble in (asyncio.CancelledError(), StoreError("away")):
        shelf.trouble = trouble
        with suppress(asyncio.CancelledError):
            await refused.write()
        assert shelf.kept == {}
    shelf.trouble = None
    await refused.write()
    assert shelf.kept["req_1"].count == 1
