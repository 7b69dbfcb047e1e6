"""What lists and pages say of models is what a caller meets: what may be used, and how long it would be waited for."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from keypool.health import KeyEvent
from keypool.pool import Ask
from server.auth.accounts import EVERYONE, SHARED
from server.config.settings import Secret
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway, spec


async def listed(running: Running, **headers: str) -> set[str]:
    async with (
        aiohttp.ClientSession(headers=running.headers | headers) as session,
        session.get(f"{running.url}/v1/models") as answer,
    ):
        assert answer.status == 200
        return {model["id"] for model in (await answer.json())["data"]}


async def found(running: Running, model: str) -> int:
    async with (
        aiohttp.ClientSession(headers=running.headers) as session,
        session.get(f"{running.url}/v1/models/{model}") as answer,
    ):
        return answer.status


@pytest.mark.gen_test
async def test_a_model_without_a_price_is_listed_only_where_it_may_be_used() -> None:
    models = ("gpt-4o", "unheard-of")
    async with FakeUpstream() as fake:
        async with gateway(fake, spec(fake, models=models), unpriced_models="refuse") as running:
            assert await listed(running) == {"gpt-4o"}
            assert await found(running, "unheard-of") == 404
        async with gateway(fake, spec(fake, models=models), unpriced_models="free") as running:
            assert await listed(running) == set(models)


@pytest.mark.parametrize("version", [{}, {"anthropic-version": "2023-06-01"}])
@pytest.mark.gen_test
async def test_a_model_is_listed_while_a_key_lives_that_serves_it(version: dict[str, str]) -> None:
    async with FakeUpstream() as fake:
        dying = spec(fake, name="dying", keys=("sk-one",), models=("gpt-4o", "gpt-5"))
        living = spec(fake, name="living", keys=("sk-two",), models=("gpt-5",))
        async with gateway(fake, dying, living) as running:
            dispatcher, key = running.services.dispatcher, Secret("sk-one").fingerprint
            assert await listed(running, **version) == {"gpt-4o", "gpt-5"}
            dispatcher.learn(key, KeyEvent.OUT_OF_QUOTA)
            assert await listed(running, **version) == {"gpt-4o", "gpt-5"}, "its quota comes back"
            dispatcher.learn(key, KeyEvent.PAUSE)
            assert await listed(running, **version) == {"gpt-5"}
            dispatcher.learn(key, KeyEvent.RESUME)
            assert await listed(running, **version) == {"gpt-4o", "gpt-5"}


async def wait_shown(running: Running, person: str) -> tuple[float | None, float, float]:
    """With one slot in use and eight requests waiting by one person: what the page shows as the wait of who comes now,
    what that person would wait, and what another one would."""
    dispatcher = running.services.dispatcher
    pool, now = dispatcher.pool, dispatcher.now()

    def ask(name: str, who: str) -> Ask:
        return Ask(name, who, "gpt-4o", "openai", 0, None, now + 300.0)

    for number in range(9):
        dispatcher.carry_out(pool.submit(ask(f"r{number}", person), now)[1])
    status = running.services.status_service.status
    status.forget()
    (model,) = (await status.view()).models
    mine, others = (pool.admission.forecast(ask("", who), now).seconds for who in (person, "another"))
    for ticket in list(pool.tickets.values()):
        dispatcher.carry_out(pool.cancel(ticket, now))
    assert mine is not None
    assert others is not None
    return model.wait_seconds, mine, others


@pytest.mark.parametrize(
    ("terms", "person"),
    [
        ({"gatekeeper": "shared", "proxy_key": Secret("0123456789abcdef")}, SHARED.person_id),
        ({"gatekeeper": "none"}, EVERYONE.person_id),
    ],
)
@pytest.mark.gen_test
async def test_who_shares_one_name_with_all_waits_behind_all(terms: dict[str, Any], person: str) -> None:
    async with FakeUpstream() as fake:
        one = spec(fake, keys=("sk-one",), models=("gpt-4o",), slots=1)
        async with gateway(fake, one, **terms) as running:
            shown, mine, others = await wait_shown(running, person)
            assert shown == pytest.approx(mine, rel=0.05)
            assert mine > 2 * others


@pytest.mark.gen_test
async def test_where_each_has_a_token_the_wait_is_that_of_a_newcomer() -> None:
    async with FakeUpstream() as fake:
        one = spec(fake, keys=("sk-one",), models=("gpt-4o",), slots=1)
        async with gateway(fake, one) as running:
            shown, _, others = await wait_shown(running, "busy")
            assert shown == pytest.approx(others, rel=0.05)


@pytest.mark.gen_test
async def test_pages_that_are_made_once_for_all_readers_name_the_zone_of_their_times() -> None:
    async with (
        FakeUpstream() as fake,
        gateway(fake, timezone=ZoneInfo("Asia/Tokyo")) as running,
        aiohttp.ClientSession() as session,
    ):
        for path in ("/", "/docs"):
            async with session.get(running.url + path, headers={"Accept": "text/html"}) as page:
                assert "Times: Asia/Tokyo" in await page.text(), path
