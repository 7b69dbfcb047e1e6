"""Keys that die, run dry and are rate limited under load: the clients notice nothing while one key is well."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import aiohttp
import pytest

from keypool.health import KeyState
from server.config.specs import Secret
from tests.fakes.fates import (
    cut_stream,
    garbage,
    insufficient_quota,
    model_missing,
    ok,
    overloaded,
    rate_limit,
    revoked,
    server_error,
    slow,
)
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import conversation, hear
from tests.gateways import Running, gateway, spec

KEYS = ("sk-revoked-0123456", "sk-exhausted-01234", "sk-limited-0123456", "sk-healthy-0123456")
REVOKED, EXHAUSTED, LIMITED, HEALTHY = KEYS
RATE = 50  # requests per second
REST = 1  # seconds of Retry-After


def id_of(secret: str) -> str:
    """The id under which the pool knows the key with this secret."""
    return Secret(secret).fingerprint


async def steady(session: aiohttp.ClientSession, running: Running, requests: int) -> Counter[int]:
    """So many requests at an even pace, in both dialects, plain and streamed; how often each status was heard."""

    async def one(number: int) -> int:
        await asyncio.sleep(number / RATE)
        dialect = ("openai", "anthropic")[number % 2]
        heard = await hear(session, running, conversation(dialect, f"request {number}", stream=number % 4 < 2))
        return -1 if heard.status == 200 and b'"error"' in heard.body else heard.status

    return Counter(await asyncio.gather(*(one(number) for number in range(requests))))


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_three_keys_fail_in_three_ways_and_no_client_notices() -> None:
    default = slow(first_byte=0.02, words=5)
    async with (
        FakeUpstream(default=default) as fake,
        aiohttp.ClientSession() as session,
        gateway(fake, spec(fake, KEYS)) as running,
    ):
        asked = asyncio.create_task(steady(session, running, 150))
        await fake.wait_for(lambda: len(fake.records) >= 40)
        fake.script(REVOKED, revoked().for_ever())
        fake.script(EXHAUSTED, insufficient_quota().for_ever())
        fake.script(LIMITED, rate_limit(retry_after=REST))
        assert await asked == {200: 150}
        await running.services.pipeline.quiet(5.0)
        states = {key.id: key.state("gpt-4o") for key in running.services.dispatcher.pool.keys.values()}
        assert (states[id_of(REVOKED)], states[id_of(EXHAUSTED)]) == (KeyState.REVOKED, KeyState.EXHAUSTED)
        assert states[id_of(LIMITED)] is states[id_of(HEALTHY)] is KeyState.READY
        assert_rested(fake)
        assert len(fake.records) <= 1.2 * 150
        await running.services.pipeline.quiet(5.0)
        running.assert_idle()


def assert_rested(fake: FakeUpstream) -> None:
    """No request reaches a key once it is convicted, and none a limited one for that model within its rest.

    The free check convicts the refused key; a code convicts the one without quota, and Anthropic's errors have none.
    """
    probed = [record for record in fake.probes if record.key == REVOKED and record.fate == "revoked"]
    coded = [record for record in fake.of(EXHAUSTED) if record.path == "/v1/chat/completions"]
    for key, records, fate, seconds in (
        (REVOKED, probed, "revoked", 1e9),
        (EXHAUSTED, coded, "insufficient_quota", 1e9),
        (LIMITED, fake.of(LIMITED), "rate_limit", REST),
    ):
        refused = next(record for record in records if record.fate == fate)
        told = refused.finished_at or 0.0
        later = [
            record for record in fake.of(key) if told + min(1.0, 0.6 * seconds) < record.started_at < told + seconds
        ]
        assert [record for record in later if fate != "rate_limit" or record.model == refused.model] == []


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_in_the_worst_storm_the_upstream_sees_a_fifth_more_at_most() -> None:
    """Every key answers 529 to everything: retries are rationed, and everybody hears so soon."""
    async with (
        FakeUpstream(default=overloaded().for_ever()) as fake,
        aiohttp.ClientSession() as session,
        gateway(fake, spec(fake, KEYS), queue_seconds=2.0) as running,
    ):
        heard = await steady(session, running, 100)
        assert set(heard) <= {503, 529}
        assert len(fake.records) <= 1.2 * 100
        await running.services.pipeline.quiet(5.0)
        running.assert_idle()


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_a_key_that_recovers_is_used_again_by_itself() -> None:
    async with (
        FakeUpstream(default=ok()) as fake,
        aiohttp.ClientSession() as session,
        gateway(fake, spec(fake, (LIMITED,))) as running,
    ):
        fake.script(LIMITED, overloaded(), rate_limit(retry_after=REST))
        assert await steady(session, running, 6) == {200: 6}
        assert [record.fate for record in fake.of(LIMITED)].count("ok") == 6
        await running.services.pipeline.quiet(5.0)
        running.assert_idle()


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_a_key_that_cuts_its_streams_rests_when_a_second_person_meets_it_and_is_asked_about() -> None:
    async with (
        FakeUpstream(default=ok()) as fake,
        aiohttp.ClientSession() as session,
        gateway(fake, spec(fake, (HEALTHY, LIMITED))) as running,
    ):
        fake.script(LIMITED, cut_stream(4).for_ever())
        bob = await running.token_of("bob")
        probes = len(fake.probes)
        for number in range(20):
            token = bob if number % 2 else running.token
            await hear(session, running, conversation("openai", f"request {number}", stream=True), token)
        await running.services.pipeline.quiet(5.0)
        key = running.services.dispatcher.pool.keys[id_of(LIMITED)]
        assert 2 <= len(fake.of(LIMITED)) <= 6, "chosen again for a trial at most"
        assert key.standing("gpt-4o").failures > 0
        assert len(fake.probes) > probes
        running.assert_idle()


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_one_caller_who_provokes_failures_leaves_every_key_in_service() -> None:
    async with (
        FakeUpstream(default=ok()) as fake,
        aiohttp.ClientSession() as session,
        gateway(fake, spec(fake, (HEALTHY, LIMITED))) as running,
    ):
        bob = await running.token_of("bob")
        missing = (model_missing(403), model_missing(404))
        poison = (server_error(500), overloaded(), *missing, cut_stream(4), garbage())
        for fate in (replace(each, seen_by_probes=False) for each in poison):
            fake.script(None, fate.for_ever())
            for number in range(4):
                await hear(session, running, conversation("openai", f"poison {number}", stream=True))
            fake.forget_script()
            heard = await hear(session, running, conversation("openai", "hello", stream=True), bob)
            assert (heard.status, b'"error"' in heard.body) == (200, False)
            standings = [key.state("gpt-4o") for key in running.services.dispatcher.pool.keys.values()]
            assert set(standings) <= {KeyState.READY, KeyState.UNCHECKED}
        await running.services.pipeline.quiet(5.0)
        running.assert_idle()


@pytest.mark.slow
@pytest.mark.gen_test(timeout=20)
async def test_a_key_that_failed_a_request_is_checked_soon_and_one_that_was_only_limited_is_not() -> None:
    async with (
        FakeUpstream() as fake,
        aiohttp.ClientSession() as session,
        gateway(fake, spec(fake, KEYS[:2])) as running,
    ):
        await fake.wait_for(lambda: len(fake.probes) >= 2)
        checked = len(fake.probes)
        fake.script(None, rate_limit(retry_after=REST))
        assert (await hear(session, running, conversation("openai", "limited", stream=False))).status == 200
        fake.script(None, server_error())
        assert (await hear(session, running, conversation("openai", "failed", stream=False))).status == 200
        failed = next(record for record in fake.records if record.fate == "server_error")
        limited = next(record for record in fake.records if record.fate == "rate_limit")
        await fake.wait_for(lambda: len(fake.probes) > checked)
        assert {record.key for record in fake.probes[checked:]} == {failed.key}, limited.key
