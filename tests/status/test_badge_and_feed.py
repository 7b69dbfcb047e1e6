"""The badge, the feed, the help, and the operator's own page."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import aiohttp
import pytest

from server.policy.incidents import Incident, IncidentKind
from server.policy.page_policy import policy_words
from tests.fakes.upstream import FakeUpstream
from tests.gateways import gateway
from web.render import CONTENT_SECURITY_POLICY

ATOM = "{http://www.w3.org/2005/Atom}"

# Every tag of the table in the README of the OAI Reverse Proxy (Reuploads).
TAGS = """
{JSON} {headerHtml} {uptime} {title} {endpoints:openai} {endpoints:anthropic} {proompts} {proomptersNow} {openaiKeys}
{anthropicKeys} {status} {anthropic:activeKeys} {anthropic:proomptersInQueue} {anthropic:estimatedQueueTime}
{turbo:activeKeys} {turbo:overQuotaKeys} {turbo:revokedKeys} {turbo:proomptersInQueue} {turbo:estimatedQueueTime}
{gpt4:activeKeys} {gpt4:overQuotaKeys} {gpt4:revokedKeys} {gpt4:proomptersInQueue} {gpt4:estimatedQueueTime}
{gpt432k:activeKeys} {gpt432k:overQuotaKeys} {gpt432k:revokedKeys} {config:page_body} {config:gatekeeper}
{config:modelRateLimit} {config:maxContextTokensOpenAI} {config:maxContextTokensAnthropic}
{config:maxOutputTokensOpenAI} {config:maxOutputTokensAnthropic} {config:rejectDisallowed} {config:rejectMessage}
{config:promptLogging} {config:queueMode} {config:turboOnly} {user:data} {user:aliases} {build}
"""


@pytest.mark.gen_test
async def test_a_badge_is_an_image_that_may_be_kept_for_ten_seconds() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        for query in ("", "?model=gpt-5", *(f"?model=gpt-5&metric={name}" for name in ("wait", "demand", "uptime"))):
            async with session.get(f"{running.url}/badge.svg{query}") as answer:
                assert (answer.status, answer.content_type) == (200, "image/svg+xml")
                assert answer.headers["Cache-Control"] == "public, max-age=10"
                ElementTree.fromstring(await answer.text())


@pytest.mark.gen_test
async def test_a_badge_repeats_nothing_that_is_unknown() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        for query in ("?model=<script>", "?metric=<script>", "?model=%ff%00", "?model=gpt-5&metric=cost"):
            async with session.get(f"{running.url}/badge.svg{query}") as answer:
                assert answer.status == 400
                assert "<script>" not in await answer.text()


@pytest.mark.gen_test
async def test_the_feed_tells_what_has_happened() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        now = running.services.wall()
        await running.services.store.put_incidents(
            [Incident("i1", IncidentKind.MODEL, "gpt-5 & <b>", now - 300_000, now, now)]
        )
        await running.services.status_service.history.exchange()
        async with session.get(f"{running.url}/feed.xml") as answer:
            assert answer.content_type == "application/atom+xml"
            feed = ElementTree.fromstring(await answer.text())
        assert [each.findtext(f"{ATOM}title") for each in feed.iter(f"{ATOM}entry")] == [
            "gpt-5 & <b> did not answer (over)"
        ]


@pytest.mark.gen_test
async def test_the_help_names_this_installation_and_its_models() -> None:
    async with FakeUpstream() as fake, gateway(fake) as running, aiohttp.ClientSession() as session:
        async with session.get(f"{running.url}/docs") as answer:
            text = await answer.text()
        assert f"{running.url}/v1/chat/completions" in text
        assert "claude-sonnet-4-5" in text
        assert "gpt-4o" in text


@pytest.mark.gen_test
async def test_a_page_of_ones_own_has_all_tags_filled_and_ours_stays_at_status() -> None:
    page = f"<title>{{title}}</title><p>{TAGS}</p><p>{{unknown:tag}} {{{{7*7}}}}</p>"
    more = "img-src https://example.org"
    async with (
        FakeUpstream() as fake,
        gateway(fake, page=page, page_csp=more, reject_message='<b>"no"</b>') as running,
        aiohttp.ClientSession(headers={"Accept": "text/html"}) as session,
    ):
        async with session.get(f"{running.url}/") as answer:
            text = await answer.text()
            policy = policy_words(answer.headers["Content-Security-Policy"])
        assert re.findall(r"\{[A-Za-z0-9_]+(?::[A-Za-z0-9_]+)?\}", text) == ["{unknown:tag}"]
        assert "{{7*7}}" in text
        assert "<b>" not in text
        assert "https://example.org" in policy["img-src"]
        assert policy["script-src"] == policy_words(CONTENT_SECURITY_POLICY)["script-src"]
        async with session.get(f"{running.url}/status") as answer:
            assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
            assert 'id="hero"' in await answer.text()


@pytest.mark.gen_test
async def test_only_chosen_names_are_on_a_page_of_ones_own(tmp_path: Path) -> None:
    async with FakeUpstream() as fake, gateway(fake, page="{user:data} {user:aliases} {JSON}") as running:
        async with aiohttp.ClientSession(headers=running.headers) as session:
            body = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}]}
            async with session.post(f"{running.url}/v1/chat/completions", json=body) as answer:
                await answer.read()
            await running.services.reservations.quiet(5)
            (person,) = [each for each in await running.services.store.people() if each.name == "ada"]
            await running.services.store.update_person(person.id, {"nickname": "Countess"})
            async with session.get(f"{running.url}/") as answer:
                text = await answer.text()
        assert "Countess" in text
        for secret in ("ada", person.id, running.token, "sk-upstream", *running.services.dispatcher.pool.keys):
            assert secret not in text
