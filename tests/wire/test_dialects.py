"""What the official SDKs make of our refusals and model lists. They are the judges; no socket is opened."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import anthropic
import httpx2
import openai
import pytest

from server.wire import errors
from server.wire.anthropic import ANTHROPIC
from server.wire.dialect import Dialect, scrub
from server.wire.errors import Draining, InvalidValue, MissingParameter, Refusal, UnknownModel
from server.wire.openai import OPENAI
from server.wire.sse import Splitter

KINDS = {errors.Refusal, errors.ClientError, errors.InOwnWords, errors.GatewayBusy, errors.UpstreamError}


def leaves(cls: type[Refusal]) -> Iterator[type[Refusal]]:
    if cls not in KINDS:
        yield cls
    for child in cls.__subclasses__():
        yield from leaves(child)


def an(cls: type[Refusal]) -> Refusal:
    return cls() if cls in (errors.UnknownModel, errors.ModelNotPriced) else cls("prompt")


REFUSALS = [an(cls) for cls in leaves(Refusal)]
EVERY_REFUSAL = pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: type(refusal).__name__)

OPENAI_RAISES: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
}
ANTHROPIC_RAISES: dict[int, type[anthropic.APIStatusError]] = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    413: anthropic.APIStatusError,
    429: anthropic.RateLimitError,
}

Answer = Callable[[httpx2.Request], httpx2.Response]


def openai_client(answer: Answer, retries: int = 0) -> openai.OpenAI:
    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://127.0.0.1/v1", http_client=http, max_retries=retries)


def anthropic_client(answer: Answer, retries: int = 0) -> anthropic.Anthropic:
    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return anthropic.Anthropic(api_key="k", base_url="http://127.0.0.1", http_client=http, max_retries=retries)


def refusing(dialect: Dialect, refusal: Refusal) -> Answer:
    return lambda request: httpx2.Response(
        dialect.status(refusal), headers=dialect.headers(refusal), content=dialect.body(refusal, "req_1")
    )


def saying(body: bytes, content_type: str = "application/json") -> Answer:
    return lambda request: httpx2.Response(200, headers={"content-type": content_type}, content=body)


@EVERY_REFUSAL
def test_the_openai_sdk_raises_the_right_error_with_our_words(refusal: Refusal) -> None:
    expected = OPENAI_RAISES.get(refusal.status, openai.APIStatusError)
    with openai_client(refusing(OPENAI, refusal)) as client, pytest.raises(expected) as raised:
        client.models.list()
    error = raised.value
    assert (error.status_code, error.code, error.type, error.param) == (
        refusal.status, refusal.code, refusal.kind, refusal.param,
    )  # fmt: skip
    assert refusal.message in error.message


@EVERY_REFUSAL
def test_the_anthropic_sdk_raises_the_right_error_with_our_words(refusal: Refusal) -> None:
    status = refusal.anthropic_status or refusal.status
    expected = ANTHROPIC_RAISES.get(status, anthropic.APIStatusError)
    with anthropic_client(refusing(ANTHROPIC, refusal)) as client, pytest.raises(expected) as raised:
        client.models.list()
    assert raised.value.status_code == status
    assert raised.value.body == {
        "type": "error",
        "error": {"type": refusal.anthropic_kind, "message": refusal.message},
        "request_id": "req_1",
    }


@pytest.mark.parametrize("refusal", [r for r in REFUSALS if not r.retriable], ids=lambda r: type(r).__name__)
def test_the_sdks_do_not_repeat_what_may_have_been_billed(refusal: Refusal) -> None:
    seen: list[str] = []

    def answer_with(dialect: Dialect) -> Answer:
        refuse = refusing(dialect, refusal)

        def answer(request: httpx2.Request) -> httpx2.Response:
            seen.append(dialect.name)
            return refuse(request)

        return answer

    with openai_client(answer_with(OPENAI), retries=2) as client, pytest.raises(openai.APIStatusError):
        client.models.list()
    with anthropic_client(answer_with(ANTHROPIC), retries=2) as other, pytest.raises(anthropic.APIStatusError):
        other.models.list()
    assert seen == ["openai", "anthropic"]


@EVERY_REFUSAL
def test_the_openai_sdk_raises_in_the_middle_of_a_stream(refusal: Refusal) -> None:
    begun = b'data: {"id":"x","object":"chat.completion.chunk","created":0,"model":"m","choices":[]}\n\n'
    stream = saying(begun + OPENAI.event(refusal, "req_1"), "text/event-stream")
    with openai_client(stream) as client, pytest.raises(openai.APIError) as raised:
        list(client.chat.completions.create(model="m", messages=[], stream=True))
    assert raised.value.code == refusal.code
    assert raised.value.message == refusal.message


@EVERY_REFUSAL
def test_the_anthropic_sdk_raises_in_the_middle_of_a_stream(refusal: Refusal) -> None:
    stream = saying(b"event: ping\ndata: {}\n\n" + ANTHROPIC.event(refusal, "req_1"), "text/event-stream")
    with anthropic_client(stream) as client, pytest.raises(anthropic.APIStatusError) as raised:
        list(client.messages.create(model="m", max_tokens=1, messages=[], stream=True))
    assert refusal.message in str(raised.value)


@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def test_an_in_band_error_starts_a_fresh_event_and_is_the_last(dialect: Dialect) -> None:
    event = dialect.event(errors.Disconnected(), "req_1")
    assert event.startswith(b"\n\n")
    assert event.endswith(b"}\n\n")
    assert b"[DONE]" not in event


def test_waiting_times_are_rounded_up_to_whole_seconds_and_given_in_milliseconds_too() -> None:
    headers = OPENAI.headers(errors.RateLimited(retry_after=1.2345))
    assert headers["Retry-After"] == "2"
    assert headers["retry-after-ms"] == "1235"
    assert "x-should-retry" not in headers


def test_a_refusal_has_its_own_headers_and_json_as_its_type() -> None:
    assert OPENAI.headers(errors.InvalidKey()) == {
        "Content-Type": "application/json",
        "WWW-Authenticate": "Bearer",
    }
    assert ANTHROPIC.headers(errors.Draining())["Connection"] == "close"
    assert OPENAI.headers(errors.BadAnswer())["x-should-retry"] == "false"


def test_the_refusal_of_too_long_a_wait_says_how_long_it_is() -> None:
    refusal = errors.WaitTooLong(retry_after=12.5)
    with openai_client(refusing(OPENAI, refusal)) as client, pytest.raises(openai.RateLimitError) as raised:
        client.models.list()
    assert (raised.value.code, raised.value.response.headers["retry-after"]) == ("wait_too_long", "13")
    with anthropic_client(refusing(ANTHROPIC, refusal)) as other, pytest.raises(anthropic.RateLimitError) as limited:
        other.models.list()
    assert limited.value.response.headers["retry-after-ms"] == "12500"


def test_a_quota_is_a_matter_of_billing_to_anthropic() -> None:
    refusal = errors.InsufficientQuota()
    assert (OPENAI.status(refusal), ANTHROPIC.status(refusal)) == (429, 402)
    with anthropic_client(refusing(ANTHROPIC, refusal)) as client, pytest.raises(anthropic.APIStatusError) as raised:
        client.models.list()
    assert raised.value.type == "billing_error"


HEARTBEATS = [(3, 12.0), (1, None), (None, 0.2), (None, None)]


class TestHeartbeats:
    CHUNK = (
        b'data: {"id":"x","object":"chat.completion.chunk","created":0,"model":"m",'
        b'"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'
    )
    RESPONSE = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hi"}\n\n'
    MESSAGE = (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message",'
        b'"role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,'
        b'"usage":{"input_tokens":1,"output_tokens":1}}}\n\n'
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":""}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"Hi"}}\n\n'
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
        b'"usage":{"output_tokens":2}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )

    @staticmethod
    def beating(dialect: Dialect) -> bytes:
        return b"".join(dialect.heartbeat(position, wait) for position, wait in HEARTBEATS)

    def test_a_comment_tells_the_position_and_the_wait_where_they_are_known(self) -> None:
        assert [OPENAI.heartbeat(position, wait) for position, wait in HEARTBEATS] == [
            b": queued position=3 wait=12s\n\n", b": queued position=1\n\n", b": queued wait=1s\n\n", b": waiting\n\n",
        ]  # fmt: skip

    def test_a_ping_tells_nothing(self) -> None:
        beats = {ANTHROPIC.heartbeat(position, wait) for position, wait in HEARTBEATS}
        assert beats == {b'event: ping\ndata: {"type": "ping"}\n\n'}

    def test_the_openai_sdk_sees_only_what_comes_after_them(self) -> None:
        chat = saying(self.beating(OPENAI) + self.CHUNK + b"data: [DONE]\n\n", "text/event-stream")
        with openai_client(chat) as client:
            chunks = list(client.chat.completions.create(model="m", messages=[], stream=True))
        assert [chunk.choices[0].delta.content for chunk in chunks] == ["Hi"]

    @pytest.mark.slow  # the SDK loads the types of this API when they are first used
    def test_the_openai_sdk_sees_only_what_comes_after_them_in_a_response_either(self) -> None:
        responses = saying(self.beating(OPENAI) + self.RESPONSE, "text/event-stream")
        with openai_client(responses) as client:
            events = list(client.responses.create(model="m", input="x", stream=True))
        assert [event.type for event in events] == ["response.output_text.delta"]

    def test_the_anthropic_sdk_sees_only_what_comes_after_them(self) -> None:
        answer = saying(self.beating(ANTHROPIC) + self.MESSAGE, "text/event-stream")
        with anthropic_client(answer) as client:
            events = list(client.messages.create(model="m", max_tokens=1, messages=[], stream=True))
        assert (events[0].type, len(events)) == ("message_start", 6)

    def test_the_anthropic_sdk_puts_the_message_together(self) -> None:
        answer = saying(self.beating(ANTHROPIC) + self.MESSAGE, "text/event-stream")
        with anthropic_client(answer) as client, client.messages.stream(model="m", max_tokens=1, messages=[]) as stream:
            assert stream.get_final_text() == "Hi"

    def test_an_error_that_follows_them_is_raised_by_the_openai_sdk(self) -> None:
        content = self.beating(OPENAI) + OPENAI.event(errors.QueueTimeout(), "req_1")
        with openai_client(saying(content, "text/event-stream")) as client, pytest.raises(openai.APIError) as raised:
            list(client.chat.completions.create(model="m", messages=[], stream=True))
        assert raised.value.code == "queue_timeout"

    def test_an_error_that_follows_them_is_raised_by_the_anthropic_sdk(self) -> None:
        content = self.beating(ANTHROPIC) + ANTHROPIC.event(errors.QueueTimeout(), "req_1")
        answer = saying(content, "text/event-stream")
        with anthropic_client(answer) as client, pytest.raises(anthropic.APIStatusError, match="waited too long"):
            list(client.messages.create(model="m", max_tokens=1, messages=[], stream=True))


def test_both_sdks_read_the_model_lists() -> None:
    names = ["gpt-4o", "claude-sonnet-4-5"]
    with openai_client(saying(OPENAI.models(names))) as client:
        assert [model.id for model in client.models.list()] == names
    with anthropic_client(saying(ANTHROPIC.models(names))) as other:
        assert [model.id for model in other.models.list()] == names
    assert json.loads(ANTHROPIC.models([]))["first_id"] is None


@pytest.mark.parametrize("name", ["gpt-4o", "org/model:free"])
def test_both_sdks_find_every_field_that_a_model_must_have(name: str) -> None:
    model = openai.types.Model.model_validate_json(OPENAI.model(name))
    info = anthropic.types.ModelInfo.model_validate_json(ANTHROPIC.model(name))
    assert model.id == info.id == info.display_name == name


def test_credentials_go_where_each_provider_wants_them() -> None:
    assert OPENAI.credentials("sk-1") == {"Authorization": "Bearer sk-1"}
    assert ANTHROPIC.credentials("sk-1") == {"x-api-key": "sk-1", "anthropic-version": "2023-06-01"}


@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def test_no_header_that_may_pass_names_a_secret_a_person_or_an_account(dialect: Dialect) -> None:
    never = {
        "authorization", "x-api-key", "api-key", "cookie", "host", "user-agent", "openai-organization",
        "openai-project", "accept", "accept-encoding", "content-length", "transfer-encoding", "connection",
        "idempotency-key",
    }  # fmt: skip
    assert not dialect.passed_headers & never
    assert not any(name.startswith(("x-stainless", "x-forwarded")) for name in dialect.passed_headers)
    assert all(name == name.lower() for name in dialect.passed_headers)


@pytest.mark.parametrize(
    "secret",
    [
        "sk-abcdef0123456789ABCDEF",
        "sk-proj-abc_DEF-0123456789",
        "sk-ant-api03-abcDEF_0123-456789",
        "sk-ab**********************cdef",
        "Bearer abc.def-ghi",
        "bearer  abcdef",
        "org-AbCdEf0123456789",
        "proj_AbCdEf0123456789",
        "gsk_abcdef0123456789",
        "xai-abcdef0123456789",
        "AIzaSyAbcdef0123456789",
    ],
)
def test_what_looks_like_a_providers_secret_is_masked(secret: str) -> None:
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {secret}. See docs, {secret}", "code": 1}})
    scrubbed = scrub(body.encode())
    assert secret.split()[-1].encode() not in scrubbed
    assert json.loads(scrubbed)["error"]["message"].startswith("Incorrect API key provided: ***")


def test_ordinary_words_are_left_alone() -> None:
    body = (
        b'{"error":{"message":"a task-specific, risk-based question about organisation-wide org-charts","param":null}}'
    )
    assert scrub(body) == body


def test_a_model_list_says_what_the_gateway_knows_and_what_the_sdks_insist_on() -> None:
    facts: dict[str, dict[str, object]] = {"gpt-4o": {"context_window": 128_000}}
    one = {"id": "gpt-4o", "object": "model", "created": 0, "owned_by": "fairgate", "context_window": 128_000}
    other = {"id": "m", "object": "model", "created": 0, "owned_by": "fairgate"}
    assert json.loads(OPENAI.models(["gpt-4o", "m"], facts)) == {"object": "list", "data": [one, other]}
    assert json.loads(OPENAI.models_for_codex(["gpt-4o", "m"], facts)) == {
        "object": "list",
        "data": [one, other],
        "models": [],
    }
    assert json.loads(ANTHROPIC.model("gpt-4o", facts)) == {
        "type": "model",
        "id": "gpt-4o",
        "display_name": "gpt-4o",
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
        "context_window": 128_000,
    }


@pytest.mark.parametrize(("dialect", "head"), [(OPENAI, b"data: "), (ANTHROPIC, b"event: error\ndata: ")])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_an_upstreams_error_that_is_relayed_into_a_stream_is_one_event(
    dialect: Dialect, head: bytes, newline: bytes
) -> None:
    body = newline.join([b'{"error":', b' {"message": "no"}', b"}"])
    event = dialect.relayed(body)
    assert event == head + body.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n\n"
    (read,) = Splitter().feed(event)
    assert read.data is not None
    assert json.loads(read.data) == json.loads(body)


def test_a_refusal_is_called_by_its_class_and_names_the_parameter_that_is_wrong() -> None:
    assert [str(each("secret")) for each in (InvalidValue, MissingParameter)] == ["InvalidValue", "MissingParameter"]
    assert [each.param for each in (UnknownModel(), InvalidValue("n"), Draining())] == ["model", "n", None]
    assert json.loads(OPENAI.body(UnknownModel(), "r"))["error"] == {
        "message": "The model does not exist or you may not use it. GET /v1/models lists those that you may use.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
