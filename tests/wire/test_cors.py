"""Which pages may read: exactly those that the operator named, and never by a cookie."""

from __future__ import annotations

import pytest

from server.wire.cors import Sharing

OBSIDIAN = "app://obsidian.md"
CAMPUS = Sharing.of(["https://*.example.edu", "http://*.lab.example.org:3000"])
SOME, ALL, NONE = Sharing.of([OBSIDIAN, "https://Chat.example.org"]), Sharing.of(["*"]), Sharing.of([])


@pytest.mark.parametrize(
    ("sharing", "origin", "allowed"),
    [
        (SOME, OBSIDIAN, True),
        (SOME, "https://chat.example.org", True),
        (SOME, "https://chat.example.org:8443", False),
        (SOME, "http://chat.example.org", False),
        (SOME, "https://chat.example.org.evil.example", False),
        (SOME, "https://evil.example", False),
        (SOME, "null", False),
        (SOME, "", False),
        (SOME, "*", False),
        (SOME, None, False),
        (ALL, "https://evil.example", True),
        (ALL, "null", True),
        (ALL, None, False),
        (ALL, "https://\u00e9.example", False),
        (ALL, "https://" + "a" * 300 + ".example", False),
        (NONE, OBSIDIAN, False),
        (NONE, "", False),
        (CAMPUS, "https://chat.example.edu", True),
        (CAMPUS, "https://Chat.Physics.example.edu", True),
        (CAMPUS, "https://chat_2-x.example.edu", True),
        (CAMPUS, "https://example.edu", False),
        (CAMPUS, "https://.example.edu", False),
        (CAMPUS, "https://a..example.edu", False),
        (CAMPUS, "https://evilexample.edu", False),
        (CAMPUS, "https://chat.example.edu.evil.org", False),
        (CAMPUS, "https://chat-example.edu", False),
        (CAMPUS, "https://chat.exampleXedu", False),
        (CAMPUS, "https://chat.example.edu:8443", False),
        (CAMPUS, "http://chat.example.edu", False),
        (CAMPUS, "https://*.example.edu", False),
        (CAMPUS, "https://evil.org/.example.edu", False),
        (CAMPUS, "https://evil.org#.example.edu", False),
        (CAMPUS, "https://user@.example.edu", False),
        (CAMPUS, "http://a.lab.example.org:3000", True),
        (CAMPUS, "http://a.lab.example.org", False),
    ],
)
def test_an_origin_is_allowed_if_it_was_named(sharing: Sharing, origin: str | None, allowed: bool) -> None:
    headers = sharing.headers(origin)
    assert headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
    assert (sharing.preflight(origin, "POST", "authorization") is not None) is allowed
    assert "Access-Control-Allow-Credentials" not in headers


def test_caches_know_that_answers_differ_and_without_allowed_origins_there_are_no_headers() -> None:
    assert SOME.headers(None) == SOME.headers("https://evil.example") == {"Vary": "Origin"}
    assert NONE.headers(OBSIDIAN) == {}


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ("authorization,content-type", "authorization, content-type"),
        ("authorization, x-stainless-os", "authorization, x-stainless-os"),
        ("X-User", ""),
        ("authorization,x-user", "authorization"),
        ("", None),
        ("a\r\nX-B: c", None),
        ("a," * 1_500 + "a", None),
    ],
)
def test_the_headers_that_were_asked_for_are_allowed_but_for_a_believed_name(asked: str, allowed: str | None) -> None:
    answer = SOME.preflight(OBSIDIAN, "POST", asked)
    assert answer is not None
    assert answer.get("Access-Control-Allow-Headers") == allowed


def test_a_page_of_the_public_web_may_ask_for_a_private_address_if_it_may_ask_at_all() -> None:
    name = "Access-Control-Allow-Private-Network"
    asked, usual = (SOME.preflight(OBSIDIAN, "POST", "", private=private) for private in (True, False))
    assert asked is not None
    assert usual is not None
    assert (asked.get(name), usual.get(name)) == ("true", None)
    assert SOME.preflight("https://evil.example", "POST", "", private=True) is None


def test_an_ordinary_question_about_options_is_no_preflight() -> None:
    assert SOME.preflight(OBSIDIAN, None, "authorization") is None
