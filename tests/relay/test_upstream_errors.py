"""What a caller hears of an upstream's error, and what an error inside a 200 stands for."""

from __future__ import annotations

import json
from typing import get_args

import openai.types.responses
import orjson
import pytest

from keypool.codes import CODES, Fault
from keypool.health import KeyEvent
from keypool.verdict import judge
from server.relay.response import _refusal_of
from server.wire.dialect import scrub
from server.wire.faults import fault_of, relayable
from tests.keypool.error_bodies import ITS_WORDS, OURS, ROWS, Row

RESPONSE_ERRORS = get_args(openai.types.responses.ResponseError.model_fields["code"].annotation)
FAILING = {name: row for name, row in ROWS.items() if row.verdict.event is not None}
RELAYED = {name: row for name, row in ROWS.items() if row.verdict.event is None}
IN_A_STREAM = {name: row for name, row in ROWS.items() if relayable(row.body) is not None}


@pytest.mark.parametrize("row", FAILING.values(), ids=FAILING)
def test_what_no_key_could_answer_is_told_in_our_words(row: Row) -> None:
    assert _refusal_of(row.verdict, row.status).code == row.hears


@pytest.mark.parametrize("row", RELAYED.values(), ids=RELAYED)
def test_what_its_caller_can_mend_is_told_in_the_upstreams_words_where_it_has_some(row: Row) -> None:
    told = relayable(row.body)
    assert row.hears == (OURS if told is None else ITS_WORDS)
    if told is not None:
        assert isinstance(json.loads(told)["error"], dict)


@pytest.mark.parametrize("row", RELAYED.values(), ids=RELAYED)
def test_the_message_of_what_is_relayed_is_kept(row: Row) -> None:
    told = relayable(row.body)
    if b"message" in row.body and told is not None and b'"message":{' not in row.body:
        message = json.loads(told)["error"]["message"]
        assert json.dumps(message).encode()[1:-1] in row.body


@pytest.mark.parametrize("code", RESPONSE_ERRORS)
def test_an_error_of_a_failed_response_is_judged_like_one_with_a_status(code: str) -> None:
    fault = fault_of({"type": "response.failed", "response": {"error": {"code": code, "message": "m"}}})
    assert fault is not None
    assert fault.status == CODES[code].status
    verdict = judge(fault.status, {}, fault.body, 0.0)
    expected = {Fault.UPSTREAM: KeyEvent.FAILED, Fault.RATE: KeyEvent.RATE_LIMITED, Fault.CALLER: None}
    assert verdict.event is expected[CODES[code].fault]


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}, 529),
        ({"type": "error", "code": "rate_limit_exceeded", "message": "m", "param": None}, 429),
        ({"object": "error", "type": "BadRequestError", "message": "m", "param": None, "code": 400}, 400),
        ({"object": "error", "type": "NotFoundError", "message": "m"}, 404),
        ({"choices": [], "error": {"code": 429, "message": "m", "metadata": {"error_type": "x"}}}, 429),
        ({"choices": [], "error": {"message": "m", "metadata": {"error_type": "rate_limit_exceeded"}}}, 429),
        ({"error": {"code": 503, "status": "UNAVAILABLE", "message": "m"}}, 503),
        ({"error": {"status": "RESOURCE_EXHAUSTED", "message": "m"}}, 429),
        ({"code": "content_filter", "error": "m"}, 400),
        ({"error": "m"}, 500),
        ({"error": {"code": 7, "type": "unheard_of"}}, 500),
    ],
)
def test_an_error_inside_a_200_has_the_status_that_it_stands_for(document: dict[str, object], status: int) -> None:
    fault = fault_of(document)
    assert fault is not None
    assert fault.status == status
    assert isinstance(orjson.loads(fault.body)["error"], dict)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"error": None},
        {"error": {}},
        {"error": ""},
        {"object": "chat.completion.chunk"},
        {"response": {"error": None}},
    ],
)
def test_what_reports_no_error_is_none(document: dict[str, object]) -> None:
    assert fault_of(document) is None


def test_what_tells_of_our_account_is_left_out_and_the_amounts_are_kept() -> None:
    poor = ROWS["openrouter: fewer tokens"].body
    link = poor.replace(b"30104.", b"30104. To increase, visit https://openrouter.ai/settings/credits and upgrade")
    told = scrub(link)
    assert b"30104" in told
    assert b"65536" in told
    for secret in (b"settings/credits", b"openrouter.ai", b"user_2abc"):
        assert secret not in told
    large = scrub(ROWS["openai: more than the whole limit"].body)
    assert b"45000" in large
    assert b"org-abc" not in large
    team = scrub(relayable(ROWS["xai: forbidden content, with its account"].body) or b"")
    assert b"SAFETY_CHECK_TYPE_BIO" in team
    assert b"89ab-cdef" not in team
    assert b"org_01" not in scrub(ROWS["others: groq, too large"].body)


def test_a_link_to_documentation_is_kept() -> None:
    body = b'{"error":{"message":"See https://platform.openai.com/docs/guides/error-codes for more."}}'
    assert scrub(body) == body
