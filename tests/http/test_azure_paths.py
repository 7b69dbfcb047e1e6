"""Azure's paths and its header for keys, and aliases, through a whole gateway."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from server.policy.aliases import parse_aliases
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway

BODY = {"messages": [{"role": "user", "content": "hello"}]}
ALIASES = parse_aliases("main=gpt-4o,-gpt-3.5-turbo=gpt-4o")


async def post(running: Running, path: str, body: dict[str, Any], **headers: str) -> tuple[int, dict[str, str], Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{running.url}{path}", json=body, headers=headers) as answer,
    ):
        return answer.status, dict(answer.headers), await answer.json()


@pytest.mark.gen_test
async def test_azures_clients_and_aliases_are_served_by_any_upstream() -> None:
    async with FakeUpstream() as fake, gateway(fake, aliases=ALIASES) as running:
        await _azure(running, fake)
        await _refused(running)
        await _aliases(running, fake)
        await _rows(running)


async def _azure(running: Running, fake: FakeUpstream) -> None:
    key = {"api-key": running.token}
    for path in (
        "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
        "/openai/v1/chat/completions?api-version=preview",
    ):
        status, _, answer = await post(running, path, {**BODY, "model": "gpt-4o"}, **key)
        assert (status, answer["object"]) == (200, "chat.completion")
        assert fake.records[-1].path == "/v1/chat/completions"
    status, _, _ = await post(running, "/openai/deployments/gpt-4o/chat/completions", BODY, **key)
    assert status == 200 and fake.records[-1].model == "gpt-4o"  # the body need not name it
    status, _, answer = await post(running, "/openai/responses?api-version=x", {"model": "gpt-4o", "input": "x"}, **key)
    assert (status, answer["object"]) == (200, "response")  # which has no deployment in its path
    status, _, answer = await post(running, "/openai/chat/completions", {**BODY, "model": "gpt-4o"}, **key)
    assert (status, answer["error"]["code"]) == (404, "unknown_url")  # nor has Azure such a path
    async with aiohttp.ClientSession() as session, session.get(f"{running.url}/openai/models", headers=key) as answer:
        assert {"gpt-4o", "main"} <= {each["id"] for each in (await answer.json())["data"]}


async def _refused(running: Running) -> None:
    """The check is that of every other route: a wrong key, two keys, and what no path names."""
    path = "/openai/deployments/gpt-4o/chat/completions"
    assert (await post(running, path, BODY, **{"api-key": "fg-wrong"}))[0] == 401
    two = {"api-key": running.token, "x-api-key": "fg-other"}
    assert (await post(running, path, BODY, **two))[0] == 401
    assert (await post(running, path, BODY))[0] == 401
    good = {"api-key": running.token}
    assert (await post(running, "/openai/deployments/nothing/chat/completions", BODY, **good))[0] == 404
    assert (await post(running, "/openai/deployments/gpt-4o/assistants", BODY, **good))[0] == 404
    assert (await post(running, "/v1/chat/completions", {**BODY, "model": "gpt-4o"}, **good))[0] == 200


async def _aliases(running: Running, fake: FakeUpstream) -> None:
    for name in ("main", "gpt-3.5-turbo"):
        status, headers, _ = await post(running, "/v1/chat/completions", {**BODY, "model": name}, **running.headers)
        assert (status, headers["X-Served-Model"]) == (200, "gpt-4o")
        assert json.loads(fake.records[-1].body)["model"] == "gpt-4o"
    consent = {"X-Fairgate-Fallback": "claude-sonnet-4-5; wait=30"}
    status, headers, _ = await post(
        running, "/v1/chat/completions", {**BODY, "model": "gpt-4o"}, **running.headers, **consent
    )
    assert (status, headers["X-Served-Model"]) == (200, "gpt-4o")  # which does not let them wait
    bad = {"X-Fairgate-Fallback": "unheard-of; wait=30"}
    status, _, answer = await post(
        running, "/v1/chat/completions", {**BODY, "model": "gpt-4o"}, **running.headers, **bad
    )
    assert (status, answer["error"]["param"]) == (400, "X-Fairgate-Fallback")


async def _rows(running: Running) -> None:
    await running.services.pipeline.quiet(5.0)
    rows = await running.services.store.usage_rows(0, 100)
    assert {row.model_asked for row in rows} == {"gpt-4o"}  # whose price and limits count
    assert sorted(row.alias for row in rows if row.alias) == ["gpt-3.5-turbo", "main"]
