"""Errors: the other family's envelope, status and words, and nothing of an account."""

from __future__ import annotations

import json

import pytest

from server.wire.translate.error_bodies import Family, translated


def error(family: Family, status: int, body: bytes) -> tuple[int, dict[str, str]]:
    status, told = translated(status, body, family)
    return status, json.loads(told)["error"]


@pytest.mark.parametrize(
    ("family", "status", "told", "kind"),
    [
        ("anthropic", 400, 400, "invalid_request_error"),
        ("anthropic", 401, 401, "authentication_error"),
        ("anthropic", 403, 403, "permission_error"),
        ("anthropic", 404, 404, "not_found_error"),
        ("anthropic", 413, 413, "request_too_large"),
        ("anthropic", 422, 422, "invalid_request_error"),
        ("anthropic", 429, 429, "rate_limit_error"),
        ("anthropic", 500, 500, "api_error"),
        ("anthropic", 503, 529, "overloaded_error"),
        ("anthropic", 504, 504, "timeout_error"),
        ("openai", 400, 400, "invalid_request_error"),
        ("openai", 402, 429, "rate_limit_error"),
        ("openai", 403, 403, "permission_error"),
        ("openai", 429, 429, "rate_limit_error"),
        ("openai", 500, 500, "server_error"),
        ("openai", 529, 503, "server_error"),
    ],
)
def test_a_status_and_its_word(family: Family, status: int, told: int, kind: str) -> None:
    body = b'{"error":{"message":"Said.","type":"some_error"}}'
    assert error(family, status, body)[0] == told
    assert error(family, status, body)[1]["type"] == kind
    assert error(family, status, body)[1]["message"] == "Said."


def test_a_prompt_that_is_too_long_is_said_in_the_words_that_clients_act_upon() -> None:
    body = b'{"error":{"message":"Maximum is 128000.","code":"context_length_exceeded"}}'
    assert error("anthropic", 400, body)[1]["message"] == "prompt is too long: Maximum is 128000."
    body = b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 > 8 maximum"}}'
    assert error("openai", 400, body)[1]["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"error":5}', b'{"error":{"message":{}}}', b'{"detail":"x"}']
)
def test_any_body_is_an_error(body: bytes) -> None:
    assert error("anthropic", 500, body)[1]["message"]
    assert error("openai", 500, body)[1]["message"]


def test_keys_are_masked() -> None:
    body = b'{"error":{"message":"Incorrect API key provided: sk-abcdefghijklmnop."}}'
    assert "sk-abc" not in error("anthropic", 401, body)[1]["message"]
