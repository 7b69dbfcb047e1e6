"""What does not fit between a store and the settings of a start, and what does."""

from __future__ import annotations

import pytest

from server.store.identity import (
    NO_UPSTREAM,
    OTHER_MASTER,
    OTHER_PEPPER,
    Holdings,
    Identity,
    contradiction,
    fingerprint,
    identity_body,
    identity_of,
)

REAL = Identity("p1", ("m1",), real=True)
DEMO = Identity("p1", (), real=False)
EMPTY = Holdings(tokens=False, keys=False, readable=False)
TOKENS = Holdings(tokens=True, keys=False, readable=False)
READABLE = Holdings(tokens=True, keys=True, readable=True)
UNREADABLE = Holdings(tokens=True, keys=True, readable=False)


@pytest.mark.parametrize(
    ("known", "now", "holds", "unasked", "wrong"),
    [
        (None, REAL, EMPTY, False, None),
        (None, DEMO, EMPTY, True, None),
        (REAL, REAL, READABLE, False, None),
        (REAL, Identity("p2", ("m1",), real=True), TOKENS, False, OTHER_PEPPER),
        (REAL, Identity("p2", ("m1",), real=True), EMPTY, False, None),
        (DEMO, Identity("p2", (), real=True), TOKENS, False, OTHER_PEPPER),
        (REAL, Identity("p1", (), real=True), UNREADABLE, False, OTHER_MASTER),
        (REAL, Identity("p1", ("m2",), real=True), UNREADABLE, False, OTHER_MASTER),
        (REAL, Identity("p1", ("m2", "m1"), real=True), READABLE, False, None),
        (Identity("p1", ("m2", "m1"), real=True), Identity("p1", ("m2",), real=True), UNREADABLE, False, OTHER_MASTER),
        (REAL, Identity("p1", ("m2",), real=True), TOKENS, False, None),
        (REAL, REAL, UNREADABLE, False, None),  # the record is damaged: the same master key has not changed
        (None, Identity("p1", (), real=True), UNREADABLE, False, OTHER_MASTER),
        (REAL, Identity("p1", ("m1",), real=False), READABLE, True, NO_UPSTREAM),
        (REAL, Identity("p1", ("m1",), real=False), READABLE, False, None),  # by DEMO=on or DEMO=off
        (DEMO, DEMO, TOKENS, True, None),
        (DEMO, Identity("p1", (), real=True), TOKENS, False, None),  # a demo becomes real
    ],
)
def test_a_start_that_contradicts_its_store_is_found(
    known: Identity | None, now: Identity, holds: Holdings, unasked: bool, wrong: str | None
) -> None:
    assert contradiction(known, now, holds, demo_unasked=unasked) == wrong


@pytest.mark.parametrize("text", [OTHER_PEPPER, OTHER_MASTER, NO_UPSTREAM])
def test_a_refusal_is_one_sentence_with_its_remedy(text: str) -> None:
    assert ". " not in text
    assert ": put " in text


def test_a_record_is_read_as_it_was_written() -> None:
    assert identity_of(identity_body(REAL)) == REAL
    for body in ({}, {"pepper": 1, "masters": [], "real": True}, {"pepper": "p", "masters": [], "real": "yes"}):
        with pytest.raises(ValueError, match="identity"):
            identity_of(body)


def test_a_fingerprint_is_the_secret_s_and_does_not_tell_it() -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    assert fingerprint(secret) == fingerprint(secret) != fingerprint(secret + b"0")
    assert len(fingerprint(secret)) == 16
    assert fingerprint(secret) not in secret.decode()
