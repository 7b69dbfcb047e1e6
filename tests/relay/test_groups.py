"""What the groups and addresses of those who ask change on a running gateway: who shares, and what an answer says."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from server.auth.accounts import OPERATOR
from server.policy.groups import Group
from tests.fakes.fates import held
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway

CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "x"}]}


async def ask(running: Running, token: str | None = None) -> tuple[int, str | None]:
    """The status, and what the answer says of content that is kept."""
    headers = running.headers if token is None else {"Authorization": f"Bearer {token}"}
    url = f"{running.url}/v1/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(url, json=CHAT, headers=headers) as answer:
        await answer.read()
        return answer.status, answer.headers.get("X-Content-Logged")


async def put_ada_into(running: Running, **terms: Any) -> None:
    services = running.services
    await services.changes.create_group(OPERATOR.person_id, Group(name="lab", **terms))
    (ada,) = [person for person in await services.store.people() if person.name == "ada"]
    await services.store.update_person(ada.id, {"groups": ("lab",)})
    await services.take_effect()
    services.accounts.forget()


@pytest.mark.gen_test
async def test_who_is_in_a_group_that_keeps_texts_reads_so_on_every_answer_and_no_other_does() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running:
        assert await ask(running) == (200, None)
        await put_ada_into(running, content_days=7)
        assert await ask(running) == (200, "yes")
        assert await ask(running, await running.token_of("bob")) == (200, None)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("fairness", "party", "weight"),
    [("person", ("", 1.0), 3.0), ("group", ("group:lab", 3.0), 1.0), ("address", ("address:127.0.0.1", 1.0), 3.0)],
)
async def test_with_whom_a_person_shares_is_the_operators_choice(
    fairness: str, party: tuple[str, float], weight: float
) -> None:
    async with FakeUpstream() as fake, gateway(fake, fairness=fairness) as running:
        await put_ada_into(running, weight=3.0)
        gate = asyncio.Event()
        fake.script(None, held(gate))
        asked = asyncio.create_task(ask(running))
        await fake.wait_for(lambda: fake.running == 1)
        (ticket,) = running.services.dispatcher.pool.tickets.values()
        assert ((ticket.party, ticket.party_weight), ticket.weight) == (party, weight)
        gate.set()
        assert (await asked)[0] == 200
