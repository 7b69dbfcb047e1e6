"""What the gateway says when it refuses, written down a second time: whoever changes a word breaks clients.

`text` is the whole body as a client gets it, byte for byte but for the request's id.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tests.hostile.http_raw import Reply, Wire

BAD = "invalid_request_error"
ID = "req_"


@dataclass(frozen=True)
class Answer:
    """One row. `headers` must be there; a header of `TELLING` that is not named must not."""

    status: int
    code: str
    message: str
    kind: str = BAD
    anthropic_kind: str = BAD
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def text(self, path: str, request_id: str) -> str:
        """The body, in the dialect of the path."""
        if "/messages" in path:
            error = f'{{"type":"{self.anthropic_kind}","message":"{self.message}"}}'
            return f'{{"type":"error","error":{error},"request_id":"{request_id}"}}'
        param = "null" if self.param is None else f'"{self.param}"'
        error = f'{{"message":"{self.message}","type":"{self.kind}","param":{param},"code":"{self.code}"}}'
        return f'{{"error":{error}}}'


TELLING = ("allow", "retry-after", "retry-after-ms", "www-authenticate", "x-should-retry")

JSON = Answer(400, "invalid_json", "The request body is not valid JSON.")
MARKED = Answer(
    400,
    "invalid_json",
    "The request body begins with a byte order mark (BOM): send it in UTF-8 without one.",
)
DEEP = Answer(400, "json_too_complex", "The request body is nested too deeply or has too many elements.")
KEY = Answer(
    401,
    "invalid_api_key",
    "Invalid or missing API key.",
    anthropic_kind="authentication_error",
    headers={"www-authenticate": "Bearer"},
)
MODEL = Answer(
    404,
    "model_not_found",
    "The model does not exist or you may not use it. GET /v1/models lists those that you may use.",
    anthropic_kind="not_found_error",
    param="model",
)
URL = Answer(
    404,
    "unknown_url",
    "Unknown request URL. The base URL is this host's address, with /v1 for OpenAI's dialect, without for Anthropic's, "
    "and no slash at the end.",
    anthropic_kind="not_found_error",
)
NOTHING_KEPT = Answer(
    404,
    "stateful_disabled",
    "Nothing is kept here for later: the keys of this gateway are shared, and its operator has not permitted that "
    "providers keep answers. Send the whole conversation, with store: false and include: reasoning.encrypted_content.",
    anthropic_kind="not_found_error",
)
SIZE = Answer(
    413,
    "request_too_large",
    "The request body is too large.",
    anthropic_kind="request_too_large",
)
TYPE = Answer(
    415,
    "unsupported_media_type",
    "Content-Type must be application/json (curl -d says something else: add -H 'Content-Type: application/json'); "
    "Content-Encoding, if any, gzip, deflate, zstd or br.",
)
RATE = Answer(
    429, "rate_limit_exceeded", "Rate limit reached.", kind="rate_limit_error", anthropic_kind="rate_limit_error"
)


def missing(param: str) -> Answer:
    return Answer(400, "missing_required_parameter", f"Missing required parameter: '{param}'.", param=param)


def invalid(param: str) -> Answer:
    return Answer(400, "invalid_value", f"Invalid value for '{param}'.", param=param)


def not_allowed(*methods: str) -> Answer:
    return Answer(405, "method_not_allowed", "Method not allowed.", headers={"allow": ", ".join(methods)})


def not_listed(*methods: str) -> Answer:
    message = (
        "Kept answers are not listed here: a provider's list shows what all people have made with a key. Ask for each "
        "by its id."
    )
    return replace(not_allowed(*methods), message=message)


def assert_is(reply: Reply | None, answer: Answer, path: str) -> None:
    """The reply is this answer, to the byte."""
    assert reply is not None, "closed without an answer"
    request_id = reply.headers["x-request-id"]
    assert request_id.startswith(ID)
    assert reply.headers["request-id"] == request_id
    assert (reply.status, reply.body.decode()) == (answer.status, answer.text(path, request_id))
    assert reply.headers["content-type"] == "application/json"
    assert "server" not in reply.headers
    told = {name: reply.headers[name] for name in TELLING if name in reply.headers}
    if answer.code == RATE.code:
        assert 0 < int(told.pop("retry-after")) <= 60
        assert 0 < int(told.pop("retry-after-ms")) <= 60_000
    assert told == answer.headers


def assert_is_the_last(wire: Wire, answer: Answer, path: str) -> None:
    """The next reply is this answer; it came before the body was read, says that it is the last one, and is."""
    reply = wire.reply()
    assert_is(reply, answer, path)
    assert reply is not None
    assert reply.headers["connection"] == "close"
    assert wire.rest() == b""
