"""Hosted tools where a budget applies: held before they are sent, refused without a price, billed though unreported."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from server.ledger.limits import Scope, Unit
from server.ledger.prices import Price, Rates
from server.ledger.usage import UsageRow
from tests.accounting.books import ALL, budget, put_limits, put_prices
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway

CENT = 10_000  # micro-USD
RESPONSE = "/v1/responses", {"model": "gpt-5", "input": "x", "store": False}
CHAT = "/v1/chat/completions", {"model": "gpt-5", "messages": [{"role": "user", "content": "x"}]}


@dataclass
class Shop:
    running: Running
    session: aiohttp.ClientSession

    async def ask(self, asked: tuple[str, dict[str, Any]], **fields: Any) -> tuple[int, dict[str, Any]]:
        path, body = asked
        url, headers = self.running.url + path, self.running.headers
        async with self.session.post(url, json={**body, "max_output_tokens": 9, **fields}, headers=headers) as answer:
            return answer.status, await answer.json()

    async def budget(self, micro: int) -> None:
        await put_limits(self.running.services, budget(Scope.EVERYONE, "", Unit.USD, micro))

    async def rows(self) -> list[UsageRow]:
        await self.running.services.reservations.quiet(5)
        return await self.running.services.store.usage_rows(0, ALL)


@asynccontextmanager
async def shop(**settings: Any) -> AsyncIterator[Shop]:
    """A gateway whose model is free, so that only tools cost."""
    async with FakeUpstream() as fake, gateway(fake, **settings) as running, aiohttp.ClientSession() as session:
        await put_prices(running.services, Price("free", "gpt-5", 0, Rates()))
        yield Shop(running, session)
        await running.services.reservations.quiet(5)
        running.assert_idle()


@pytest.mark.gen_test
async def test_calls_are_held_at_their_bound_and_given_back_if_nobody_made_them() -> None:
    async with shop() as here:
        await here.budget(3 * CENT)
        search = [{"type": "web_search"}]
        assert (await here.ask(RESPONSE, tools=search))[0] == 429  # ten, as nobody says fewer
        assert (await here.ask(RESPONSE, tools=search, max_tool_calls=4))[0] == 429
        assert [(await here.ask(RESPONSE, tools=search, max_tool_calls=3))[0] for _ in range(2)] == [200, 200]
        assert [row.cost_micro_usd for row in await here.rows()] == [0, 0]


@pytest.mark.gen_test
async def test_calls_that_nobody_bounds_are_bounded_by_what_was_held_where_a_budget_applies() -> None:
    async with shop() as here:
        search = [{"type": "web_search"}]
        await here.ask(RESPONSE, tools=search)
        await here.budget(10 * CENT)
        await here.ask(RESPONSE, tools=search)
        await here.ask(RESPONSE, tools=search, max_tool_calls=4)
        bounds = [json.loads(each.body).get("max_tool_calls") for each in here.running.fake.records]
        assert bounds == [None, 10, 4]


@pytest.mark.gen_test
async def test_a_tool_without_a_price_is_refused_where_a_budget_applies_and_only_there() -> None:
    async with shop() as here:
        unknown = [{"type": "telepathy"}]
        assert (await here.ask(RESPONSE, tools=unknown))[0] == 200
        await here.budget(100 * CENT)
        status, answer = await here.ask(RESPONSE, tools=unknown)
        assert (status, answer["error"]["code"], answer["error"]["param"]) == (403, "tool_not_priced", "tools")
        assert (await here.ask(RESPONSE, tools=[{"type": "function", "name": "own", "parameters": {}}]))[0] == 200


@pytest.mark.gen_test
async def test_the_operator_may_give_a_tool_a_price() -> None:
    async with shop(tool_prices=(("telepathy", 1),)) as here:
        await here.budget(100)
        assert (await here.ask(RESPONSE, tools=[{"type": "telepathy"}]))[0] == 200


@pytest.mark.gen_test
async def test_a_search_that_no_answer_reports_is_billed() -> None:
    async with shop() as here:
        assert (await here.ask(CHAT, web_search_options={}))[0] == 200
        (row,) = await here.rows()
        assert (row.usage.tools, row.cost_micro_usd) == ("web_search_preview=1", 25_000)
