"""Where an error says what: the shapes in which providers write it, plain and as an event."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from keypool.codes import Fault
from keypool.complaint import Complaint, complaint_of, error_of

NESTED = {"message": "m", "type": "t", "code": "c", "param": "p"}

SHAPES: dict[str, tuple[Any, dict[str, Any] | None]] = {
    "openai": ({"error": NESTED}, NESTED),
    "anthropic": ({"type": "error", "error": {"type": "t", "message": "m"}}, {"type": "t", "message": "m"}),
    "an event of the responses": ({"type": "error", "code": "c", "message": "m"}, {"code": "c", "message": "m"}),
    "an event with nothing but its name": ({"type": "error"}, {"message": ""}),
    "flat, as vllm": ({"object": "error", "type": "t", "message": "m"}, {"type": "t", "message": "m"}),
    "google, in a list": ([{"error": {"status": "s", "message": "m"}}], {"status": "s", "message": "m"}),
    "amazon": ({"__type": "com.amazon#Throttled", "message": "m"}, {"type": "Throttled", "message": "m"}),
    "amazon, which has a type already": ({"__type": "a#b", "type": "t"}, {"type": "t", "message": ""}),
    "a text": ({"error": "m"}, {"message": "m"}),
    "a detail": ({"detail": "m"}, {"message": "m"}),
    "a msg": ({"msg": "m"}, {"message": "m"}),
    "a Message": ({"Message": "m"}, {"message": "m"}),
    "the first of several": ({"detail": 7, "msg": "m", "Message": "n"}, {"message": "m"}),
    "nothing": ({}, {"message": ""}),
    "two in a list": ([{}, {}], None),
    "no object": (3, None),
}


@pytest.mark.parametrize(("document", "error"), SHAPES.values(), ids=SHAPES)
def test_an_error_is_found_in_every_shape(document: Any, error: dict[str, Any] | None) -> None:
    assert error_of(orjson.dumps(document)) == error


WORD = "insufficient_quota"  # one of money
PLACES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "code": ({}, {"code": WORD}),
    "type": ({}, {"type": WORD}),
    "status": ({}, {"status": WORD}),
    "azure's inner error": ({}, {"code": "400", "innererror": {"code": WORD}}),
    "anthropic's details": ({}, {"type": "t", "details": {"error_code": WORD}}),
    "google's details": ({}, {"status": "s", "details": [7, {"reason": WORD}]}),
    "openrouter's metadata": ({}, {"code": 402, "metadata": {"error_type": WORD}}),
    "amazon's header": ({"x-amzn-errortype": f"{WORD}:http://internal/"}, {"message": "m"}),
}


@pytest.mark.parametrize(("headers", "error"), PLACES.values(), ids=PLACES)
def test_a_word_blames_wherever_a_provider_writes_it_and_in_prose_nowhere(
    headers: dict[str, str], error: dict[str, Any]
) -> None:
    assert complaint_of(headers, orjson.dumps({"error": error})).faults == {Fault.MONEY}
    assert complaint_of({}, orjson.dumps({"error": {"message": WORD, "param": WORD, "code": 7}})).faults == set()


@pytest.mark.parametrize(
    ("metadata", "moderated", "held_back"),
    [
        ({"reasons": ["violence"]}, True, False),
        ({"flagged_input": "..."}, True, False),
        ({"patterns": ["p"]}, True, False),
        ({"reasons": [], "flagged_input": "", "patterns": None}, False, False),
        ({"limit_source": "openrouter_in_flight_budget"}, False, True),
        ({"limit_source": "another"}, False, False),
        ({}, False, False),
        (None, False, False),
    ],
)
def test_what_openrouter_says_beside_an_error_is_read(metadata: Any, moderated: bool, held_back: bool) -> None:
    said = complaint_of({}, orjson.dumps({"error": {"message": "M", "param": "p", "metadata": metadata}}))
    assert said == Complaint(param="p", message="m", moderated=moderated, held_back=held_back)


@pytest.mark.parametrize(
    ("headers", "body", "page"),
    [
        ({"content-type": "TEXT/HTML; charset=utf-8"}, b"busy", True),
        ({}, b"  <!DOCTYPE html><title>", True),
        ({}, b"<html>", True),
        ({"content-type": "text/plain"}, b"busy", False),
        ({}, b"", False),
        ({"content-type": "text/html"}, b'{"error":"m"}', False),
    ],
)
def test_a_page_is_known_by_its_type_or_its_beginning(headers: dict[str, str], body: bytes, page: bool) -> None:
    assert complaint_of(headers, body).page is page
