"""A page of an allowed origin uses the API by a token: it asks first, and it reads every answer, refusals too."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from server.ledger.limits import parse_limits
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway

HERE, STRANGER = {"Origin": "https://chat.physics.example.edu"}, {"Origin": "https://evil.example"}
ASKING = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-stainless-os"}
CHAT: dict[str, Any] = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}]}
ALLOWED = "Access-Control-Allow-Origin"

both_transports = pytest.mark.parametrize("transport", ["own", "tornado"])


def readable(answer: aiohttp.ClientResponse) -> bool:
    """Whether a script on the allowed page may read it, and no cache gives it to another one."""
    assert "Access-Control-Allow-Credentials" not in answer.headers
    allowed = answer.headers.get(ALLOWED)
    assert allowed in (None, HERE["Origin"])
    if allowed:
        assert "*" in answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert "Origin" in answer.headers.get("Vary", "") or not allowed
    return allowed is not None


@both_transports
@pytest.mark.gen_test(timeout=30)
async def test_a_browser_that_asks_first_needs_no_token(transport: str) -> None:
    async with (
        FakeUpstream() as fake,
        gateway(fake, transport=transport, allowed_origins=("https://*.example.edu",)) as running,
        aiohttp.ClientSession() as session,
    ):
        for path in ("/v1/chat/completions", "/v1/models", "/api/me", "/v1/images/edits", "/v1/no/such"):
            async with session.options(running.url + path, headers=HERE | ASKING) as answer:
                assert (answer.status, await answer.read(), readable(answer)) == (204, b"", True)
                assert answer.headers["Access-Control-Allow-Headers"] == "authorization, x-stainless-os"
            async with session.options(running.url + path, headers=STRANGER | ASKING) as answer:
                assert (answer.status, readable(answer)) == (404 if path.endswith("such") else 405, False)
        for path in ("/", "/login", "/me", "/admin", "/status.json"):
            for headers in (HERE, HERE | ASKING):
                async with session.options(running.url + path, headers=headers) as page:
                    assert not readable(page)
                async with session.get(running.url + path, headers=headers) as page:
                    assert not readable(page)
        assert not fake.records


@both_transports
@pytest.mark.gen_test(timeout=30)
async def test_every_answer_can_be_read_whatever_became_of_the_request(transport: str) -> None:
    limits = parse_limits("2 requests/minute")
    settings: dict[str, Any] = {"transport": transport, "allowed_origins": ("https://*.example.edu",), "limits": limits}
    async with (
        FakeUpstream() as fake,
        gateway(fake, **settings) as running,
        aiohttp.ClientSession(headers=HERE) as session,
    ):
        assert await _asked(session, running, "/v1/messages", {"model": "claude-sonnet-4-5"}) == (400, True)
        assert await _asked(session, running, "/v1/chat/completions", CHAT) == (200, True)
        assert await _asked(session, running, "/v1/chat/completions", CHAT | {"stream": True}) == (200, True)
        assert await _asked(session, running, "/v1/chat/completions", CHAT) == (429, True)
        assert await _asked(session, running, "/v1/files", CHAT) == (404, True)
        assert await _asked(session, running, "/v1/models", CHAT) == (405, True)
        assert await _asked(session, running, "/v1/chat/completions", CHAT, "Bearer wrong") == (401, True)
        session.headers.update(STRANGER)
        assert await _asked(session, running, "/v1/files", CHAT) == (404, False)


@pytest.mark.gen_test(timeout=30)
async def test_an_allowed_page_without_a_token_gets_nothing_where_no_token_is_needed() -> None:
    """The page is allowed to read; that opens no door which is open for programs of this machine only."""
    async with (
        FakeUpstream() as fake,
        gateway(fake, gatekeeper="none", allowed_origins=("*",)) as running,
        aiohttp.ClientSession() as session,
    ):
        async with session.post(f"{running.url}/v1/chat/completions", json=CHAT, headers=HERE) as answer:
            assert (answer.status, readable(answer)) == (403, True)
            assert (await answer.json())["error"]["code"] == "origin_blocked"
        assert not fake.records
        async with session.post(f"{running.url}/v1/chat/completions", json=CHAT) as answer:
            assert answer.status == 200


async def _asked(
    session: aiohttp.ClientSession, running: Running, path: str, body: Any, credential: str = ""
) -> tuple[int, bool]:
    headers = {"Authorization": credential or f"Bearer {running.token}"}
    async with session.post(running.url + path, json=body, headers=headers) as answer:
        await answer.read()
        return answer.status, readable(answer)
