"""The pages as a browser gets them."""

from __future__ import annotations

import aiohttp
import pytest

from tests.fakes.upstream import FakeUpstream
from tests.gateways import gateway
from web import render


@pytest.mark.gen_test
async def test_pages_come_with_their_policy_and_who_takes_a_wrong_turn_gets_one_too() -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession(headers=browser) as session:
        for path, status in (("/", 200), ("/nothing", 404), ("/v1/files", 404)):
            async with session.get(running.url + path) as page:
                assert (page.status, page.content_type) == (status, "text/html")
                assert page.headers["Content-Security-Policy"] == render.CONTENT_SECURITY_POLICY
                assert "<html" in await page.text()


@pytest.mark.gen_test
async def test_a_program_that_takes_a_wrong_turn_is_told_so_in_its_dialect() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        async with session.get(f"{running.url}/v1/files") as refusal:
            assert (refusal.status, (await refusal.json())["error"]["code"]) == (404, "unknown_url")
        async with session.get(f"{running.url}/status.json") as status:
            assert (await status.json())["state"] == "up"
