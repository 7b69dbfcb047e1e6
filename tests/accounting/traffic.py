"""A day's mixed traffic: every kind of request, plain and streamed, a quarter of it spoilt in one of the many ways."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from random import Random

import aiohttp

from tests.faults.asks import Ask
from tests.faults.crowd import Manner, Visit, crowd, mend_keys
from tests.gateways import Running

PEOPLE = ("ada", "bob", "cyd", "dan")
POOR = "eve"  # her budget does not last for the day
AT_A_TIME = 120  # more than the keys' slots: some wait


def mixed(size: int, seed: int) -> list[Visit]:
    """The crowd of the fault tests, some of whom ask for responses. The same seed is the same day."""
    dice = Random(seed)
    return [
        replace(visit, ask=responses(visit.ask)) if visit.ask.model == "gpt-4o" and dice.random() < 0.4 else visit
        for visit in crowd(size, seed)
    ]


def whose(visit: Visit) -> str:
    """Who asks. Those who look at words before they leave must be answered, so that none of them is poor."""
    return POOR if visit.manner is Manner.STAYS and visit.number % 5 == 0 else PEOPLE[visit.number % len(PEOPLE)]


def responses(chat: Ask) -> Ask:
    """The same question in the shape of /v1/responses."""
    asked = {"model": chat.model, "input": chat.document["messages"], "store": False, "max_output_tokens": 500}
    return Ask("openai", "/v1/responses", asked | ({"stream": True} if chat.stream else {}))


class Day:
    """Visits to a gateway. Every one has a token of its own, by which its row is found."""

    def __init__(self, running: Running, visits: list[Visit]) -> None:
        self.running, self.visits = running, visits
        self.visit_of: dict[str, Visit] = {}  # by the token's id
        self.door = asyncio.Semaphore(AT_A_TIME)

    async def happen(self) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(self._one(visit, session) for visit in self.visits))

    async def _one(self, visit: Visit, session: aiohttp.ClientSession) -> None:
        async with self.door:
            person = whose(visit)
            token, secret = await self.running.services.accounts.create_token(person, f"visit {visit.number}")
            self.visit_of[token.id] = visit
            await visit.happen(session, self.running, secret)
            mend_keys(self.running.services.dispatcher)


def number_in(body: bytes) -> int:
    found = re.search(rb"request (\d+) ", body)
    assert found is not None
    return int(found[1])
