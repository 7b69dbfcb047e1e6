"""What is looked for on a public page, whatever it shows."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser

from tests.e2e.chromium import PATIENCE, Watched

# What a text could have become, had it been taken for markup. None of these stands on a page of ours.
FOREIGN = (
    "script:not([src]):not([type='application/json']), style, iframe, object, embed, base, meta[http-equiv],"
    " img[src=x], [onload], [onerror], [onfocus], [autofocus], a[href^='javascript'], form[action^='http']"
)
CONTROLS = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"

# What the focus is on: its number among the controls, whether it can be seen, and where the focus is.
FOCUSED = """controls => {
    const it = document.activeElement, box = it.getBoundingClientRect(), style = getComputedStyle(it);
    const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    const within = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    return {
        place: [...document.querySelectorAll(controls)].indexOf(it),
        name: it.outerHTML.slice(0, 120),
        seen: outlined && within && box.width > 0 && box.height > 0,
    };
}"""
REACHABLE = """controls => [...document.querySelectorAll(controls)]
    .map((it, place) => it.checkVisibility({ visibilityProperty: true }) ? place : -1)
    .filter(place => place >= 0)"""
TRANSFERRED = """async () => {
    await new Promise(done => new PerformanceObserver(done).observe({ type: "paint", buffered: true }));
    const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    return {
        bytes: all.reduce((sum, each) => sum + each.transferSize, 0),
        paths: all.map(each => new URL(each.name).pathname),
        paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
    };
}"""


@asynccontextmanager
async def trusting_tab(browser: Browser, url: str) -> AsyncIterator[Watched]:
    """A tab that ignores content security policies: what a page keeps from running, it keeps by itself."""
    context = await browser.new_context(base_url=url, bypass_csp=True)
    context.set_default_timeout(PATIENCE)
    try:
        yield Watched(await context.new_page())
    finally:
        await context.close()


async def visit(seen: Watched, path: str, status: int = 200) -> None:
    """Open a page; it must have this status and must not scroll sideways."""
    answer = await seen.page.goto(path)
    assert answer is not None
    assert answer.status == status, path
    wide, inner = await seen.page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
    assert wide <= inner, f"{path} is {wide} pixels wide, the window {inner}"


async def photograph(seen: Watched, name: str, width: int, dark: bool) -> None:
    """Keep a picture, if `SCREENSHOTS` in the environment names a folder for them."""
    if folder := os.environ.get("SCREENSHOTS"):
        file = Path(folder) / f"public-{name}-{width}-{'dark' if dark else 'light'}.png"
        await seen.page.screenshot(path=str(file), full_page=True)


async def assert_nothing_ran(seen: Watched) -> None:
    """No hostile text has run, or has become anything but text."""
    assert await seen.page.evaluate("window.hostile") is None, seen.page.url
    assert await seen.page.locator(FOREIGN).count() == 0, seen.page.url


async def transferred(seen: Watched) -> Any:
    """By the browser's own timings: `bytes` and `paths` of all that was loaded, `paint` in milliseconds."""
    return await seen.page.evaluate(TRANSFERRED)


async def assert_usable_by_keyboard(seen: Watched) -> None:
    """By Tab alone one comes to every control in the order of the page, sees where one is, and can skip the head."""
    page = seen.page
    expected = await page.evaluate(REACHABLE, CONTROLS)
    reached = []
    for _ in expected:
        await page.keyboard.press("Tab")
        focus = await page.evaluate(FOCUSED, CONTROLS)
        assert focus["seen"], f"{page.url}: the focus on {focus['name']} cannot be seen"
        reached.append(focus["place"])
    assert reached == expected, page.url
    await page.reload()
    await page.keyboard.press("Tab")
    assert "skip" in (await page.evaluate(FOCUSED, CONTROLS))["name"]
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"
