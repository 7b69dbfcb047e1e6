"""A reader's language, over HTTP: by what their browser wants, and by their choice."""

from __future__ import annotations

import aiohttp
import pytest

from tests.fakes.upstream import FakeUpstream
from tests.gateways import gateway

GERMAN = {"Accept-Language": "de-DE,de;q=0.9,en;q=0.8", "Accept": "text/html"}


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_a_browser_that_wants_german_gets_it_and_a_choice_counts_more() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        for path in ("/", "/status", "/docs", "/api/docs", "/login", "/leaderboard", "/nowhere"):
            async with session.get(running.url + path, headers=GERMAN) as answer:
                page = await answer.text()
                assert '<html lang="de">' in page, path
                assert "Zum Inhalt" in page, path
                assert answer.headers["Content-Language"] == "de"
                assert "Accept-Language, Cookie" in ", ".join(answer.headers.getall("Vary"))
            async with session.get(running.url + path, headers={"Accept": "text/html"}) as answer:
                assert '<html lang="en">' in await answer.text(), path
        chosen = running.url + "/language/en?next=/docs"
        async with session.get(chosen, headers=GERMAN, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/docs")
            cookie = {**GERMAN, "Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
        async with session.get(running.url + "/docs", headers=cookie) as answer:
            page = await answer.text()
            assert '<html lang="en">' in page
            assert 'href="/language/de?next=%2Fdocs"' in page
        async with session.get(running.url + "/language/fr", headers=GERMAN) as answer:
            assert answer.status == 404
        async with session.get(running.url + "/language/de?next=//evil.test", allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/"


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
async def test_programs_are_answered_in_english() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        async with session.get(running.url + "/v1/models", headers=GERMAN | {"Authorization": "Bearer x"}) as answer:
            assert (await answer.json())["error"]["message"].startswith("Invalid or missing API key.")
        async with session.get(running.url + "/status.json", headers=GERMAN) as answer:
            assert "Content-Language" not in answer.headers
