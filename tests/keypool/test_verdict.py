"""What the providers really answer, and what the pool makes of it.

The bodies have the shapes that the providers send; identifiers in them are made up.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import pytest

from keypool.standing import Event
from keypool.verdict import ANSWERED, CALLERS_FAULT, NONSENSE, UNREACHABLE, Verdict, judge

WALL = 1_772_366_400.0
HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>cloudflare</body>\r\n</html>\r\n"


def openai(message: str, kind: str | None, code: str | None = None, param: str | None = None) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})


def anthropic(kind: str, message: str) -> bytes:
    return orjson.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_011CS"})


def check(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Verdict:
    return judge(status, headers or {}, body, WALL)


REFUSED = {
    "openai, wrong key": (
        401,
        openai("Incorrect API key provided: sk-pr****abcd.", "invalid_request_error", "invalid_api_key"),
    ),
    "openai, account deactivated": (
        401,
        openai("The OpenAI account associated with this API key has been deactivated.", None, "account_deactivated"),
    ),
    "openai, access terminated": (
        403,
        openai("Your access was terminated due to violation of our policies.", "access_terminated"),
    ),
    "openai, not a member": (
        401,
        openai("You must be a member of an organization to use the API.", "invalid_request_error"),
    ),
    "anthropic, wrong key": (401, anthropic("authentication_error", "invalid x-api-key")),
    "anthropic, organisation disabled": (
        400,
        anthropic("invalid_request_error", "This organization has been disabled."),
    ),
    "anthropic, organisation disabled, as 403": (
        403,
        anthropic("permission_error", "This organization has been disabled."),
    ),
    "401 with HTML": (401, HTML),
    "401 with nothing": (401, b""),
}

QUOTA_GONE = {
    "openai, insufficient quota": (
        429,
        openai("You exceeded your current quota, please check your plan.", "insufficient_quota", "insufficient_quota"),
    ),
    "openai, billing not active": (
        429,
        openai("Your account is not active.", "billing_not_active", "billing_not_active"),
    ),
    "openai, hard limit": (
        400,
        openai("Billing hard limit has been reached", "invalid_request_error", "billing_hard_limit_reached"),
    ),
    "openai, credit balance": (429, openai("No credits.", "insufficient_quota", "credit_balance_exhausted")),
    "openai, organisation usage": (429, openai("Limit.", "insufficient_quota", "organization_usage_limit_exceeded")),
    "openai, organisation spend": (429, openai("Limit.", "insufficient_quota", "organization_spend_limit_exceeded")),
    "openai, project spend, by code alone": (429, openai("Limit.", None, "project_spend_limit_exceeded")),
    "anthropic, credit": (
        400,
        anthropic(
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API. "
            "Please go to Plans & Billing to upgrade or purchase credits.",
        ),
    ),
    "anthropic, own spending limit": (
        400,
        anthropic(
            "invalid_request_error",
            "You have reached your specified API usage limits. You will regain access on 2026-02-01 at 00:00 UTC.",
        ),
    ),
    "anthropic, billing": (402, anthropic("billing_error", "There is an issue with your billing or payment.")),
    "402 of a compatible provider": (402, b'{"error":{"message":"Insufficient Balance","type":"unknown_error"}}'),
    "402 with HTML": (402, HTML),
    "402 with nothing": (402, b""),
}

RATE = {
    "openai, requests": (
        429,
        openai("Rate limit reached for gpt-4o on requests per min (RPM).", "requests", "rate_limit_exceeded"),
    ),
    "openai, tokens": (
        429,
        openai("Rate limit reached for gpt-4o on tokens per min (TPM).", "tokens", "rate_limit_exceeded"),
    ),
    "anthropic": (429, anthropic("rate_limit_error", "This request would exceed your rate limit.")),
    "error as text": (429, b'{"error":"Too Many Requests"}'),
    "error in a list": (429, b'[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota exceeded"}}]'),
    "HTML": (429, HTML),
    "nothing": (429, b""),
}

BROKEN = {
    "openai, 500": (500, openai("The server had an error while processing your request.", "server_error")),
    "openai, 503": (503, openai("The engine is currently overloaded, please try again later.", "server_error")),
    "anthropic, 500": (500, anthropic("api_error", "Internal server error")),
    "anthropic, 529": (529, anthropic("overloaded_error", "Overloaded")),
    "anthropic, 504": (504, anthropic("timeout_error", "Request timed out")),
    "502 HTML": (502, HTML),
    "503 nothing": (503, b""),
    "520 of a front": (520, b"error code: 520"),
}

MODEL_GONE = {
    "openai, 404": (
        404,
        openai("The model `gpt-9` does not exist or you do not have access to it.", None, "model_not_found"),
    ),
    "openai, 403": (
        403,
        openai("Project `proj_x` does not have access to model `gpt-4o`", "invalid_request_error", "model_not_found"),
    ),
    "anthropic, 404": (404, anthropic("not_found_error", "model: claude-9")),
    "anthropic, 403": (403, anthropic("permission_error", "Your API key does not have permission.")),
}

CALLERS = {
    "openai, context": (
        400,
        openai(
            "This model's maximum context length is 8192 tokens.", "invalid_request_error", "context_length_exceeded"
        ),
    ),
    "openai, parameter": (
        400,
        openai("Invalid value: 'x'.", "invalid_request_error", "invalid_value", "messages[0].role"),
    ),
    "anthropic, context": (400, anthropic("invalid_request_error", "prompt is too long: 208310 tokens > 200000")),
    "anthropic, 413": (413, anthropic("request_too_large", "Request exceeds the maximum size")),
    "422 of a compatible server": (422, b'{"detail":[{"loc":["body","messages"],"msg":"field required"}]}'),
    "413 HTML": (413, HTML),
    "400 nothing": (400, b""),
    "404 of a path": (404, openai("Invalid URL (POST /v1/nothing)", "invalid_request_error")),
    "404 HTML": (404, HTML),
    "405": (405, b""),
    "415": (415, b"[]"),
}


@pytest.mark.parametrize(("status", "body"), REFUSED.values(), ids=REFUSED)
def test_a_refused_key_is_never_used_again_and_another_is_tried_for_free(status: int, body: bytes) -> None:
    assert check(status, body) == Verdict(Event.KEY_REFUSED, free=True)


@pytest.mark.parametrize(("status", "body"), QUOTA_GONE.values(), ids=QUOTA_GONE)
def test_a_key_without_quota_rests_long_and_another_is_tried_for_free(status: int, body: bytes) -> None:
    assert check(status, body) == Verdict(Event.OUT_OF_QUOTA, free=True)


@pytest.mark.parametrize(("status", "body"), RATE.values(), ids=RATE)
def test_a_rate_limit_is_repeated_within_the_retry_budget(status: int, body: bytes) -> None:
    assert check(status, body) == Verdict(Event.RATE_LIMITED)


@pytest.mark.parametrize(("status", "body"), BROKEN.values(), ids=BROKEN)
def test_a_broken_or_overloaded_upstream_is_repeated_within_the_retry_budget(status: int, body: bytes) -> None:
    assert check(status, body) == Verdict(Event.FAILED)


@pytest.mark.parametrize(("status", "body"), MODEL_GONE.values(), ids=MODEL_GONE)
def test_a_model_that_this_key_may_not_use_is_asked_of_another_for_free(status: int, body: bytes) -> None:
    assert check(status, body) == Verdict(Event.NO_SUCH_MODEL, free=True)


@pytest.mark.parametrize(("status", "body"), CALLERS.values(), ids=CALLERS)
def test_the_callers_own_mistake_teaches_the_key_nothing_and_is_not_repeated(status: int, body: bytes) -> None:
    assert check(status, body) == CALLERS_FAULT
    assert CALLERS_FAULT.event is None
    assert CALLERS_FAULT.final


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_success_is_an_answer(status: int) -> None:
    assert check(status, b"{}") == ANSWERED


def test_a_call_that_was_not_connected_is_repeated_and_one_that_may_have_been_billed_is_not() -> None:
    assert UNREACHABLE.event is NONSENSE.event is Event.FAILED
    assert (UNREACHABLE.final, NONSENSE.final) == (False, True)


@pytest.mark.parametrize(
    "text",
    [
        "Your credit balance is too low to access the Anthropic API.",
        "This organization has been disabled.",
        "Usage blocked until 2099",
        "You have reached your specified API usage limits.",
    ],
)
def test_a_caller_cannot_condemn_a_key_with_words_that_the_provider_repeats(text: str) -> None:
    """Both providers quote values and field names of the request in their validation errors."""
    quoted = openai(f"Invalid value: '{text}'. Supported values are 'user'.", "invalid_request_error", "invalid_value")
    field = anthropic("invalid_request_error", f"{text}: Extra inputs are not permitted")
    inner = anthropic("invalid_request_error", f"messages.0.role: {text}")
    for body in (quoted, field, inner):
        assert check(400, body) == CALLERS_FAULT


def test_a_word_of_money_in_a_message_alone_does_not_exhaust_a_key() -> None:
    message = "messages: insufficient_quota billing_error invalid_api_key"
    assert check(400, anthropic("invalid_request_error", message)) == CALLERS_FAULT


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_rest_that_was_asked_for_comes_with_the_verdict(status: int) -> None:
    assert check(status, b"", {"retry-after": "12"}).rest == 12.0
    assert check(status, b"", {"retry-after": "Sun, 01 Mar 2026 12:00:12 GMT"}).rest == 12.0


@pytest.mark.parametrize(
    "body",
    [b"\xff\xfe", b"null", b"3", b"[[[", b'{"error":[]}', b'{"error":{"type":1,"code":{},"message":[]}}', b"[" * 9000],
)
def test_no_body_whatever_breaks_the_judge(body: bytes) -> None:
    assert check(500, body) == Verdict(Event.FAILED)
    assert check(400, body) == CALLERS_FAULT
