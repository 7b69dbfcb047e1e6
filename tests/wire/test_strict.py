"""The strict parser: the bad bodies of the catalogue, and agreement with the standard library on good ones."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.wire import strict
from server.wire.errors import InvalidJson, TooComplex

NOT_JSON = {
    "nothing": b"",
    "white space": b" \n",
    "a brace": b"{",
    "an array": b"[]",
    "a string": b'"a"',
    "null": b"null",
    "a number": b"1",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "a number too large for a float": b'{"a":1e999}',
    "invalid UTF-8": b'{"a":"\xff"}',
    "overlong UTF-8": b'{"a":"\xc0\xaf"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "a lone surrogate": b'{"a":"\\ud800"}',
    "an encoded surrogate": b'{"a":"\xed\xa0\x80"}',
    "a duplicate key": b'{"model":"a","model":"b"}',
    "a duplicate key in disguise": b'{"model":"a","mod\\u0065l":"b"}',
    "a duplicate key deep down": b'{"a":[1,{"b":{"c":1,"c":1}}]}',
    "a duplicate key behind text full of colons": b'{"t":"a:b\\":{","t2":"\\\\","x":1,"x":2}',
    "5,000 digits": b'{"a":' + b"9" * 5000 + b"}",
    "something behind the object": b'{"a":1}{"b":1}',
    "a NUL byte": b'{"a":1}\x00',
    "a trailing comma": b'{"a":1,}',
    "a comment": b'{"a":1/**/}',
    "single quotes": b"{'a':1}",
    "a raw newline in a string": b'{"a":"\n"}',
    "an open string": b'{"a":"' + b'\\"' * 1000,
}

MONSTERS = {
    "65 levels of objects": b'{"a":' * 65 + b"1" + b"}" * 65,
    "65 levels of arrays": b'{"a":' + b"[" * 64 + b"]" * 64 + b"}",
    "100,000 levels": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "seven megabytes of brackets": b"[" * (7 << 20),
    "200,000 small objects": b'{"a":[' + b",".join([b'{"b":1}'] * 200_000) + b"]}",
    "600,001 commas": b'{"a":[' + b"1," * 600_001 + b"1]}",
    "eight megabytes of quotes": b'"' * (8 << 20),
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_strict_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidJson):
        strict.loads(body)


@pytest.mark.parametrize("body", MONSTERS.values(), ids=MONSTERS)
def test_what_would_keep_the_loop_busy_is_refused(body: bytes) -> None:
    with pytest.raises(TooComplex):
        strict.loads(body)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"": {"": {"": []}}},
        {"a": {"b": 1}, "b": {"a": 1}},
        {"text": 'colons : and "quotes": {"x": 1, "x": 2} \\ \\" [[[['},
        {"\\": "\\\\", '"': '\\"', ":": "::"},
        {"brackets in text": "[{" * 200_000},
        {"commas in text": "," * 700_000},
        {"tokens": list(range(300_000))},
        {"unicode": "\u2028 \U0001f600 ü"},
        {"deep": json.loads("[" * 62 + "{}" + "]" * 62)},
    ],
    ids=lambda document: next(iter(document), "empty").replace("\\", "backslash")[:20],
)
def test_honest_bodies_pass_whatever_their_texts_say(document: dict[str, Any]) -> None:
    assert strict.loads(orjson.dumps(document)) == document
    assert strict.loads(json.dumps(document, indent=1).encode()) == document


def test_64_levels_are_deep_enough() -> None:
    assert strict.loads(b'{"a":' * 64 + b"1" + b"}" * 64)


def test_a_refusal_does_not_carry_the_body() -> None:
    with pytest.raises(InvalidJson) as refusal:
        strict.loads(b'{"secret-canary": }')
    assert refusal.value.__cause__ is None
    assert "canary" not in repr(refusal.value) + str(refusal.value) + refusal.value.message


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(alphabet='a\\":,{}[]é\U0001f600\n', max_size=8),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text('a":\\{', max_size=3), children, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.text('ab":\\[', max_size=4), _values, max_size=5), st.booleans())
def test_every_object_is_read_as_the_standard_library_reads_it(document: dict[str, Any], ascii_only: bool) -> None:
    assert strict.loads(json.dumps(document, ensure_ascii=ascii_only).encode()) == document


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.text('ab":\\[', max_size=4), _values, min_size=1, max_size=4), st.data())
def test_a_key_that_is_repeated_anywhere_is_found(document: dict[str, Any], data: st.DataObject) -> None:
    key, value = data.draw(st.sampled_from(list(document.items())))
    members = [f"{json.dumps(name)}:{json.dumps(child)}" for name, child in document.items()]
    members.append(f"{json.dumps(key)}:{json.dumps(value)}")
    doubled = "{" + ",".join(members) + "}"
    for body in (doubled, f'{{"around":[1,{doubled}]}}'):
        with pytest.raises(InvalidJson):
            strict.loads(body.encode())


@pytest.mark.parametrize(
    ("item", "most"), [("1,", strict.MAX_COMMAS), ("[],", strict.MAX_CONTAINERS - 2)], ids=["commas", "containers"]
)
def test_a_document_may_be_as_large_as_the_bound_and_no_larger(item: str, most: int) -> None:
    for many, fits in ((most, True), (most + 1, False)):
        body = ('{"a":[' + item * many + "1]}").encode()
        if fits:
            assert len(strict.loads(body)["a"]) == many + 1
        else:
            with pytest.raises(TooComplex):
                strict.loads(body)
