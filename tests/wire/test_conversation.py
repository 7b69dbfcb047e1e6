"""Naming conversations: the next turn has the name of the turn before, and the name tells nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders

from server.wire.conversation import DIGEST, LONGEST, SESSION_HEADERS, bind, conversation_of, session_of
from server.wire.endpoints import ENDPOINTS
from server.wire.openai import OPENAI

SYSTEM = "Be brief."
HELLO = {"role": "user", "content": "hello"}
TURNS = [{"role": "assistant", "content": "hi"}, {"role": "user", "content": "and now?"}]
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
FIRST: dict[str, dict[str, Any]] = {
    "chat": {"messages": [{"role": "system", "content": SYSTEM}, HELLO]},
    "messages": {"system": SYSTEM, "messages": [HELLO]},
    "responses": {"instructions": SYSTEM, "input": [HELLO]},
    "compact": {"instructions": SYSTEM, "input": [HELLO]},
}
FAMILIES = pytest.mark.parametrize("kind", FIRST)
CONVERSING = ("chat", "completions", "messages", "responses", "compact")


def name(kind: str, document: dict[str, Any]) -> bytes:
    return conversation_of(kind, document, None)


def turns_of(kind: str) -> str:
    return "input" if kind in ("responses", "compact") else "messages"


@FAMILIES
def test_every_turn_of_a_conversation_has_the_name_of_the_first(kind: str) -> None:
    first = FIRST[kind]
    later = {**first, turns_of(kind): first[turns_of(kind)] + TURNS, "temperature": 1, "tools": []}
    assert name(kind, later) == name(kind, first)
    assert len(name(kind, first)) == DIGEST


@FAMILIES
@pytest.mark.parametrize("other", [{"role": "user", "content": "hullo"}, {"role": "user", "content": ""}])
def test_another_first_message_is_another_conversation(kind: str, other: dict[str, str]) -> None:
    turns = FIRST[kind][turns_of(kind)]
    assert name(kind, {**FIRST[kind], turns_of(kind): [*turns[:-1], other]}) != name(kind, FIRST[kind])


def test_what_is_compacted_goes_where_the_conversation_was() -> None:
    assert name("compact", FIRST["compact"]) == name("responses", FIRST["responses"])


def test_another_system_prompt_is_another_conversation() -> None:
    assert name("messages", {**FIRST["messages"], "system": "Be long."}) != name("messages", FIRST["messages"])
    assert name("responses", {**FIRST["responses"], "instructions": None}) != name("responses", FIRST["responses"])
    assert name("chat", {"messages": [{"role": "developer", "content": "x"}, HELLO]}) != name("chat", FIRST["chat"])


def test_words_that_move_from_the_system_prompt_to_the_message_make_another_conversation() -> None:
    one = {"system": "ab", "messages": [{"role": "user", "content": "c"}]}
    assert name("messages", one) != name("messages", {"system": "a", "messages": [{"role": "user", "content": "bc"}]})


@FAMILIES
@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "hello"}],
        [{"type": "input_text", "text": "hello", "cache_control": {"type": "ephemeral"}}],
        [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}],
        [PICTURE, {"type": "text", "text": "hello"}],
    ],
    ids=["a part", "marked for the cache", "two parts", "with a picture"],
)
def test_clients_may_wrap_the_same_words_anew(kind: str, content: list[Any]) -> None:
    turns = FIRST[kind][turns_of(kind)]
    rewrapped = {**FIRST[kind], turns_of(kind): [*turns[:-1], {"role": "user", "content": content}]}
    assert name(kind, rewrapped) == name(kind, FIRST[kind])


def test_the_system_prompt_may_be_a_list_and_the_input_a_string() -> None:
    blocks = [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}]
    assert name("messages", {**FIRST["messages"], "system": blocks}) == name("messages", FIRST["messages"])
    assert name("responses", {**FIRST["responses"], "input": "hello"}) == name("responses", FIRST["responses"])


@pytest.mark.parametrize("kind", CONVERSING)
def test_a_client_that_names_its_conversation_is_believed(kind: str) -> None:
    document = {**FIRST.get(kind, {"prompt": "Once"}), "prompt_cache_key": "k"}
    by_key, by_session = name(kind, document), conversation_of(kind, document, "s")
    assert by_key == name(kind, {"prompt_cache_key": "k"})
    assert by_session == conversation_of(kind, {}, "s")
    assert len({by_key, by_session, conversation_of(kind, {}, "k"), name(kind, {})}) == 4


@FAMILIES
@pytest.mark.parametrize("key", [None, "", 5, [], {}, True], ids=repr)
def test_a_cache_key_that_is_no_text_names_nothing(kind: str, key: object) -> None:
    assert name(kind, {**FIRST[kind], "prompt_cache_key": key}) == name(kind, FIRST[kind])


@pytest.mark.parametrize("kind", sorted({endpoint.kind for endpoint in ENDPOINTS.values()} - set(CONVERSING)))
def test_what_is_no_conversation_has_no_name(kind: str) -> None:
    document = {**FIRST["chat"], "input": "hello", "prompt": "hello", "prompt_cache_key": "k"}
    assert conversation_of(kind, document, "s") == b""


@pytest.mark.parametrize("document", [{}, {"messages": []}, {"messages": [{"role": "user", "content": [PICTURE]}]}])
def test_without_words_there_is_nothing_to_go_by(document: dict[str, Any]) -> None:
    assert name("chat", document) == b""
    assert name("completions", {"prompt": "Once upon a time"}) == b""


def test_of_an_endless_message_the_beginning_is_enough() -> None:
    endless = [HELLO | {"content": "a" * LONGEST + end} for end in ("x", "y")]
    split = HELLO | {"content": [{"type": "text", "text": "a" * (LONGEST - 1)}, {"type": "text", "text": "az"}]}
    names = {name("chat", {"messages": [message]}) for message in (*endless, split)}
    assert len(names) == 1
    assert name("chat", {"messages": [HELLO | {"content": "a" * (LONGEST - 1) + "x"}]}) not in names


def test_an_endless_system_prompt_does_not_hide_the_first_message() -> None:
    messages = [[HELLO], [HELLO | {"content": "hullo"}]]
    assert len({name("messages", {"system": "a" * 2 * LONGEST, "messages": each}) for each in messages}) == 2


class TestBinding:
    CONVERSATION = conversation_of("chat", FIRST["chat"], None)

    def test_another_person_or_model_has_another_conversation(self) -> None:
        pairs = [("ann", "m"), ("bob", "m"), ("ann", "n"), ("an", "nm"), ("annm", "")]
        bound = {bind(self.CONVERSATION, person, model) for person, model in pairs}
        assert len(bound) == len(pairs)
        assert {len(each) for each in bound} == {DIGEST}

    def test_it_is_the_same_each_time(self) -> None:
        assert bind(self.CONVERSATION, "ann", "m") == bind(self.CONVERSATION, "ann", "m")

    def test_no_conversation_stays_none(self) -> None:
        assert bind(b"", "ann", "m") == b""


class TestSessionHeaders:
    @pytest.mark.parametrize("header", SESSION_HEADERS)
    def test_each_of_them_names_the_session_in_any_case(self, header: str) -> None:
        assert session_of(HTTPHeaders({header.lower(): "s"}).get_all()) == "s"
        assert session_of(HTTPHeaders({header.upper(): "s"}).get_all()) == "s"

    def test_the_first_of_the_list_counts_and_empty_ones_do_not(self) -> None:
        headers = HTTPHeaders({header: header for header in reversed(SESSION_HEADERS)})
        assert session_of(headers.get_all()) == "X-Fairgate-Session"
        assert session_of(HTTPHeaders({"X-Fairgate-Session": "", "Session-Id": "codex"}).get_all()) == "codex"
        assert session_of(HTTPHeaders({"Session-Id": ""}).get_all()) is None

    @pytest.mark.parametrize("path", sorted(ENDPOINTS))
    def test_none_of_them_goes_upstream(self, path: str) -> None:
        passed = ENDPOINTS[path].dialect.passed_headers | OPENAI.passed_headers
        assert passed.isdisjoint(header.lower() for header in SESSION_HEADERS)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "text", "user"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_fields = st.sampled_from(["messages", "input", "system", "instructions", "prompt_cache_key"])


@settings(deadline=None, max_examples=60)
@given(kind=st.sampled_from(CONVERSING), document=st.dictionaries(_fields, _values, max_size=4))
def test_no_document_makes_naming_fail(kind: str, document: dict[str, Any]) -> None:
    assert len(name(kind, document)) in (0, DIGEST)


@settings(deadline=None, max_examples=60)
@given(first=st.text(max_size=20), later=st.lists(_values, max_size=3), cut=st.integers(0, 20))
def test_neither_what_follows_nor_how_it_is_cut_changes_a_name(first: str, later: list[Any], cut: int) -> None:
    whole = [{"role": "user", "content": first}]
    parts = [{"role": "user", "content": [{"type": "text", "text": part} for part in (first[:cut], first[cut:])]}]
    assert name("chat", {"messages": whole}) == name("chat", {"messages": [*parts, *later]})
