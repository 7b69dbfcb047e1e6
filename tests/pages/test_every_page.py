"""What holds for every page and form: who is let in, from where forms come, and that they are what the design says."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest

from server.http.access import Role
from server.http.pages.routes import page_routes
from tests.pages.visitors import ada_at, operator_at, services, visitor
from web.forms import FORMS

MINE = ["/me", "/me/usage", "/me/tokens", "/me/groups", "/me/privacy"]
OPERATORS = [
    "/admin", "/admin/usage", "/admin/people", "/admin/people/import", "/admin/groups", "/admin/tokens", "/admin/keys",
    "/admin/limits", "/admin/prices", "/admin/bill", "/admin/notices", "/admin/notifications", "/admin/audit",
]  # fmt: skip
DOORS = ("/login", "/invitation")  # for strangers
FILES = ["/me/export", "/admin/people.csv", "/admin/usage.csv"]


def _matches(pattern: object, path: str) -> bool:
    return re.fullmatch(str(pattern), path) is not None


def test_each_form_of_the_design_has_a_route_and_each_route_with_a_form_is_of_the_design() -> None:
    posts = [route for route in page_routes() if "POST" in route.roles]
    for form in FORMS:
        if form not in DOORS:
            assert any(_matches(route.pattern, form.replace("*", "x")) for route in posts), form
    for route in posts:
        path = re.sub(r"\([^)]*\)", "x", str(route.pattern))
        assert any(fnmatchcase(path, form) for form in FORMS), path


def test_the_administrators_pages_are_for_administrators() -> None:
    for route in page_routes():
        needed = Role.ADMIN if str(route.pattern).startswith("/admin") else Role.PERSON
        assert set(route.roles.values()) == {needed}, route.pattern


@pytest.mark.gen_test
async def test_who_has_not_logged_in_is_sent_to_the_login_and_comes_back() -> None:
    async with services() as running, visitor(running) as stranger:
        for path in (*MINE, *OPERATORS, *FILES):
            sent = await stranger.get(path)
            assert sent.status == 303, path
            assert sent.location == "/login?next=" + path.replace("/", "%2F"), path


@pytest.mark.gen_test
async def test_every_page_is_shown_where_nothing_has_happened_yet() -> None:
    async with services() as running, operator_at(running) as operator:
        for path in (*MINE, *OPERATORS, *FILES):
            page = await operator.get(path)
            assert page.status == 200, (path, page.text)
            assert page.headers["Cache-Control"] == "no-store"
            if path not in FILES:
                assert "default-src 'none'" in page.headers["Content-Security-Policy"]
                assert "<h1>" in page.text


@pytest.mark.gen_test
async def test_who_is_no_administrator_finds_the_administration_closed() -> None:
    async with services() as running, ada_at(running) as ada:
        for path in (*OPERATORS, "/admin/people.csv", "/admin/usage.csv"):
            assert (await ada.get(path)).status == 403, path


@pytest.mark.gen_test
async def test_no_form_is_taken_from_a_stranger_or_from_another_page() -> None:
    async with services() as running, visitor(running) as stranger, operator_at(running) as operator:
        for form in FORMS:
            if form in DOORS:
                continue
            path = form.replace("*", "x")
            assert (await stranger.browser.post(path, xsrf="x")).status == 401, path
            for fields in ({}, {"xsrf": "x" * 43}):
                assert (await operator.browser.post(path, **fields)).status == 403, path


@pytest.mark.gen_test
async def test_what_the_address_says_wrongly_is_a_page_that_says_so() -> None:
    async with services() as running, operator_at(running) as operator:
        for path in (
            "/me/usage?by=x",
            "/me/usage?after=x",
            "/admin/usage?first=x",
            "/admin/usage?last=9999-12-31",
            "/admin/usage?first=2020-01-01&last=2026-01-01",
            "/admin/usage?of=x",
            "/admin/usage?by=x",
            "/admin/audit?after=zz",
        ):
            page = await operator.get(path)
            assert (page.status, "<h1>" in page.text) == (400, True), path
        for path in ("/me/requests/none", "/admin/people/none", "/me/groups/none"):
            assert (await operator.get(path)).status == 404, path


@pytest.mark.gen_test
async def test_what_became_of_a_form_is_told_once_and_cannot_be_invented() -> None:
    async with services() as running, ada_at(running) as ada:
        told = await ada.send_and_follow("/me/privacy", "/me/nickname", nickname="Lovelace")
        assert "You are on the leaderboard." in told.text
        assert "You are on the leaderboard." not in (await ada.get("/me/privacy")).text
        ada.browser.session.cookie_jar.update_cookies({"fairgate-flash": "nickname-set.x"})
        assert "You are on the leaderboard." not in (await ada.get("/me/privacy")).text


@pytest.mark.gen_test
async def test_while_the_store_is_away_a_page_says_so() -> None:
    async with services() as running, ada_at(running) as ada:
        await running.services.store.close()
        page = await ada.get("/me")
        assert (page.status, "<h1>" in page.text) == (503, True)
