"""What is changed through one gateway holds at the other after one look of it: a case for each thing it remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from tornado.ioloop import IOLoop

from keypool.health import KeyState
from server.admin.commands import closing
from server.admin.commands.guest_passes import WantedPass
from server.admin.makers import THE_OPERATOR
from server.cluster.changes import EVERY_SECONDS
from server.cluster.rates import UNHEARD_SECONDS
from server.ledger.limits import LimitWindow, Scope, Unit
from server.policy.groups import Group
from server.store.base import Person
from tests.accounting.books import budget
from tests.cluster.conftest import Pair

BOSS = "operator"


@dataclass
class Member:
    """A person of the test's own, whom both gateways have let in."""

    pair: Pair
    person: Person
    token_id: str
    secret: str

    async def heard_by_both(self) -> tuple[int, int]:
        answers = [await self.pair.ask(each, self.secret) for each in (self.pair.one, self.pair.other)]
        return answers[0].status, answers[1].status


async def member(pair: Pair, name: str) -> Member:
    accounts = pair.one.services.accounts
    person = await accounts.create_person(name)
    token, secret = await accounts.create_token(name, "test")
    found = Member(pair, person, token.id, secret)
    assert await found.heard_by_both() == (200, 200)
    return found


async def revoked(who: Member) -> None:
    await who.pair.one.services.tokens.revoke(BOSS, who.token_id)


async def narrowed(who: Member) -> None:
    await who.pair.one.services.tokens.narrow(BOSS, who.token_id, {"models": ["gpt-5"]})


async def disabled(who: Member) -> None:
    await who.pair.one.services.changes.set_disabled(BOSS, who.person.id, True)


async def erased(who: Member) -> None:
    await who.pair.one.services.privacy.erase(BOSS, who.person.id)


async def limited(who: Member) -> None:
    await who.pair.one.services.changes.set_limit(
        BOSS, budget(Scope.PERSON, who.person.id, Unit.REQUESTS, 0, window=LimitWindow.DAY)
    )


async def put_in_a_group_without_the_model(who: Member) -> None:
    changes = who.pair.one.services.changes
    await changes.create_group(BOSS, Group(name="narrow", models=("gpt-5",)))
    await changes.put_in_group(BOSS, who.person.id, "narrow")


async def closed_to_all(who: Member) -> None:
    services = who.pair.one.services
    await closing.close(services.changes, BOSS, services.wall())


Act = Callable[[Member], Awaitable[None]]
SHUTS_OUT: list[tuple[Act, int]] = [
    (revoked, 401),
    (narrowed, 404),
    (disabled, 401),
    (erased, 401),
    (limited, 429),
    (put_in_a_group_without_the_model, 404),
    (closed_to_all, 503),
]


@pytest.mark.parametrize(("act", "status"), SHUTS_OUT, ids=[act.__name__ for act, _ in SHUTS_OUT])
def test_who_is_shut_out_by_one_is_shut_out_by_the_other_after_a_look(
    io_loop: IOLoop, pair: Pair, act: Act, status: int
) -> None:
    async def scene() -> None:
        who = await member(pair, act.__name__)
        await act(who)
        await pair.one.services.take_effect()
        await pair.look()
        try:
            assert await who.heard_by_both() == (status, status)
        finally:
            await closing.reopen(pair.one.services.changes, BOSS, pair.one.services.wall())
            await pair.one.services.take_effect()
            await pair.look()

    io_loop.run_sync(scene)


def test_a_guest_pass_that_is_revoked_opens_nothing_more(io_loop: IOLoop, pair: Pair) -> None:
    async def scene() -> None:
        passes, issuer = pair.one.services.passes, (await member(pair, "issuer")).person
        what, text = await passes.issue_for(THE_OPERATOR, BOSS, issuer, WantedPass(3600, 10**6))
        assert (await pair.ask(pair.other, text)).status == 200
        await passes.revoke(BOSS, what.id)
        await pair.look()
        assert (await pair.ask(pair.other, text)).status == 401

    io_loop.run_sync(scene)


def test_a_key_that_is_paused_gets_no_request_anywhere_and_at_once_none_where_it_was_paused(
    io_loop: IOLoop, pair: Pair
) -> None:
    async def scene() -> None:
        services = pair.one.services
        key_id = next(iter(services.dispatcher.pool.keys))

        def states() -> list[KeyState]:
            pools = (each.services.dispatcher.pool for each in (pair.one, pair.other))
            return [pool.keys[key_id].whole.state for pool in pools]

        await services.keys.pause(BOSS, key_id)
        await services.take_effect()
        assert states()[0] is KeyState.PAUSED
        await pair.look()
        assert states() == [KeyState.PAUSED, KeyState.PAUSED]
        await services.keys.resume(BOSS, key_id)
        await services.take_effect()
        await pair.look()
        assert KeyState.PAUSED not in states()

    io_loop.run_sync(scene)


def test_a_notice_stands_on_the_other_gateways_page_after_a_look(io_loop: IOLoop, pair: Pair) -> None:
    async def scene() -> None:
        status = pair.other.services.status_service.status
        assert b"Lecture at noon" not in await status.json("http://x")
        await pair.one.services.changes.set_notice(
            BOSS,
            closing.notice_of("noon", {"kind": "announcement", "text": "Lecture at noon", "since": 1, "until": None}),
        )
        await pair.look()
        assert b"Lecture at noon" in await status.json("http://x")

    io_loop.run_sync(scene)


@pytest.mark.slow
def test_a_budget_for_ten_admits_ten_of_those_who_race_on_both(io_loop: IOLoop, pair: Pair) -> None:
    async def scene() -> None:
        who = await member(pair, "racer")
        await pair.one.services.changes.set_limit(BOSS, budget(Scope.PERSON, who.person.id, Unit.REQUESTS, 10))
        await pair.one.services.take_effect()
        await pair.look()
        asks = (pair.ask(running, who.secret) for _ in range(20) for running in (pair.one, pair.other))
        statuses = [heard.status for heard in await asyncio.gather(*asks)]
        assert sorted(statuses) == [200] * 10 + [429] * 30

    io_loop.run_sync(scene)


@pytest.mark.slow
def test_gateways_look_by_themselves_each_second_and_see_each_other(io_loop: IOLoop, pair: Pair) -> None:
    async def scene() -> None:
        who = await member(pair, "ada")
        await revoked(who)
        async with asyncio.timeout(10 * EVERY_SECONDS):
            while await who.heard_by_both() != (401, 401):
                await asyncio.sleep(0.05)
            faces = [each.services.gateways for each in (pair.one, pair.other)]
            while not all(face is not None and len(face.gateways()) == 2 for face in faces):
                await asyncio.sleep(0.05)

    io_loop.run_sync(scene)


@pytest.mark.slow
def test_six_a_minute_stay_near_six_on_both(io_loop: IOLoop, pair: Pair) -> None:
    async def scene() -> None:
        who = await member(pair, "hasty")
        limit = budget(Scope.PERSON, who.person.id, Unit.REQUESTS, 6, window=LimitWindow.MINUTE)
        await pair.one.services.changes.set_limit(BOSS, limit)
        await pair.one.services.take_effect()
        await pair.look()
        assert [await who.heard_by_both() for _ in range(2)] == [(200, 200)] * 2
        let_in = 0
        async with asyncio.timeout(10 * UNHEARD_SECONDS):
            while let_in < 2:  # what is left waits until both have heard of the first four
                await asyncio.sleep(UNHEARD_SECONDS)
                asks = (pair.ask(running, who.secret) for _ in range(5) for running in (pair.one, pair.other))
                let_in += [heard.status for heard in await asyncio.gather(*asks)].count(200)
        assert let_in <= 3
        await asyncio.sleep(UNHEARD_SECONDS)
        assert await who.heard_by_both() == (429, 429)

    io_loop.run_sync(scene)
