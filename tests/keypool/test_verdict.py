"""What the providers really answer, and what the pool makes of it. The answers stand in `error_bodies.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import anthropic.types.shared.error_type
import openai.types.beta.session_turn_error
import openai.types.beta.threads.run
import openai.types.responses
import pytest

from keypool.codes import CODES, VAGUE, Fault, status_of
from keypool.complaint import complaint_of
from keypool.health import KeyEvent
from keypool.verdict import (
    ANSWERED,
    CALLERS_FAULT,
    DROPPED,
    NONSENSE,
    OUR_BOUND,
    PERHAPS_NO_MONEY,
    UNREACHABLE,
    USED_UP,
    Verdict,
    judge,
)
from tests.keypool.error_bodies import ROWS, Row
from tests.keypool.error_bodies import anthropic as anthropic_says
from tests.keypool.error_bodies import openai as openai_says

WALL = 1_772_366_400.0


def check(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Verdict:
    return judge(status, headers or {}, body, WALL)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_what_a_provider_says_has_its_verdict(row: Row) -> None:
    assert check(row.status, row.body, row.headers) == row.verdict


def test_the_table_knows_every_provider_and_every_kind_of_verdict() -> None:
    assert len(ROWS) >= 120
    assert {row.verdict.event for row in ROWS.values()} == {
        None,
        KeyEvent.KEY_REFUSED,
        KeyEvent.OUT_OF_QUOTA,
        KeyEvent.RATE_LIMITED,
        KeyEvent.NO_SUCH_MODEL,
        KeyEvent.FAILED,
    }


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_prose_alone_never_condemns_a_key(row: Row) -> None:
    """The same message, without a word that a machine can read, and with a status that says nothing by itself."""
    message = complaint_of(row.headers, row.body).message
    for status in (400, 401, 403, 404, 413, 422, 500, 503):
        assert not check(status, openai_says(message, None)).sure


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_what_one_request_could_have_provoked_is_a_suspicion(row: Row) -> None:
    """Only money that is gone and a rate that is used up are believed of one request: they have words of their own."""
    in_words = row.verdict.event in (KeyEvent.RATE_LIMITED, KeyEvent.OUT_OF_QUOTA) and row.verdict != PERHAPS_NO_MONEY
    assert row.verdict.sure is in_words


@pytest.mark.parametrize("verdict", [CALLERS_FAULT, OUR_BOUND])
def test_what_is_not_the_keys_fault_teaches_it_nothing_and_is_not_repeated(verdict: Verdict) -> None:
    assert (verdict.event, verdict.final) == (None, True)


def test_a_cap_that_has_no_room_for_one_request_may_have_some_for_others() -> None:
    assert (USED_UP.event, USED_UP.sure, USED_UP.free) == (KeyEvent.OUT_OF_QUOTA, False, True)


# The words of the official packages

RESPONSE_ERRORS = get_args(openai.types.responses.ResponseError.model_fields["code"].annotation)
SESSION_ERRORS = get_args(openai.types.beta.session_turn_error.SessionTurnError.model_fields["code"].annotation)
RUN_ERRORS = get_args(openai.types.beta.threads.run.LastError.model_fields["code"].annotation)
ANTHROPIC_ERRORS = get_args(anthropic.types.shared.error_type.ErrorType)
UPSTREAMS_OWN = {
    *("server_error", "internal_error", "sandbox_error", "connection_failed", "request_timeout"),
    *("server_overloaded", "flex_unavailable"),
}


@pytest.mark.parametrize("word", sorted({*RESPONSE_ERRORS, *SESSION_ERRORS, *RUN_ERRORS, *ANTHROPIC_ERRORS}))
def test_every_word_of_the_official_packages_is_in_the_table(word: str) -> None:
    assert status_of(word) is not None
    assert (word in CODES) != (word in VAGUE)


@pytest.mark.parametrize("word", RESPONSE_ERRORS)
def test_of_the_errors_of_a_failed_response_only_two_are_not_its_callers(word: str) -> None:
    ours = {"server_error": Fault.UPSTREAM, "rate_limit_exceeded": Fault.RATE}
    assert CODES[word].fault is ours.get(word, Fault.CALLER)
    assert CODES[word].status < 500 or word == "server_error"


@pytest.mark.parametrize("word", SESSION_ERRORS)
def test_an_error_of_the_upstream_is_a_5xx_and_no_other_is(word: str) -> None:
    assert (CODES[word].status >= 500) is (CODES[word].fault is Fault.UPSTREAM) is (word in UPSTREAMS_OWN)


# All words. Whom each blames stands here once more, by what the providers' pages say of it.

BLAMED = {
    Fault.KEY: "account_deactivated no_organization ip_not_authorized access_terminated organization_deactivated"
    " invalid_api_key authentication_error organization_on_hold organization_restricted UNAUTHENTICATED"
    " ACCESS_TOKEN_EXPIRED API_KEY_INVALID CONSUMER_SUSPENDED CONSUMER_INVALID API_KEY_SERVICE_BLOCKED SERVICE_DISABLED"
    " UnrecognizedClientException ExpiredTokenException InvalidSignatureException",
    Fault.MONEY: "insufficient_quota billing_hard_limit_reached credit_balance_exhausted usage_limit_exceeded"
    " organization_usage_limit_exceeded organization_spend_limit_exceeded project_spend_limit_exceeded"
    " billing_not_active quota_exceeded billing_error enforced_spend_limit_reached contract_spend_limit_reached"
    " linked_organization_spend_limit_reached linked_organization_billing_unavailable BILLING_DISABLED",
    Fault.RATE: "rate_limit_exceeded rate_limit_error requests tokens slow_down rate_limited ramp_limit_exceeded"
    " RESOURCE_EXHAUSTED RATE_LIMIT_EXCEEDED ThrottlingException service_tier_capacity_exceeded",
    Fault.MODEL: "model_not_found model_not_available DeploymentNotFound model_decommissioned invalid_model"
    " model_permission_blocked_org model_permission_blocked_project model_terms_required",
    Fault.UPSTREAM: "server_error internal_error internal_server_error sandbox_error connection_failed request_timeout"
    " server_is_overloaded server_overloaded service_unavailable_error flex_unavailable overloaded_error api_error"
    " timeout_error INTERNAL UNKNOWN ABORTED UNAVAILABLE MODEL_CAPACITY_EXHAUSTED DEADLINE_EXCEEDED InternalServerError"
    " InternalServerException ModelStreamErrorException ServiceUnavailableException ModelNotReadyException"
    " unavailable_error ServiceUnavailableError engine_overloaded_error",
}
STATUSES = {
    Fault.KEY: {400, 401, 403},
    Fault.MONEY: {402, 403, 429},
    Fault.RATE: {429},
    Fault.MODEL: {400, 404},
    Fault.UPSTREAM: {500, 503, 504, 529},
    Fault.CALLER: {400, 404, 409, 413, 424},
}
OWN_STATUS = {
    401: "invalid_api_key authentication_error UNAUTHENTICATED ACCESS_TOKEN_EXPIRED account_deactivated",
    402: "billing_error linked_organization_billing_unavailable",
    403: "access_terminated BILLING_DISABLED SERVICE_DISABLED ExpiredTokenException permission_error PERMISSION_DENIED",
    404: "model_not_found DeploymentNotFound model_decommissioned response_not_found not_found_error NOT_FOUND",
    409: "conflict_error",
    413: "request_too_large",
    424: "ModelErrorException",
    429: "insufficient_quota quota_exceeded rate_limit_exceeded enforced_spend_limit_reached RESOURCE_EXHAUSTED",
    400: "organization_on_hold API_KEY_INVALID invalid_prompt context_length_exceeded INVALID_ARGUMENT invalid_model"
    " invalid_request_error FAILED_PRECONDITION",
    500: "server_error api_error INTERNAL InternalServerException",
    503: "server_is_overloaded UNAVAILABLE ServiceUnavailableException engine_overloaded_error",
    504: "request_timeout timeout_error DEADLINE_EXCEEDED",
    529: "overloaded_error",
}


def test_every_word_blames_whom_its_provider_says() -> None:
    blamed = {word: fault for fault, words in BLAMED.items() for word in words.split()}
    assert {word: code.fault for word, code in CODES.items()} == {
        word: blamed.get(word, Fault.CALLER) for word in CODES
    }
    assert blamed.keys() <= CODES.keys()
    assert {fault: {each.status for each in CODES.values() if each.fault is fault} for fault in Fault} == STATUSES


@pytest.mark.parametrize(("status", "words"), OWN_STATUS.items())
def test_a_word_stands_for_the_status_that_its_provider_uses_with_it(status: int, words: str) -> None:
    assert {word: status_of(word) for word in words.split()} == dict.fromkeys(words.split(), status)
    assert status_of("a word that none of them has") is None


# The odd ones


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_success_is_an_answer(status: int) -> None:
    assert check(status, b"{}") == ANSWERED


def test_a_call_that_was_not_connected_is_repeated_and_one_that_may_have_been_billed_is_not() -> None:
    assert UNREACHABLE.event is DROPPED.event is NONSENSE.event is KeyEvent.FAILED
    assert (UNREACHABLE.final, DROPPED.final, NONSENSE.final) == (False, False, True)
    assert (UNREACHABLE.sure, DROPPED.sure, NONSENSE.sure) == (True, False, False)


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
    quoted = openai_says(
        f"Invalid value: '{text}'. Supported values are 'user'.", "invalid_request_error", "invalid_value"
    )
    field = anthropic_says("invalid_request_error", f"{text}: Extra inputs are not permitted")
    inner = anthropic_says("invalid_request_error", f"messages.0.role: {text}")
    for body in (quoted, field, inner):
        assert check(400, body) == CALLERS_FAULT


def test_a_word_of_money_in_a_message_alone_does_not_exhaust_a_key() -> None:
    message = "messages: insufficient_quota billing_error invalid_api_key"
    assert check(400, anthropic_says("invalid_request_error", message)) == CALLERS_FAULT


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_rest_that_was_asked_for_comes_with_the_verdict(status: int) -> None:
    assert check(status, b"", {"retry-after": "12"}).rest == 12.0
    assert check(status, b"", {"retry-after": "Sun, 01 Mar 2026 12:00:12 GMT"}).rest == 12.0


@pytest.mark.parametrize(
    "body",
    [b"\xff\xfe", b"null", b"3", b"[[[", b'{"error":[]}', b'{"error":{"type":1,"code":{},"message":[]}}', b"[" * 9000],
)
def test_no_body_whatever_breaks_the_judge(body: bytes) -> None:
    assert check(500, body) == DROPPED
    assert check(400, body) == CALLERS_FAULT


def test_no_number_however_long_breaks_the_judge() -> None:
    message = "can only afford " + "9" * 5000
    assert check(402, openai_says(message)).final
