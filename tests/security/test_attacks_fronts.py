"""Attacks by way of what stands in front: a proxy, a header that is believed, somebody's browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest

from server.config.settings import SettingsError, load
from server.ledger.quota import Settlement
from tests.admin.estate import Estate, estate
from tests.usage.rows import row

LOOPBACK = (ip_network("127.0.0.0/8"),)
CHAT = '{"model": "gpt-5", "messages": [{"role": "user", "content": "hello"}]}'


@asynccontextmanager
async def services(**settings: Any) -> AsyncIterator[Estate]:
    """One that believes `X-User` from this machine; ada and bob have asked something."""
    async with estate(**{"user_header_networks": LOOPBACK, "trusted_proxy_hops": 0, **settings}) as place:
        for number, name in enumerate(("ada", "bob")):
            asked = row("2026-11-01T10:00:00Z", request_id=f"req_{number}", person_id=place.ids[name])
            await place.services.store.settle(Settlement(asked))
        yield place


@pytest.mark.gen_test
async def test_behind_a_front_everybody_reads_their_own_queries() -> None:
    async with services() as place:
        for path, count in (("/queries", len), ("/usage", lambda answer: answer["numQueries"])):
            assert count((await place.send("GET", path, None, {"X-User": "ada"})).json) == 1, path
            assert count((await place.send("GET", path, None, {})).json) == 2, "without a front, as in that project"
            assert (await place.send("GET", f"{path}?user=bob", None, {"X-User": "ada"})).status == 403
            for name in ("", "a" * 65):
                assert (await place.send("GET", path, None, {"X-User": name})).status == 401, name


@pytest.mark.gen_test
async def test_an_address_that_nobody_can_read_is_not_the_proxys() -> None:
    async with services(trusted_proxy_hops=1) as place:
        for noted in ({}, {"X-Forwarded-For": "unknown"}, {"X-Forwarded-For": "198.51.100.1, nonsense"}):
            assert (await place.send("GET", "/v1/models", None, {"X-User": "ada", **noted})).status == 401
            assert (await place.send("GET", "/queries", None, noted)).status == 401
            assert (await place.send("GET", "/ip", None, noted)).text == "unknown"
        assert (
            await place.send("GET", "/v1/models", None, {"X-User": "ada", "X-Forwarded-For": "127.0.0.9"})
        ).status == 200


# A browser


@pytest.mark.gen_test
async def test_a_page_of_another_site_asks_nothing_where_no_credential_is_needed() -> None:
    async with services(gatekeeper="none") as place:
        text = {"Content-Type": "text/plain"}
        for sent in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"},
                     {"Origin": "null"}):  # fmt: skip
            for method, path, body in (
                ("POST", "/v1/chat/completions", CHAT),
                ("GET", "/v1/models", None),
                ("GET", "/api/usage", None),
                ("GET", "/queries", None),
            ):
                answer = await place.send(method, path, body, {**text, **sent})
                assert answer.refusal[:2] == (403, "origin_blocked"), (method, path, sent)
        assert (await place.send("GET", "/v1/models", None, {"Sec-Fetch-Site": "same-origin"})).status == 200
        assert (await place.send("GET", "/status.json", None, {"Sec-Fetch-Site": "cross-site"})).status == 200


@pytest.mark.gen_test
async def test_a_name_that_was_pointed_here_opens_nothing_where_no_credential_is_needed() -> None:
    async with services(gatekeeper="none", host_names=("llm.lan",)) as place:
        for path in ("/v1/models", "/queries", "/api/me"):
            answer = await place.send("GET", path, None, {"Host": "evil.example"})
            assert answer.refusal[:2] == (421, "unknown_host"), path
        assert (await place.send("GET", "/v1/models", None, {"Host": "llm.lan:8080"})).status == 200
    async with services() as place:
        refused = await place.send("GET", "/v1/models", None, {"Host": "evil.example", "X-User": "ada"})
        assert refused.status == 421
        with_token = {"Host": "proxied.example", "Authorization": f"Bearer {place.tokens['ada']}"}
        assert (await place.send("GET", "/v1/models", None, with_token)).status == 200


@pytest.mark.parametrize("reachable", [{"PUBLIC_URL": "https://llm.example.org"}, {"TRUSTED_PROXY_HOPS": "1"}])
def test_a_gateway_without_a_gatekeeper_is_public_behind_a_proxy_too(reachable: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="GATEKEEPER: none would let any caller use your keys"):
        load(environ={"GATEKEEPER": "none", **reachable}, dotenv=None)
    assert load(environ={"GATEKEEPER": "none", "ALLOW_PUBLIC": "yes", **reachable}, dotenv=None).gatekeeper == "none"
