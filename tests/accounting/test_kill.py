"""The gateway is killed under load, again and again: what a client has seen whole is on the ledger, and exact."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import aiohttp
import pytest

from server.ledger.limits import Unit
from server.ledger.prices import Price, Rates
from server.ledger.usage import Outcome, UsageRow
from tests.accounting.books import Place, all_rows, assert_all_quiet, counter, person_id, worth
from tests.accounting.children import Child, child
from tests.fakes.fates import slow
from tests.fakes.ledger import Record
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import chat
from tests.faults.crowd import by_visit

RATE = 100  # requests a second
MOST = 110  # requests in a life
PRICE = Price("file", "gpt-4o", 0, Rates(input=2_500_000, output=10_000_000, request=1_000))
FILE = "prices:\n  - {model: gpt-4o, input: 2.50, output: 10, request: 0.001}\n"
# Some answers are under way at any time, and long enough to be torn.
UNHURRIED = slow(first_byte=0.01, per_chunk=0.004, words=20)


@dataclass
class Asked:
    """One request: whose token it had, and the id of its answer if that was seen whole."""

    number: int
    token_id: str
    request_id: str | None = None

    async def happen(self, session: aiohttp.ClientSession, url: str, secret: str) -> None:
        ask = chat(f"request {self.number} ", stream=self.number % 3 > 0)
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        with suppress(aiohttp.ClientError):
            async with session.post(url + ask.path, data=ask.body, headers=headers) as response:
                body = await response.read()
                if response.status == 200 and (not ask.stream or body.endswith(b"data: [DONE]\n\n")):
                    self.request_id = response.headers["X-Request-Id"]


async def a_life(gateway: Child, session: aiohttp.ClientSession, asked: list[Asked], secrets: list[str]) -> None:
    """It ends with the last request's start, in the middle of many."""
    happening = []
    for each, secret in zip(asked, secrets, strict=True):
        happening.append(asyncio.create_task(each.happen(session, gateway.url, secret)))
        await asyncio.sleep(1 / RATE)
    await gateway.kill()
    await asyncio.gather(*happening)


async def live_and_die(sqlite: Place, rounds: int, tmp_path: Path) -> tuple[list[Asked], list[Record]]:
    (tmp_path / "prices.yaml").write_text(FILE)
    settings = sqlite.environment | {
        "OPENAI_MODELS": "gpt-4o",
        "LIMITS": "1000 usd/ever",
        "PRICES_FILE": str(tmp_path / "prices.yaml"),
        "KEY_SLOTS": "50",
    }
    await sqlite.welcome("ada")
    dice = Random(rounds)
    everything: list[Asked] = []
    async with FakeUpstream(default=UNHURRIED) as fake, aiohttp.ClientSession() as session:
        settings["OPENAI_KEY"] = f"sk-upstream-one@{fake.base_url}"
        for _ in range(rounds):
            tokens = await sqlite.tokens("ada", dice.randrange(MOST // 2, MOST))
            asked = [Asked(len(everything) + n, token_id) for n, (token_id, _) in enumerate(tokens)]
            everything += asked
            async with child(settings, tmp_path / "log") as gateway:
                await assert_recovered(sqlite)
                await a_life(gateway, session, asked, [secret for _, secret in tokens])
        async with child(settings, tmp_path / "log"):
            await assert_recovered(sqlite)
        return everything, fake.records


async def assert_recovered(place: Place) -> None:
    """Whoever is ready has put the predecessor's affairs in order."""
    async with place.opened() as store:
        assert await store.reserved() == 0


def check(asked: Asked, row: UsageRow | None, records: list[Record]) -> None:
    if asked.request_id is not None:
        assert row is not None, "who was answered is on the ledger"
        assert (row.request_id, row.status, row.usage) == (asked.request_id, Outcome.COMPLETED, records[-1].usage)
    elif records:
        assert row is not None, "what was sent is on the ledger"
        assert row.status is Outcome.INTERRUPTED or row.usage == records[-1].usage
    if row is not None:
        assert row.cost_micro_usd == worth(PRICE, row.usage) > 0
        assert row.usage.estimated == (row.status is Outcome.INTERRUPTED)


async def hold_to_the_books(place: Place, asked: list[Asked], records: list[Record]) -> None:
    async with place.opened() as store:
        rows, ada = await all_rows(store), await person_id(store, "ada")
        of_token, seen = {row.token_id: row for row in rows}, by_visit(records)
        assert len(of_token) == len(rows), "no request has two rows"
        for each in asked:
            check(each, of_token.get(each.token_id), seen.get(each.number, []))
        assert {row.status for row in rows} == {Outcome.COMPLETED, Outcome.INTERRUPTED}
        spent = sum(row.cost_micro_usd for row in rows)
        assert await store.taken([counter(f"person:{ada}", Unit.USD)]) == [spent]
        await assert_all_quiet(store, place.journal)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=58)
async def test_killed_three_times_it_has_lost_no_answer_and_knows_what_was_torn(sqlite: Place, tmp_path: Path) -> None:
    await hold_to_the_books(sqlite, *await live_and_die(sqlite, 3, tmp_path))


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.gen_test(timeout=590)
async def test_killed_fifty_times(sqlite: Place, tmp_path: Path) -> None:
    await hold_to_the_books(sqlite, *await live_and_die(sqlite, 50, tmp_path))
