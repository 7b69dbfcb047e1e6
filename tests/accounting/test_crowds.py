"""A crowd at once, none of whom bounds an answer: what the upstream bills them all is never more than their budget.

The upstream answers as long as it may, and keeps books of its own (`Record.usage`): what it has written is what it
bills. It never matters whose budget it is, nor which store keeps it, nor that the first attempts fail half-way.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from server.admin.commands.guest_passes import WantedPass
from server.admin.makers import THE_OPERATOR
from server.ledger.limits import Scope, Unit, parse_limits
from server.ledger.prices import Price, Rates
from server.ledger.usage import UsageRow
from server.policy.groups import Group, group_body
from server.store.base import Record as Kept
from tests.accounting.books import USD, Place, budget, person_id, put_limits, put_prices, worth
from tests.fakes.fates import Answer, Content, Delivery, Fate, held, ok
from tests.fakes.ledger import Record
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import Heard, chat, hear
from tests.faults.stage import Stage, until
from tests.gateways import Running, gateway, spec

pytestmark = pytest.mark.slow  # a gateway of its own for each

MOST_CALLERS = 100
LONGEST = 400  # tokens of an answer, where nobody bounds it
MODEL = "gpt-4o"
PRICE = Price("dear", MODEL, 0, Rates(input=1_000_000_000, output=1_000_000_000))  # 1,000 tokens for a dollar
PROMPT = "What may an attempt cost that fails half-way? " * 2
LAB = "lab"


async def of_a_person(running: Running) -> str:
    return running.token


async def with_a_pass(running: Running) -> str:
    services = running.services
    ada = await services.store.person(await person_id(services.store, "ada"))
    assert ada is not None
    _, secret = await services.passes.issue_for(THE_OPERATOR, "operator", ada, WantedPass(3600, 300_000))
    return secret


async def of_a_group(running: Running) -> str:
    services = running.services
    await services.store.put_record(Kept("group", LAB, group_body(Group(name=LAB))))
    await put_limits(services, budget(Scope.GROUP, LAB, Unit.USD, USD))
    person = await services.accounts.create_person("bob")
    await services.store.update_person(person.id, {"groups": (LAB,)})
    return (await services.accounts.create_token("bob", "test"))[1]


@dataclass(frozen=True)
class Purse:
    """Whose money it is: `most` micro-USD in all. `settings` and `upstream` are where it is decided beforehand."""

    most: int
    token: Callable[[Running], Awaitable[str]] = of_a_person
    settings: dict[str, Any] = field(default_factory=dict)
    upstream: dict[str, Any] = field(default_factory=dict)


PURSES = {
    "a person's budget": Purse(USD, settings={"limits": parse_limits("1 usd/ever")}),
    "a guest's pass": Purse(300_000, with_a_pass),
    "a group's pot": Purse(USD, of_a_group),
    "a key's monthly cap": Purse(USD, upstream={"monthly_cap_micro_usd": USD}),
}
every_purse = pytest.mark.parametrize("purse", PURSES.values(), ids=list(PURSES))
streamed_or_plain = pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
callers = pytest.mark.parametrize("callers", [30, pytest.param(MOST_CALLERS, marks=pytest.mark.soak)])


@asynccontextmanager
async def opened(
    place: Place, purse: Purse, decide: Callable[[Record], Fate | None] = lambda record: None
) -> AsyncIterator[tuple[Stage, str]]:
    async with FakeUpstream(decide=decide) as fake:
        keys = ["sk-upstream-one", "sk-upstream-two"]
        upstream = spec(fake, keys, slots=MOST_CALLERS, models=(MODEL,), **purse.upstream)
        settings = {"default_max_output": LONGEST, "store_seconds": 20.0, **place.settings, **purse.settings}
        async with gateway(fake, upstream, **settings) as running:
            await put_prices(running.services, PRICE)
            yield Stage(running), await purse.token(running)


async def crowd(stage: Stage, token: str, gate: asyncio.Event, callers: int, *, stream: bool) -> list[Heard]:
    """All at once. The upstream answers when all are refused whom it has not seen."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        asked = [
            asyncio.create_task(hear(session, stage.running, chat(f"request {n} {PROMPT}", stream=stream), token))
            for n in range(callers)
        ]
        await until(lambda: stage.records and sum(each.done() for each in asked) + stage.fake.running == callers, 30.0)
        gate.set()
        return await asyncio.gather(*asked)


def billed(records: list[Record]) -> int:
    """What the upstream bills, micro-USD."""
    return sum(worth(PRICE, record.usage) for record in records)


def spent(rows: list[UsageRow]) -> int:
    return sum(row.cost_micro_usd for row in rows)


@callers
@every_purse
@streamed_or_plain
@pytest.mark.gen_test(timeout=50)
async def test_a_crowd_is_never_billed_more_than_it_may_spend(
    place: Place, purse: Purse, stream: bool, callers: int
) -> None:
    gate = asyncio.Event()
    async with opened(place, purse, lambda record: held(gate, words=100_000)) as (stage, token):
        heard = await crowd(stage, token, gate, callers, stream=stream)
        rows = await stage.rows()
        assert 0 < len(rows) == Counter(each.status for each in heard)[200] < callers
        assert purse.most * 0.2 < billed(stage.records) <= purse.most
        assert spent(rows) == billed(stage.records)


@callers
@every_purse
@pytest.mark.gen_test(timeout=50)
async def test_attempts_that_fail_half_way_are_paid_from_the_budget_too(
    place: Place, purse: Purse, callers: int
) -> None:
    """Each first attempt opens its answer and fails, and is billed. Another one is made where there is money."""
    gate, seen = asyncio.Event(), set[bytes]()
    half_way = Answer(name="half-way", content=Content(words=9), delivery=Delivery(gate=gate, error_after=1))

    def decide(record: Record) -> Fate:
        if record.body in seen:
            return ok(words=100_000)
        seen.add(record.body)
        return half_way

    async with opened(place, purse, decide) as (stage, token):
        heard = await crowd(stage, token, gate, callers, stream=True)
        rows = await stage.rows()
        attempts = [row for row in rows if row.is_attempt]
        assert len(stage.records) == len(rows) >= len(seen) > 0
        assert bool(attempts) == (purse.most == USD), "a pass that one answer uses up has no money for two attempts"
        assert len(attempts) == Counter(each.status for each in heard)[200]
        assert 0 < billed(stage.records) <= spent(rows) <= purse.most
