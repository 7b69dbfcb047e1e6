"""How the pages look, as far as a machine can see: no error, no other host asked, nothing cut off, all can read it.

They are those of a whole community (`fill.py`): names and models are as long as real ones. Dark pages are
in German. With `SCREENSHOTS=folder` in the environment the pictures are kept there, for a look by eye.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, expect
from tornado.ioloop import IOLoop

from tests.e2e.axe import BY_LOOK, LIKE_OTHERS, serious
from tests.e2e.chromium import FORMS, Watched, log_in, tab
from tests.e2e.figures import COURSE
from tests.e2e.fill import PEOPLE, REQUEST, filled
from tests.gateways import Running
from tests.loops import entered
from tests.pages.visitors import ADMIN_KEY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(330)]

PAGES = [
    "/login", "/", "/docs", "/leaderboard", "/me", "/me/usage", "/models", f"/me/requests/{REQUEST}",
    "/me/tokens", "/me/groups", f"/me/groups/{quote(COURSE)}",
    "/me/privacy", "/admin", "/admin/usage", "/admin/usage?of=user&by=tokens", "/admin/people",
    "/admin/people/import", f"/admin/people/{PEOPLE[3]}", f"/admin/people/{PEOPLE[0]}", "/admin/groups",
    "/admin/tokens", "/admin/keys", "/admin/limits", "/admin/prices", "/admin/bill",
    "/admin/notices", "/admin/notifications", "/admin/audit",
]  # fmt: skip
# By which rules axe looks, and what it leaves out: by all once, at eight rows of a table; in a soak at all rows, and by
# the rules of the look, too. Colours have a test of their own.
AXE: dict[tuple[int, bool], tuple[Sequence[str], str]] = {
    (1280, False): ((), LIKE_OTHERS),
    (1280, True): (BY_LOOK, ""),
    (390, False): ((), ""),
}
# What of the page that is open is cut off: tables wider than their frame, and texts that go on behind an edge.
CUT = """() => {
    const cut = it => it.scrollWidth > it.clientWidth + 1;
    const named = it => `${it.className}: ${it.innerText.slice(0, 60)} (${it.scrollWidth}>${it.clientWidth})`;
    const hidden = it => ["hidden", "clip"].includes(getComputedStyle(it).overflowX);
    const unseen = it => it.closest(".unseen, thead") || it.clientWidth < 2;
    const outside = it => it.getBoundingClientRect().right > innerWidth + 1 && !it.closest(".scroll, pre, .skip");
    const all = [...document.querySelectorAll("body *")].filter(it => it.innerText && it.checkVisibility());
    return [
        ...all.filter(it => it.matches(".scroll") && cut(it)),
        ...all.filter(it => hidden(it) && cut(it) && !unseen(it)),
        ...all.filter(it => outside(it) && !unseen(it)),
    ].map(named);
}"""


@pytest.fixture(scope="module")
def running(io_loop: IOLoop) -> Iterator[Running]:
    with entered(io_loop, filled()) as started:
        yield started


@pytest.mark.parametrize(("width", "dark"), FORMS)
@pytest.mark.gen_test(timeout=300)  # of the wall: it takes one of the processor, which others may have
async def test_no_page_has_an_error_a_barrier_an_outside_request_or_anything_cut_off(
    width: int, dark: bool, browser: Browser, running: Running
) -> None:
    rules, language = AXE.get((width, dark)), "de" if dark else "en"
    async with tab(browser, running.url, width, dark, language=language) as operator:
        await log_in(operator, ADMIN_KEY, "/admin")
        for path in PAGES:
            answer = await operator.page.goto(path)
            assert answer is not None
            assert answer.status == 200, path
            assert await operator.page.get_attribute("html", "lang") == language
            inner = await operator.page.evaluate("document.documentElement.scrollWidth")
            assert inner <= width, f"{path} is {inner} pixels wide"
            assert not (cut := await operator.page.evaluate(CUT)), (path, cut)
            if rules is not None:
                assert not (found := await serious(operator, *rules)), (path, found)
            await _picture(operator, path, width, dark)
        operator.assert_clean(running.url)


async def _picture(seen: Watched, path: str, width: int, dark: bool) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        name = path.strip("/").replace("/", "-").translate(str.maketrans("%?=&", "----")) or "status"
        file = Path(folder) / f"{name}-{width}-{'dark' if dark else 'light'}.png"
        await seen.page.screenshot(path=str(file), full_page=True)


@pytest.mark.gen_test(timeout=60)
async def test_a_column_says_its_values_to_the_pointer_and_to_the_keyboard(browser: Browser, running: Running) -> None:
    async with tab(browser, running.url) as operator:
        await log_in(operator, ADMIN_KEY, "/admin/usage")
        columns = operator.page.locator("figure").first.locator(".column")
        shown = operator.page.locator(".tip:visible .sum")
        await columns.nth(1).hover()
        await expect(shown).to_have_count(1)
        await operator.page.mouse.move(0, 0)
        await expect(shown).to_have_count(0)
        await columns.first.focus()
        for key, place in (("End", -1), ("ArrowRight", -1), ("ArrowLeft", -2), ("Home", 0), ("ArrowRight", 1)):
            await operator.page.keyboard.press(key)
            await expect(columns.nth(place)).to_be_focused()
            words = await columns.nth(place).get_attribute("aria-label")
            assert (words or "").startswith(await shown.text_content() or "nothing is shown")
        operator.assert_clean(running.url)
