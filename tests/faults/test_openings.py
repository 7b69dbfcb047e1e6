"""What an upstream says before it answers, and what it calls its answer, is not the answer.

Until something is said, an error is an error in place of an answer, and another key may try. What is a stream, packed
or not, is told by its bytes.
"""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from dataclasses import dataclass, field
from typing import Any

import brotli  # type: ignore[import-untyped]  # it has no stubs
import pytest

from keypool.health import KeyState
from server.ledger.usage import Outcome, UsageRow
from tests.fakes.fates import Ending, Fate, Raw, ok
from tests.faults.asks import Ask, chat, embeddings, messages, text_of
from tests.faults.conftest import Opener
from tests.faults.stage import Stage
from tests.gateways import KEYS, spec
from tests.waiting.services import ask

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHAT, MESSAGE = chat("How many roads", stream=True), messages("How many roads", stream=True)
RESPONSE = Ask("openai", "/v1/responses", {"model": "gpt-5", "input": "How many roads", "stream": True, "store": False})
ECHO = "You said: How many roads"
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
LIMITED = {"error": {"code": 429, "message": "Rate limited upstream"}, "choices": []}
FAILED = {"code": "server_error", "message": "The model failed"}
ROLE = {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
START = {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 9}}}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
CREATED = {"type": "response.created", "response": {"id": "resp_1", "model": "m", "usage": None}}
PROCESSING = ": OPENROUTER PROCESSING"


def sse(*events: object) -> bytes:
    """A dict is an event's data, a text beginning with a colon a comment, and any other text is data as it stands."""
    return b"".join(map(_event, events))


def _event(event: object) -> bytes:
    if isinstance(event, str):
        return f"{event}\n\n".encode() if event.startswith(":") else f"data: {event}\n\n".encode()
    name = f"event: {event['type']}\n" if isinstance(event, dict) and "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


def answer(body: bytes, status: str = "200 OK", ending: Ending = Ending.CLOSE, **headers: str | None) -> Fate:
    """Exactly this answer, up to the end of the connection; by default it is called a stream."""
    named = {"Content-Type": "text/event-stream"} | {name.replace("_", "-"): each for name, each in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value is not None)
    return Raw(name="raw", data=f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body, ending=ending)


@pytest.fixture(scope="module")
def stage(open_stage: Opener) -> Stage:
    return open_stage()


async def the_row(stage: Stage) -> UsageRow:
    (row,) = await stage.rows()
    return row


BLAMED = (KeyState.COOLING, KeyState.EXHAUSTED, KeyState.REVOKED)


def resting(stage: Stage) -> int:
    """How many of the keys rest, in whole or for a model."""
    standings = [each for key in stage.pool.keys.values() for each in (key.whole, *key.by_model.values())]
    return sum(each.state in BLAMED for each in standings)


ERRORS_BEFORE_THE_ANSWER = {
    "at once": (CHAT, sse(LIMITED)),
    "behind a comment": (CHAT, sse(PROCESSING, PROCESSING, LIMITED)),
    "behind a role": (CHAT, sse(ROLE, LIMITED)),
    "in the first choice": (CHAT, sse({"choices": [{"index": 0, "delta": {}, "error": {"code": 502}}]})),
    "without an envelope": (CHAT, sse({"object": "error", "message": "busy", "code": 503}, "[DONE]")),
    "as a document that is called a stream": (CHAT, json.dumps(LIMITED).encode()),
    "nothing but the end": (CHAT, sse("[DONE]")),
    "nothing but a comment": (CHAT, sse(PROCESSING)),
    "nothing but a role": (CHAT, sse(ROLE, "[DONE]")),
    "nothing at all": (CHAT, b""),
    "behind a ping": (MESSAGE, sse({"type": "ping"}, OVERLOADED)),
    "behind the message's start": (MESSAGE, sse(START, OVERLOADED)),
    "behind an empty block": (MESSAGE, sse(START, BLOCK, {"type": "ping"}, OVERLOADED)),
    "behind the response's creation": (
        RESPONSE,
        sse(CREATED, {"type": "response.failed", "response": {"id": "resp_1", "error": FAILED}}),
    ),
    "in place of a response": (RESPONSE, sse(CREATED, {"type": "error", **FAILED})),
}


# In these an answer had begun, so that its provider may bill it: the attempt has a row of its own.
OPENED = {
    "behind a role",
    "in the first choice",
    "nothing but a role",
    "behind the message's start",
    "behind an empty block",
    "behind the response's creation",
    "in place of a response",
}


@pytest.mark.parametrize("name", ERRORS_BEFORE_THE_ANSWER)
@pytest.mark.gen_test
async def test_an_error_before_the_answer_is_another_keys_turn(stage: Stage, name: str) -> None:
    await stage.set()
    question, first = ERRORS_BEFORE_THE_ANSWER[name]
    stage.fake.script(None, answer(first), ok())
    heard = await ask(stage, question)
    assert (heard.status, len(stage.records)) == (200, 2)
    assert ECHO in (text_of(heard.body) or heard.body.decode())
    *attempts, row = sorted(await stage.rows(), key=lambda row: -len(row.request_id))
    assert (row.status, row.attempts, row.usage.estimated) == (Outcome.COMPLETED, 2, False)
    assert bool(attempts) == (name in OPENED)
    for attempt in attempts:
        assert attempt.request_id == f"{row.request_id}-1"
        assert (attempt.status, attempt.usage.estimated) == (Outcome.FAILED, True)
        assert attempt.usage.input > 0
        assert attempt.key != row.key


@pytest.mark.gen_test
async def test_an_error_of_the_callers_own_keeps_its_words_and_costs_no_key_its_rest(stage: Stage) -> None:
    await stage.set()
    said = "This model's maximum context length is 8192 tokens."
    refusal = {"object": "error", "message": said, "type": "BadRequestError", "param": None, "code": 400}
    stage.fake.script(None, answer(sse(refusal, "[DONE]")))
    heard = await ask(stage, CHAT)
    assert (heard.status, heard.error["message"], len(stage.records)) == (400, said, 1)
    assert resting(stage) == 0
    assert (await the_row(stage)).status is Outcome.REJECTED


@dataclass(frozen=True)
class Beginning:
    """An answer that is one, however little its first events say. `held` are its events as they must come out."""

    question: Ask
    events: tuple[Any, ...]


HEALTHY = {
    "an answer without a word": Beginning(
        CHAT, (ROLE, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "[DONE]")
    ),
    "comments between": Beginning(
        CHAT, (PROCESSING, ROLE, PROCESSING, {"choices": [{"index": 0, "delta": {"content": "hi"}}]}, "[DONE]")
    ),
    "a call of a tool": Beginning(
        CHAT, (ROLE, {"choices": [{"index": 0, "delta": {"tool_calls": [{"function": {"name": "f"}}]}}]}, "[DONE]")
    ),
    "a picture": Beginning(CHAT, (ROLE, {"choices": [{"index": 0, "delta": {"images": [{"url": "x"}]}}]}, "[DONE]")),
    "figures behind the finish": Beginning(
        CHAT,
        (
            {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]},
            {"choices": [{"index": 0, "delta": {}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
        ),
    ),
    "a message without a word": Beginning(
        MESSAGE, (START, {"type": "message_delta", "usage": {"output_tokens": 1}}, {"type": "message_stop"})
    ),
    "a response": Beginning(
        RESPONSE, (CREATED, {"type": "response.completed", "response": {"usage": {"input_tokens": 1}}})
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
@pytest.mark.gen_test
async def test_what_was_held_comes_out_as_it_came(stage: Stage, name: str) -> None:
    await stage.set()
    beginning = HEALTHY[name]
    stage.fake.script(None, answer(sse(*beginning.events)))
    heard = await ask(stage, beginning.question)
    assert (heard.status, heard.body) == (200, sse(*beginning.events))
    assert ((await the_row(stage)).status, resting(stage)) == (Outcome.COMPLETED, 0)


@pytest.mark.parametrize("question", [CHAT, MESSAGE], ids=["openai", "anthropic"])
@pytest.mark.gen_test
async def test_who_has_read_a_word_reads_of_the_error_in_the_stream(stage: Stage, question: Ask) -> None:
    await stage.set()
    word = {"choices": [{"index": 0, "delta": {"content": "hi"}}]}
    events = (word, LIMITED) if question is CHAT else (START, {"type": "content_block_delta", "delta": {}}, OVERLOADED)
    stage.fake.script(None, answer(sse(*events[:-1])))
    heard = await ask(stage, question)
    assert (heard.status, len(stage.records)) == (200, 1)
    assert heard.error["message"].startswith("The upstream connection was lost")
    assert (await the_row(stage)).status is Outcome.CUT


STREAM = sse(ROLE, {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}, "[DONE]")


@pytest.mark.parametrize(
    "label",
    [None, "text/plain", "application/json", "application/octet-stream", "text/event-stream; charset=utf-8", "none"],
)
@pytest.mark.parametrize("before", [b"", b": first\n\n", b"\n\n", b"\xef\xbb\xbf"], ids=["", "comment", "lines", "BOM"])
@pytest.mark.gen_test
async def test_a_stream_is_one_whatever_it_is_called(stage: Stage, label: str | None, before: bytes) -> None:
    await stage.set()
    stage.fake.script(None, answer(before + STREAM, Content_Type=label))
    heard = await ask(stage, CHAT)
    assert (heard.status, heard.body) == (200, before + STREAM)
    assert heard.headers["content-type"] == "text/event-stream"
    row = await the_row(stage)
    assert (row.status, row.streamed, len(stage.records), resting(stage)) == (Outcome.COMPLETED, True, 1, 0)


PLAIN = {
    "id": "c",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 2},
}


@pytest.mark.parametrize("label", ["text/plain", None, "application/json"])
@pytest.mark.gen_test
async def test_a_document_is_one_whatever_it_is_called(stage: Stage, label: str | None) -> None:
    await stage.set()
    stage.fake.script(None, answer(json.dumps(PLAIN).encode(), Content_Type=label))
    heard = await ask(stage, chat("How many roads", stream=False))
    assert (heard.status, json.loads(heard.body)) == (200, PLAIN)
    assert heard.headers["content-type"] == "application/json"


def deflated(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKINGS = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", deflated),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstd.compress),
    "none": ("none", bytes),
    "identity": ("identity", bytes),
    "empty": ("", bytes),
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.gen_test
async def test_a_packed_answer_is_unpacked(stage: Stage, packing: str) -> None:
    await stage.set()
    encoding, pack = PACKINGS[packing]
    vectors = {"data": [{"embedding": [0.5] * 90_000}], "usage": {"prompt_tokens": 10, "total_tokens": 10}}
    refusal = {"error": {"message": "max_tokens is too large", "type": "invalid_request_error"}}
    plain = chat("How many roads", stream=False)
    for question, status, body in (
        (CHAT, "200 OK", STREAM),
        (plain, "200 OK", json.dumps(PLAIN).encode()),
        (embeddings("roads"), "200 OK", json.dumps(vectors).encode()),
        (plain, "400 Bad Request", json.dumps(refusal).encode()),
    ):
        label = "text/event-stream" if question is CHAT else "application/json"
        stage.fake.script(None, answer(pack(body), status, Content_Type=label, Content_Encoding=encoding))
        heard = await ask(stage, question)
        assert (heard.status, heard.body) == (int(status[:3]), body)
        assert "content-encoding" not in heard.headers
    rows = await stage.rows()
    assert sorted(row.usage.input for row in rows if row.endpoint != CHAT.path or not row.streamed) == [0, 10, 10]
    assert resting(stage) == 0


@pytest.mark.gen_test
async def test_what_cannot_be_unpacked_is_no_keys_fault(stage: Stage) -> None:
    await stage.set()
    question = chat("How many roads", stream=False)
    stage.fake.script(None, answer(b"\x8b\x00", Content_Encoding="compress"))
    assert (await ask(stage, question)).status == 502
    assert resting(stage) == 0
    stage.fake.script(
        None, answer(b"\x8b\x00", "429 Too Many Requests", Content_Encoding="compress", Retry_After="7"), ok()
    )
    assert (await ask(stage, question)).status == 200, "the status says enough: another key's turn"
    assert len(stage.records) == 3


@pytest.mark.gen_test
async def test_a_packed_answer_that_breaks_off_is_no_answer(stage: Stage) -> None:
    await stage.set()
    packed = gzip.compress(json.dumps(PLAIN).encode())
    stage.fake.script(None, answer(packed[:-10], Content_Type="application/json", Content_Encoding="gzip"))
    assert (await ask(stage, chat("How many roads", stream=False))).status == 502


@pytest.fixture(scope="module")
def narrow(open_stage: Opener) -> Stage:
    return open_stage(max_answer_bytes=100_000)


@pytest.mark.gen_test
async def test_an_answer_beyond_our_own_bound_is_billed_and_no_keys_fault(narrow: Stage) -> None:
    await narrow.set()
    usage = {"input_tokens": 20, "output_tokens": 6240}
    picture = {"created": 1, "data": [{"b64_json": "A" * 3_000_000}], "usage": usage}
    packed = gzip.compress(json.dumps(picture).encode())
    question = Ask("openai", "/v1/images/generations", {"model": "gpt-4o", "prompt": "roads"})
    for body, encoding in ((json.dumps(picture).encode(), "identity"), (packed, "gzip")):
        narrow.fake.script(None, answer(body, Content_Type="application/json", Content_Encoding=encoding))
        heard = await ask(narrow, question)
        assert (heard.status, heard.error["code"]) == (502, "answer_too_long")
        assert heard.headers["x-should-retry"] == "false"
    assert [(row.status, row.usage.output, row.attempts) for row in await narrow.rows()] == [
        (Outcome.FAILED, 6240, 1)
    ] * 2
    assert resting(narrow) == 0


PICTURES = sse(
    {"type": "image_generation.partial_image", "b64_json": "A" * 2_500_000},
    {
        "type": "image_generation.completed",
        "usage": {"input_tokens": 20, "output_tokens": 1500},
        "b64_json": "B" * 900_000,
    },
)


@pytest.mark.gen_test
async def test_pictures_of_megabytes_pass_and_are_counted(narrow: Stage) -> None:
    await narrow.set()
    question = Ask("openai", "/v1/images/generations", {"model": "gpt-4o", "prompt": "roads", "stream": True})
    narrow.fake.script(None, answer(PICTURES))
    heard = await ask(narrow, question)
    assert heard.body == PICTURES
    row = await the_row(narrow)
    assert (row.status, row.usage.output, row.usage.images) == (Outcome.COMPLETED, 1500, 1)


@dataclass(frozen=True)
class Takes:
    """An upstream's way to refuse a field that it does not know."""

    status: str
    error: dict[str, Any] = field(repr=False)


EXTRA = {"type": "extra_forbidden", "loc": ["body", "stream_options", "include_usage"], "msg": "Extra inputs"}
SAID = {"message": "Unknown parameter: 'stream_options'.", "param": "stream_options", "code": "unknown_parameter"}
REFUSALS = {
    "OpenAI": Takes("400 Bad Request", {"error": SAID}),
    "an older OpenAI": Takes("400 Bad Request", {"error": {"message": "Unrecognized argument: stream_options"}}),
    "Azure's models": Takes("400 Bad Request", {"detail": "Extra parameters ['stream_options'] are not allowed"}),
    "pydantic": Takes("422 Unprocessable Entity", {"detail": [EXTRA]}),
    "vLLM": Takes("422 Unprocessable Entity", {"object": "error", "message": {"detail": [EXTRA]}, "code": None}),
    "one that fails": Takes("500 Internal Server Error", {"error": 'json: unknown field "stream_options"'}),
}


def model_of(maker: str) -> str:
    """What is remembered holds for one model of one upstream."""
    return maker.lower().replace(" ", "-").replace("'", "")


@pytest.fixture(scope="module")
def single(open_stage: Opener) -> Stage:
    """A gateway with one key: nothing is rescued by another one."""
    return open_stage(lambda fake: (spec(fake, KEYS[:1], models=tuple(map(model_of, REFUSALS))),))


@pytest.mark.parametrize("maker", REFUSALS)
@pytest.mark.gen_test
async def test_a_field_of_ours_that_is_refused_is_taken_back_and_remembered(single: Stage, maker: str) -> None:
    await single.set()
    question, takes = chat("How many roads", stream=True, model=model_of(maker)), REFUSALS[maker]
    no = answer(json.dumps(takes.error).encode(), takes.status, Content_Type="application/json")
    single.fake.script(None, no, answer(STREAM), answer(STREAM))
    for _ in range(2):
        assert (await ask(single, question)).body == STREAM
    sent = ["stream_options" in json.loads(record.request.body) for record in single.records]
    assert sent == [True, False, False], "the second caller pays for nothing"
    assert json.loads(single.records[1].request.body) == question.document
    assert sorted(row.attempts for row in await single.rows()) == [1, 2]
    assert resting(single) == 0


@pytest.mark.gen_test
async def test_the_callers_own_field_is_the_callers_fault(stage: Stage) -> None:
    await stage.set()
    own = Ask("openai", CHAT.path, CHAT.document | {"stream_options": {"include_usage": True}})
    stage.fake.script(None, answer(json.dumps({"error": SAID}).encode(), "400 Bad Request"))
    heard = await ask(stage, own)
    assert (heard.status, len(stage.records)) == (400, 1)


@pytest.mark.gen_test
async def test_a_caller_who_makes_an_error_name_the_field_changes_nothing_for_others(stage: Stage) -> None:
    await stage.set()
    error = {"error": {"message": "Invalid value: 'stream_options'", "type": "invalid_request_error"}}
    no = answer(json.dumps(error).encode(), "400 Bad Request")
    stage.fake.script(None, no, no, ok())
    assert (await ask(stage, CHAT)).status == 400
    assert (await ask(stage, CHAT)).status == 200
    sent = ["stream_options" in json.loads(record.request.body) for record in stage.records]
    assert sent == [True, False, True]
