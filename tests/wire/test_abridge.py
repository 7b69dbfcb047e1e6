"""A long document, abridged: JSON again, the same wherever it was chopped, with the figures where they were."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.wire.abridge import LONGEST_STRING, MOST, MUCH, SHORT_STRING, Abridger

USAGE = {"input_tokens": 20, "output_tokens": 1500, "output_tokens_details": {"image_tokens": 1400}}
PICTURE = "iVBORw0KGgo" * 100_000
TRICKY = ['"', "\\", '\\"', "\\\\", "\n\t\u0007", "é", "\U0001f600", "\u2028", "]}", "[{,", ""]


def abridged(document: bytes, size: int = 65_536) -> bytes:
    abridger = Abridger()
    for start in range(0, len(document), size):
        abridger.feed(document[start : start + size])
    return abridger.document()


SHAPES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "usage behind the picture": ({"type": "x", "b64_json": PICTURE, "usage": USAGE}, ("usage",)),
    "usage before the picture": ({"type": "x", "usage": USAGE, "b64_json": PICTURE}, ("usage",)),
    "usage in a response": (
        {"type": "response.completed", "response": {"output": [{"result": PICTURE}], "usage": USAGE}},
        ("response", "usage"),
    ),
    "picture in a chunk": (
        {"choices": [{"delta": {"images": [{"image_url": {"url": PICTURE}}]}}], "usage": USAGE},
        ("usage",),
    ),
    "a million numbers": ({"data": [[0.125] * 1000] * 1000, "usage": USAGE}, ("usage",)),
    "probabilities": ({"logprobs": [[{"token": '"\\', "bytes": [1, 2]}] * 20] * 5_000, "usage": USAGE}, ("usage",)),
    "many long texts": ({"output": [{"text": "word " * 10_000}] * 200, "usage": USAGE}, ("usage",)),
}


@pytest.mark.parametrize("size", [4_093, 65_536, 1 << 30])
@pytest.mark.parametrize("name", SHAPES)
def test_the_figures_are_found_wherever_they_stand(name: str, size: int) -> None:
    document, path = SHAPES[name]
    found = orjson.loads(abridged(orjson.dumps(document), size))
    for step in path:
        found = found[step]
    assert found == USAGE


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_kept_is_bounded(name: str) -> None:
    document = orjson.dumps(SHAPES[name][0])
    assert len(document) > MUCH
    assert len(abridged(document)) <= MUCH + LONGEST_STRING + 1024


def test_a_short_document_is_not_changed() -> None:
    document = orjson.dumps({"a": TRICKY, "b": [1, [2, {}], []], "c": None})
    assert abridged(document) == document
    assert abridged(document, 1) == document


@pytest.mark.parametrize("unit", [each for each in TRICKY if each] + ["a", "日本"])
@pytest.mark.parametrize("escaped", [False, True])
def test_a_string_is_cut_behind_a_whole_character(unit: str, escaped: bool) -> None:
    for before in range(12):
        text = "x" * before + unit * LONGEST_STRING
        document = b'{"t":' + (json.dumps(text).encode() if escaped else orjson.dumps(text)) + b',"n":1}'
        found = orjson.loads(abridged(document, 1000))
        assert found["n"] == 1
        assert text.startswith(found["t"])
        assert 0 < len(found["t"]) <= LONGEST_STRING


def test_once_much_is_kept_strings_are_cut_shorter() -> None:
    members = {f"m{number}": "y" * LONGEST_STRING for number in range(100)}
    found = orjson.loads(abridged(orjson.dumps(members)))
    assert list(found) == list(members), "of an object no member is left out"
    assert len(found["m0"]) == LONGEST_STRING
    assert len(found["m99"]) == SHORT_STRING


@pytest.mark.parametrize(
    "document",
    [
        b'{"a":' * 100 + b"1" + b"}" * 100,
        orjson.dumps({f"member {number}": number for number in range(100_000)}),
        b'{"a":[' + b'"x",' * 300_000 + b'"x"',
        b"no JSON " * 300_000,
        b'{"a":"' + b"x" * MOST,
    ],
    ids=["nested", "members", "unfinished array", "no JSON", "unfinished string"],
)
def test_what_cannot_be_abridged_is_no_document(document: bytes) -> None:
    found = abridged(document)
    assert len(found) <= MOST
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(found)


_texts = st.text(max_size=40) | st.sampled_from([unit * 400 for unit in TRICKY])
_values = st.recursive(
    _texts | st.integers(-9, 9) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=40,
)


@settings(deadline=None, max_examples=60)
@given(document=st.dictionaries(_texts, _values, max_size=6), cuts=st.lists(st.integers(0, 4000), max_size=12))
def test_nothing_depends_on_how_a_document_is_chopped(document: dict[str, Any], cuts: list[int]) -> None:
    body = orjson.dumps(document)
    whole, chopped = Abridger(), Abridger()
    whole.feed(body)
    for start, end in pairwise([0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]):
        chopped.feed(body[start:end])
    assert chopped.document() == whole.document()
    assert orjson.loads(whole.document()) == document, "and it is short, so nothing is missing"


def reference(value: Any, most: int) -> Any:
    """What is left of a document whose long strings are cut, and of which nothing else is."""
    if isinstance(value, str):
        return value[:most]
    if isinstance(value, list):
        return [reference(each, most) for each in value]
    if isinstance(value, dict):
        return {name: reference(each, most) for name, each in value.items()}
    return value


@settings(deadline=None, max_examples=40)
@given(document=_values, lengths=st.lists(st.integers(0, 3), min_size=1, max_size=5))
def test_of_a_document_with_long_strings_only_their_ends_are_missing(document: Any, lengths: list[int]) -> None:
    longs = ["z" * (length * LONGEST_STRING // 2) for length in lengths]
    body = {"before": document, "longs": longs, "after": document}
    assert orjson.loads(abridged(orjson.dumps(body), 5_003)) == reference(body, LONGEST_STRING)
    assert LONGEST_STRING * 4 < MUCH
