"""Nothing that goes to a provider tells who asked."""

from __future__ import annotations

from typing import Any

import aiohttp
import orjson
import pytest

from tests.fakes.ledger import Record
from tests.faults.conftest import Opener, io_loop, open_stage
from tests.faults.stage import Stage

__all__ = ["io_loop", "open_stage"]

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
HELLO = [{"role": "user", "content": "hello"}]
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"model": "gpt-4o", "messages": HELLO, "user": "canary-user", "safety_identifier": "canary-id"},
    MESSAGES: {
        "model": "claude-sonnet-4-5",
        "messages": HELLO,
        "max_tokens": 9,
        "metadata": {"user_id": "canary-user"},
    },
    RESPONSES: {"model": "gpt-4o", "input": "hello", "store": False, "safety_identifier": "canary-id"},
}
CANARIES = {
    "Cookie": "session=canary",
    "From": "canary@example.org",
    "Forwarded": "for=203.0.113.77",
    "X-Forwarded-For": "203.0.113.77",
    "X-Real-Ip": "203.0.113.77",
    "X-User": "canary",
    "X-Fairgate-Class": "batch",
    "X-Max-Wait": "100",
    "User-Agent": "canary/1.0",
    "Referer": "https://canary.example/",
    "Origin": "https://canary.example",
    "OpenAI-Organization": "org-canary",
    "X-Stainless-Os": "canary",
    "X-Claude-Code-Session-Id": "canary",
    "X-Request-Id": "canary",
    "Traceparent": "00-canary",
}
TELLING = (b"canary", b"203.0.113.77", b"127.0.0.1", b"grace", b"fg_", b"usr_", b"batch")


@pytest.fixture(scope="module")
def stage(open_stage: Opener) -> Stage:
    return open_stage(trusted_proxy_hops=1)


@pytest.fixture(scope="module")
def silent(open_stage: Opener) -> Stage:
    return open_stage(identity_upstream="strip")


@pytest.fixture(scope="module")
def open_handed(open_stage: Opener) -> Stage:
    return open_stage(identity_upstream="pass")


async def sent(stage: Stage, path: str, body: bytes, token: str | None = None, **headers: str) -> Record:
    """What the upstream received of a request."""
    proper = {"Authorization": f"Bearer {token or stage.running.token}", "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(headers={**CANARIES, **headers, **proper}) as session,
        session.post(f"{stage.running.url}{path}?user=canary&api-version=1", data=body) as answer,
    ):
        assert answer.status == 200, await answer.read()
    return stage.records[-1]


@pytest.mark.gen_test
@pytest.mark.parametrize("path", BODIES)
async def test_no_name_address_cookie_or_header_of_the_client_goes_upstream(stage: Stage, path: str) -> None:
    await stage.set()
    token = await stage.running.token_of(f"grace-{path}")
    record = await sent(stage, path, orjson.dumps(BODIES[path]), token)
    host = ("host", record.request.header("host"))
    everything = repr([each for each in record.request.headers if each != host]).encode() + record.body
    assert [word for word in TELLING if word in everything] == []
    assert "canary" not in record.request.path


@pytest.mark.gen_test
async def test_a_provider_knows_a_person_again_and_tells_two_apart(stage: Stage) -> None:
    await stage.set()
    bob = await stage.running.token_of("bob")
    first, again = [
        orjson.loads((await sent(stage, path, orjson.dumps(BODIES[path]))).body) for path in (CHAT, MESSAGES)
    ]
    other = orjson.loads((await sent(stage, CHAT, orjson.dumps(BODIES[CHAT]), bob)).body)
    assert first["user"] == first["safety_identifier"] == again["metadata"]["user_id"]
    assert first["user"].startswith("fg-")
    assert other["user"] != first["user"]


@pytest.mark.gen_test
async def test_whoever_names_nobody_is_not_named(stage: Stage) -> None:
    await stage.set()
    body = b' {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "metadata": {"course": "x"}}\n'
    assert (await sent(stage, CHAT, body)).body == body


@pytest.mark.gen_test
async def test_all_other_bytes_arrive_as_they_were_sent(stage: Stage, silent: Stage, open_handed: Stage) -> None:
    before, after = b'{ "model" : "gpt-4o",\n ', b'"x": 1e0, "messages": [ {"role":"user","content":"hi"} ] } '
    for each in (stage, silent, open_handed):
        await each.set()
        assert (await sent(each, CHAT, before + after)).body == before + after
    body = before + b'"user": "me", ' + after
    assert (await sent(silent, CHAT, body)).body == before + after
    assert (await sent(open_handed, CHAT, body)).body == body
    named = (await sent(stage, CHAT, body)).body
    assert named.startswith(before + b'"user": "fg-')
    assert named.endswith(b'", ' + after)
    assert len(named) == len(body) - len("me") + len("fg-") + 32


@pytest.mark.gen_test
async def test_a_long_body_is_treated_alike(stage: Stage) -> None:
    await stage.set()
    message = {"role": "user", "content": 'a long story with "quotes" {[ ' * 4000}
    body = orjson.dumps({"model": "gpt-4o", "messages": [message], "user": "canary"})
    received = orjson.loads((await sent(stage, CHAT, body)).body)
    assert received["user"].startswith("fg-")
    assert received["messages"] == [message]
