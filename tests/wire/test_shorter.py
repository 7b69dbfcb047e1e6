"""A bound of ours that is too large for a model is shortened by what the provider says; the caller's own is not."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from server.wire.added import LASTS, Unwanted
from server.wire.endpoints import ENDPOINTS
from server.wire.request import Request, capped, read_request
from server.wire.shorter import MOST, Shorter, shortened, shorter

SENT = 16_384
MESSAGES = [{"role": "user", "content": "Hello"}]


def asked(path: str = "/v1/chat/completions", **more: Any) -> Request:
    words = {"input": "Hello"} if path.endswith("responses") else {"messages": MESSAGES}
    body = orjson.dumps({"model": "some-model", **words, **more})
    return read_request(ENDPOINTS[path], body, "application/json")


OURS = capped(asked(), SENT)


def error(message: str, status: int = 400, **more: Any) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"message": message, **more}}


# What providers answered to a bound of 16,384 (or would have: their words, with this figure), and what they take.
REFUSED: dict[str, tuple[tuple[int, dict[str, Any]], Shorter]] = {
    "OpenAI": (
        error(
            "max_tokens is too large: 16384. This model supports at most 4096 completion tokens, whereas you provided"
            " 16384.", type="invalid_request_error", param="max_tokens", code="invalid_value",
        ),
        Shorter(4_096, output=4_096),
    ),
    "OpenAI, the window": (
        error(
            "This model's maximum context length is 8192 tokens. However, you requested 16448 tokens (64 in the"
            " messages, 16384 in the completion). Please reduce the length of the messages or completion.",
            type="invalid_request_error", param="messages", code="context_length_exceeded",
        ),
        Shorter(8_128, window=8_192),
    ),
    "OpenAI, the minute": (
        error(
            "Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 10000, Requested 16484.",
            429, type="tokens", code="rate_limit_exceeded",
        ),
        Shorter(9_900),
    ),
    "Groq": (
        error(
            "`max_completion_tokens` must be less than or equal to `8192`, the maximum value for"
            " `max_completion_tokens` is less than the `context_window` for this model",
            type="invalid_request_error", param="max_completion_tokens",
        ),
        Shorter(8_192, output=8_192),
    ),
    "Groq, as it was": (
        error("max_tokens for `llama-3.1-8b-instant` must be less than or equal to 8000", type="invalid_request_error"),
        Shorter(8_000, output=8_000),
    ),
    "DeepSeek": (
        error("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", type="invalid_request_error"),
        Shorter(8_192, output=8_192),
    ),
    "Doubao": (
        error(
            "The parameter `max_completion_tokens` specified in the request are not valid: integer above maximum value,"
            " expected a value <= 12288, but got 16384 instead.", param="max_completion_tokens", type="BadRequest",
        ),
        Shorter(12_288, output=12_288),
    ),
    "Together": (
        error(
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 25 `inputs` tokens and"
            " 16384 `max_new_tokens`", type="invalid_request_error", param="max_tokens",
        ),
        Shorter(4_072, window=4_097),
    ),
    "OpenRouter, the window": (
        error(
            "This endpoint's maximum context length is 8192 tokens. However, you requested about 16396 tokens (12 of"
            " text input, 16384 in the output).", code=400,
        ),
        Shorter(8_180, window=8_192),
    ),
    "OpenRouter, the credit": (
        error(
            "This request requires more credits, or fewer max_tokens. You requested up to 16384 tokens, but can only"
            " afford 2500.", 402, code=402,
        ),
        Shorter(2_500),
    ),
    "Anthropic": (
        error(
            "max_tokens: 16384 > 8192, which is the maximum allowed number of output tokens for claude-3-5-sonnet",
            type="invalid_request_error",
        ),
        Shorter(8_192, output=8_192),
    ),
    "Anthropic, the window": (
        error(
            "input length and `max_tokens` exceed context limit: 188240 + 16384 > 200000, decrease input length or"
            " `max_tokens` and try again", type="invalid_request_error",
        ),
        Shorter(11_760, window=200_000),
    ),
    "vLLM": (
        (400, {
            "object": "error", "type": "BadRequestError", "param": None, "code": 400,
            "message": "'max_tokens' or 'max_completion_tokens' is too large: 16384. This model's maximum context"
            " length is 4096 tokens and your request has 12 input tokens (16384 > 4096 - 12).",
        }),
        Shorter(4_084, window=4_096),
    ),
    "vLLM, newer": (
        error(
            "This model's maximum context length is 2048 tokens. However, your request has 8 input tokens plus 16384"
            " 'max_tokens'. Please reduce one or the other. (parameter=input_tokens, max_tokens, value=(8, 16384))",
            type="BadRequestError", param="input_tokens, max_tokens", code=400,
        ),
        Shorter(2_040, window=2_048),
    ),
    "llama.cpp": (
        error(
            "the request exceeds the available context size", type="exceed_context_size_error", code=400,
            n_prompt_tokens=96, n_ctx=4_096,
        ),
        Shorter(4_000, window=4_096),
    ),
    "Scaleway, without a figure": (
        error("max_completion_tokens is limited for this model", 416, type="invalid_request_error"),
        Shorter(8_192, output=8_192),
    ),
    "a window without a figure": (error("context length exceeded", code="context_length_exceeded"), Shorter(8_192)),
}  # fmt: skip

OTHERS: dict[str, tuple[int, dict[str, Any]]] = {
    "another name for it": error(
        "Unsupported parameter: 'max_completion_tokens' is not supported with this model.",
        param="max_completion_tokens", code="unsupported_parameter",
    ),
    "the prompt alone is too long": error(
        "This model's maximum context length is 8192 tokens. However, you requested 30000 tokens (13616 in the"
        " messages, 16384 in the completion).", code="context_length_exceeded",
    ),
    "a rate that comes back": error(
        "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000, Requested 16484.", 429
    ),
    "no credit at all": error("can only afford 0", 402),
    "another parameter": error("temperature is too large: 9. At most 2 is allowed.", param="temperature"),
    "a server's fault": error("max_tokens is too large: 16384. At most 4096.", 500),
    "a page": (400, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_bound_is_as_short_as_the_provider_says(name: str) -> None:
    (status, document), expected = REFUSED[name]
    assert shorter(OURS, status, orjson.dumps(document)) == expected


@pytest.mark.parametrize("name", REFUSED)
def test_a_bound_of_the_caller_s_own_is_the_caller_s_to_mend(name: str) -> None:
    (status, document), _ = REFUSED[name]
    assert shorter(asked(max_tokens=SENT), status, orjson.dumps(document)) is None
    assert shorter(asked(), status, orjson.dumps(document)) is None, "and none was sent"


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_about_the_bound_is_heard_by_the_caller(name: str) -> None:
    status, document = OTHERS[name]
    assert shorter(OURS, status, orjson.dumps(document)) is None


def test_where_no_figure_helps_it_is_halved_and_not_for_ever() -> None:
    status, document = error("max_completion_tokens is limited for this model", 416)
    sent, found, tried = OURS, None, []
    while (found := shorter(sent, status, orjson.dumps(document), found)) is not None:
        tried.append(found.most)
        sent = shortened(sent, found.most)
    assert tried == [SENT // 2, SENT // 4, SENT // 8]
    assert len(tried) == MOST


@pytest.mark.parametrize(("room", "most"), [(3_000, 3_000), (SENT, SENT // 2), (5, SENT // 2), (-7, SENT // 2)])
def test_a_list_of_models_helps_where_the_error_has_no_figure(room: int, most: int) -> None:
    (status, document), _ = REFUSED["a window without a figure"]
    assert shorter(OURS, status, orjson.dumps(document), None, room) == Shorter(most)
    (status, document), expected = REFUSED["vLLM"]
    assert shorter(OURS, status, orjson.dumps(document), None, room) == expected


def test_a_figure_that_does_not_help_is_not_tried_again() -> None:
    """Gemini's range ends before the figure that it tells."""
    status, document = error("a maxOutputTokens value of 16384 but the supported range is from 1 to 8193 (exclusive)")
    first = shorter(OURS, status, orjson.dumps(document))
    assert first is not None and first.most == 8_193
    second = shorter(shortened(OURS, 8_193), status, orjson.dumps(document), first)
    assert second is not None and (second.most, second.tries) == (4_096, 2)


@pytest.mark.parametrize(
    ("path", "name"), [("/v1/chat/completions", "max_completion_tokens"), ("/v1/responses", "max_output_tokens")]
)
def test_a_shorter_bound_stands_in_the_same_field_and_all_else_stays(path: str, name: str) -> None:
    request = capped(asked(path, metadata={"a": "b"}), SENT)
    less = shortened(request, 100)
    assert orjson.loads(less.body) == {**orjson.loads(request.body), name: 100}
    assert less.max_tokens == 100
    assert shortened(request, SENT) is request
    assert shortened(asked(path), 100) == asked(path)


def test_what_an_upstream_takes_is_remembered_for_a_model_and_a_day() -> None:
    unwanted = Unwanted()
    unwanted.shortened("physics", OURS, Shorter(4_096, output=4_096), 0.0)
    assert unwanted.bounded(OURS, "physics", 1.0, 10, None).max_tokens == 4_096
    assert unwanted.bounded(OURS, "chemistry", 1.0, 10, None) is OURS
    other = capped(asked(model="another"), SENT)
    assert unwanted.bounded(other, "physics", 1.0, 10, None) is other
    assert unwanted.bounded(OURS, "physics", LASTS, 10, None) is OURS


@pytest.mark.parametrize(("read", "most"), [(0, 8_160), (1_000, 7_110), (100_000, 16)])
def test_of_a_window_a_longer_prompt_leaves_less_and_a_shorter_one_more(read: int, most: int) -> None:
    unwanted = Unwanted()
    unwanted.shortened("physics", OURS, Shorter(64, window=8_192), 0.0)
    assert unwanted.bounded(OURS, "physics", 1.0, read, None).max_tokens == most


@pytest.mark.parametrize("found", [Shorter(64), Shorter(2_500), Shorter(16, window=100)])
def test_what_only_this_request_had_to_bear_holds_for_no_other_one(found: Shorter) -> None:
    unwanted = Unwanted()
    unwanted.shortened("physics", OURS, found, 0.0)
    assert unwanted.bounded(OURS, "physics", 1.0, 10, None) is OURS


def test_what_the_upstream_has_just_said_counts_first() -> None:
    unwanted = Unwanted()
    unwanted.shortened("physics", OURS, Shorter(4_096, output=4_096), 0.0)
    assert unwanted.bounded(OURS, "physics", 1.0, 10, Shorter(512)).max_tokens == 512


def test_a_bound_that_was_renamed_is_shortened_too() -> None:
    unwanted = Unwanted()
    renamed = unwanted.fitted(OURS, "physics", 0.0, {"max_completion_tokens"})
    assert orjson.loads(renamed.body)["max_tokens"] == SENT
    (status, document), expected = REFUSED["OpenAI"]
    assert shorter(renamed, status, orjson.dumps(document)) == expected
    again = unwanted.fitted(shortened(OURS, 4_096), "physics", 0.0, {"max_completion_tokens"})
    assert orjson.loads(again.body)["max_tokens"] == 4_096
