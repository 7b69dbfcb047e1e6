"""The public pages in a real Chromium: how they look, what they follow, what they cost, and whom they let do what.

With `SCREENSHOTS=folder` in the environment pictures of all pages are kept there, for a look by eye.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from playwright.async_api import Browser, Page, expect
from tornado.ioloop import IOLoop

from server.config.settings import load
from tests.e2e.axe import BY_LOOK, serious
from tests.e2e.chromium import FORMS, NAMES, log_in, tab
from tests.e2e.public_gateway import GROUP, HOSTILE, PEOPLE, public_gateway
from tests.e2e.public_looks import (
    assert_nothing_ran,
    assert_usable_by_keyboard,
    photograph,
    transferred,
    trusting_tab,
    visit,
)
from tests.fakes.fates import held
from tests.faults.stage import until
from tests.gateways import Running
from tests.loops import entered
from tests.pages.visitors import ask
from tests.status.test_badge_and_feed import ATOM, TAGS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

PAGES = {"status": "/status", "docs": "/docs", "login": "/login", "leaderboard": "/leaderboard"}
# What a text becomes does not depend on the look; whether it fits is seen where there is least room.
NARROW = [(390, True), pytest.param(1280, False, marks=pytest.mark.soak)]
BOARDS = [
    f"/leaderboard?window={window}&by={by}"
    for window in ("day", "week", "month", "ever")
    for by in ("requests", "tokens", "cost")
]
PERIOD_MS = 6000  # within which the page looks by itself, where no events come
OWN_PAGE = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{title}}</title>
<link rel="stylesheet" href="/static/style.css"><link rel="icon" href="/static/icon.svg"></head>
<body><main class="page"><h1>{{title}}</h1><p id="people" data-people='{{user:data}}'><bdi>{{user:aliases}}</bdi></p>
<script type="application/json" id="everything">{{JSON}}</script><bdi id="tags">{TAGS}</bdi></main></body></html>"""


@pytest.mark.skipif(not os.environ.get("CI"), reason="only CI promises a Chromium")
def test_where_everything_is_tested_there_is_a_chromium() -> None:
    assert any(map(shutil.which, NAMES))


@pytest.fixture(scope="module")
def running(io_loop: IOLoop) -> Iterator[Running]:
    """For those who only look."""
    with entered(io_loop, public_gateway()) as started:
        yield started


@pytest.fixture(scope="module")
def hostile(io_loop: IOLoop) -> Iterator[Running]:
    """All of its texts are an attacker's."""
    with entered(io_loop, public_gateway(HOSTILE, HOSTILE, HOSTILE[0], title=HOSTILE[4])) as started:
        yield started


@pytest.fixture(scope="module")
def own_page(io_loop: IOLoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The front page is the operator's, and the people on it are hostile."""
    file = tmp_path_factory.mktemp("own") / "page.html"
    file.write_text(OWN_PAGE, encoding="utf-8")
    page = load(environ={"PAGE_FILE": str(file)}, dotenv=None).page
    with entered(io_loop, public_gateway(people=HOSTILE, page=page)) as started:
        yield started


@pytest.mark.parametrize(("width", "dark"), FORMS)
@pytest.mark.gen_test(timeout=60)
async def test_each_page_is_whole_keeps_to_itself_and_can_be_used_by_all(
    width: int, dark: bool, browser: Browser, running: Running
) -> None:
    async with tab(browser, running.url, width, dark) as seen:
        wrong, rules = {}, BY_LOOK if (width, dark) == FORMS[0] else ()
        for name, path in PAGES.items():
            await visit(seen, path)
            wrong[name] = await serious(seen, rules)
            await photograph(seen, name, width, dark)
        with seen.refused(404):
            await visit(seen, "/there-is-no-such-page", 404)
            wrong["error"] = await serious(seen, rules)
        await photograph(seen, "error", width, dark)
        assert not any(wrong.values()), wrong
        seen.assert_clean(running.url)


@pytest.mark.parametrize("every", [2, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.gen_test(timeout=60)
async def test_all_windows_and_measures_of_the_leaderboard_are_whole(
    every: int, browser: Browser, running: Running
) -> None:
    """Each of the twelve at one width at least: six have each window and each measure."""
    async with (
        tab(browser, running.url, 390) as narrow,
        tab(browser, running.url) as wide,
    ):
        for seen, paths in ((narrow, BOARDS[::every]), (wide, BOARDS[every - 1 :: every])):
            for path in paths:
                await visit(seen, path)
                await expect(seen.page.locator(".switch [aria-current]")).to_have_count(2)
                await expect(seen.page.locator(".board [aria-sort]").first).to_be_visible()
            seen.assert_clean(running.url)


@pytest.mark.parametrize(("width", "dark"), NARROW)
@pytest.mark.gen_test(timeout=60)
async def test_an_operators_own_page_has_every_tag_filled_and_nothing_of_people_runs_on_it(
    width: int, dark: bool, browser: Browser, own_page: Running
) -> None:
    async with (
        tab(browser, own_page.url, width, dark) as seen,
        trusting_tab(browser, own_page.url) as trusting,
    ):
        for each in (seen, trusting):
            await visit(each, "/")
            await assert_nothing_ran(each)
            text = await each.page.inner_text("#tags")
            assert not [tag for tag in TAGS.split() if tag in text.replace(HOSTILE[14], "")]
            aliases = await each.page.evaluate("JSON.parse(people.dataset.people).map(each => each.alias)")
            assert aliases == list(HOSTILE)
            assert await each.page.evaluate("JSON.parse(everything.textContent).uptime") >= 0
            each.assert_clean(own_page.url)
        await photograph(seen, "custom", width, dark)


@pytest.mark.parametrize(("width", "dark"), NARROW)
@pytest.mark.gen_test(timeout=60)
async def test_twenty_hostile_names_are_shown_as_they_are(
    width: int, dark: bool, browser: Browser, hostile: Running
) -> None:
    async with tab(browser, hostile.url, width, dark) as seen:
        for name, path in PAGES.items():
            await visit(seen, path)
            await assert_nothing_ran(seen)
            await photograph(seen, f"hostile-{name}", width, dark)
        assert await seen.page.locator(".board").first.locator("bdi").all_text_contents() == list(HOSTILE)
        seen.assert_clean(hostile.url)


@pytest.mark.gen_test(timeout=60)
async def test_hostile_names_run_nothing_where_no_policy_forbids_it(browser: Browser, hostile: Running) -> None:
    async with trusting_tab(browser, hostile.url) as seen:
        seen.page.on("dialog", lambda dialog: seen.errors.append(dialog.message))
        for path in ("/", "/status", "/docs", "/login", "/leaderboard"):
            await visit(seen, path)
            await assert_nothing_ran(seen)
        await visit(seen, "/")
        assert sorted(await seen.page.locator("#models h3 bdi").all_text_contents()) == sorted(HOSTILE)
        await until_all_is_put_in_anew(seen.page, hostile)
        await assert_nothing_ran(seen)
        with seen.refused(404):  # an image alone names no icon, so the browser looks for one
            for model in HOSTILE:
                await seen.page.goto(f"/badge.svg?model={quote(model)}")
                assert await seen.page.evaluate("window.hostile") is None
                assert await seen.page.evaluate("document.documentElement.nodeName") == "svg"
        seen.assert_clean(hostile.url)


@pytest.mark.gen_test(timeout=60)
async def test_numbers_follow_the_requests_by_events_and_by_polling_when_there_are_none(browser: Browser) -> None:
    async with public_gateway() as running, tab(browser, running.url) as seen:
        page, live = seen.page, running.services.status_service.live
        await page.goto("/")
        await until(lambda: live.listeners == 1)
        await three_come_and_go(page, running)
        assert live.listeners == 1
        await live.close()
        await until(lambda: live.listeners == 0)
        with seen.refused(503):
            await three_come_and_go(page, running)
        seen.assert_clean(running.url)


@pytest.mark.gen_test(timeout=60)
async def test_a_page_says_that_the_gateway_stops_and_that_it_has_been_lost(browser: Browser) -> None:
    async with public_gateway() as running, tab(browser, running.url) as seen:
        page, live = seen.page, running.services.status_service.live
        await page.clock.install()
        await page.goto("/")
        await until(lambda: live.listeners == 1)
        await running.services.status_service.drain()
        await until(lambda: live.listeners == 0)
        await page.clock.run_for(PERIOD_MS)
        await expect(page.locator(".verdict")).to_contain_text("Shutting down")
        await expect(page.locator("#lost")).to_be_hidden()
        await page.context.set_offline(True)
        await page.clock.run_for(PERIOD_MS)
        await expect(page.locator("#lost")).to_be_visible()
        await page.context.set_offline(False)
        await page.clock.run_for(PERIOD_MS)
        await expect(page.locator("#lost")).to_be_hidden()


@pytest.mark.gen_test(timeout=60)
async def test_without_javascript_everything_stands_there(browser: Browser, running: Running) -> None:
    async with tab(browser, running.url, script=False) as seen:
        gate = await three_wait(running)
        await seen.page.goto("/")
        await expect(seen.page.locator(".verdict")).to_contain_text("Up")
        await expect(seen.page.locator("#load")).to_have_text("3 requests running, none waiting.")
        for name in ("models", "hours", "waits", "keys", "sums", "incidents"):
            await expect(seen.page.locator(f"#{name}")).not_to_be_empty()
            await expect(seen.page.locator(f"#{name} .empty")).to_have_count(0)
        await expect(seen.page.locator("#lost")).to_be_hidden()
        await expect(seen.page.locator("#theme")).to_be_hidden()
        await seen.page.goto("/leaderboard")
        await expect(seen.page.locator(".board").first.locator("tbody tr")).to_have_count(len(PEOPLE))
        gate.set()
        await running.services.pipeline.quiet(5)


@pytest.mark.alone  # it measures how soon
@pytest.mark.gen_test(timeout=60)
async def test_the_front_page_is_light_and_soon_there(browser: Browser, running: Running) -> None:
    async with tab(browser, running.url) as first:
        await first.page.goto("/")  # a gateway compiles a page, and a browser loads its fonts, once
    async with tab(browser, running.url) as seen:
        await seen.page.goto("/")
        sent = await transferred(seen)
    static = {f"/static/{name}" for name in ("charts.js", "icon.svg", "live.js", "style.css", "theme.js")}
    assert set(sent["paths"]) == {"/", *static}
    assert len(sent["paths"]) <= len(static) + 2, "the icon is on the page and on the tab; nothing else comes twice"
    assert sent["bytes"] < 100_000
    assert sent["paint"] < 1000


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.gen_test(timeout=60)
async def test_everything_can_be_reached_and_seen_by_keyboard(width: int, browser: Browser, running: Running) -> None:
    async with tab(browser, running.url, width) as seen:
        for path in ("/", "/leaderboard", "/login", "/docs"):
            await seen.page.goto(path)
            await assert_usable_by_keyboard(seen)


@pytest.mark.gen_test(timeout=60)
async def test_a_person_who_has_logged_in_sees_their_own_place_and_others_do_not(browser: Browser) -> None:
    async with public_gateway() as running, tab(browser, running.url) as ada:
        await ada.page.goto("/leaderboard")
        await expect(ada.page.locator(".place-line")).to_have_count(0)
        await expect(ada.page.locator("#groups-title ~ .scroll")).to_contain_text(f"{GROUP} {len(PEOPLE) + 1} people")
        await log_in(ada, running.token, "/leaderboard")
        place = ada.page.locator(".place-line")
        await expect(place).to_contain_text(
            f"You are number {len(PEOPLE) + 1} of {len(PEOPLE) + 1}. Others do not see that"
        )
        (person,) = [each for each in await running.services.store.people() if each.name == "ada"]
        await running.services.store.update_person(person.id, {"nickname": "Countess"})
        await ada.page.goto("/leaderboard?window=ever")
        await expect(place).to_contain_text("listed as Countess")
        await expect(ada.page.locator(".board .own")).to_contain_text("Countess you")
        async with tab(browser, running.url) as stranger:
            await stranger.page.goto("/leaderboard?window=ever")
            await expect(stranger.page.locator(".board").first).to_contain_text("Countess")
            await expect(stranger.page.locator(".place-line, .own")).to_have_count(0)


@pytest.mark.gen_test(timeout=60)
async def test_what_is_for_programs_says_the_same_and_may_be_kept_for_a_moment(browser: Browser) -> None:
    documentation = (Path(__file__).parents[2] / "docs" / "status-json.md").read_text(encoding="utf-8")
    async with public_gateway(notice=HOSTILE[0]) as running, tab(browser, running.url) as seen:
        status = await (await seen.page.request.get("/status.json")).json()
        assert [name for name in status if f"`{name}`" not in documentation] == []
        assert [name for name in _documented(documentation) if name not in {*status, *status["models"][0]}] == []
        for path in ("/badge.svg", "/badge.svg?model=gpt-5&metric=uptime", "/feed.xml"):
            answer = await seen.page.request.get(path)
            assert answer.headers["cache-control"] == "public, max-age=10"
            document = ElementTree.fromstring(await answer.text())
        titles = [entry.findtext(f"{ATOM}title") for entry in document.iter(f"{ATOM}entry")]
        assert {each["title"] for each in status["incidents"]} <= {str(each).removesuffix(" (over)") for each in titles}
        await seen.page.goto("/")
        shown = [await item.inner_text() for item in await seen.page.locator("#incidents strong").all()]
        assert shown == [each["title"] for each in status["incidents"]]


def _documented(text: str) -> list[str]:
    """The names in the first column of the tables."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [name.strip().strip("`") for cell in cells for name in cell.split(",")]


async def three_wait(running: Running) -> asyncio.Event:
    """Three requests that are being answered until the gate is opened."""
    gate = asyncio.Event()
    running.fake.script(None, held(gate).repeat(3))
    for _ in range(3):
        asyncio.get_running_loop().create_task(ask(running, running.token))
    await until(lambda: running.fake.running == 3)
    running.services.status_service.status.forget()
    return gate


async def three_come_and_go(page: Page, running: Running) -> None:
    load, today = page.locator("#load"), page.locator("#requests-today")
    before = int(await today.inner_text())
    gate = await three_wait(running)
    await expect(load).to_have_text("3 requests running, none waiting.", timeout=15_000)
    gate.set()
    await expect(load).to_have_text("No request is running or waiting.", timeout=15_000)
    await expect(today).to_have_text(str(before + 3), timeout=15_000)


async def until_all_is_put_in_anew(page: Page, running: Running) -> None:
    """Empty what moves, so that the page's own script has to carry over everything."""
    await page.evaluate("document.querySelectorAll('[data-live]').forEach(each => each.replaceChildren())")
    async with page.expect_response(lambda answer: answer.url == f"{running.url}/", timeout=15_000):
        await page.evaluate("hero.dataset.shape = ''")
    await expect(page.locator("#models li")).to_have_count(len(HOSTILE))
