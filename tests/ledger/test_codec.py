"""A settlement survives being written down, and a journal survives being damaged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.codec import (
    Recovery,
    opened_line,
    settled_line,
    settlement_bytes,
    settlement_of,
    written_line,
)
from server.ledger.quota import Charge, Settlement
from server.ledger.usage import Outcome, UsageRow
from server.wire.usage import Usage
from tests.store.samples import settlement

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.integers(-(2**63), 2**63 - 1)
ROWS = st.builds(
    UsageRow,
    **dict.fromkeys(("request_id", "person_id", "model_asked", "model_served", "endpoint", "dialect", "day"), TEXT),
    **dict.fromkeys(("upstream", "key"), TEXT),
    **{name: st.none() | TEXT for name in ("token_id", "group", "price_id")},
    **dict.fromkeys(("started_at", "queue_ms", "duration_ms", "attempts", "cost_micro_usd"), NUMBER),
    **{name: st.booleans() for name in ("streamed", "client_aborted")},
    status=st.sampled_from(Outcome),
    first_byte_ms=st.none() | NUMBER,
    usage=st.builds(Usage, **dict.fromkeys(("input", "cached", "output", "images"), NUMBER), estimated=st.booleans()),
)
SETTLEMENTS = st.builds(Settlement, ROWS, st.lists(st.builds(Charge, TEXT, NUMBER), max_size=3).map(tuple))

ONE = settlement("one", {"a/b": 7})


def interrupted(request_id: str, **changes: Any) -> Settlement:
    return settlement(request_id, {"a/b": 9}, status=Outcome.INTERRUPTED, **changes)


def recovered(*lines: bytes) -> Recovery:
    recovery = Recovery()
    for line in lines:
        recovery.read(line)
    return recovery


def with_field(where: str, name: str, value: object) -> bytes:
    body: Any = orjson.loads(settlement_bytes(ONE))
    place = {"top": body, "row": body["row"], "usage": body["row"]["usage"], "charge": body["charges"][0]}[where]
    place[name] = value
    return orjson.dumps(body)


@settings(deadline=None, max_examples=50)
@given(SETTLEMENTS)
def test_a_settlement_reads_back_unchanged_and_is_one_line(given: Settlement) -> None:
    raw = settlement_bytes(given)
    assert settlement_of(raw) == given
    assert b"\n" not in raw


@pytest.mark.parametrize("where", ["top", "row", "usage", "charge"])
def test_what_a_newer_release_has_added_is_left_out(where: str) -> None:
    assert settlement_of(with_field(where, "colour", "blue")) == ONE


def test_what_an_older_release_did_not_know_has_its_default() -> None:
    body = orjson.loads(settlement_bytes(ONE))
    del body["row"]["group"], body["row"]["usage"]["images"], body["charges"]
    usage = replace(ONE.row.usage, images=0)
    assert settlement_of(orjson.dumps(body)) == Settlement(replace(ONE.row, group=None, usage=usage))


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        ("top", "row", []),
        ("top", "charges", None),
        ("top", "charges", ["a/b"]),
        ("row", "request_id", None),
        ("row", "group", 5),
        ("row", "status", "excellent"),
        ("row", "status", None),
        ("row", "usage", 5),
        ("row", "started_at", True),
        ("row", "started_at", 1.5),
        ("row", "started_at", "10000"),
        ("row", "streamed", 1),
        ("usage", "input", None),
        ("usage", "estimated", "no"),
        ("charge", "amount", "7"),
        ("charge", "counter", 7),
    ],
)
def test_a_known_field_must_be_what_it_says(where: str, name: str, value: object) -> None:
    with pytest.raises(ValueError) as refusal:
        settlement_of(with_field(where, name, value))
    assert "excellent" not in str(refusal.value)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'{"row":{}}', b'{"charges":[]}'])
def test_what_is_no_settlement_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        settlement_of(raw)


def test_half_a_character_cannot_be_written_down() -> None:
    with pytest.raises(TypeError):
        settlement_bytes(settlement("\ud800"))


def test_settled_but_perhaps_not_written_is_an_orphan() -> None:
    recovery = recovered(opened_line(interrupted("one")), settled_line(ONE), settled_line(settlement("two")))
    assert recovery.orphans() == [ONE, settlement("two")]


def test_sent_and_never_settled_is_an_orphan_as_it_was_estimated() -> None:
    recovery = recovered(opened_line(interrupted("one")), opened_line(interrupted("two")), written_line(["one"]))
    assert recovery.orphans() == [interrupted("two")]


def test_of_two_estimates_the_later_one_counts() -> None:
    first, second = interrupted("one"), interrupted("one", attempts=2)
    assert recovered(opened_line(first), opened_line(second)).orphans() == [second]


def test_what_the_store_has_is_no_orphan() -> None:
    lines = [opened_line(interrupted("one")), settled_line(ONE), settled_line(settlement("two"))]
    assert recovered(*lines, written_line(["one", "two"])).orphans() == []


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"\0" * 100, b"no line of ours\n", written_line(["a"]).replace(b"W", b"X"), b"a09cc6a9W[5]\n"],
)
def test_a_line_that_says_nothing_is_skipped_and_counted(line: bytes) -> None:
    recovery = recovered(settled_line(ONE), line, settled_line(settlement("two")))
    assert (len(recovery.orphans()), recovery.damaged) == (2, 1)


def test_a_line_of_a_kind_that_is_not_known_yet_is_skipped_and_counted() -> None:
    assert recovered(b"7c15dfc8Z{}\n").damaged == 1


def test_a_line_cut_anywhere_never_was() -> None:
    line = settled_line(ONE)
    for end in range(len(line) - 1):
        recovery = recovered(line[:end])
        assert (recovery.orphans(), recovery.damaged) == ([], 1)


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_no_flipped_bit_goes_unnoticed(data: st.DataObject) -> None:
    line = bytearray(settled_line(ONE))[:-1]
    bit = data.draw(st.integers(0, 8 * len(line) - 1))
    line[bit // 8] ^= 1 << bit % 8
    recovery = recovered(bytes(line))
    assert (recovery.orphans(), recovery.damaged) == ([], 1)
