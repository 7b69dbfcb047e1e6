"""The home page in a real Chromium: what is left without a click, and a model asked with two."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from tests.e2e.chromium import log_in, tab
from tests.fakes.fates import slow
from tests.gateways import Running
from tests.pages.visitors import ask, services

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def limit(running: Running, dollars: int) -> None:
    person = await running.services.store.person_by_name("ada")
    assert person is not None
    wanted = Limit("ada-month", Scope.PERSON, person.id, Unit.USD, LimitWindow.MONTH, dollars * 1_000_000)
    await running.services.changes.set_limit("operator", wanted)
    await running.services.take_effect()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.gen_test(timeout=60)
async def test_what_is_left_is_seen_at_once_and_a_model_is_asked_with_two_clicks(browser: Browser, width: int) -> None:
    async with services() as running, tab(browser, running.url, width) as ada:
        page = ada.page
        await limit(running, 20)
        await log_in(ada, running.token)
        await expect(page.locator("#left")).to_have_text("$20.00")  # no click
        await page.click("#chat-text")
        await page.keyboard.type("<b>Hello</b>")
        await page.click("#chat-ask")
        await expect(page.locator("#chat-said article").last).to_contain_text("You said: <b>Hello</b>")
        await expect(page.locator("#chat-state")).to_contain_text("Done: waited")
        assert await page.locator("#chat-said b").count() == 0  # what a model says is text
        await expect(page.locator("#chat-curl")).to_contain_text("/v1/chat/completions")
        await page.keyboard.type("Again")
        await page.keyboard.press("Enter")  # by the keyboard alone
        await expect(page.locator("#chat-said article")).to_have_count(4)
        await expect(page.locator("#chat-state")).to_contain_text("Done: waited")
        await running.services.pipeline.quiet(5)
        await page.locator("#chat-said a").last.click()
        await expect(page.locator("h1")).to_have_text("A request")
        ada.assert_clean(running.url)


@pytest.mark.gen_test(timeout=60)
async def test_an_answer_is_stopped_and_a_refusal_says_what_to_do(browser: Browser) -> None:
    async with services() as running, tab(browser, running.url) as ada:
        page, fake = ada.page, running.fake
        await log_in(ada, running.token)
        for key in ("sk-upstream-one", "sk-upstream-two"):
            fake.script(key, slow(per_chunk=0.05, words=400).for_ever())
        await page.fill("#chat-text", "A long one")
        await page.click("#chat-ask")
        await expect(page.locator("#chat-state")).to_contain_text("Answering")
        await page.click("#chat-stop")
        await expect(page.locator("#chat-state")).to_have_text("Stopped.")
        await fake.wait_for(lambda: fake.records[-1].client_left_at)
        await running.services.pipeline.quiet(5)
        await page.context.clear_cookies()
        with ada.refused(401):
            await page.fill("#chat-text", "Hello")
            await page.click("#chat-ask")
            await expect(page.get_by_role("alert")).to_contain_text("Your login has ended")
        ada.assert_clean(running.url)


@pytest.mark.gen_test(timeout=60)
async def test_why_a_request_failed_is_found_with_two_clicks(browser: Browser) -> None:
    async with services() as running, tab(browser, running.url, script=False) as ada:
        page = ada.page
        await ask(running, running.token, "gpt-nine")
        await log_in(ada, running.token)
        await page.get_by_role("link", name="All requests").click()
        await page.locator("tbody tr").first.get_by_role("link").click()
        await expect(page.locator("main")).to_contain_text("There is no such model here")
        await expect(page.locator("main")).to_contain_text("Choose one of the models")


@pytest.mark.gen_test(timeout=60)
async def test_without_a_script_the_page_says_how_else_to_ask(browser: Browser) -> None:
    async with services() as running, tab(browser, running.url, script=False) as ada:
        await log_in(ada, running.token)
        await expect(ada.page.locator("#chat-off")).to_contain_text("The chat needs JavaScript.")
        await expect(ada.page.locator("#chat")).to_be_hidden()
