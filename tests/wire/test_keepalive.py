"""What keeps a stream alive is no part of any answer."""

from __future__ import annotations

import orjson
import pytest
from openai._streaming import SSEDecoder
from openai.types import Completion
from openai.types.chat import ChatCompletionChunk

from server.wire.answers import Chat
from server.wire.anthropic import ANTHROPIC
from server.wire.endpoints import ENDPOINTS
from server.wire.errors import InvalidValue
from server.wire.keepalive import CHOICES, keepalive_of, sign_of_life
from server.wire.request import Request, read_request
from server.wire.sse import Splitter

BODIES = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/images/generations": {"prompt": "Hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9},
    "/v1/complete": {"prompt": "Hi", "max_tokens_to_sample": 9},
}
COMMENT, PING = b": waiting\n\n", b'event: ping\ndata: {"type": "ping"}\n\n'


def asked(path: str) -> Request:
    return read_request(
        ENDPOINTS[path], orjson.dumps({"model": "m", "stream": True, **BODIES[path]}), "application/json"
    )


def sent(path: str, chosen: str) -> bytes | None:
    sign = sign_of_life(asked(path), chosen, "req_1", 1_700_000_000)
    return None if sign is None else sign(None, None)


@pytest.mark.parametrize("path", BODIES)
def test_each_dialect_has_its_own_and_comments_are_the_same_everywhere(path: str) -> None:
    assert sent(path, "") == (PING if ENDPOINTS[path].dialect is ANTHROPIC else COMMENT)
    assert sent(path, "comment") == COMMENT
    assert sent(path, "off") is None


def test_a_chunk_is_an_empty_piece_of_the_answer_where_there_is_such_a_piece() -> None:
    chat, completion = sent("/v1/chat/completions", "chunk"), sent("/v1/completions", "chunk")
    assert chat is not None
    assert completion is not None
    (event,) = SSEDecoder().iter_bytes(iter([chat]))
    read = ChatCompletionChunk.model_validate_json(event.data)
    assert (read.model, read.choices[0].delta.content, read.choices[0].finish_reason) == ("m", None, None)
    (event,) = SSEDecoder().iter_bytes(iter([completion]))
    assert orjson.loads(event.data)["choices"] == [{"index": 0, "finish_reason": None, "text": ""}]
    assert Completion.model_construct(**orjson.loads(event.data)).object == "text_completion"
    assert sent("/v1/messages", "chunk") == PING
    assert sent("/v1/responses", "chunk") is None, "its events are numbered"
    assert sent("/v1/images/generations", "chunk") is None


def test_a_chunk_says_nothing_to_the_meter() -> None:
    meter, chunk = Chat(), sent("/v1/chat/completions", "chunk")
    assert chunk is not None
    for event in Splitter().feed(chunk):
        assert meter.event(event) is False
    assert (meter.begun, meter.output_pieces, meter.delivered(), meter.ended()) == (False, 0, "", False)


def test_the_place_in_the_queue_comes_in_comments() -> None:
    sign = sign_of_life(asked("/v1/messages"), "comment", "req_1", 0)
    assert sign is not None
    assert sign(3, 11.2) == b": queued position=3 wait=12s\n\n"
    assert sign(3, 11.2, 12.0) == b": queued position=3 wait=12s\n\n"
    assert sign(3, 11.2, 39.5) == b": queued position=3 wait=12s latest=40s\n\n"
    assert sign(3, 11.2, 39.5, 7.1) == b": queued position=3 wait=12s latest=40s longer=7s\n\n"


@pytest.mark.parametrize("text", [None, *CHOICES[1:]])
def test_the_header_names_one_of_the_choices(text: str | None) -> None:
    assert keepalive_of(text) == (text or "")


@pytest.mark.parametrize("text", ["", "OFF", "on", "comment ", "ping"])
def test_any_other_word_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        keepalive_of(text)
