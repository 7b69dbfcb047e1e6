"""Before a request is refused for what lies in escrow, it is called back; and other limits send it back."""

from __future__ import annotations

import asyncio

import pytest

from server.accounting.escrow import ASK_AGAIN, PATIENCE
from server.ledger.quota import Exceeded, Hold, Reserved
from server.store.base import StoreError
from tests.accounting.escrow_town import Gateway, Ledger

NOW, LIMIT, POT = 1_800_000_000_000, 3_000, "group/usd/ever"


class Two:
    """Two gateways on one store; `waited` are the seconds that requests waited."""

    def __init__(self) -> None:
        self.ledger, clock, self.decided = Ledger(), [NOW], [LIMIT]
        self.mine, self.other = (Gateway(name, self.ledger, clock, self.decided) for name in ("mine", "other"))
        self.waited = 0.0
        self.mine.sleeping = self.wait

    async def wait(self) -> None:
        self.waited += ASK_AGAIN

    async def beaten(self) -> None:
        self.waited += ASK_AGAIN
        await self.other.keeper.beat()
        await self.other.flush()

    async def ask(self, gateway: Gateway, request_id: str, amount: int) -> Reserved | Exceeded:
        return await gateway.keeper.hold(request_id, NOW, (Hold(POT, amount, self.decided[0]),))

    async def in_escrow(self, gateway: Gateway) -> int:
        """Have a gateway take escrow; how much."""
        await self.ask(gateway, f"first of {gateway.holder}", 10)
        gateway.keeper.give_back(f"first of {gateway.holder}")
        await gateway.flush()
        await gateway.keeper.beat()
        assert gateway.keeper.live == 1
        return sum(self.ledger.escrows(POT).values())


@pytest.mark.gen_test
async def test_a_request_that_others_escrow_keeps_out_waits_until_their_next_heartbeat() -> None:
    it = Two()
    await it.in_escrow(it.other)
    it.mine.sleeping = it.beaten
    assert isinstance(await it.ask(it.mine, "large", LIMIT), Reserved)
    assert it.waited == ASK_AGAIN
    assert it.ledger.asked["call_back"] == 1
    await it.other.keeper.beat()
    assert it.other.keeper.live == 0, "nothing is taken there for a while"


@pytest.mark.gen_test
async def test_a_gateway_whose_heart_does_not_beat_is_waited_for_only_so_long() -> None:
    it = Two()
    await it.in_escrow(it.other)
    asked = it.ledger.asked["reserve"]
    assert isinstance(await it.ask(it.mine, "large", LIMIT), Exceeded)
    assert it.waited == PATIENCE
    assert it.ledger.asked["reserve"] - asked == 2 + PATIENCE / ASK_AGAIN
    assert it.ledger.asked["call_back"] == 1


@pytest.mark.gen_test
async def test_what_would_not_fit_without_any_escrow_is_refused_at_once() -> None:
    it = Two()
    await it.in_escrow(it.other)
    assert isinstance(await it.ask(it.mine, "larger", LIMIT + 1), Exceeded)
    assert (it.waited, it.ledger.asked["call_back"]) == (0.0, 0)


@pytest.mark.gen_test
async def test_its_own_escrow_is_given_back_without_any_wait() -> None:
    it = Two()
    await it.in_escrow(it.mine)
    assert isinstance(await it.ask(it.mine, "large", LIMIT), Reserved)
    assert (it.waited, it.ledger.escrows(POT)) == (0.0, {})


@pytest.mark.gen_test
async def test_what_this_gateway_s_own_requests_hold_from_escrow_is_not_waited_for() -> None:
    it = Two()
    await it.in_escrow(it.mine)
    assert isinstance(await it.ask(it.mine, "small", 10), Reserved)
    assert isinstance(await it.ask(it.mine, "large", LIMIT), Exceeded)
    assert it.waited == 0.0, "without escrow it would not fit, either"
    assert isinstance(await it.ask(it.mine, "fitting", LIMIT - 10), Reserved)


@pytest.mark.gen_test
async def test_another_limit_gives_everything_back_at_the_next_heartbeat() -> None:
    it = Two()
    assert await it.in_escrow(it.mine) > 0
    it.decided[0] = LIMIT // 2
    await it.mine.keeper.beat()
    await it.mine.flush()
    assert len(it.ledger.escrows(POT)) <= 1, "what is taken now is a share of what the new limit leaves"
    assert all(amount <= LIMIT // 2 // 8 for amount in it.ledger.escrows(POT).values())


@pytest.mark.gen_test
async def test_while_the_store_is_away_what_is_in_escrow_may_be_used_and_no_more() -> None:
    it = Two()
    amount = await it.in_escrow(it.mine)
    it.ledger.faults[:] = ["away"] * 100
    for number in range(amount // 10):
        assert isinstance(await it.ask(it.mine, f"r{number}", 10), Reserved)
    with pytest.raises(StoreError):
        await it.ask(it.mine, "one more", 10)
    await it.mine.keeper.beat()
    assert it.mine.keeper.live == 1


@pytest.mark.gen_test
async def test_exactly_as_many_are_admitted_as_fit_with_or_without_escrow() -> None:
    it = Two()
    it.mine.sleeping = it.beaten
    admitted = 0
    for number in range(LIMIT + 200):
        gateway = (it.mine, it.other)[number % 2]
        admitted += isinstance(await it.ask(gateway, f"r{number}", 1), Reserved)
        if number % 50 == 0:
            for each in (it.mine, it.other):
                await each.keeper.beat()
                await each.flush()
    assert admitted == LIMIT
    assert it.ledger.asked["reserve"] < LIMIT, "most were held in memory"


@pytest.mark.gen_test
async def test_a_heartbeat_that_fails_is_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    it = Two()
    await it.in_escrow(it.mine)
    beats = 0

    async def sleep() -> None:
        nonlocal beats
        beats += 1
        if beats == 3:
            raise asyncio.CancelledError

    it.mine.sleeping = sleep
    it.ledger.faults[:] = ["broken"]
    with pytest.raises(asyncio.CancelledError):
        await it.mine.keeper.keep()
    assert beats == 3
    assert [record.getMessage() for record in caplog.records] == ["a heartbeat of the escrow failed: RuntimeError"]
