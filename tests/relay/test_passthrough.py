"""A request with the caller's own key goes the way of every request, and nothing of the pool is touched by it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from server.ledger.limits import parse_limits
from server.ledger.usage import OWN, Outcome, UsageRow
from server.relay.keepalive import KeepaliveTiming
from server.relay.passthrough import PassedAnswer
from server.wire.endpoints import ENDPOINTS, Endpoint
from server.wire.errors import Disconnected
from server.wire.filters import Phrases
from server.wire.own_keys import OTHERS, OwnKey
from tests.fakes.fates import hang, held, mid_stream_error, rate_limit
from tests.fakes.upstream import FakeUpstream
from tests.gateways import MODELS, Running, gateway

KEY = "sk-my-very-own-secret-key"
CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}]}
ROUTE = "/byo/fake/v1/chat/completions"
WORD = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"w"}}]}\n\n'
STOP = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
FAULT = b'data: {"error":{"message":"sk-abcdefgh is over","type":"server_error"}}\n\n'
DONE = b"data: [DONE]\n\n"
PLAIN = b'{"id":"c","model":"m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}'
EVENTS = "text/event-stream"


@dataclass
class Passage:
    """One answer that passes; its parts write down what happens to them."""

    pieces: list[bytes]
    media_type: str = EVENTS
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    endpoint: Endpoint = ENDPOINTS["/v1/chat/completions"]
    packed: bool = False
    started: bool = False
    sent: bytes = b""
    log: list[str] = field(default_factory=list)

    async def read(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    async def peek(self, least: int) -> bytes:
        return self.pieces[0][:least]

    def start(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        self.log.append(str(status))

    async def send(self, piece: bytes, *, between: bool = True) -> None:
        self.sent += piece
        self.log.append("words")

    async def stop(self) -> None:
        """There is no beat."""

    def end(self) -> None:
        self.log.append("end")

    async def settle(self, context: Any) -> None:
        context.settled = True
        self.log.append("settled")

    async def run(self, longest: int = 1000) -> Any:
        request = SimpleNamespace(endpoint=self.endpoint, stream=self.media_type == EVENTS)
        context = SimpleNamespace(
            call=SimpleNamespace(request=request),
            meter=self.endpoint.meter(),
            trace=SimpleNamespace(attempts=[]),
            names_model=False,
            first_byte=None,
            outcome=None,
            streamed=False,
            settled=None,
        )
        me = cast(Any, self)
        beats = SimpleNamespace(send=self.send, stop=self.stop, start=lambda: None, granted=lambda: None)
        await PassedAnswer(cast(Any, context), me, me, cast(Any, beats), self.settle, longest, lambda: 1.0).run()
        return context


@pytest.mark.parametrize("pieces", [[WORD, STOP, DONE], [WORD + STOP + DONE], [WORD[:9], WORD[9:] + STOP, DONE]])
@pytest.mark.gen_test
async def test_the_ledger_has_a_stream_before_its_end_goes_out(pieces: list[bytes]) -> None:
    passage = Passage(list(pieces))
    context = await passage.run()
    assert passage.sent == WORD + STOP + DONE
    assert passage.log[-3:] == ["settled", "words", "end"]
    assert context.outcome is Outcome.COMPLETED


@pytest.mark.gen_test
async def test_the_ledger_has_a_plain_answer_before_its_last_counted_byte_goes_out() -> None:
    passage = Passage([PLAIN[:20], PLAIN[20:]], "application/json", headers={"Content-Length": str(len(PLAIN))})
    context = await passage.run()
    assert passage.log == ["200", "words", "settled", "words", "end"]
    assert (context.meter.usage.input, context.meter.usage.output) == (9, 4)


@pytest.mark.gen_test
async def test_a_plain_answer_without_a_length_is_settled_before_its_end() -> None:
    for passage in (
        Passage([PLAIN], "application/json"),
        Passage([PLAIN], "", headers={"Content-Length": "5"}, packed=True),
    ):
        await passage.run()
        assert passage.log[1:] == ["words", "settled", "end"]


@pytest.mark.gen_test
async def test_what_is_too_long_to_be_looked_at_passes_all_the_same() -> None:
    passage = Passage([PLAIN, PLAIN], "application/json")
    context = await passage.run(longest=100)
    assert passage.sent == PLAIN + PLAIN
    assert (context.meter.usage, context.outcome) == (None, Outcome.COMPLETED)


@pytest.mark.gen_test
async def test_a_stream_without_its_end_is_a_failure_and_an_endpoint_that_nobody_knows_has_none() -> None:
    passage = Passage([WORD])
    with pytest.raises(Disconnected):
        await passage.run()
    assert "end" not in passage.log
    context = await Passage([WORD], endpoint=OTHERS["openai"]).run()
    assert (context.outcome, context.streamed) == (Outcome.COMPLETED, False)


@pytest.mark.gen_test
async def test_the_providers_own_error_in_a_stream_passes_word_by_word() -> None:
    passage = Passage([WORD, FAULT])
    context = await passage.run()
    assert passage.sent == WORD + FAULT
    assert context.outcome is Outcome.CUT


@pytest.mark.parametrize(
    ("status", "outcome"), [(400, "rejected"), (413, "rejected"), (401, "failed"), (429, "failed"), (503, "failed")]
)
@pytest.mark.gen_test
async def test_a_refusal_passes_and_its_status_is_known(status: int, outcome: str) -> None:
    passage = Passage([FAULT], "application/json", status)
    context = await passage.run()
    assert (passage.sent, passage.log[0], str(context.outcome)) == (FAULT, str(status), outcome)
    assert context.trace.attempts == [{"key": OWN, "answered": str(status)}]
    assert not context.names_model


def test_no_key_of_a_caller_is_shown() -> None:
    assert KEY not in repr(OwnKey("openai", "POST", "https://api.example.com/v1", {"authorization": f"Bearer {KEY}"}))


# The whole way


@asynccontextmanager
async def standing(fake: FakeUpstream, **settings: Any) -> AsyncIterator[tuple[Running, aiohttp.ClientSession]]:
    """A gateway, and a client that brings a key."""
    async with gateway(fake, byo_keys=True, **settings) as running:
        named = {"X-Fairgate-Token": running.token, "Authorization": f"Bearer {KEY}"}
        async with aiohttp.ClientSession(running.url, headers=named) as session:
            yield running, session


async def row(running: Running) -> UsageRow:
    """The only row."""
    await running.services.pipeline.quiet(5.0)
    running.assert_idle()
    (found,) = await running.services.store.usage_rows(0, 10)
    return found


async def ask(session: aiohttp.ClientSession, body: Any = CHAT, **headers: str) -> tuple[int, Any]:
    async with session.post(ROUTE, json=body, headers=headers) as answer:
        return answer.status, await answer.json()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_it_is_kept_counted_and_free_and_the_caller_may_ask_what_became_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with FakeUpstream() as fake, standing(fake) as (running, session):
        fake.script(KEY, rate_limit(retry_after=7))
        assert (await ask(session))[0] == 429
        found = await row(running)
        assert (found.key, found.upstream, found.model_asked) == (OWN, "fake", "gpt-5")
        assert (found.cost_micro_usd, found.price_id, found.queue_ms) == (0, None, 0)
        mine = {"Authorization": f"Bearer {running.token}"}
        async with aiohttp.ClientSession(running.url, headers=mine) as asking:
            answer = await asking.get(f"/api/explain/{found.request_id}")
            assert (await answer.json())["attempts"] == [{"key": OWN, "answered": "429"}]
            figures = await (await asking.get("/metrics")).text()
        assert 'fairgate_requests_ended_total{dialect="openai",model="gpt-5",outcome="failed"} 1.0' in figures
        assert not any(hour.requests for hour in running.services.status_service.history._recorder.rows())
        assert fake.records[-1].key == KEY
        assert all(key.state.value != "cooling" for key in running.services.dispatcher.snapshot().keys)
    assert KEY not in caplog.text


@pytest.mark.slow
@pytest.mark.gen_test
async def test_no_limit_counts_it_and_no_price_is_asked_for() -> None:
    limits = parse_limits("1 requests/minute, 1 requests/day, 10 tokens/day")
    async with FakeUpstream() as fake, standing(fake, limits=limits, unpriced_models="refuse") as (running, session):
        assert [(await ask(session))[0] for _ in range(3)] == [200, 200, 200]
        assert not any(standing["taken"] for standing in await standings(running))


async def standings(running: Running) -> list[dict[str, Any]]:
    await running.services.pipeline.quiet(5.0)
    caller = await running.services.accounts.authenticate(f"Bearer {running.token}", None, "127.0.0.1")
    return await running.services.reservations.standing(caller)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_is_sent_is_read_as_strictly_as_every_body_and_goes_on_as_it_came() -> None:
    async with FakeUpstream() as fake, standing(fake, phrases=Phrases.of(["forbidden fruit"])) as (running, session):
        twice = b'{"model":"gpt-5","messages":[{"role":"user","content":"x"}],"model":"gpt-4o"}'
        async with session.post(ROUTE, data=twice, headers={"Content-Type": "application/json"}) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (400, "invalid_json")
        status, said = await ask(session, CHAT | {"messages": [{"role": "user", "content": "a forbidden fruit"}]})
        assert (status, said["error"]["code"]) == (400, "prompt_rejected")
        assert not fake.records
        odd = b' {"model": "gpt-5",  "stream": true, "messages": [{"role":"user","content":"x"}]}'
        async with session.post(ROUTE, data=odd, headers={"Content-Type": "application/json"}) as answer:
            assert answer.status == 200
            await answer.read()
        assert fake.records[-1].body == odd
        assert (await row(running)).status is Outcome.COMPLETED


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_model_that_a_caller_makes_up_stands_on_no_page() -> None:
    async with FakeUpstream(models=MODELS) as fake, standing(fake) as (running, session):
        assert (await ask(session, CHAT | {"model": "my-message-to-all"}))[0] == 404
        found = await row(running)
        assert (found.model_asked, found.model_served, found.status) == ("", "", Outcome.REJECTED)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_signs_of_life_stand_between_the_events_of_a_silent_stream_and_nowhere_before() -> None:
    timing = KeepaliveTiming(queued=0.01, silent=0.01, every=0.01)
    gate = asyncio.Event()
    async with FakeUpstream() as fake, standing(fake, timing=timing) as (_, session):
        fake.script(KEY, held(gate, after=1))
        async with session.post(ROUTE, json=CHAT | {"stream": True}) as answer:
            body = b""
            while b"\n: " not in body:
                body += await answer.content.readany()
            gate.set()
            body += await answer.read()
        assert body.startswith(b"data:")
        assert body.rstrip().endswith(b"data: [DONE]")


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_administrator_ends_it_and_an_error_in_the_stream_is_the_providers() -> None:
    async with FakeUpstream() as fake, standing(fake) as (running, session):
        fake.script(KEY, hang(), mid_stream_error())
        asking = asyncio.create_task(ask(session))
        await fake.wait_for(lambda: fake.records)
        assert running.services.pipeline.cancel(next(iter(running.services.pipeline._tasks)))
        status, said = await asking
        assert said["error"]["code"] == "cancelled", status
        async with session.post(ROUTE, json=CHAT | {"stream": True}) as answer:
            assert b'"error"' in await answer.read()
        await running.services.pipeline.quiet(5.0)
        rows = await running.services.store.usage_rows(0, 10)
        assert sorted(str(each.status) for each in rows) == ["cancelled", "cut"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_it_is_noted_before_it_goes_out() -> None:
    async with FakeUpstream() as fake, standing(fake) as (running, session):
        fake.script(KEY, held(gate := asyncio.Event()))
        asking = asyncio.create_task(ask(session))
        await fake.wait_for(lambda: fake.records)
        (line,) = running.services.reservations._journal._open.values()
        assert b'"interrupted"' in line
        assert KEY.encode() not in line
        gate.set()
        assert (await asking)[0] == 200
