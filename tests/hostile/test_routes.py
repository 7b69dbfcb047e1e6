"""What a shared key must not reach: everything that shows or changes what belongs to others."""

from __future__ import annotations

import pytest

from tests.hostile.catalogue import URL, assert_is, not_allowed
from tests.hostile.http_raw import request
from tests.hostile.site import Site

ABSENT = [
    "/v1/organization/usage/completions",
    "/v1/organization/admin_api_keys",
    "/v1/organizations/me",
    "/v1/usage",
    "/v1/dashboard/billing/credit_grants",
    "/v1/dashboard/billing/subscription",
    "/v1/fine_tuning/jobs",
    "/v1/files",
    "/v1/files/file-abc/content",
    "/v1/uploads",
    "/v1/assistants",
    "/v1/threads",
    "/v1/vector_stores",
    "/v1/batches",
    "/v1/messages/batches",
    "/v1/messages/batches/msgbatch_1/results",
    "/v1/responses/resp_1",
    "/v1/chat/completions/chatcmpl-1",
    "/v1/realtime",
    "/v1/images/edits",
]


@pytest.mark.parametrize("prefix", ["", "/proxy/openai", "/proxy/anthropic"])
@pytest.mark.parametrize("path", ABSENT)
def test_what_belongs_to_the_account_does_not_exist_here(services: Site, path: str, prefix: str) -> None:
    with services.untouched():
        for method in ("GET", "POST", "DELETE"):
            assert_is(
                services.ask(request(method, prefix + path, services.headers())), URL, dialect_path(prefix + path)
            )


@pytest.mark.parametrize("method", ["DELETE", "POST", "PUT", "PATCH"])
def test_models_are_only_read(services: Site, method: str) -> None:
    with services.untouched():
        for path in ("/v1/models", "/v1/models/gpt-5"):
            assert_is(services.ask(request(method, path, services.headers())), not_allowed("GET", "HEAD"), path)


def test_what_is_not_translated_is_not_served_under_the_other_dialects_name(services: Site) -> None:
    with services.untouched():
        for path in ("/proxy/anthropic/v1/embeddings", "/proxy/openai/v1/messages/count_tokens"):
            assert_is(services.ask(request("POST", path, services.headers(), b"{}")), URL, dialect_path(path))


@pytest.mark.parametrize(
    "path",
    [
        "//v1/chat/completions",
        "/v1/v1/chat/completions",
        "/v1/chat/completions/",
        "/chat/completions",
        "/messages",
        "/v1/messages/",
        "/anthropic/v1/messages",
        "/v1/responses/compact",
    ],
)
def test_a_wrong_base_url_is_told_the_right_one(services: Site, path: str) -> None:
    with services.untouched():
        reply = services.ask(request("POST", path, services.headers(), b"{}"))
        assert_is(reply, URL, dialect_path(path))
        assert reply is not None
        assert b"with /v1 for OpenAI's dialect" in reply.body


def dialect_path(path: str) -> str:
    """A path that speaks the dialect in which this one is refused."""
    return "/v1/messages" if "/anthropic/" in path or "/messages" in path else "/v1"
