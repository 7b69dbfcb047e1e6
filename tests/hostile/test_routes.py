"""What a shared key must not reach: everything that shows or changes what belongs to others."""

from __future__ import annotations

import json

import pytest

from tests.hostile.catalogue import NOTHING_KEPT, URL, assert_is, not_allowed, not_listed
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
    "/v1/responses/resp_1/other",
    "/v1/realtime",
]


@pytest.mark.parametrize("prefix", ["", "/proxy/openai", "/proxy/anthropic"])
@pytest.mark.parametrize("path", ABSENT)
def test_what_belongs_to_the_account_does_not_exist_here(services: Site, path: str, prefix: str) -> None:
    with services.untouched():
        for method in ("GET", "POST", "DELETE"):
            assert_is(
                services.ask(request(method, prefix + path, services.headers())), URL, dialect_path(prefix + path)
            )


@pytest.mark.parametrize("prefix", ["", "/proxy/openai"])
@pytest.mark.parametrize(
    "path", ["/v1/chat/completions/chatcmpl-1", "/v1/conversations/conv_1", "/v1/responses/resp_1"]
)
def test_by_default_no_kept_answer_exists_and_no_list_of_them(services: Site, path: str, prefix: str) -> None:
    with services.untouched():
        changed = () if "responses" in path else ("POST",)
        for method in ("GET", "DELETE", *changed):
            assert_is(services.ask(request(method, prefix + path, services.headers())), NOTHING_KEPT, path)
        if not changed:
            reply = services.ask(request("POST", prefix + path, services.headers()))
            assert_is(reply, not_allowed("GET", "DELETE"), path)
        for parent in ("/v1/responses", "/v1/chat/completions"):
            assert_is(services.ask(request("GET", prefix + parent, services.headers())), not_listed("POST"), parent)
        parent = "/v1/conversations"
        assert_is(services.ask(request("POST", prefix + parent, services.headers())), NOTHING_KEPT, parent)
        assert_is(services.ask(request("GET", prefix + parent, services.headers())), not_allowed("POST"), parent)


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
    "path", ["/chat/completions", "/messages", "/responses", "/models", "/openai/chat/completions"]
)
def test_a_base_url_that_lacks_its_v1_is_said_the_right_one(services: Site, path: str) -> None:
    with services.untouched():
        method = "GET" if path == "/models" else "POST"  # there another project's clients read prices
        reply = services.ask(request(method, path, services.headers(), b"{}"))
        assert_is(reply, URL, dialect_path(path))
        assert reply is not None
        assert b"with /v1 for OpenAI's dialect" in reply.body


@pytest.mark.parametrize(
    "path",
    [
        "//v1/chat/completions",
        "/v1/v1/chat/completions",
        "/v1/chat/completions/",
        "/openai/v1/chat/completions",
        "/anthropic/v1/chat/completions",
        "/v1/messages/",
        "/v1/v1/messages",
        "/anthropic/v1/messages",
        "/v1/responses/",
    ],
)
def test_a_path_with_a_piece_too_many_is_served(services: Site, path: str) -> None:
    body = {"model": "gpt-5", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "input": "x"}
    reply = services.ask(request("POST", path, services.headers(), json.dumps(body).encode()))
    assert reply is not None
    assert reply.status == 200, reply.body


@pytest.mark.parametrize("path", ["/v1/models/", "/v1/v1/models", "//v1/models", "/openai/v1/models/gpt-5"])
def test_so_are_the_lists_of_models(services: Site, path: str) -> None:
    with services.untouched():
        reply = services.ask(request("GET", path, services.headers()))
        assert reply is not None
        assert (reply.status, b"gpt-5" in reply.body) == (200, True)


@pytest.mark.parametrize("path", ["/v1/responses", "/proxy/openai/v1/responses", "/v1/responses/", "/v1/messages"])
@pytest.mark.parametrize("named", [True, False])
def test_a_web_socket_is_refused_in_words_that_a_client_understands(services: Site, path: str, named: bool) -> None:
    """Codex goes on by POST at once when it reads a 426; any other status it tries five times more."""
    asked = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    headers = {**(services.headers() if named else {}), **asked, "Sec-WebSocket-Key": "A" * 22 + "=="}
    with services.untouched():
        reply = services.ask(request("GET", path, headers))
        assert reply is not None
        assert (reply.status, reply.headers.get("upgrade")) == (426, "HTTP/1.1")
        assert b"by POST" in reply.body


def dialect_path(path: str) -> str:
    """A path that speaks the dialect in which this one is refused."""
    return "/v1/messages" if "/anthropic/" in path or "/messages" in path else "/v1"
