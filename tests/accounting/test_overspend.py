"""Hundreds ask at once, and the budget is for ten: ten are served, on every store and by however many gateways."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from server.ledger.limits import Unit, parse_limits
from server.ledger.prices import Price, Rates
from server.ledger.usage import Outcome
from tests.accounting.books import USD, Place, all_rows, assert_all_quiet, counter, person_id, put_prices
from tests.accounting.children import child
from tests.fakes.fates import held
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import Heard, chat, error_in
from tests.faults.stage import Stage, until
from tests.gateways import gateway

BUDGET = 10
callers = pytest.mark.parametrize("callers", [200, pytest.param(1_000, marks=pytest.mark.soak)])
A_DOLLAR = Price("a-dollar", "gpt-4o", 0, Rates(request=USD))
PATIENCE = 20.0  # seconds with the store: this is about money, on a machine that may have other things to do


@asynccontextmanager
async def crowded() -> AsyncIterator[tuple[FakeUpstream, asyncio.Event, aiohttp.ClientSession]]:
    """An upstream that answers when the gate opens, and clients that do not wait for each other."""
    gate = asyncio.Event()
    async with FakeUpstream() as fake, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        fake.script(None, held(gate).for_ever())
        yield fake, gate, session


async def ask(session: aiohttp.ClientSession, url: str, token: str, number: int) -> Heard:
    asked = chat(f"request {number} ", stream=number % 2 == 0)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with session.post(url + asked.path, data=asked.body, headers=headers) as response:
        return Heard(response.status, {}, await response.read())


async def ask_all(
    session: aiohttp.ClientSession, urls: list[str], token: str, gate: asyncio.Event, callers: int
) -> list[Heard]:
    """All at once. Nobody is answered before all others have been refused."""
    asked = [asyncio.create_task(ask(session, urls[n % len(urls)], token, n)) for n in range(callers)]
    await until(lambda: sum(each.done() for each in asked) == callers - BUDGET, 40.0)
    gate.set()
    return await asyncio.gather(*asked)


async def assert_exactly_ten(place: Place, fake: FakeUpstream, heard: list[Heard]) -> None:
    assert Counter(each.status for each in heard) == {200: BUDGET, 429: len(heard) - BUDGET}
    assert {error_in(each.body)["code"] for each in heard if each.status == 429} == {"insufficient_quota"}
    assert len(fake.records) == BUDGET
    async with place.opened() as store:
        rows, ada = await all_rows(store), await person_id(store, "ada")
        assert [(row.status, row.cost_micro_usd) for row in rows] == [(Outcome.COMPLETED, USD)] * BUDGET
        assert await store.taken([counter(f"person:{ada}", Unit.USD)]) == [BUDGET * USD]
        await assert_all_quiet(store, place.journal)


@callers
@pytest.mark.slow
@pytest.mark.gen_test(timeout=55)
async def test_of_hundreds_at_once_on_a_budget_for_ten_exactly_ten_are_admitted(place: Place, callers: int) -> None:
    limits = parse_limits(f"{BUDGET} usd/ever")
    async with crowded() as (fake, gate, session):
        async with gateway(fake, **place.settings, limits=limits, store_seconds=PATIENCE) as running:
            await put_prices(running.services, A_DOLLAR)
            heard = await ask_all(session, [running.url], running.token, gate, callers)
            await Stage(running).quiet()
        await assert_exactly_ten(place, fake, heard)


@callers
@pytest.mark.slow
@pytest.mark.gen_test(timeout=55)
async def test_two_gateways_on_one_store_admit_exactly_ten_between_them(
    sqlite: Place, tmp_path: Path, callers: int
) -> None:
    (token,) = await sqlite.welcome("ada")
    prices = tmp_path / "prices.yaml"
    prices.write_text("prices:\n  - {model: gpt-4o, request: 1}\n")
    async with crowded() as (fake, gate, session):
        settings = sqlite.environment | {
            "OPENAI_KEY": f"sk-upstream-one@{fake.base_url}",
            "OPENAI_MODELS": "gpt-4o",
            "LIMITS": f"{BUDGET} usd/ever",
            "PRICES_FILE": str(prices),
            "KEY_SLOTS": str(BUDGET),
            "STORE_SECONDS": str(PATIENCE),
        }
        async with AsyncExitStack() as stack:
            gateways = [await stack.enter_async_context(child(settings, tmp_path / f"log-{n}")) for n in range(2)]
            heard = await ask_all(session, [each.url for each in gateways], token, gate, callers)
        await assert_exactly_ten(sqlite, fake, heard)
