"""What the translation of one chunk of a stream costs: `python -m bench.translation`.

The figure of docs/translation.md is the slowest pair's, the best of several runs in the processor's own time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import orjson

from server.wire.translate.translation import PAIRS, Asker, Reader, Spoken, translate

CHUNKS, RUNS = 3_000, 5
_ASKED: dict[Asker, dict[str, object]] = {
    "chat": {"messages": [{"role": "user", "content": "x"}]},
    "messages": {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9},
    "responses": {"input": "x"},
}
_TEXT = {"type": "text_delta", "text": " hello"}
_CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 7, "model": "m"}
_FIRST: dict[Spoken, list[dict[str, object]]] = {
    "chat": [{**_CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]}],
    "messages": [
        {"type": "message_start", "message": {"id": "m", "model": "m", "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ],
}
_NEXT: dict[Spoken, dict[str, object]] = {
    "chat": {**_CHUNK, "choices": [{"index": 0, "delta": {"content": " hello"}, "finish_reason": None}]},
    "messages": {"type": "content_block_delta", "index": 0, "delta": _TEXT},
}


def begun(asker: Asker, spoken: Spoken) -> Reader:
    """A reader of a stream that has begun."""
    body = {"model": "m", "stream": True, **_ASKED[asker]}
    reader = translate(body, asker, spoken, id="r", now=1, usual_limit=9).reader
    for event in _FIRST[spoken]:
        reader.feed(_event(event))
    return reader


def chunk(spoken: Spoken) -> bytes:
    """A chunk with a word of text."""
    return _event(_NEXT[spoken])


def costs() -> Iterator[tuple[Asker, Spoken, float]]:
    """Each pair, and the microseconds that a chunk takes."""
    for asker, spoken in PAIRS:
        yield asker, spoken, min(_run(asker, spoken) for _ in range(RUNS))


def _run(asker: Asker, spoken: Spoken) -> float:
    reader, piece = begun(asker, spoken), chunk(spoken)
    began = time.process_time()
    for _ in range(CHUNKS):
        reader.feed(piece)
    return (time.process_time() - began) / CHUNKS * 1e6


def _event(document: dict[str, object]) -> bytes:
    named = b"event: %b\n" % str(document["type"]).encode() if "type" in document else b""
    return named + b"data: %b\n\n" % orjson.dumps(document)


if __name__ == "__main__":
    for asker, spoken, cost in costs():
        print(f"{asker} from {spoken}: {cost:.1f} us a chunk")
