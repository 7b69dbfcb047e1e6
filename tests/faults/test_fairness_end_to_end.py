"""Who asks for a thousand answers does not delay those who ask for a few: seen in the order of dispatch."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.fakes.fates import held
from tests.fakes.ledger import Record
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import chat
from tests.faults.clients import Client
from tests.faults.stage import Stage, until
from tests.gateways import gateway, spec

SLOTS = 4
GREEDY = 1000  # requests of one person
OTHERS, FEW = 9, 4  # persons, requests of each
ROUND = OTHERS + 1


async def ask_for(stage: Stage, person: str, count: int) -> list[Client]:
    token = await stage.running.token_of(person)
    ask = chat(f"for {person}", stream=False)
    # The answers are as long as their limit: nobody's turn depends on how a guess was mended afterwards.
    short = replace(ask, document=ask.document | {"max_tokens": 4})
    return [await Client.ask(stage.running, short, token) for _ in range(count)]


def person_of(record: Record) -> str:
    return record.body.decode().partition("for ")[2].partition('"')[0]


@pytest.mark.slow
@pytest.mark.gen_test(timeout=50)
async def test_a_thousand_requests_of_one_person_do_not_delay_the_others() -> None:
    gate = asyncio.Event()
    async with FakeUpstream() as fake:
        one_key = spec(fake, ["sk-upstream-one"], slots=SLOTS)
        async with gateway(fake, one_key, queue_per_person=GREEDY) as running:
            stage = Stage(running)
            fake.script(None, held(gate).for_ever())
            clients = await ask_for(stage, "greedy", GREEDY)
            await until(lambda: stage.waiting == GREEDY - SLOTS)
            for number in range(OTHERS):
                clients += await ask_for(stage, f"polite-{number}", FEW)
            await until(lambda: stage.waiting == GREEDY - SLOTS + OTHERS * FEW)
            gate.set()
            await fake.wait_for(lambda: len(fake.records) >= SLOTS + ROUND * (FEW + 1), 20)
            hold_to_turns([person_of(record) for record in fake.records])
            await asyncio.gather(*(client.leave() for client in clients))
            await stage.quiet()


def hold_to_turns(order: list[str]) -> None:
    """Each polite person's n-th request is sent within n rounds, counted from when their requests arrived."""
    assert order[:SLOTS] == ["greedy"] * SLOTS
    for number in range(OTHERS):
        places = [place for place, person in enumerate(order) if person == f"polite-{number}"]
        assert len(places) == FEW
        for turn, place in enumerate(places, 1):
            assert place < SLOTS + turn * ROUND
