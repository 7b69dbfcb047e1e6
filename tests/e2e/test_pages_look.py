"""How the pages look, as far as a machine can see: no error, no other host asked, nothing cut off, all can read it.

With `SCREENSHOTS=folder` in the environment the pictures are kept there, for a look by eye.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser
from tornado.ioloop import IOLoop

from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.policy.groups import Group
from tests.e2e.axe import BY_LOOK, serious
from tests.e2e.chromium import FORMS, Watched, log_in, tab
from tests.gateways import Running
from tests.loops import entered
from tests.pages.visitors import ADMIN_KEY, ask, services

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PAGES = [
    "/", "/docs", "/leaderboard", "/me", "/me/usage", "/models", "/me/tokens", "/me/groups", "/me/privacy", "/admin",
    "/admin/usage",
    "/admin/people", "/admin/people/import", "/admin/groups", "/admin/tokens", "/admin/keys", "/admin/limits",
    "/admin/prices", "/admin/notices", "/admin/audit",
]  # fmt: skip


async def furnished(running: Running) -> list[str]:
    """Something on every page; returns the pages that are about a single thing."""
    changes, store = running.services.changes, running.services.store
    (ada,) = [person for person in await store.people() if person.name == "ada"]
    await changes.create_group(
        "operator", Group(name="Physics 101", teachers=(ada.id,), note="Mondays", models=("gpt-5*",))
    )
    await changes.put_in_group("operator", ada.id, "Physics 101")
    await changes.put_in_group("operator", "operator", "Physics 101")
    await changes.set_limit(
        "operator", Limit("everyone/usd", Scope.EVERYONE, "", Unit.USD, LimitWindow.MONTH, 5_000_000)
    )
    await changes.set_limit(
        "operator", Limit("pot", Scope.GROUP, "Physics 101", Unit.USD, LimitWindow.MONTH, 20_000_000)
    )
    await running.services.take_effect()
    asked = [await ask(running, ADMIN_KEY) for _ in range(3)]
    await running.token_of("a person with a name of as many letters as anybody may have, 64")
    return [f"/me/requests/{asked[0].request_id}", f"/admin/people/{ada.id}", "/me/groups/Physics%20101"]


@pytest.fixture(scope="module")
def running(io_loop: IOLoop) -> Iterator[Running]:
    with entered(io_loop, services()) as started:
        yield started


@pytest.fixture(scope="module")
def pages(io_loop: IOLoop, running: Running) -> list[str]:
    return ["/login", *PAGES, *io_loop.run_sync(lambda: furnished(running))]


@pytest.mark.parametrize(("width", "dark"), FORMS)
@pytest.mark.gen_test(timeout=150)
async def test_no_page_has_an_error_a_barrier_an_outside_request_or_a_sideways_scroll(
    width: int, dark: bool, browser: Browser, running: Running, pages: list[str]
) -> None:
    async with tab(browser, running.url, width, dark) as operator:
        await log_in(operator, ADMIN_KEY, "/admin")
        for path in pages:
            answer = await operator.page.goto(path)
            assert answer is not None
            assert answer.status == 200, path
            inner = await operator.page.evaluate("document.documentElement.scrollWidth")
            assert inner <= width, f"{path} is {inner} pixels wide"
            found = await serious(operator, BY_LOOK if (width, dark) == FORMS[0] else ())
            assert not found, (path, found)
            await _picture(operator, path, width, dark)
        operator.assert_clean(running.url)


async def _picture(seen: Watched, path: str, width: int, dark: bool) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        name = path.strip("/").replace("/", "-").replace("%20", "-") or "status"
        file = Path(folder) / f"{name}-{width}-{'dark' if dark else 'light'}.png"
        await seen.page.screenshot(path=str(file), full_page=True)
