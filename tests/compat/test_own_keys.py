"""Where a request with an own key may go, and on whom it is booked."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from server.wire.errors import InvalidValue
from server.wire.openai import OPENAI
from server.wire.own_keys import (
    ANSWER_HEADERS,
    OTHERS,
    REQUEST_HEADERS,
    endpoint_of,
    institution,
    is_known,
    passed_back,
    target,
)

BASE = "https://api.example.com/tenant/v1"


@pytest.mark.parametrize(
    ("path", "query", "url"),
    [
        ("v1/chat/completions", "", f"{BASE}/chat/completions"),
        ("chat/completions", "", f"{BASE}/chat/completions"),
        ("v1/files/file-1/content", "limit=2&after=x", f"{BASE}/files/file-1/content?limit=2&after=x"),
        ("v1/models/ft:gpt-4o:me::7", "", f"{BASE}/models/ft:gpt-4o:me::7"),
    ],
)
def test_a_path_goes_below_the_named_address(path: str, query: str, url: str) -> None:
    assert target(BASE, path, query) == url


@pytest.mark.parametrize(
    "path",
    [
        "",
        "v1/",
        "v1/../admin",
        "v1/%2e%2e/admin",
        "v1/.%2E/admin",
        "v1/%252e%252e/admin",
        "v1/./x",
        "v1//evil.example.com/x",
        "v1/a%2Fb",
        "v1/a%5cb",
        "v1/a\\b",
        "v1/a%00b",
        "v1/a b",
        "v1/a%0d%0ab",
        "v1/a#b",
        "v1/ä",
    ],
)
def test_a_path_that_might_leave_it_goes_nowhere(path: str) -> None:
    assert target(BASE, path, "") is None


@given(st.text("v1/.%2eEfF5cC\\@:;?#ax", max_size=30))
@settings(max_examples=300, deadline=None)
def test_no_path_leaves_the_named_address(path: str) -> None:
    url = target(BASE, path, "")
    if url is not None:
        found = URL(url)  # decodes and normalises as a lenient server might
        assert (found.scheme, found.host, found.port) == ("https", "api.example.com", 443)
        assert found.path.startswith("/tenant/v1/")
        assert ".." not in found.path.split("/")


@pytest.mark.parametrize("query", ["a=b#c", "a=\x00", "a=b c"])
def test_a_query_that_is_none_goes_nowhere(query: str) -> None:
    assert target(BASE, "v1/models", query) is None


def test_a_request_is_booked_on_the_callers_first_group_or_the_one_that_they_name() -> None:
    mine = ("physics", "chemistry")
    assert institution(None, mine, mine) == "physics"
    assert institution("chemistry", mine, mine) == "chemistry"
    assert institution(None, (), {"law"}) is None
    assert institution("law", (), {"law"}) == "law"


def test_a_group_that_may_not_be_named_is_refused() -> None:
    with pytest.raises(InvalidValue):
        institution("law", ("physics",), ("physics",))


def test_headers_pass_by_list_in_both_directions() -> None:
    assert not REQUEST_HEADERS & {"cookie", "host", "x-user", "x-fairgate-token", "x-institution", "x-forwarded-for"}
    upstream = {"x-ratelimit-limit-requests": "9", "Set-Cookie": "a", "Transfer-Encoding": "chunked", "Server": "x"}
    assert passed_back(upstream, packed=False) == {
        "Content-Type": "application/octet-stream",
        "X-Ratelimit-Limit-Requests": "9",
    }
    assert ANSWER_HEADERS.fullmatch("X-Request-Id") is None  # ours stands there


def test_the_length_of_a_packed_answer_is_that_of_other_bytes() -> None:
    upstream = {"content-length": "20", "content-type": "application/json"}
    assert passed_back(upstream, packed=False) == {"Content-Length": "20", "Content-Type": "application/json"}
    assert passed_back(upstream, packed=True) == {"Content-Type": "application/json"}


def test_known_endpoints_are_known_by_either_spelling() -> None:
    known = endpoint_of("v1/chat/completions", "POST", OPENAI)
    assert is_known(known)
    assert known == endpoint_of("chat/completions", "POST", OPENAI)
    assert endpoint_of("v1/chat/completions", "GET", OPENAI) is OTHERS["openai"]
    assert endpoint_of("v1/files", "POST", OPENAI) is OTHERS["openai"]
