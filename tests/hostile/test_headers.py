"""Headers go by lists, in both directions: neither a person nor an account is named to the other side."""

from __future__ import annotations

import orjson
import pytest

from tests.fakes.fates import context_too_long
from tests.gateways import KEYS
from tests.hostile.http_raw import Reply
from tests.hostile.site import CHAT, MESSAGES, ROUTES, Site

MODELS = {CHAT: "gpt-5", MESSAGES: "claude-sonnet-4-5"}
TOLD = {
    "OpenAI_Organization": "org-mine",
    "OpenAI_Project": "proj_mine",
    "OpenAI_Beta": "assistants=v2",
    "anthropic_beta": "files-api-2025-04-14",
    "anthropic_version": "2023-06-01",
    "Accept_Encoding": "br, gzip",
    "Accept_Language": "tlh",
    "Cookie": "session=mine",
    "Forwarded": "for=203.0.113.9",
    "Via": "1.1 mine",
    "User_Agent": "mine/1.0",
    "Referer": "https://mine.test/",
    "Origin": "https://mine.test",
    "X_Forwarded_Host": "mine.test",
    "X_Forwarded_Proto": "https",
    "X_Real_Ip": "203.0.113.9",
    "X_Request_Id": "mine",
    "X_Client_Request_Id": "mine",
    "X_Stainless_Os": "mine",
    "X_Upstream_Url": "http://127.0.0.1:9",
    "X_Base_Url": "http://127.0.0.1:9",
    "Idempotency_Key": "mine",
    "Range": "bytes=0-1",
    "Proxy_Authorization": "Basic mine",
    "Connection": "keep-alive, x-api-key",
    "TE": "trailers",
    "Priority": "u=0",
}
COMMON = {"host", "content-type", "content-length", "accept-encoding"}
UPSTREAM = {
    CHAT: COMMON | {"authorization", "openai-beta"},
    MESSAGES: COMMON | {"x-api-key", "anthropic-version", "anthropic-beta"},
}
DOWNSTREAM = {"content-type", "date", "request-id", "x-content-type-options", "x-queue-position", "x-queue-wait-ms"}
DOWNSTREAM |= {"x-request-id"}
FRAMING = {False: {"content-length"}, True: {"transfer-encoding", "cache-control", "x-accel-buffering"}}
ACCOUNT = ("org-fake", "__cf_bm", "cloudflare", "req_00", "openai-processing-ms", "ratelimit", *KEYS)


def ask(services: Site, path: str, stream: bool = False) -> Reply:
    messages = [{"role": "user", "content": "x"}]
    body = orjson.dumps({"model": MODELS[path], "messages": messages, "max_tokens": 5, "stream": stream})
    reply = services.post(path, body, **TOLD)
    assert reply is not None
    services.rest()
    return reply


@pytest.mark.parametrize("path", ROUTES)
def test_only_listed_headers_reach_the_upstream(services: Site, path: str) -> None:
    assert ask(services, path).status == 200
    sent = services.fake.records[-1].request
    assert sent.path == path
    assert sorted(name for name, _ in sent.headers) == sorted(UPSTREAM[path])
    assert sent.header("accept-encoding") == "identity"
    everything = repr(sent.headers)
    assert services.token not in everything
    assert "mine" not in everything
    assert "203.0.113.9" not in everything


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ROUTES)
def test_only_our_own_headers_reach_the_client(services: Site, path: str, stream: bool) -> None:
    reply = ask(services, path, stream)
    assert reply.status == 200
    assert set(reply.headers) == DOWNSTREAM | FRAMING[stream]
    assert not [word for word in ACCOUNT if word in repr(reply.headers)]


@pytest.mark.parametrize("path", ROUTES)
def test_also_when_the_upstream_refuses(services: Site, path: str) -> None:
    services.fake.script(None, context_too_long(), model=MODELS[path])
    reply = ask(services, path)
    assert reply.status == 400
    assert set(reply.headers) == DOWNSTREAM | FRAMING[False]
    assert not [word for word in ACCOUNT if word in repr(reply.headers)]
