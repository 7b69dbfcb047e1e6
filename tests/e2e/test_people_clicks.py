"""The tasks of an administrator with people, in a real Chromium, with their clicks counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from server.ledger.limits import parse_limits
from tests.e2e.chromium import log_in, tab
from tests.gateways import Running
from tests.pages.visitors import ADMIN_KEY, services

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


class Clicks:
    """Clicks, and how many they were."""

    def __init__(self) -> None:
        self.count = 0

    async def on(self, target: Locator) -> None:
        self.count += 1
        await target.click()


@pytest.mark.gen_test(timeout=90)
async def test_more_money_a_course_and_thirty_invitations_take_no_more_clicks_than_they_should(
    browser: Browser, tmp_path: Path
) -> None:
    async with services(limits=parse_limits("20 usd/month")) as running, tab(browser, running.url) as boss:
        await log_in(boss, ADMIN_KEY, "/admin/people")
        page = boss.page
        await more_money(page)
        await a_course(page, running)
        link = await thirty_invitations(page, tmp_path)
        boss.assert_clean(running.url)
        async with tab(browser, running.url) as guest:
            await guest.page.goto(link)
            await guest.page.get_by_role("button", name="Accept the invitation").click()
            await expect(guest.page.locator("#secret")).to_contain_text("fg_")
            await guest.page.get_by_role("link", name="Go to your page").click()
            await expect(guest.page.locator("h1")).to_be_visible()
            guest.assert_clean(running.url)


async def more_money(page: Page) -> None:
    """From the list: the person, "Raise", and the button of the form as it stands there."""
    clicks = Clicks()
    await clicks.on(page.get_by_role("link", name="ada"))
    await clicks.on(page.locator("li.limit summary"))
    await clicks.on(page.get_by_role("button", name="Raise", exact=True))
    await expect(page.locator("li.limit")).to_contain_text("of $30")
    assert clicks.count == 3


async def a_course(page: Page, running: Running) -> None:
    today = datetime.now(UTC).date()
    await page.goto("/admin/groups")
    clicks = Clicks()
    await page.fill("#c-name", "Robots 101")
    await page.fill("#c-since", today.isoformat())
    await page.fill("#c-until", (today + timedelta(days=90)).isoformat())
    await page.fill("#c-pot", "200")
    await page.fill("#c-head", "5")
    await clicks.on(page.get_by_role("button", name="Begin the course"))
    code = await page.inner_text("#secret")
    assert clicks.count == 1, "one form"
    await page.goto("/me/groups/Robots 101")
    assert await page.inner_text("#join-code") == code
    assert {limit.subject for limit in running.services.book.limits} >= {"Robots 101"}


async def thirty_invitations(page: Page, folder: Path) -> str:
    """A file as a German spreadsheet writes it; returns one of the links."""
    table = folder / "people.csv"
    lines = ["E-Mail;Name", *(f"p{number}@example.org;Müller {number}" for number in range(30))]
    table.write_text("\r\n".join(lines), encoding="cp1252")
    await page.goto("/admin/people/import")
    clicks = Clicks()
    await page.set_input_files("#file", table)
    await page.check("#invite")
    await clicks.on(page.get_by_role("button", name="See what would happen"))
    await expect(page.locator("main")).to_contain_text("Added: Müller 0, Müller 1")
    await clicks.on(page.get_by_role("button", name="Import them"))
    links = await page.locator("td code").all_inner_texts()
    assert (clicks.count, len(set(links))) == (2, 30), "one form, one confirmation"
    assert "Müller 29,p29@example.org,http" in await page.input_value("#links-csv")
    return links[0]
