"""What is observed all at once is what a parser finds in each event by itself, however the stream is chopped."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from server.wire.alike import alike
from server.wire.answers import Chat, Completions, Messages
from server.wire.meter import DeliveryMeter
from server.wire.relay import Relay
from server.wire.sse import Splitter

TEXTS = [
    "a",
    " b",
    "",
    "\n",
    'say "hi"',
    "\\",
    "\\\\n",
    "ü",
    "日本",
    "😀",
    "{",
    "}]}",
    'x"},"finish_reason":null}]}',
    "\t\x7f",
]


def chat(text: Any, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return data({"id": "c1", "model": "m", "service_tier": "default", "choices": [choice], "usage": None, **more})


def data(document: object, name: str = "") -> bytes:
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + orjson.dumps(document) + b"\n\n"


def padded(text: str) -> bytes:
    return chat(text, obfuscation="x" * (len(text) * 7 % 11))


def completion(text: str) -> bytes:
    return data({"id": "c1", "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": None}]})


def message(text: str) -> bytes:
    delta = {"type": "text_delta", "text": text}
    return data({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")


def arguments(text: str) -> bytes:
    delta = {"type": "input_json_delta", "partial_json": text}
    return data({"type": "content_block_delta", "index": 1, "delta": delta}, "content_block_delta")


USED = data({"id": "c1", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 40, "total_tokens": 43}})
ODD = [
    b": a comment\n\n",
    b"\n",
    b"data: {broken\n\n",
    b"data: [DONE]\n\n",
    chat("x", service_tier="priority"),
    chat("x", usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}),
    chat("x", error={"message": "no", "code": 500}),
    chat("bad utf-8").replace(b"utf", b"\xc3"),
    chat("lone").replace(b"lone", b"\\ud83d"),
    chat("pair").replace(b"pair", b"\\ud83d\\ude00"),
    chat("nul").replace(b"nul", b"\x00"),
    chat(None),
    chat("crlf").replace(b"\n", b"\r\n"),
    data({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    data({"choices": [{"index": 0, "delta": {"content": "two", "refusal": "texts"}}]}),
    data({"choices": [{"index": 0, "delta": {"content": "a", "tool_calls": [{"function": {"name": "f"}}]}}]}),
    data({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}),
    data({"type": "message_stop"}),
    USED,
]


class OneByOne(Splitter):
    """Never empty, so that each event is parsed."""

    @property
    def empty(self) -> bool:
        return False


def observed(meter: DeliveryMeter, chunks: list[bytes], splitter: Splitter, hides: bool) -> tuple[Any, ...]:
    relay = Relay(meter, hides_usage=hides, splitter=splitter)
    written = b"".join([relay.feed(chunk) for chunk in chunks]) + relay.end()
    fault, beside = meter.error(), meter.beside()
    flags = meter.finished, meter.failed, meter.opened, meter.begun, meter.ended(), meter.garbled, relay.between
    counted = meter.output_pieces, meter.delivered(), meter.usage, meter.opening, beside, fault
    return written, flags, counted, meter.served_model, meter.made.answer, meter.made.objects


@pytest.mark.parametrize("make", [Chat, Completions, Messages])
@pytest.mark.parametrize("seed", range(60))
def test_it_is_what_a_parser_finds(make: Callable[[], DeliveryMeter], seed: int) -> None:
    dice = random.Random(seed)
    shapes = [chat, padded] if make is Chat else [completion] if make is Completions else [message, arguments]
    events: list[bytes] = []
    while len(events) < 120:
        shape, count = dice.choice(shapes), dice.choice([1, 2, 30])
        events += [shape(dice.choice(TEXTS)) for _ in range(count)]
        events += [dice.choice(ODD)] if dice.random() < 0.5 else []
    stream, chunks = b"".join(events), []
    while stream:
        size = dice.choice([1, 7, 100, 500, 5000])
        chunks.append(stream[:size])
        stream = stream[size:]
    hides = dice.random() < 0.5
    assert observed(make(), chunks, Splitter(), hides) == observed(make(), chunks, OneByOne(), hides)


@pytest.mark.parametrize("event", [chat, padded, completion, message, arguments])
def test_events_that_differ_in_their_text_are_read_at_once(event: Callable[[str], bytes]) -> None:
    pattern = alike(event("first"), "first")
    assert pattern is not None
    many = b"".join(map(event, TEXTS))
    found = pattern.read(many + b"data: [DO")
    assert found is not None
    assert (found.end, found.pieces, found.text) == (len(many), len(TEXTS) - 1, "".join(TEXTS))


def test_a_stream_of_one_kind_is_hardly_parsed() -> None:
    class Watched(Chat):
        parsed = 0

        def _event(self, document: dict[str, Any]) -> bool:
            self.parsed += 1
            return super()._event(document)

    meter = Watched()
    relay = Relay(meter, hides_usage=True)
    stream = b"".join(padded(f"word {n} ") for n in range(1000)) + USED + b"data: [DONE]\n\n"
    for at in range(0, len(stream), 4000):
        relay.feed(stream[at : at + 4000])
    assert meter.delivered() == "".join(f"word {n} " for n in range(1000))
    assert meter.output_pieces == 1000
    assert meter.parsed <= 2 * len(stream) / 4000 + 3  # of each read the event that was cut in two, and one behind it


@pytest.mark.parametrize(
    "raw",
    [
        chat("x").rstrip(b"\n"),
        chat("x").replace(b"\n", b"\r\n"),
        b"\n" + chat("x"),
        data({"choices": [{"delta": {"content": "x"}, "message": {"content": "x"}}]}),
        data({"choices": [{"delta": {"content": "another"}}]}),
    ],
)
def test_an_event_whose_text_is_in_doubt_has_no_pattern(raw: bytes) -> None:
    assert alike(raw, "x") is None
