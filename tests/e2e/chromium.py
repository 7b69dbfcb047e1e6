"""A real Chromium in front of a whole gateway. What it says on its console and where it goes is watched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright, expect

from tests.needs import program

NAMES = ("chromium", "chromium-browser", "google-chrome")
# It runs as root in CI, which the sandbox does not bear; and it reaches no other machine than this one.
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]

# Widths in pixels, and dark or light. What goes wrong on one of the latter two goes wrong on one of the first two,
# nearly always: every run looks at those, and `make soak` at all.
FORMS = [
    (390, True),
    (1280, False),
    pytest.param(390, False, marks=pytest.mark.soak),
    pytest.param(1280, True, marks=pytest.mark.soak),
]

# Milliseconds until what a page shall show counts as missing. It is waited for only as long as it is: a busy machine is
# no failure, and playwright's own five seconds were too few for one.
PATIENCE = 30_000
expect.set_options(timeout=PATIENCE)


@dataclass
class Watched:
    """A tab: what went wrong in it, and what it has asked for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.location['url']}: {message.text}")

    def _asked(self, request: Request) -> None:
        self.requests.append(request)

    def assert_clean(self, home: str, other: str = "") -> None:
        """No error on the console, and no request to anybody else; what `other`'s pages do is not ours."""
        errors = [error for error in self.errors if not other or error.startswith(home)]
        assert not errors, errors
        known = ("data:", home, other) if other else ("data:", home)
        strangers = [
            request.url
            for request in self.requests
            if not request.url.startswith(known)
            and not (other and request.headers.get("referer", "").startswith(other))
        ]
        assert not strangers, strangers

    @contextmanager
    def refused(self, status: int) -> Iterator[None]:
        """Within, pages answer with a status that the browser notes as an error."""
        before = len(self.errors)
        yield
        assert all(f"status of {status}" in error for error in self.errors[before:])
        del self.errors[before:]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    path = program(*NAMES)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def tab(
    browser: Browser, url: str, width: int = 1280, dark: bool = False, script: bool = True, language: str = "en"
) -> AsyncIterator[Watched]:
    """A tab of its own profile. `url` is where paths begin; `language` is what its reader wants."""
    context = await browser.new_context(
        base_url=url,
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
        locale=language,
    )
    context.set_default_timeout(PATIENCE)
    try:
        yield Watched(await context.new_page())
    finally:
        await context.close()


async def log_in(seen: Watched, token: str, path: str = "/me") -> None:
    """By the page's own form."""
    await seen.page.goto(f"/login?next={path}")
    await seen.page.fill("#token", token)
    await seen.page.click("form:has(#token) button[type=submit]")
    await seen.page.wait_for_url(lambda url: urlsplit(url).path == path)
