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
from server.ledger.usage import Outcome, UsageRow
from server.policy.groups import Group
from tests.accounting.books import ALL, budget, person_id, put_limits, put_prices
from tests.fakes.fates import Raw
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway, spec

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
    async with (
        FakeUpstream() as fake,
        gateway(fake, spec(fake, models=("gpt-5", "grok-4.5")), **settings) as running,
        aiohttp.ClientSession() as session,
    ):
        await put_prices(
            running.services, *(Price(f"free-{model}", model, 0, Rates()) for model in ("gpt-5", "grok-4.5"))
        )
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


async def in_a_group(here: Shop, *prices: tuple[str, int]) -> None:
    """Ada is in a group that has these prices of its own."""
    services = here.running.services
    await services.changes.create_group("operator", Group(name="lab", tool_prices=prices))
    await services.changes.put_in_group("operator", await person_id(services.store, "ada"), "lab")
    await services.book.sync()


@pytest.mark.gen_test
async def test_a_group_pays_its_own_price_for_a_tool_and_nobody_else_does() -> None:
    async with shop() as here:
        await here.ask(CHAT, web_search_options={})
        await in_a_group(here, ("web_search_preview", 7), ("telepathy", 1))
        await here.ask(CHAT, web_search_options={})
        rows = sorted(await here.rows(), key=lambda row: row.cost_micro_usd)
        assert [(row.group, row.cost_micro_usd) for row in rows] == [("lab", 7), (None, 25_000)]


@pytest.mark.gen_test
async def test_a_group_s_price_is_what_is_held_and_gives_a_price_to_a_tool_that_has_none() -> None:
    async with shop() as here:
        await in_a_group(here, ("web_search", 20), ("telepathy", 1))
        await here.budget(200)
        assert (await here.ask(RESPONSE, tools=[{"type": "web_search"}]))[0] == 200  # ten, at 20 each
        assert (await here.ask(RESPONSE, tools=[{"type": "telepathy"}]))[0] == 200
        assert (await here.ask(RESPONSE, tools=[{"type": "web_search"}, {"type": "telepathy"}]))[0] == 429
        assert (await here.ask(RESPONSE, tools=[{"type": "x_search"}]))[0] == 429, "the usual price"


ENDLESS = [
    (CHAT, {"web_search_options": {}}, "web_search_options"),
    (CHAT, {"tools": [{"type": "browser_search", "function": {"name": "x"}}]}, "tools"),
    (RESPONSE, {"model": "grok-4.5", "tools": [{"type": "x_search"}], "max_tool_calls": 1}, "tools"),
]


@pytest.mark.parametrize(("asked", "fields", "param"), ENDLESS)
@pytest.mark.gen_test
async def test_a_tool_without_an_end_is_refused_where_a_budget_applies_and_only_there(
    asked: tuple[str, dict[str, Any]], fields: dict[str, Any], param: str
) -> None:
    async with shop() as here:
        assert (await here.ask(asked, **fields))[0] == 200
        await here.budget(10**9)
        status, answer = await here.ask(asked, **fields)
        assert (status, answer["error"]["code"], answer["error"]["param"]) == (403, "tool_not_bounded", param)
        await in_a_group(here, ("web_search", 0), ("web_search_preview", 0), ("x_search", 0))
        assert (await here.ask(asked, **fields))[0] == 200, "who gives it no price wants it to pass"


@pytest.mark.gen_test
async def test_an_upstream_that_refuses_our_bound_of_tools_does_not_get_the_request_without_it() -> None:
    async with shop() as here:
        await here.budget(100 * CENT)
        error = {"error": {"message": "Unknown parameter: 'max_tool_calls'.", "param": "max_tool_calls"}}
        no = f"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\r\n{json.dumps(error)}"
        here.running.fake.script(None, Raw(name="refused", data=no.encode()))
        status, answer = await here.ask(RESPONSE, tools=[{"type": "web_search"}])
        assert (status, answer["error"]["code"]) == (403, "tool_not_bounded")
        assert len(here.running.fake.records) == 1
        assert [(row.status, row.cost_micro_usd) for row in await here.rows()] == [(Outcome.FAILED, 0)]
        assert (await here.ask(RESPONSE, tools=[{"type": "web_search"}]))[0] == 200, "no key is to blame"
