"""A refusal says what the caller can do: which limit is reached, where a model is served, whose key that is."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway, spec

TEXT = [{"role": "user", "content": "x"}]


async def refused(
    running: Running, model: str, route: str = "/v1/chat/completions", token: str = ""
) -> tuple[Any, ...]:
    """The status, the code and the message."""
    headers = {"Authorization": f"Bearer {token or running.token}"}
    body = {"model": model, "messages": TEXT, "max_tokens": 5}
    url = running.url + route
    async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as answer:
        said = await answer.json()
        return answer.status, said["error"].get("code"), said["error"]["message"]


@pytest.mark.parametrize(
    ("scope", "window", "unit", "code", "message"),
    [
        (
            Scope.EVERYONE, LimitWindow.DAY, Unit.REQUESTS, "insufficient_quota",
            "You exceeded your current quota: 0 requests a day for gpt-5*, for each person.",
        ),
        (
            Scope.PERSON, LimitWindow.MINUTE, Unit.REQUESTS, "rate_limit_exceeded",
            "Rate limit reached: 0 requests a minute for gpt-5*, for you.",
        ),
    ],
)  # fmt: skip
@pytest.mark.gen_test
async def test_a_429_names_the_limit_that_is_reached(
    scope: Scope, window: LimitWindow, unit: Unit, code: str, message: str
) -> None:
    async with FakeUpstream() as fake, gateway(fake) as running:
        ada = await running.services.store.person_by_name("ada")
        assert ada is not None
        whose = "" if scope is Scope.EVERYONE else ada.id
        await running.services.changes.set_limit("operator", Limit("l", scope, whose, unit, window, 0, "gpt-5*"))
        await running.services.take_effect()
        assert await refused(running, "gpt-5") == (429, code, message)


@pytest.mark.gen_test
async def test_an_unknown_model_is_unknown_and_never_without_a_price() -> None:
    async with FakeUpstream() as fake, gateway(fake, unpriced_models="refuse") as running:
        status, code, message = await refused(running, "gpt-of-nobody")
        assert (status, code, "price" in message) == (404, "model_not_found", False)


@pytest.mark.gen_test
async def test_a_model_of_the_other_dialect_is_said_where_it_is_served() -> None:
    """A conversation is translated; all else is refused."""
    async with FakeUpstream() as fake, gateway(fake, spec(fake, dialects=("openai",))) as running:
        status, _, message = await refused(running, "gpt-5", "/v1/messages/count_tokens")
        assert (status, message.endswith("ask at /v1/chat/completions.")) == (404, True)
        assert "ask at" not in (await refused(running, "gpt-of-nobody", "/v1/messages/count_tokens"))[2]


@pytest.mark.gen_test
async def test_a_providers_key_is_recognised_by_its_beginning() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running:
        status, code, message = await refused(running, "gpt-5", token="sk-proj-" + "A" * 40)
        assert (status, code, "wants a token of its own" in message) == (401, "invalid_api_key", True)
        assert (await refused(running, "gpt-5", token="nothing"))[2] == "Invalid or missing API key."
