"""A path with a piece too many is understood; one that lacks a piece is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.wire.base_urls import meant

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("path", "right"),
    [
        (f"/v1{CHAT}", CHAT),
        (f"/v1/v1{CHAT}", CHAT),
        (f"/{CHAT}", CHAT),
        (f"{CHAT}/", CHAT),
        (f"{CHAT}//", CHAT),
        ("/v1//models", "/v1/models"),
        ("/v1/models/", "/v1/models"),
        (f"/openai{CHAT}", f"/proxy/openai{CHAT}"),
        ("/anthropic/v1/messages", "/proxy/anthropic/v1/messages"),
        ("/anthropic/v1/v1/messages/", "/proxy/anthropic/v1/messages"),
        ("/proxy/anthropic/v1/v1/messages", "/proxy/anthropic/v1/messages"),
        ("/proxy/openai/v1/models/", "/proxy/openai/v1/models"),
    ],
)
def test_a_path_with_a_piece_too_many_is_what_it_means(path: str, right: str) -> None:
    assert meant(path) == right


@pytest.mark.parametrize(
    "path",
    ["/", "//", "/v1", "/v1/", "/v1/v1", CHAT, "/proxy/openai/v1/models", "/chat/completions", "/messages", "/models",
     "/admin/", "/login//", "/openai/chat/completions", "/mistral/v1/models", "/v2/v1/models", "/v10/v1/models"],
)  # fmt: skip
def test_any_other_path_is_left_alone(path: str) -> None:
    assert meant(path) is None


@given(st.lists(st.sampled_from(["/", "v1", "openai", "anthropic", "proxy", "models", "admin", ".."])).map("".join))
def test_what_is_meant_means_itself_and_leads_to_the_api_alone(path: str) -> None:
    right = meant(path)
    if right is not None:
        assert meant(right) is None
        assert right.startswith(("/v1/", "/proxy/openai/v1/", "/proxy/anthropic/v1/"))
