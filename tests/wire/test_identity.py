"""What a provider learns of the person who asks; and not one other byte of a body changes."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.wire.endpoints import ENDPOINTS
from server.wire.identity import Identity, Manner, named, stripped
from server.wire.multipart import read_fields
from server.wire.request import Request, capped, read_request

CHAT, MESSAGES = ENDPOINTS["/v1/chat/completions"], ENDPOINTS["/v1/messages"]
SPEECH_TO_TEXT = ENDPOINTS["/v1/audio/transcriptions"]
HELLO: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
PEPPER = b"p" * 32
PSEUDONYM = Identity.of("pseudonym", PEPPER)
STRIP = Identity.of("strip", PEPPER)
NAME = PSEUDONYM.pseudonym("usr_ada")

tricky = st.text(st.sampled_from('{}[]",:\\ \n/aé\x00user'), max_size=8)
leaves = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-1, 1) | tricky
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(tricky, inner, max_size=3), max_leaves=6
)
names = st.sampled_from(["user", "safety_identifier", "metadata", "user_id", "a", 'us"er', "\\user", "u\\"]) | tricky
metadata = st.dictionaries(st.sampled_from(["user_id", "user", "k", "metadata"]), values, max_size=4) | values
bodies = st.lists(st.tuples(names, values, metadata), max_size=6)
spacing = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n\t", " :\r\n ")])


def document_of(members: list[tuple[str, Any, Any]]) -> dict[str, Any]:
    return {name: inner if name == "metadata" else value for name, value, inner in members}


def without(document: dict[str, Any]) -> dict[str, Any]:
    """The document as it reads without the fields that name a person."""
    rest = {name: value for name, value in document.items() if name not in ("user", "safety_identifier")}
    if isinstance(rest.get("metadata"), dict):
        rest["metadata"] = {name: value for name, value in rest["metadata"].items() if name != "user_id"}
    return rest


def with_name(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The document as it reads with a name in those fields."""
    changed = {key: name if key in ("user", "safety_identifier") and document[key] is not None else document[key]
               for key in document}  # fmt: skip
    inner = changed.get("metadata")
    if isinstance(inner, dict) and inner.get("user_id") is not None:
        changed["metadata"] = {**inner, "user_id": name}
    return changed


def escaped(text: str) -> str:
    """The same JSON with every `us` in it spelt in another way."""
    return text.replace("us", "\\u0075s")


def read(document: dict[str, Any], **more: Any) -> Request:
    return read_request(CHAT, orjson.dumps({**HELLO, **document}), "application/json", **more)


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(bodies, spacing, st.booleans(), st.booleans())
def test_only_the_fields_that_name_a_person_change(
    members: list[tuple[str, Any, Any]], marks: tuple[str, str], ascii_only: bool, respelt: bool
) -> None:
    document = document_of(members)
    text = json.dumps(document, separators=marks, ensure_ascii=ascii_only)
    body = (escaped(text) if respelt and "\\us" not in text else text).encode()
    assert orjson.loads(named(body, NAME)) == with_name(document, NAME)
    assert orjson.loads(stripped(body)) == without(document)


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(names, values, metadata), min_size=1, max_size=6), spacing)
def test_every_byte_outside_of_their_values_stays(members: list[tuple[str, Any, Any]], marks: tuple[str, str]) -> None:
    """Written by hand with a mark in place of each value: so the bytes that have to stay are known."""
    document = with_name(document_of(members), "\ufffe")
    text = "  " + json.dumps(document, separators=marks, ensure_ascii=False) + " \n"
    assert named(text.encode(), NAME) == text.replace('"\ufffe"', f'"{NAME}"').encode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"user":"me"}', b"{}"),
        (b'{ "user" : "me" }', b"{  }"),
        (b'{"user":"me","a":1}', b'{"a":1}'),
        (b'{"a":1 , "user":"me"}', b'{"a":1 }'),
        (b'{"a":1,"user":"me","b":2}', b'{"a":1,"b":2}'),
        (b'{"a":1,"user":"me","safety_identifier":"you"}', b'{"a":1}'),
        (b'{"user":"me","safety_identifier":"you"}', b"{}"),
        (b'{"metadata":{"user_id":"me"},"user":{"x":[1,"}"]}}', b'{"metadata":{}}'),
        (b'{"metadata":{"k":"v","user_id":null}}', b'{"metadata":{"k":"v"}}'),
        (b'{"metadata":"user_id","x":{"user":"stays"}}', b'{"metadata":"user_id","x":{"user":"stays"}}'),
    ],
)
def test_a_field_goes_with_its_comma(before: bytes, after: bytes) -> None:
    assert stripped(before) == after


@pytest.mark.parametrize("value", ['"me"', '"m\\"e\\\\"', "5", "true", "[]", '{"name":["me"]}', '""'])
def test_whatever_stands_there_is_replaced(value: str) -> None:
    assert named(f'{{"user":{value},"a":1}}'.encode(), "n") == b'{"user":"n","a":1}'


def test_null_is_no_name_and_stays() -> None:
    body = b'{"user":null,"metadata":{"user_id": null}}'
    assert named(body, "n") == body


def test_what_looks_like_a_name_further_inside_is_the_persons_own_business() -> None:
    body = orjson.dumps(
        {"messages": [{"role": "user", "user": "x", "content": '"user":"y"', "metadata": {"user_id": 1}}]}
    )
    assert named(body, "n") == stripped(body) == body


class TestIdentity:
    def test_a_pseudonym_lasts_and_is_one_persons_alone(self) -> None:
        assert PSEUDONYM.pseudonym("usr_ada") == NAME == Identity.of("pseudonym", PEPPER).pseudonym("usr_ada")
        assert PSEUDONYM.pseudonym("usr_bob") != NAME
        assert Identity.of("pseudonym", b"q" * 32).pseudonym("usr_ada") != NAME
        assert len(NAME) == 35
        assert NAME.startswith("fg-")
        assert "ada" not in NAME

    def test_the_key_is_not_the_pepper_and_is_not_shown(self) -> None:
        assert PSEUDONYM.key != PEPPER
        assert repr(PSEUDONYM) == "Identity(manner='pseudonym')"

    def test_a_request_without_a_name_is_returned_as_it_is(self) -> None:
        request = read({"metadata": {"course": "x"}, "x": {"user": "y"}})
        for manner in ("pseudonym", "strip", "pass"):
            assert Identity.of(manner, PEPPER).applied(request, "usr_ada") is request

    def test_each_field_that_is_there_gets_the_pseudonym(self) -> None:
        fields = {"user": "ada@example.org", "safety_identifier": "x", "metadata": {"user_id": "y", "k": "v"}}
        body = orjson.loads(PSEUDONYM.applied(read(fields), "usr_ada").body)
        assert body == {**HELLO, "user": NAME, "safety_identifier": NAME, "metadata": {"user_id": NAME, "k": "v"}}

    def test_on_request_the_fields_go_or_stay(self) -> None:
        request = read({"user": "me"})
        assert orjson.loads(STRIP.applied(request, "usr_ada").body) == HELLO
        assert Identity.of("pass", PEPPER).applied(request, "usr_ada") is request

    def test_without_a_setting_no_person_is_named(self) -> None:
        assert orjson.loads(Identity().applied(read({"user": "me"}), "usr_ada").body) == HELLO

    def test_also_in_a_body_that_we_have_added_to(self) -> None:
        request = capped(read({"stream": True, "user": "me"}), 50)
        body = orjson.loads(PSEUDONYM.applied(request, "usr_ada").body)
        assert (body["user"], body["stream_options"], body["max_completion_tokens"]) == (
            NAME,
            {"include_usage": True},
            50,
        )

    @pytest.mark.parametrize(("manner", "expected"), [("pseudonym", NAME), ("strip", None), ("pass", "me")])
    def test_a_form_is_treated_alike_and_its_recording_is_not_touched(
        self, manner: Manner, expected: str | None
    ) -> None:
        sound = b'RIFF\r\n--x\r\n\r\nname="user"' + bytes(range(256))
        files = {"file": ("a.wav", sound, "audio/wav")}
        form = httpx2.Request("POST", "http://127.0.0.1/", data={"model": "m", "user": "me"}, files=files)
        content_type = form.headers["content-type"]
        request = read_request(SPEECH_TO_TEXT, form.read(), content_type)
        sent = Identity.of(manner, PEPPER).applied(request, "usr_ada").body
        fields = read_fields(sent, content_type)
        assert (fields.get("user"), fields["model"], sound in sent) == (expected, "m", True)
        if expected is not None:
            assert sent == request.body.replace(b"\r\n\r\nme\r\n", b"\r\n\r\n%b\r\n" % expected.encode())
