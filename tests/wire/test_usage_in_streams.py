"""Figures may stand at odd places of a stream, which may be split and cut anywhere: what is read is the same.

Each stream here is an answer of a dialect with its figures at one place, in one of the ways in which lines may end.
However it is split, a meter says the same at its end. A stream that is cut off says no more than the whole one would
have, and never less than it has said before; figures that text has overtaken stand for the input alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.wire.endpoints import ENDPOINTS
from server.wire.meter import Meter
from server.wire.relay import Relay
from server.wire.sse import LONG, Splitter
from server.wire.usage import Usage
from tests.wire.usage_bodies import CHAT, COMPLETIONS, MESSAGES, PICTURES, RESPONSES, SPEECH, TRANSCRIPTS

Documents = list[dict[str, Any] | bytes]
WORDS = ("Wie ", "viele", " Straßen", ' \\ "', "\u2028\n\n")
DONE = b"[DONE]"


# ---- where figures stand


def openai(read: int, written: int, **beside: Any) -> dict[str, Any]:
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written, **beside}


def typed(read: int, written: int) -> dict[str, Any]:
    return {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}


def said(path: str, word: str, finish: str | None = None, **beside: Any) -> dict[str, Any]:
    content = {"text": word} if path == COMPLETIONS else {"delta": {"content": word} if word else {}}
    return {"id": "c", "model": "m", "choices": [{"index": 0, **content, "finish_reason": finish}], **beside}


def in_choice(document: dict[str, Any], usage: dict[str, Any]) -> dict[str, Any]:
    return {**document, "choices": [{**document["choices"][0], "usage": usage}]}


def choices(path: str, read: int, written: int) -> dict[str, Documents]:
    """A chat or a completion of `WORDS`, by the place of its figures. Each word is a token at least."""
    words: Documents = [said(path, word) for word in WORDS]
    stop, whole = said(path, "", "stop"), openai(read, written)
    grown = [openai(read, number) for number in range(1, len(WORDS) + 1)]
    each: Documents = [said(path, word, usage=usage) for word, usage in zip(WORDS, grown, strict=True)]
    each_choice: Documents = [in_choice(said(path, word), used) for word, used in zip(WORDS, grown, strict=True)]
    last = {"choices": [], "usage": whole}
    nulls: Documents = [said(path, word, usage=None) for word in WORDS]
    zeros = {"choices": [], "usage": openai(0, 0)}
    return {
        "in a chunk after the finish": [*nulls, stop, last, DONE],
        "in a chunk after the finish that has a choice": [*words, stop, said(path, "", usage=whole), DONE],
        "beside the last choice": [*words, {**stop, "usage": whole}, DONE],
        "in the last choice": [*words, in_choice(stop, whole), DONE],
        "under x_groq": [*words, {**stop, "x_groq": {"id": "r", "usage": whole}}, DONE],
        "in every chunk": [*each, {**stop, "usage": whole}, last, DONE],
        "in every choice": [*each_choice, in_choice(stop, whole), DONE],
        "twice the same": [*words, {**stop, "usage": whole}, last, DONE],
        "twice, zeros at last": [*words, {**stop, "usage": whole}, zeros, DONE],
        "twice, nulls at last": [*words, in_choice(stop, whole), {"choices": [], "usage": dict.fromkeys(whole)}, DONE],
        "twice, with the input alone at first": [said(path, "", usage=openai(read, 0)), *words, stop, last, DONE],
        "without a last word": [*words, stop, last],
    }


def responses(read: int, written: int) -> dict[str, Documents]:
    opened = {"type": "response.created", "response": {"id": "resp_1", "model": "m", "usage": None}}
    words: Documents = [{"type": "response.output_text.delta", "delta": word} for word in WORDS]

    def ended(kind: str, usage: Any) -> dict[str, Any]:
        return {"type": f"response.{kind}", "response": {"id": "resp_1", "model": "m", "usage": usage}}

    return {
        "at the end": [opened, *words, ended("completed", typed(read, written))],
        "of an answer that is not complete": [opened, *words, ended("incomplete", typed(read, written))],
        "twice": [
            opened,
            *words,
            ended("in_progress", typed(read, written)),
            ended("completed", typed(read, written)),
        ],
        "twice, zeros at last": [
            ended("in_progress", typed(read, 0)),
            *words,
            ended("in_progress", typed(read, written)),
            ended("completed", typed(0, 0)),
        ],
    }


def messages(read: int, written: int) -> dict[str, Documents]:
    def start(**usage: Any) -> dict[str, Any]:
        return {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": usage}}

    def delta(**usage: Any) -> dict[str, Any]:
        return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}

    opened: Documents = [{"type": "content_block_start", "content_block": {"type": "text", "text": ""}}]
    words: Documents = [
        *opened,
        *({"type": "content_block_delta", "delta": {"type": "text_delta", "text": word}} for word in WORDS),
    ]
    stop = {"type": "message_stop"}
    both = {"input_tokens": read, "output_tokens": written}
    return {
        "half at the start": [start(input_tokens=read, output_tokens=1), *words, delta(output_tokens=written), stop],
        "all at the end": [start(), {"type": "ping"}, *words, delta(**both), stop],
        "twice, zeros at last": [
            start(input_tokens=read),
            *words,
            delta(**both),
            delta(**dict.fromkeys(both, 0)),
            stop,
        ],
        "twice, nulls at last": [start(input_tokens=read), *words, delta(**both), delta(**dict.fromkeys(both)), stop],
    }


def sounds(read: int, written: int) -> dict[str, Documents]:
    words: Documents = [{"type": "transcript.text.delta", "delta": word} for word in WORDS]
    return {"at the end": [*words, {"type": "transcript.text.done", "usage": typed(read, written)}]}


def speech(read: int, written: int) -> dict[str, Documents]:
    pieces: Documents = [{"type": "speech.audio.delta", "audio": "SUQz" * 40}] * 3
    return {"at the end": [*pieces, {"type": "speech.audio.done", "usage": typed(read, written)}]}


def pictures(read: int, written: int) -> dict[str, Documents]:
    piece: Documents = [{"type": "image_generation.partial_image", "b64_json": "iVBO" * 40}]
    done = {"type": "image_generation.completed", "b64_json": "iVBO" * 40}
    used = {**done, "usage": typed(read, written)}
    return {
        "at the end": [*piece, used],
        "of two, with the first": [*piece, used, *piece, done],
        "of two, with each": [*piece, {**done, "usage": typed(read, written // 2)}, *piece, used],
    }


# ---- the streams

ENDS = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}


@dataclass(frozen=True)
class Stream:
    path: str
    documents: Documents
    usage: Usage  # what it says at its end

    def written(self, end: bytes = b"\n", beside: bool = False) -> bytes:
        """`beside`: with all that may stand around the data."""
        blocks = [self._block(document, end, beside) for document in self.documents]
        noise = b": wait" + end + end
        return (b"\xef\xbb\xbf" + noise if beside else b"") + (noise if beside else b"").join(blocks)

    @staticmethod
    def _block(document: dict[str, Any] | bytes, end: bytes, beside: bool) -> bytes:
        data = document if isinstance(document, bytes) else orjson.dumps(document)
        lines = [b"data: " + data]
        if beside and isinstance(document, dict):
            lines = [b"event: " + str(document.get("type", "chunk")).encode(), b"id: 7"]
            lines += [b"data:" + part for part in orjson.dumps(document, option=orjson.OPT_INDENT_2).split(b"\n")]
        return end.join(lines) + end + end


def streams(read: int, written: int) -> Iterator[tuple[str, Stream]]:
    """All of them, with a prompt of `read` tokens and an answer of `written`, which is as many as `WORDS` at least."""
    shapes: list[tuple[str, dict[str, Documents]]] = [
        (CHAT, choices(CHAT, read, written)),
        (COMPLETIONS, choices(COMPLETIONS, read, written)),
        (RESPONSES, responses(read, written)),
        (MESSAGES, messages(read, written)),
        (TRANSCRIPTS, sounds(read, written)),
        (SPEECH, speech(read, written)),
        (PICTURES, pictures(read, written)),
    ]
    for path, places in shapes:
        for place, documents in places.items():
            kinds = [each.get("type") for each in documents if isinstance(each, dict)]
            usage = Usage(read, output=written, images=kinds.count("image_generation.completed"))
            yield f"{path.removeprefix('/v1/')}: {place}", Stream(path, documents, usage)


STREAMS = dict(streams(1200, 34))
every = pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
ways = pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)


def fed(path: str, pieces: Iterable[bytes], long: int = LONG) -> tuple[Meter, bytes]:
    """A meter that has seen the pieces, and what was written."""
    meter = ENDPOINTS[path].meter()
    relay = Relay(meter, hides_usage=False, splitter=Splitter(long))
    passed = [relay.feed(piece) for piece in pieces]
    return meter, b"".join([*passed, relay.end()])


def state(meter: Meter) -> tuple[object, ...]:
    """All that a meter says."""
    flags = (meter.finished, meter.ended(), meter.failed, meter.opened, meter.begun, meter.served_model, meter.garbled)
    figures = (meter.usage, meter.opening, meter.beside(), meter.output_pieces)
    return (*flags, *figures, meter.delivered(), meter.made.answer, meter.made.objects)


def split(stream: bytes, places: Iterable[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:stop] for start, stop in pairwise(bounds)]


# ---- split


@ways
@every
def test_the_figures_are_found_at_their_place(stream: Stream, end: bytes) -> None:
    for beside in (False, True):
        meter, passed = fed(stream.path, [stream.written(end, beside)])
        assert (meter.usage, meter.ended(), meter.failed, meter.garbled) == (stream.usage, True, False, 0)
        assert passed == stream.written(end, beside)


@ways
@every
def test_byte_by_byte_they_are_the_same(stream: Stream, end: bytes) -> None:
    written = stream.written(end)
    whole = state(fed(stream.path, [written])[0])
    for long in (LONG, 32):
        meter, passed = fed(stream.path, [written[at : at + 1] for at in range(len(written))], long)
        assert state(meter) == whole
        assert passed == written


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(sorted(STREAMS)),
    st.sampled_from(sorted(ENDS)),
    st.booleans(),
    st.lists(st.integers(0, 9_999), max_size=12),
    st.sampled_from([LONG, 1_000, 64, 1]),
)
def test_however_a_stream_is_split_its_figures_are_the_same(
    name: str, end: str, beside: bool, places: list[int], long: int
) -> None:
    stream = STREAMS[name]
    written = stream.written(ENDS[end], beside)
    meter, passed = fed(stream.path, split(written, places), long)
    assert state(meter) == state(fed(stream.path, [written])[0])
    assert (meter.usage, passed) == (stream.usage, written)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chat/completions: in the last choice", "messages: half at the start"])
def test_split_in_two_at_any_byte_they_are_the_same(name: str) -> None:
    stream = STREAMS[name]
    written = stream.written(b"\r\n")
    whole = state(fed(stream.path, [written])[0])
    assert all(state(fed(stream.path, split(written, [at]))[0]) == whole for at in range(len(written)))


# ---- cut


def known(meter: Meter) -> Usage:
    """What a meter knows of a stream so far: its figures, or those that text has overtaken."""
    return meter.usage or meter.opening or Usage()


def figures(usage: Usage) -> tuple[int, ...]:
    return usage.input, usage.cached, usage.cache_write, usage.output, usage.reasoning, usage.images, usage.audio_ms


def never_above(some: Usage, other: Usage) -> bool:
    return all(one <= another for one, another in zip(figures(some), figures(other), strict=True))


def as_it_comes(stream: Stream, written: bytes) -> Iterator[Meter]:
    """One meter, after each byte."""
    meter = ENDPOINTS[stream.path].meter()
    relay = Relay(meter, hides_usage=False)
    for at in range(len(written)):
        relay.feed(written[at : at + 1])
        yield meter


@ways
@every
def test_cut_off_at_any_byte_it_says_no_more_than_the_whole_and_takes_nothing_back(stream: Stream, end: bytes) -> None:
    before = Usage()
    for meter in as_it_comes(stream, stream.written(end)):
        now = known(meter)
        assert never_above(before, now), "a figure is taken back"
        assert never_above(now, stream.usage), "a part is more than the whole"
        before = now
    assert before == stream.usage


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(0, 10**6), st.integers(len(WORDS), 10**6))
def test_so_it_is_with_any_figures(data: st.DataObject, read: int, written: int) -> None:
    stream = dict(streams(read, written))[data.draw(st.sampled_from(sorted(STREAMS)))]
    text = stream.written()
    cut, more = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    early, later = (known(fed(stream.path, split(text[:at], [7, 11, 99]))[0]) for at in (cut, more))
    assert never_above(early, later)
    assert never_above(later, fed(stream.path, [text])[0].usage or Usage())
    assert fed(stream.path, [text])[0].usage == stream.usage


@ways
@pytest.mark.parametrize("place", ["in a chunk after the finish", "twice the same"])
@pytest.mark.parametrize("path", ["chat/completions", "completions"])
def test_a_usage_chunk_that_was_not_asked_for_is_billed_and_alone_left_out(path: str, place: str, end: bytes) -> None:
    stream = STREAMS[f"{path}: {place}"]
    written = stream.written(end)
    chunk = next(each for each in stream.documents if isinstance(each, dict) and each["choices"] == [])
    expected = written.replace(stream._block(chunk, end, False), b"")
    for size in (1, 7, 100, len(written)):
        meter = ENDPOINTS[stream.path].meter()
        relay = Relay(meter, hides_usage=True)
        passed = [relay.feed(written[at : at + size]) for at in range(0, len(written), size)]
        assert b"".join([*passed, relay.end()]) == expected != written
        assert meter.usage == stream.usage


def test_a_usage_chunk_is_left_out_also_where_the_empty_line_behind_it_is_missing() -> None:
    stream = STREAMS["chat/completions: without a last word"]
    relay = Relay(ENDPOINTS[CHAT].meter(), hides_usage=True)
    passed = relay.feed(stream.written()[:-1])
    assert (b'"usage"' in passed, relay.end()) == (False, b"")


@every
def test_the_empty_line_behind_the_last_event_may_be_missing(stream: Stream) -> None:
    for missing in (1, 2):
        for long in (LONG, 32):
            written = stream.written()[:-missing]
            meter, passed = fed(stream.path, [written], long)
            assert (meter.usage, meter.ended(), meter.garbled, passed) == (stream.usage, True, 0, written)


def chunks(*said_or_used: str | tuple[int, int]) -> Documents:
    """A chat: words, and figures between them."""
    return [
        said(CHAT, each) if isinstance(each, str) else {"choices": [], "usage": openai(*each)} for each in said_or_used
    ]


@pytest.mark.parametrize(
    ("documents", "usage", "opening"),
    [
        (chunks("a", (9, 1)), Usage(9, output=1), None),
        (chunks((9, 0), "a"), None, Usage(9)),
        (chunks((9, 0), "a", (9, 0)), None, Usage(9)),
        (chunks((9, 0), "a", (9, 1)), Usage(9, output=1), Usage(9)),
        (chunks("a", (9, 2), "b"), Usage(9, output=2), None),
        (chunks("a", (9, 2), "b", "c"), None, Usage(9, output=2)),
        (chunks("a", (9, 2), "b", "c", (0, 0)), None, Usage(9, output=2)),
        (chunks("a", (9, 1), "b", "c", (9, 1)), Usage(9, output=1), Usage(9, output=1)),
        (chunks("a", (0, 0)), None, None),
        (chunks((9, 0)), Usage(9), None),
    ],
)
def test_figures_that_text_has_overtaken_are_not_those_of_the_answer(
    documents: Documents, usage: Usage | None, opening: Usage | None
) -> None:
    """A caller who leaves then pays for the text that came, and for no less than was reported."""
    meter, _ = fed(CHAT, [Stream(CHAT, documents, Usage()).written()])
    assert (meter.usage, meter.opening) == (usage, opening)


def test_a_message_whose_end_says_nothing_of_its_output_is_not_the_one_token_of_its_start() -> None:
    whole = messages(1200, 34)["half at the start"]
    documents = [{**each, "usage": {}} if isinstance(each, dict) and "usage" in each else each for each in whole]
    meter, _ = fed(MESSAGES, [Stream(MESSAGES, documents, Usage()).written()])
    assert (meter.finished, meter.usage, meter.opening) == (True, None, Usage(1200, output=1))


def test_of_the_length_of_a_sound_the_largest_counts_and_tokens_are_not_joined_by_it() -> None:
    lengths: Documents = [
        {"type": "transcript.text.segment", "usage": {"seconds": each}} for each in (2, 60.5, 0, None)
    ]
    meter, _ = fed(TRANSCRIPTS, [Stream(TRANSCRIPTS, lengths, Usage()).written()])
    assert meter.usage == Usage(audio_ms=60_500)
    words: Documents = [{"type": "transcript.text.delta", "delta": word} for word in WORDS]
    meter, _ = fed(TRANSCRIPTS, [Stream(TRANSCRIPTS, [*lengths, *words], Usage()).written()])
    assert meter.usage == Usage(audio_ms=60_500), "text says nothing of a length"
    meter, _ = fed(TRANSCRIPTS, [Stream(TRANSCRIPTS, [{"usage": typed(9, 4)}, *lengths], Usage()).written()])
    assert meter.usage == Usage(9, output=4)
