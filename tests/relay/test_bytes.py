"""The relay changes no byte: however a stream is chopped, the client reads the same stream and the ledger the same row.

First the pure relay and its meter, with many thousand ways of chopping; then the whole gateway over real sockets, with
an upstream that writes exactly the pieces it is told to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from server.ledger.usage import Outcome
from server.wire.endpoints import ENDPOINTS
from server.wire.meter import Meter
from server.wire.relay import Relay, StreamTooLong, is_stream
from server.wire.sse import Splitter
from server.wire.usage import Usage
from tests.fakes.http1 import Connection, Headers, Request, chunk, head
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway, spec

CHAT_PATH, RESPONSES_PATH, MESSAGES_PATH = "/v1/chat/completions", "/v1/responses", "/v1/messages"


def lines(*events: bytes, end: bytes = b"\n") -> bytes:
    """A stream of events, each a block of lines that are written with a plain newline here."""
    return b"".join(event.replace(b"\n", end) + end + end for event in events)


def said(text: str) -> bytes:
    return b'data: {"id":"c","model":"gpt-5-1","choices":[{"index":0,"delta":{"content":"%b"}}]}' % text.encode()


def delta(text: str) -> bytes:
    inside = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%b"}}' % text.encode()
    return b"event: content_block_delta\ndata: " + inside


STOP = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}'
USAGE = (
    b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,'
    b'"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":2}}}'
)
DONE = b"data: [DONE]"
CHAT = (said("How many"), said(" roads"), STOP, USAGE, DONE)
RESPONSES = (
    b'event: response.created\ndata: {"type":"response.created","response":{"model":"gpt-5-1","usage":null}}',
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hi"}',
    b'event: response.completed\ndata: {"type":"response.completed","response":{"model":"gpt-5-1","usage":'
    b'{"input_tokens":9,"input_tokens_details":{"cached_tokens":3},"output_tokens":4,'
    b'"output_tokens_details":{"reasoning_tokens":2}}}}',
)
MESSAGES = (
    b'event: message_start\ndata: {"type":"message_start","message":{"model":"claude-1","usage":{"input_tokens":4,'
    b'"cache_creation_input_tokens":2,"cache_read_input_tokens":3,"output_tokens":1}}}',
    b'event: ping\ndata: {"type": "ping"}',
    delta("How many"),
    delta(" roads"),
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":4}}',
    b'event: message_stop\ndata: {"type":"message_stop"}',
)
TRANSCRIPT = (
    b'data: {"type":"transcript.text.delta","delta":"How many"}',
    b'data: {"type":"transcript.text.delta","delta":" roads"}',
    b'data: {"type":"transcript.text.done","text":"How many roads","usage":'
    b'{"type":"tokens","input_tokens":9,"output_tokens":4,"total_tokens":13}}',
)
SPEECH = (
    b'data: {"type":"speech.audio.delta","audio":"SUQzBAAB"}',
    b'data: {"type":"speech.audio.done","usage":{"input_tokens":9,"output_tokens":4,"total_tokens":13}}',
)
IMAGES = (
    b'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"iVBO"}',
    b'event: image_generation.completed\ndata: {"type":"image_generation.completed","b64_json":"iVBORw0K","usage":'
    b'{"input_tokens":9,"output_tokens":4,"total_tokens":13}}',
)
COMPLETIONS = (
    b'data: {"id":"c","model":"gpt-5-1","choices":[{"index":0,"text":"How many","finish_reason":null}]}',
    b'data: {"id":"c","model":"gpt-5-1","choices":[{"index":0,"text":" roads","finish_reason":"stop"}]}',
    USAGE,
    DONE,
)
PLAIN_USED = Usage(input=9, output=4)
CHAT_USED = Usage(input=9, cached=3, output=4, reasoning=2)
MESSAGES_USED = Usage(input=9, cached=3, cache_write=2, output=4)
WORDS = {"CJK": "你好，世界", "emoji": "👩‍👩‍👧‍👦 \U0001f600", "U+2028": "a\u2028b\u2029c\x85d", "combining": "é g̈"}


@dataclass(frozen=True)
class Script:
    """A recorded stream, and what a meter must find in it."""

    path: str
    stream: bytes
    usage: Usage
    hidden: bytes = field(default=b"", repr=False)  # the event that is left out if the client did not ask for usage

    def meter(self) -> Meter:
        return ENDPOINTS[self.path].meter()


def chat(*events: bytes, end: bytes = b"\n", before: bytes = b"") -> Script:
    return Script(CHAT_PATH, before + lines(*events, end=end), CHAT_USED, lines(USAGE, end=end))


def messages(*events: bytes, end: bytes = b"\n") -> Script:
    return Script(MESSAGES_PATH, lines(*events, end=end), MESSAGES_USED)


SCRIPTS = {
    "chat": chat(*CHAT),
    "chat in CRLF": chat(*CHAT, end=b"\r\n"),
    "chat in CR": chat(*CHAT, end=b"\r"),
    "chat with comments": chat(b": hello", CHAT[0], b":\n: queued", b": end\n" + CHAT[1], *CHAT[2:]),
    "chat with a byte order mark": chat(*CHAT, before=b"\xef\xbb\xbf"),
    "chat with too many newlines": chat(*CHAT[:3], b"\n\n" + CHAT[0], USAGE, DONE, before=b"\n\n"),
    "chat with ids and retries": chat(b"id: 7\nretry: 100", b"id: 8\n" + CHAT[0], *CHAT[1:]),
    "chat with usage in the last choice": Script(
        CHAT_PATH, lines(CHAT[0], STOP.replace(b"null", USAGE.partition(b'"usage":')[2][:-1]), DONE), CHAT_USED
    ),
    "completions": Script("/v1/completions", lines(*COMPLETIONS), CHAT_USED, lines(USAGE)),
    "transcription": Script("/v1/audio/transcriptions", lines(*TRANSCRIPT), PLAIN_USED),
    "speech": Script("/v1/audio/speech", lines(*SPEECH), PLAIN_USED),
    "images": Script("/v1/images/generations", lines(*IMAGES), Usage(input=9, output=4, images=1)),
    "responses": Script(RESPONSES_PATH, lines(*RESPONSES), CHAT_USED),
    "responses in CRLF": Script(RESPONSES_PATH, lines(*RESPONSES, end=b"\r\n"), CHAT_USED),
    "messages": messages(*MESSAGES),
    "messages in CRLF": messages(*MESSAGES, end=b"\r\n"),
    "messages in CR": messages(*MESSAGES, end=b"\r"),
    "messages without a space behind the colon": messages(*(event.replace(b"data: ", b"data:") for event in MESSAGES)),
    "messages over several lines": messages(
        *(event.replace(b'{"type"', b'{\ndata:\ndata: "type"') for event in MESSAGES)
    ),
    "messages with an unfinished end": Script(MESSAGES_PATH, lines(*MESSAGES) + b"event: ping\ndata: {", MESSAGES_USED),
    **{f"chat in {name}": chat(said(word), *CHAT[1:]) for name, word in WORDS.items()},
    **{f"messages in {name}": messages(*MESSAGES[:2], delta(word), *MESSAGES[3:]) for name, word in WORDS.items()},
}


def ways(stream: bytes) -> Iterator[list[bytes]]:
    """Cut in two at every place, in equal parts of many sizes, and in three around every event's end."""
    for cut in range(len(stream) + 1):
        yield [stream[:cut], stream[cut:]]
    for size in (*range(1, 40), 64, 100, 128, 256, 512):
        yield [stream[start : start + size] for start in range(0, len(stream), size)]
    for end in (at for at, byte in enumerate(stream) if byte in b"\r\n"):
        for width in range(1, 5):
            yield [stream[:end], stream[end : end + width], stream[end + width :]]


def relayed(
    script: Script, chunks: list[bytes], *, hides_usage: bool, splitter: Splitter | None = None
) -> tuple[bytes, Meter]:
    meter = script.meter()
    relay = Relay(meter, hides_usage=hides_usage, splitter=splitter)
    written = b"".join([relay.feed(chunk) for chunk in chunks])
    return written + relay.end(), meter


def figures(meter: Meter) -> tuple[Any, ...]:
    """All that a meter says at the end."""
    return (
        meter.usage, meter.opening, meter.served_model, meter.delivered(), meter.output_pieces,
        meter.ended(), meter.failed, meter.garbled,
    )  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_a_meter_finds_in_a_recorded_stream_is_what_the_upstream_said(name: str) -> None:
    script = SCRIPTS[name]
    _, meter = relayed(script, [script.stream], hides_usage=False)
    assert (meter.usage, meter.ended(), meter.failed, meter.garbled) == (script.usage, True, False, 0)
    assert bool(meter.delivered()) is (name not in ("speech", "images")), "a sound or a picture is no text to count"


@pytest.mark.slow
@pytest.mark.parametrize("long", [10, 80])
def test_a_stream_of_which_every_event_is_long_is_the_same_stream(long: int) -> None:
    for name, script in SCRIPTS.items():
        whole = figures(relayed(script, [script.stream], hides_usage=False)[1])
        for size in (*range(1, 30), 64, 256, len(script.stream)):
            chunks = [script.stream[start : start + size] for start in range(0, len(script.stream), size)]
            for hides_usage in (False, True):
                written, meter = relayed(script, chunks, hides_usage=hides_usage, splitter=Splitter(long))
                assert (written, figures(meter)) == (script.stream, whole), (name, size)


def test_a_stream_has_an_end_somewhere() -> None:
    relay = Relay(ENDPOINTS[CHAT_PATH].meter(), hides_usage=False, longest=1000)
    with pytest.raises(StreamTooLong):
        for _ in range(1000):
            relay.feed(lines(said("more")))


@pytest.mark.parametrize(
    "beginning", [b"data: {}", b": hi", b"event: ping", b"\n\nid: 7", b"\xef\xbb\xbfdata:x", b"data\n"]
)
def test_a_stream_is_known_by_its_first_line(beginning: bytes) -> None:
    assert is_stream(beginning) is True


@pytest.mark.parametrize(
    ("beginning", "told"),
    [
        (b'{"id":1}', False),
        (b" \n [", False),
        (b"\xef\xbb\xbf{", False),
        (b"", None),
        (b"<html>", None),
        (b"database", None),
    ],
)
def test_what_is_no_stream_is_known_too_or_left_to_its_label(beginning: bytes, told: bool | None) -> None:
    assert is_stream(beginning) is told


@pytest.mark.slow
def test_no_way_to_chop_a_stream_changes_a_byte_or_a_figure() -> None:
    combinations, differences = 0, []
    for name, script in SCRIPTS.items():
        whole = figures(relayed(script, [script.stream], hides_usage=False)[1])
        for chunks in ways(script.stream):
            written, meter = relayed(script, chunks, hides_usage=False)
            combinations += 1
            if written != script.stream or figures(meter) != whole:
                differences.append((name, [len(piece) for piece in chunks]))
    assert not differences
    assert combinations >= 10_000


@pytest.mark.slow
def test_of_a_stream_whose_usage_was_not_asked_for_that_chunk_alone_is_missing() -> None:
    combinations, differences = 0, []
    for name, script in SCRIPTS.items():
        if not script.hidden:
            continue
        assert script.stream.count(script.hidden) == 1
        expected = script.stream.replace(script.hidden, b"")
        whole = figures(relayed(script, [script.stream], hides_usage=False)[1])
        for chunks in ways(script.stream):
            written, meter = relayed(script, chunks, hides_usage=True)
            combinations += 1
            if written != expected or figures(meter) != whole:
                differences.append((name, [len(piece) for piece in chunks]))
    assert not differences
    assert combinations >= 5_000


# The same over real sockets.


class Scripted:
    """An upstream that answers every request with the pieces it was given, each in a write of its own."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.url = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Scripted]:
        loop = asyncio.get_running_loop()
        connections: set[Connection] = set()

        def connection() -> Connection:
            return Connection(self._serve, connections.add, connections.discard)

        server = await loop.create_server(connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        yield self
        server.close()
        for each in connections:
            each.reset()
        await asyncio.gather(*(each.task for each in connections), return_exceptions=True)

    async def _serve(self, connection: Connection, request: Request) -> None:
        headers: Headers = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
        await connection.write(head(200, headers))
        for piece in self.pieces:
            if piece:
                await connection.write(chunk(piece))
                await self._let_it_be_read()
        await connection.write(chunk(b""))

    async def _let_it_be_read(self) -> None:
        """The gateway lives on this loop: in a few turns it has read a piece and passed on what is whole."""
        for _ in range(5):
            await asyncio.sleep(0)


@asynccontextmanager
async def scripted_house() -> AsyncIterator[tuple[Scripted, Running, aiohttp.ClientSession]]:
    async with FakeUpstream() as fake, Scripted().listening() as upstream:
        behind = spec(fake, name="scripted", base_url=upstream.url, keys=("sk-scripted",))
        async with gateway(fake, behind) as running, aiohttp.ClientSession(headers=running.headers) as client:
            yield upstream, running, client
            running.assert_idle()


def body_for(path: str, *, usage: bool) -> dict[str, Any]:
    messages = [{"role": "user", "content": "hi"}]
    if path == MESSAGES_PATH:
        return {"model": "claude-sonnet-4-5", "max_tokens": 9, "stream": True, "messages": messages}
    asks = {"stream_options": {"include_usage": True}} if usage else {}
    if path == RESPONSES_PATH:
        return {"model": "gpt-5", "stream": True, "input": "hi"}
    return {"model": "gpt-5", "stream": True, "messages": messages} | asks


@pytest.mark.slow
@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", ["chat in CRLF", "messages in emoji"])
@pytest.mark.gen_test(timeout=60)
async def test_through_the_whole_gateway_the_client_reads_the_upstreams_bytes_wherever_they_are_cut(
    name: str, step: int
) -> None:
    """At each third byte, and in a soak at all, as the pure relay is at every run."""
    script = SCRIPTS[name]
    cuts = range(0, len(script.stream) + 1, step)
    async with scripted_house() as (upstream, running, client):
        differences = []
        for cut in cuts:
            upstream.pieces = [script.stream[:cut], script.stream[cut:]]
            async with client.post(running.url + script.path, json=body_for(script.path, usage=True)) as answer:
                if await answer.read() != script.stream:
                    differences.append(cut)
        assert not differences
        await running.services.pipeline.quiet(5.0)
        rows = await running.services.store.usage_rows(0, 10_000)
        assert len(rows) == len(cuts) > 300 // step
        assert {(row.status, row.usage) for row in rows} == {(Outcome.COMPLETED, script.usage)}


@pytest.mark.slow
@pytest.mark.gen_test(timeout=60)
async def test_through_the_whole_gateway_only_the_hidden_chunk_is_missing_and_it_is_billed() -> None:
    script = SCRIPTS["chat"]
    expected = script.stream.replace(script.hidden, b"")
    async with scripted_house() as (upstream, running, client):
        for cut in range(0, len(script.stream) + 1, 3):
            upstream.pieces = [script.stream[:cut], script.stream[cut:]]
            async with client.post(running.url + script.path, json=body_for(script.path, usage=False)) as answer:
                assert await answer.read() == expected
        await running.services.pipeline.quiet(5.0)
        rows = await running.services.store.usage_rows(0, 10_000)
        assert {(row.status, row.usage) for row in rows} == {(Outcome.COMPLETED, script.usage)}


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_of_a_stream_that_breaks_off_the_text_is_billed_though_its_figures_came_before_it() -> None:
    early = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":0,"total_tokens":9}}'
    async with scripted_house() as (upstream, running, client):
        upstream.pieces = [lines(each) for each in (CHAT[0], early, said(" roads"), said(" must a man"))]
        async with client.post(running.url + CHAT_PATH, json=body_for(CHAT_PATH, usage=True)) as answer:
            assert b"must a man" in await answer.read()
        await running.services.pipeline.quiet(5.0)
        (row,) = await running.services.store.usage_rows(0, 10)
        assert (row.status, row.usage.input, row.usage.estimated) == (Outcome.CUT, 9, True)
        assert row.usage.output >= 5


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_a_last_word_without_the_empty_line_behind_it_is_heard_through_the_whole_gateway() -> None:
    async with scripted_house() as (upstream, running, client):
        for path, events in ((CHAT_PATH, CHAT[:-1]), (MESSAGES_PATH, MESSAGES)):
            stream = lines(*events)[:-1]
            upstream.pieces = [stream]
            async with client.post(running.url + path, json=body_for(path, usage=True)) as answer:
                assert await answer.read() == stream
        await running.services.pipeline.quiet(5.0)
        rows = await running.services.store.usage_rows(0, 10)
        assert {row.status for row in rows} == {Outcome.COMPLETED}
        assert {row.usage for row in rows} == {CHAT_USED, MESSAGES_USED}
