"""Whoever has no valid token gets one and the same answer, and nothing of what was shown is kept or passed on."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import aiohttp
import orjson
import pytest

from server.auth.accounts import A_PROVIDER_KEY
from tests.fakes.upstream import FakeUpstream
from tests.gateways import KEYS, gateway, spec
from tests.hostile.catalogue import KEY, RATE, URL, assert_is
from tests.hostile.http_raw import request
from tests.hostile.site import CHAT, MESSAGES, ROUTES, Site, site

JSON = {"Content-Type": "application/json"}
BODY = orjson.dumps({"model": "gpt-5", "messages": [{"role": "user", "content": "x"}], "max_tokens": 5})
FAILURES = 30  # of one address in a minute

UNKNOWN = "fg_" + "a" * 49
HEADERS = {
    "43 nothing": {},
    "44 an empty bearer": {"Authorization": "Bearer"},
    "44 a blank bearer": {"Authorization": "Bearer \t "},
    "44 an empty header": {"Authorization": ""},
    "44 an empty key": {"X-Api-Key": ""},
    "45 a password": {"Authorization": "Basic YWRhOnNlY3JldA=="},
    "45 a token without its scheme": {"Authorization": UNKNOWN},
    "46 an unknown token": {"Authorization": f"Bearer {UNKNOWN}"},
    "46 an unknown key": {"X-Api-Key": UNKNOWN},
    "47 SQL": {"Authorization": "Bearer ' OR '1'='1"},
    "47 a query operator": {"Authorization": 'Bearer {"$ne":null}'},
    "47 a query operator as key": {"X-Api-Key": '{"$gt":""}'},
    "47 10 KB": {"Authorization": "Bearer fg_" + "a" * 10_000},
    "47 bytes beyond ASCII": {"Authorization": "Bearer fg_\xe9\xff"},
    "47 a format": {"Authorization": "Bearer %s{0}${x}"},
    "48 two different ones": {"Authorization": f"Bearer {UNKNOWN}", "X-Api-Key": "other"},
}
# A provider's key gets a hint, whosever it is: that it is one of ours shows in nothing.
PROVIDER_KEY = replace(KEY, message=f"{KEY.message} {A_PROVIDER_KEY}")
PROVIDER_KEYS = {
    "50 a key of ours": {"Authorization": f"Bearer {KEYS[0]}"},
    "50 a key of ours in the other header": {"X-Api-Key": KEYS[1]},
    "50 a key that is not ours": {"Authorization": "Bearer sk-another"},
}


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("name", HEADERS)
def test_every_false_credential_gets_the_same_answer(services: Site, path: str, name: str) -> None:
    with services.untouched():
        headers = services.from_elsewhere() | JSON | HEADERS[name]
        assert_is(services.ask(request("POST", path, headers, BODY)), KEY, path)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("name", PROVIDER_KEYS)
def test_a_providers_key_gets_the_same_hint_whether_it_is_ours_or_not(services: Site, path: str, name: str) -> None:
    with services.untouched():
        headers = services.from_elsewhere() | JSON | PROVIDER_KEYS[name]
        assert_is(services.ask(request("POST", path, headers, BODY)), PROVIDER_KEY, path)


@pytest.mark.parametrize("path", ROUTES)
def test_a_token_that_was_good_once_gets_the_same_answer(services: Site, path: str) -> None:
    accounts, wall = services.services.accounts, services.services.wall
    name = f"eve{path.replace('/', '.')}"
    services.do(accounts.create_person, name)
    revoked, expired, disabled = [services.do(accounts.create_token, name, each, None) for each in ("a", "b", "c")]
    services.do(accounts.revoke, revoked[0].id)
    expires_at = wall() + 100
    expired = services.do(accounts.create_token, name, "short", expires_at)
    while wall() <= expires_at:
        pass
    with services.untouched():
        for _, token in (revoked, expired):
            assert_is(services.post(path, BODY, Authorization=f"Bearer {token}"), KEY, path)
    changes = services.services.changes
    services.do(changes.set_disabled, "operator", services.do(changes.person_named, name).id, True)
    with services.untouched():
        assert_is(services.post(path, BODY, Authorization=f"Bearer {disabled[1]}"), KEY, path)


def test_a_good_token_beside_another_one_is_not_good(services: Site) -> None:
    with services.untouched():
        assert_is(services.post(CHAT, BODY, X_Api_Key=UNKNOWN), KEY, CHAT)
        assert_is(
            services.post(CHAT, BODY, Authorization=f"Bearer {services.token}, Bearer {services.token}"), KEY, CHAT
        )
        assert_is(services.post(CHAT, BODY, Authorization=f"Bearer {services.token} {services.token}"), KEY, CHAT)
        twice = request("POST", CHAT, services.headers(), BODY)
        line = f"Authorization: Bearer {services.token}\r\n".encode()
        assert_is(services.ask(twice.replace(line, line + line)), KEY, CHAT)


def test_hop_by_hop_tricks_neither_take_the_token_away_nor_replace_it(services: Site) -> None:
    with services.untouched():
        headers = services.from_elsewhere() | JSON | {"Connection": "authorization, x-api-key"}
        assert_is(services.ask(request("POST", CHAT, headers, BODY)), KEY, CHAT)
    reply = services.post(CHAT, BODY, Connection="authorization, x-api-key")
    assert reply is not None
    assert reply.status == 200


@pytest.mark.parametrize("target", ["/v1/admin", "/admin/console", "/v1/organization/api_keys", "/v1/keys"])
def test_there_is_no_other_door_for_administrators(services: Site, target: str) -> None:
    with services.untouched():
        assert_is(services.ask(request("GET", target, services.headers())), URL, target)


@pytest.mark.slow
def test_a_key_in_the_address_opens_nothing_and_stands_in_no_log(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with site(access_log=True) as services:
        for name in ("api_key", "key", "token", "access_token"):
            target = f"{CHAT}?{name}={services.token}"
            assert_is(services.ask(request("POST", target, services.from_elsewhere() | JSON, BODY)), KEY, CHAT)
        for target in (f"/{services.token}{CHAT}", f"/v1/{services.token}/messages"):
            assert_is(services.ask(request("POST", target, services.from_elsewhere() | JSON, BODY)), URL, target)
        assert_is(services.post(CHAT, BODY, Authorization=f"Basic {services.token}"), KEY, CHAT)
        secrets = (services.token, services.token[4:20], *KEYS)
    written = capsys.readouterr()
    assert written.out.count(f"endpoint={CHAT}") == 5
    assert f"endpoint=/***{CHAT}" in written.out
    assert "endpoint=/v1/***/messages" in written.out
    for secret in secrets:
        assert secret not in written.out + written.err + caplog.text


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_token_in_the_query_does_not_go_upstream() -> None:
    heads: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n"))
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server, FakeUpstream() as fake:
        port = server.sockets[0].getsockname()[1]
        upstream = spec(fake, base_url=f"http://127.0.0.1:{port}/v1", keys=KEYS[:1])
        async with gateway(fake, upstream) as running, aiohttp.ClientSession(headers=running.headers) as session:
            target = f"{running.url}{CHAT}?api_key={running.token}&beta=true&beta=%23&x=\xff"
            async with session.post(target, data=BODY) as response:
                assert response.status == 400
    asked = [head for head in heads if not head.startswith(b"GET /v1/models ")]  # the prober asks, too
    assert asked == [f"POST {CHAT}?beta=true HTTP/1.1\r\n".encode()]


# How often one may fail


@pytest.mark.slow
def test_the_31st_failure_in_a_minute_is_told_to_wait_whatever_it_says_of_its_address() -> None:
    with site(trusted_proxy_hops=0) as services, services.untouched():
        for number in range(200):
            claims = {
                "X-Forwarded-For": f"203.0.113.{number}",
                "X-Real-Ip": f"203.0.113.{number}",
                "Forwarded": f"for=203.0.113.{number}",
                "True-Client-Ip": f"203.0.113.{number}",
            }
            path = ROUTES[number % 2]
            assert_is(services.ask(request("POST", path, claims)), KEY if number < FAILURES else RATE, path)
        # Somebody else's broken script must not lock out those who share its address.
        reply = services.ask(request("POST", CHAT, services.headers(), b"{}"))
        assert reply is not None
        assert reply.status == 400


@pytest.mark.slow
def test_what_is_no_address_is_not_taken_for_one_even_from_our_own_proxy() -> None:
    odd = [
        "",
        "unknown",
        "localhost",
        "203.0.113.1:",
        "[::1",
        "1.2.3",
        "::1%" + "a" * 100,
        "x" * 10_000,
        "\xff",
        ",",
    ]
    with site() as services, services.untouched():
        for number in range(FAILURES + 1):
            claim = {"X-Forwarded-For": odd[number % len(odd)]}
            assert_is(services.ask(request("POST", MESSAGES, claim)), KEY if number < FAILURES else RATE, MESSAGES)


@pytest.mark.slow
def test_behind_a_proxy_only_what_the_proxy_wrote_counts() -> None:
    with site() as services, services.untouched():
        for number in range(FAILURES + 1):
            claim = {"X-Forwarded-For": f"203.0.113.{number}, 198.51.100.7"}
            assert_is(services.ask(request("POST", CHAT, claim)), KEY if number < FAILURES else RATE, CHAT)
        assert_is(services.ask(request("POST", CHAT, {"X-Forwarded-For": "::ffff:198.51.100.8"})), KEY, CHAT)
