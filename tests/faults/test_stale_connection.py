"""A kept connection that the upstream is just closing is nobody's fault."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from keypool.health import KeyState
from keypool.keys import Key
from keypool.verdict import DROPPED
from server.config.specs import Secret
from server.upstream import AttemptFailed, Patience, Route, Upstreams
from server.wire.endpoints import ENDPOINTS
from server.wire.request import read_request
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import chat, hear
from tests.gateways import KEYS, gateway, spec

ANSWER = (
    b'{"id":"x","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"hi"}}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
)


async def one_answer_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the first request of a connection, and close it over the second one."""
    for number in range(2):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            break
        length = re.search(rb"(?i)content-length: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        if number == 0:
            status = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
            writer.write(status + ANSWER)
    writer.close()


@asynccontextmanager
async def closing() -> AsyncIterator[str]:
    """A server that does so; its address."""
    async with await asyncio.start_server(one_answer_each, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


@pytest.mark.parametrize(("stale", "again"), [(5.0, 1), (0.0, 0)])
@pytest.mark.gen_test
async def test_what_is_closed_after_work_was_not_stale_and_is_no_second_time_sent_for_nothing(
    stale: float, again: int
) -> None:
    """What its provider may bill is a failed attempt, which is charged, and never sent once more in silence."""
    asked = chat("hello", stream=False)
    request = read_request(ENDPOINTS[asked.path], asked.body, "application/json")
    async with closing() as url:
        upstreams = Upstreams(lambda _: Route(url, Secret(KEYS[0])), Patience(stale=stale))
        key = Key("k", "u", frozenset({"openai"}), frozenset({"gpt-4o"}), 1)
        resent: list[None] = []
        failed = 0
        for _ in range(2):
            try:
                async with upstreams.send(key, request, {}, "", lambda: resent.append(None)) as answer:
                    assert await answer.whole(10**6) == ANSWER
            except AttemptFailed as failure:
                assert (failure.verdict, failure.gone) == (DROPPED, True)
                failed += 1
        await upstreams.close()
        assert (len(resent), failed) == (again, 1 - again)


@pytest.mark.gen_test
async def test_what_met_a_closing_connection_is_sent_over_a_new_one_and_no_key_rests() -> None:
    async with (
        closing() as url,
        FakeUpstream() as fake,
        aiohttp.ClientSession() as session,
    ):
        upstream = spec(fake, KEYS[:1], base_url=url)
        async with gateway(fake, upstream) as running:
            for number in range(3):
                assert (await hear(session, running, chat(f"{number}", stream=False))).status == 200
            await running.services.pipeline.quiet(5.0)
            pool = running.services.dispatcher.pool
            assert [key.state("gpt-4o") for key in pool.keys.values()] == [KeyState.READY]
            assert pool.tally.retries == 0
            rows = await running.services.store.usage_rows(0, 10)
            assert sorted(row.attempts for row in rows) == [1, 2, 2]
            running.assert_idle()
