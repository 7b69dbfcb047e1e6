"""The ways of people and administrators through the pages, in a real Chromium."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import openai
import pytest
from playwright.async_api import Browser, expect

from server.config.specs import Secret
from tests.e2e.chromium import log_in, tab
from tests.fakes.upstream import FakeUpstream
from tests.faults.stage import until
from tests.gateways import Running, gateway, spec
from tests.oidc.children import child
from tests.pages.visitors import ADMIN_KEY, services

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PROVIDER = [sys.executable, "-u", "-W", "ignore", "-m", "oidc_provider_mock", "-p", "0"]
GRACE = {"sub": "grace-1", "preferred_username": "grace", "email": "grace@example.org"}
ONE_MORE = "sk-upstream-of-the-library"


async def ask(running: Running, token: str) -> str | None:
    """One question by OpenAI's own SDK."""
    async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key=token, max_retries=0) as client:
        question = [{"role": "user", "content": "hello"}]
        answer = await client.chat.completions.create(model="gpt-5", messages=question)
    await running.services.pipeline.quiet(5)
    return answer.choices[0].message.content


@pytest.mark.gen_test(timeout=60)
async def test_a_token_is_made_used_seen_in_the_charts_and_revoked(browser: Browser) -> None:
    async with services() as running, tab(browser, running.url) as ada:
        page = ada.page
        await log_in(ada, running.token)
        await page.click("text=Tokens")
        await page.fill("#t-name", "laptop")
        await page.click("text=Make the token")
        secret = await page.inner_text("#secret")
        assert await ask(running, secret)
        await page.goto("/me/usage?by=requests")
        await expect(page.locator("figure.chart rect.c1").first).to_be_visible()
        await page.click("text=Explain")
        await expect(page.locator("h1")).to_have_text("A request")
        await expect(page.locator("dl.rows")).to_contain_text("laptop")
        await page.goto("/me/tokens")
        await page.locator("li.card", has_text="laptop").get_by_role("button", name="Revoke").click()
        await page.get_by_role("button", name="Revoke it").click()
        await expect(page.get_by_role("status")).to_contain_text("The token is revoked.")
        with pytest.raises(openai.AuthenticationError):
            await ask(running, secret)
        ada.assert_clean(running.url)


@pytest.mark.gen_test(timeout=60)
async def test_in_and_out_by_the_organisations_login(browser: Browser) -> None:
    command = [*PROVIDER, "--user-claims", json.dumps(GRACE)]
    async with child(command, r"running on (http://127\.0\.0\.1:\d+)") as issuer, FakeUpstream() as fake:
        client = {"oidc_client_id": "fairgate", "oidc_client_secret": Secret("any")}
        async with (
            gateway(fake, oidc_issuer=issuer, **client) as running,
            tab(browser, running.url) as grace,
        ):
            page = grace.page
            await page.goto("/me/tokens")
            await page.click("text=Continue with")
            await page.fill("[name=sub]", "grace-1")
            await page.keyboard.press("Enter")
            await page.wait_for_url(f"{running.url}/me/tokens")
            await expect(page.locator("footer")).to_contain_text("grace")
            await page.click("text=Log out")
            await page.goto(f"{running.url}/me")
            await expect(page.locator("h1")).to_have_text("Log in")
            grace.assert_clean(running.url, issuer)


@pytest.mark.gen_test(timeout=60)
async def test_an_administrator_moves_the_queue_to_another_key_raises_a_budget_and_reads_who_did_it(
    browser: Browser,
) -> None:
    async with (
        FakeUpstream() as fake,
        services(upstreams=(spec(fake, ["sk-upstream-one-of-the-house"]),)) as running,
        tab(browser, running.url) as operator,
    ):
        page = operator.page
        await log_in(operator, ADMIN_KEY, "/admin")
        await page.get_by_role("link", name="Keys", exact=True).click()
        await page.fill("#k-secret", ONE_MORE)
        await page.get_by_role("button", name="Add").click()
        await expect(page.get_by_role("status")).to_contain_text("The key is added.")
        keys = running.services.dispatcher.snapshot
        await until(lambda: len(keys().keys) == 2)
        await page.locator("li.card", has_text="From the configuration").get_by_role("button", name="Pause").click()
        await until(lambda: [key.state.value for key in keys().keys].count("paused") == 1)
        assert await ask(running, running.token)
        assert len(fake.of(ONE_MORE)) == 1
        await page.reload()
        await expect(page.locator("li.card", has_text="From the configuration")).to_contain_text("paused")
        await page.goto(f"{running.url}/admin")
        await page.get_by_role("link", name="Keys", exact=True).click()  # why a key does not serve: one click
        why = page.locator("li.card", has_text="From the configuration")
        await expect(why).to_contain_text("An administrator has paused it.")
        await expect(why).to_contain_text("It serves again when it is resumed.")

        await page.get_by_role("link", name="Limits").click()
        await page.select_option("#l-scope", "person")
        await page.fill("#l-subject", "ada")
        await page.select_option("#l-unit", "requests")
        await page.select_option("#l-window", "day")
        await page.fill("#l-amount", "1")
        await page.get_by_role("button", name="Set").click()
        await expect(page.get_by_role("status")).to_contain_text("The limit is set.")
        assert await ask(running, running.token)
        with pytest.raises(openai.RateLimitError):
            await ask(running, running.token)
        await page.click("summary:has-text('Raise for a while')")
        await page.fill("[name=extra]", "5")
        await page.fill("form.inline [name=until]", datetime.now(UTC).date().isoformat())
        await page.get_by_role("button", name="Raise", exact=True).click()
        await expect(page.get_by_role("status")).to_contain_text("The limit is raised.")
        assert await ask(running, running.token)

        await page.get_by_role("link", name="Audit log").click()
        noted = await page.locator("ol.audit b.mono").all_inner_texts()
        assert noted == ["limit.raise", "limit.set", "key.pause", "key.add", "token.create", "person.create"]
        assert ONE_MORE not in await page.content()
        operator.assert_clean(running.url)


@pytest.mark.gen_test(timeout=60)
async def test_the_keyboard_alone_suffices_to_log_in_and_make_a_token(browser: Browser) -> None:
    async with services() as running, tab(browser, running.url) as ada:
        page = ada.page

        async def tab_to(name: str) -> None:
            for _ in range(60):
                await page.keyboard.press("Tab")
                if await page.evaluate("document.activeElement.id || document.activeElement.innerText") == name:
                    return
            raise AssertionError(f"the keyboard does not reach {name}")

        await page.goto("/login?next=/me/tokens")
        await tab_to("token")
        await page.keyboard.type(running.token)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{running.url}/me/tokens")
        await tab_to("t-name")
        await page.keyboard.type("by hand")
        await tab_to("Make the token")
        await page.keyboard.press("Enter")
        secret = await page.inner_text("#secret")
        assert await ask(running, secret)
        ada.assert_clean(running.url)


@pytest.mark.gen_test(timeout=60)
async def test_everything_works_without_a_script(browser: Browser) -> None:
    async with services() as running, tab(browser, running.url, script=False) as ada:
        page = ada.page
        await log_in(ada, running.token)
        await page.goto("/me/tokens")
        await page.fill("#t-name", "plain")
        await page.click("text=Make the token")
        assert (await page.inner_text("#secret")).startswith("fg_")
        await page.goto("/me/tokens")
        await page.locator("li.card", has_text="plain").get_by_role("button", name="Revoke").click()
        await page.get_by_role("button", name="Revoke it").click()
        await expect(page.get_by_role("status")).to_contain_text("The token is revoked.")
        ada.assert_clean(running.url)


@pytest.mark.gen_test(timeout=60)
async def test_the_page_says_what_went_wrong(browser: Browser) -> None:
    async with services() as running, tab(browser, running.url) as ada:
        await log_in(ada, running.token)
        await ada.page.goto("/me/groups")
        with ada.refused(400):
            await ada.page.fill("#code", "AAAA-BBBB-CCCC")
            await ada.page.get_by_role("button", name="Join").click()
            await expect(ada.page.get_by_role("alert")).to_contain_text("This code opens no course: look for a slip")
        ada.assert_clean(running.url)
