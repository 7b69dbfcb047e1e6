"""The door to the outside: how long connections last, and what else clients try before they ask."""

from __future__ import annotations

import json
from collections.abc import Callable

import aiohttp
import pytest
from tornado.http1connection import HTTP1ConnectionParameters, HTTP1ServerConnection
from tornado.httputil import HTTPServerRequest

from server.config.settings import Settings
from server.http.connections import BoundedHTTPServer
from tests.fakes.upstream import FakeUpstream
from tests.gateways import gateway

NGINX_KEEPS = 60.0  # seconds, where its configuration does not say otherwise


def nothing(request: HTTPServerRequest) -> None:
    """No request comes."""


def waiting(door: BoundedHTTPServer) -> Callable[[], HTTP1ConnectionParameters]:
    """A connection that waits for its next request, each time that the result is called; by which patience."""
    connection = HTTP1ServerConnection.__new__(HTTP1ServerConnection)
    connection.params = door.conn_params

    def wait() -> HTTP1ConnectionParameters:
        patience = connection.params
        door.start_request(connection, None)  # type: ignore[arg-type]  # the request's own is only passed on
        return patience

    return wait


def test_a_connection_that_has_been_used_is_kept_for_longer_than_a_new_one_may_be_silent() -> None:
    door = BoundedHTTPServer(nothing, idle_connection_timeout=15.0, max_header_size=1_000, body_timeout=30.0)
    door.kept_seconds = 75.0
    wait = waiting(door)
    first, second, third = wait(), wait(), wait()
    assert (first.header_timeout, second.header_timeout, third.header_timeout) == (15.0, 75.0, 75.0)
    assert (second.max_header_size, second.body_timeout) == (1_000, 30.0)
    assert door.conn_params.header_timeout == 15.0, "the next connection is new again"


def test_by_default_connections_last_longer_than_proxies_keep_them() -> None:
    assert Settings().keep_alive_seconds > NGINX_KEEPS


@pytest.mark.gen_test(timeout=30)
async def test_who_asks_for_a_head_gets_the_head_that_a_get_would_have() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        for path in (
            "/",
            "/status",
            "/healthz",
            "/readyz",
            "/api/hello",
            "/v1/models",
            "/v1/models/gpt-5",
            "/v1/v1/models/",
        ):
            headers = {"Authorization": f"Bearer {running.token}"} if path.startswith("/v1") else {}
            async with session.head(running.url + path, headers=headers) as head:
                assert (head.status, await head.read()) == (200, b"")
        async with session.head(f"{running.url}/v1/models") as stranger:
            assert stranger.status == 401


@pytest.mark.gen_test(timeout=30)
async def test_a_program_reads_what_a_model_takes_and_costs() -> None:
    async with (
        FakeUpstream() as fake,
        gateway(fake) as running,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {running.token}"}) as session,
        session.get(f"{running.url}/v1/models") as answer,
    ):
        models = {each["id"]: each for each in (await answer.json())["data"]}
    known = models["gpt-4o"]
    assert known["context_length"] == 128_000
    assert float(known["pricing"]["prompt"]) > 0
    assert known["architecture"] == {"input_modalities": ["text", "image"], "output_modalities": ["text"]}


@pytest.mark.gen_test(timeout=30)
async def test_codex_finds_the_field_that_it_reads_and_others_find_none() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        listed = []
        for query in ("", "?client_version=0.153.4"):
            headers = {"Authorization": f"Bearer {running.token}"}
            async with session.get(f"{running.url}/v1/models{query}", headers=headers) as answer:
                listed.append(json.loads(await answer.read()))
    usual, codex = listed
    assert codex == usual | {"models": []}
    assert "models" not in usual


@pytest.mark.gen_test(timeout=30)
async def test_a_model_that_nobody_serves_is_unknown_before_it_is_without_a_price() -> None:
    async with (
        FakeUpstream() as fake,
        gateway(fake, unpriced_models="refuse") as running,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {running.token}"}) as session,
    ):
        body = {"model": "claude-opus-4-8[1m]", "messages": [{"role": "user", "content": "x"}]}
        async with session.post(f"{running.url}/v1/chat/completions", json=body) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (404, "model_not_found")
