"""A price changes at a certain second: whoever came before pays the old one, however long the answer takes."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from server.ledger.prices import Price, Rates
from server.policy.groups import Rights
from server.relay.context import Call
from server.store.base import Caller
from server.wire.endpoints import ENDPOINTS
from server.wire.request import read_request
from tests.accounting.books import Place, put_prices
from tests.fakes.fates import held
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import chat, hear
from tests.faults.stage import Stage
from tests.gateways import gateway

SOON = 700  # milliseconds
OLD, NEW = 1, 2  # micro-USD a request


def changing(at: int) -> tuple[Price, Price]:
    return Price("old", "gpt-4o", 0, Rates(request=OLD)), Price("new", "gpt-4o", at, Rates(request=NEW))


@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
async def test_each_request_is_billed_with_the_price_of_the_moment_when_it_arrived(sqlite: Place) -> None:
    gate = asyncio.Event()
    async with (
        FakeUpstream() as fake,
        aiohttp.ClientSession() as session,
        gateway(fake, **sqlite.settings) as running,
    ):
        wall = running.services.wall
        change = wall() + SOON
        await put_prices(running.services, *changing(change))
        fake.script(None, held(gate))
        slow = asyncio.create_task(hear(session, running, chat("Slowly.", stream=True)))
        await fake.wait_for(lambda: fake.records)
        while wall() <= change:
            await hear(session, running, chat("Quickly.", stream=False))
        await hear(session, running, chat("Quickly.", stream=False))
        gate.set()
        slow_id = (await slow).headers["x-request-id"]
        rows = await Stage(running).rows()
    for row in rows:
        assert (row.price_id, row.cost_micro_usd) == (("old", OLD) if row.started_at < change else ("new", NEW))
    assert {row.price_id for row in rows} == {"old", "new"}
    (patient,) = [row for row in rows if row.request_id == slow_id]
    assert patient.started_at < change < patient.started_at + patient.duration_ms
    assert patient.price_id == "old"


@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
async def test_the_new_price_holds_from_its_very_millisecond(sqlite: Place) -> None:
    change = 1_800_000_000_000
    async with FakeUpstream() as fake, gateway(fake, **sqlite.settings) as running:
        await put_prices(running.services, *changing(change))
        endpoint = ENDPOINTS["/v1/chat/completions"]
        request = read_request(endpoint, chat("Hello.", stream=False).body, "application/json", None)
        call = Call("req_1", Caller("usr_1", "ada", None), request, {}, "")
        found = [
            running.services.reservations.open(call, Rights(), at).price_id for at in (change - 1, change, change + 1)
        ]
        assert found == ["old", "new", "new"]
