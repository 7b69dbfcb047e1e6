"""A real Chromium in front of a whole gateway. What it says on its console and where it goes is watched."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
NO_SANDBOX = ["--no-sandbox", "--disable-dev-shm-usage"]  # it runs as root in CI, and sees nothing but this machine


@dataclass
class Watched:
    """A tab: what went wrong in it, and to which addresses it has sent something."""

    page: Page
    errors: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.addresses.append(request.url))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.location['url']}: {message.text}")

    def assert_clean(self, *homes: str) -> None:
        """No request to anybody else than these, and no error on the console but about the pages of the others."""
        assert [error for error in self.errors if not error.startswith(homes[1:] or ("-",))] == []
        assert [url for url in self.addresses if not url.startswith((*homes, "data:"))] == []

    @contextmanager
    def refused(self, status: int) -> Iterator[None]:
        """Within, pages answer with a status that the browser notes as an error."""
        before = len(self.errors)
        yield
        assert all(f"status of {status}" in error for error in self.errors[before:])
        del self.errors[before:]


def chromium_path() -> str:
    """Where there is a Chromium; skips the test, and says why, where there is none."""
    for name in NAMES:
        if (path := shutil.which(name)) is not None:
            return path
    pytest.skip("NO CHROMIUM HERE: no page was looked at. `apt-get install chromium` gives one")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    path = chromium_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=NO_SANDBOX)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def tab(
    browser: Browser, url: str, width: int = 1280, dark: bool = False, script: bool = True
) -> AsyncIterator[Watched]:
    """A tab of its own profile. `url` is where paths begin."""
    context = await browser.new_context(
        base_url=url,
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
    )
    context.set_default_timeout(10_000)
    try:
        yield Watched(await context.new_page())
    finally:
        await context.close()


async def log_in(seen: Watched, token: str, path: str = "/me") -> None:
    """By the page's own form."""
    await seen.page.goto(f"/login?next={path}")
    await seen.page.fill("#token", token)
    await seen.page.click("text=Log in with a token")
    await seen.page.wait_for_url(f"**{path}")
