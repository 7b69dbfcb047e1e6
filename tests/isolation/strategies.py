"""What a caller may send, and what a provider may answer to it.

Bodies come from the official SDK's own types, so that everything which their schema allows may be sent. Answers are of
all kinds but those by which a provider states something about the key itself in words for machines (its quota is gone,
its rate is used up, it does not know the model): such an answer is true of everybody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming

from tests.fakes.fates import Ending, Raw

MODEL = {"/v1/chat/completions": "gpt-4o", "/v1/responses": "gpt-4o", "/v1/messages": "claude-sonnet-4-5"}
STATUSES = (400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 424, 451, 499, 500, 501, 502, 503, 504, 520, 529)
# Words for machines that speak of the request, and some that no table knows.
CODES = (
    *("invalid_prompt", "content_policy_violation", "context_length_exceeded", "invalid_image", "image_too_large"),
    *("server_error", "api_error", "overloaded_error", "timeout_error", "not_found_error", "permission_error"),
    *("invalid_request_error", "moderation_blocked", "unsupported_parameter", "a_code_of_tomorrow", "1234"),
)
PROSE = (
    "model: pmpt_model",
    "The model `pmpt_model` does not exist or you do not have access to it.",
    "Incorrect API key provided: pasted by the caller.",
    "You exceeded your current quota, please check your plan and billing details.",
    "Your request was flagged. Safety check type: SAFETY_CHECK_TYPE_CSAM",
    "Rate limit reached for nobody",
    "Your account has been deactivated",
    "",
)


@dataclass(frozen=True, slots=True)
class Act:
    """One request of the hostile caller, the answer that it provokes, and whether its client leaves meanwhile."""

    path: str
    body: bytes
    headers: dict[str, str]
    answer: Raw
    leaves: bool


def _document(path: str, fields: dict[str, Any], stream: bool) -> bytes:
    """A body that the gateway lets through more often than not: the model is one that there is."""
    usual: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 5}
    if path == "/v1/responses":
        usual = {"input": "x"}
    return json.dumps({**usual, **fields, "model": MODEL[path], "stream": stream}, default=str).encode()


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 10**6) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_MESSAGES_FIELDS = ("system", "metadata", "thinking", "tools", "tool_choice", "container", "temperature", "max_tokens")


@st.composite
def _bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    path, stream = draw(st.sampled_from(sorted(MODEL))), draw(st.booleans())
    if path == "/v1/chat/completions":
        fields: Any = draw(st.just({}) | st.from_type(CompletionCreateParamsNonStreaming))
    elif path == "/v1/responses":
        fields = draw(st.just({}) | st.from_type(ResponseCreateParamsNonStreaming))
    else:
        fields = draw(st.dictionaries(st.sampled_from(_MESSAGES_FIELDS), _VALUES, max_size=3))
    return path, _document(path, dict(fields), stream)


_HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "X-Max-Wait": st.sampled_from(["0", "0.01", "5", "-1", "soon"]),
        "X-Fairgate-Class": st.sampled_from(["batch", "interactive", "royal"]),
        "X-Fairgate-Keepalive": st.sampled_from(["off", "comment", "chunk", "loud"]),
        "anthropic-beta": st.sampled_from(["tools-2024-04-04", "x"]),
    },
)


@st.composite
def _errors(draw: st.DrawFn) -> bytes:
    status, shape = draw(st.sampled_from(STATUSES)), draw(st.sampled_from(["object", "list", "bare", "page", "none"]))
    names = st.fixed_dictionaries({}, optional={"type": st.sampled_from(CODES), "code": st.sampled_from(CODES)})
    error = {"message": draw(st.sampled_from(PROSE)), "param": draw(st.sampled_from([None, "prompt", "input"]))}
    error |= draw(names)
    body: Any = {"object": {"error": error}, "list": [{"error": error}], "bare": error, "none": None}.get(shape)
    text = b"<html>no</html>" if shape == "page" else b"" if body is None else json.dumps(body).encode()
    kind = b"text/html" if shape == "page" else b"application/json"
    head = b"HTTP/1.1 %d Said\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (status, kind, len(text))
    return head + text


_PIECES = (
    *(b": comment\n\n", b"data: [DONE]\n\n", b'event: ping\ndata: {"type":"ping"}\n\n', b"data: not json\n\n"),
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"hi"},"finish_reason":null}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"error":{"message":"Provider returned error","code":502}}\n\n',
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","usage":{"input_tokens":3}}}\n\n',
    *(b"data: {", b"\xff\xfe\x00", b"<html></html>", b'{"object":"error","message":"no","code":400}'),
)


@st.composite
def _broken_streams(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from([b"text/event-stream", b"text/plain", b"application/json", b"text/html"]))
    body = b"".join(draw(st.lists(st.sampled_from(_PIECES), max_size=5)))
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % kind + (
        b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    )


_ANSWERS = st.builds(
    lambda data: Raw(name="raw", data=data, ending=Ending.CLOSE, seen_by_probes=False), _errors()
) | st.builds(
    lambda data, ending: Raw(name="raw", data=data, ending=ending, seen_by_probes=False),
    _broken_streams(),
    st.sampled_from([Ending.CLOSE, Ending.RESET, Ending.BAD_CHUNK]),
)

ACTS: st.SearchStrategy[Act] = st.builds(
    lambda asked, headers, answer, leaves: Act(*asked, headers, answer, leaves),
    _bodies(),
    _HEADERS,
    _ANSWERS,
    st.sampled_from([False, False, False, True]),
)
