"""Keys come and go under load, and no request notices."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import aiohttp
import pytest

from server.config.specs import Secret
from server.keys.encryption import KeyEncryption
from server.keys.registry import UpstreamRegistry
from server.keys.wishes import KeyWishes
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway, spec

MASTER = Secret("m" * 32)
FIRST, SECOND = Secret("sk-upstream-one"), Secret("sk-upstream-two")


async def ask(running: Running, session: aiohttp.ClientSession, until: Callable[[], bool]) -> Counter[int]:
    """One impatient caller: one conversation after another, so that no key has a claim; the answers' statuses."""
    statuses: Counter[int] = Counter()
    url, caller = f"{running.url}/v1/chat/completions", id(until)
    while not until():
        message = {"role": "user", "content": f"{caller}: {statuses.total()}"}
        body = {"model": "gpt-5", "messages": [message]}
        async with session.post(url, json=body, headers=running.headers) as answer:
            await answer.read()
            statuses[answer.status] += 1
    return statuses


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_a_key_is_added_another_paused_and_the_first_removed_without_a_failed_request() -> None:
    async with FakeUpstream() as fake:
        configured = spec(fake, keys=[FIRST.reveal()])
        options = {"master_keys": (MASTER,), "keys_poll_seconds": 0.02}
        async with gateway(fake, configured, **options) as running, aiohttp.ClientSession() as session:
            changes = KeyWishes(
                running.services.store,
                KeyEncryption([MASTER]),
                UpstreamRegistry([configured]),
                lambda: time.time_ns() // 1_000_000,
            )
            done = False
            callers = [asyncio.create_task(ask(running, session, lambda: done)) for _ in range(4)]

            def worked(secret: Secret) -> int:
                return sum(record.path == "/v1/chat/completions" for record in fake.of(secret.reveal()))

            def state(secret: Secret) -> str:
                keys = running.services.dispatcher.snapshot().keys
                return next((key.state.value for key in keys if key.id == secret.fingerprint), "gone")

            await fake.wait_for(lambda: worked(FIRST))
            await changes.add(await changes.terms("fake"), SECOND)
            await fake.wait_for(lambda: worked(SECOND))
            await changes.pause(FIRST.fingerprint)
            await fake.wait_for(lambda: state(FIRST) == "paused")
            so_far = worked(SECOND)
            await fake.wait_for(lambda: worked(SECOND) > so_far + 5)
            await changes.resume(FIRST.fingerprint)
            await changes.remove(SECOND.fingerprint)
            await fake.wait_for(lambda: state(SECOND) == "gone")
            so_far = worked(FIRST)
            await fake.wait_for(lambda: worked(FIRST) > so_far + 5)
            done = True
            statuses = await asyncio.gather(*callers)
            assert {status for each in statuses for status in each} == {200}
            await running.services.pipeline.quiet(5.0)
            running.assert_idle()
