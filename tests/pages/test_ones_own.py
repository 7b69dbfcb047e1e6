"""What people find on their own pages, and what they can do there by themselves."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from server.policy.groups import Group
from server.store.base import Person
from tests.gateways import Running
from tests.pages.visitors import Visitor, ada_at, ask, operator_at, secret_on, services, visitor, xsrf


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


async def the_id_of(someone: Visitor, name: str) -> str:
    """The id of a token that stands on the page."""
    page = await someone.get("/me/tokens")
    found = re.search(rf"<bdi>{name}</bdi>.*?/me/tokens/([^/]+)/revoke", page.text, re.DOTALL)
    assert found
    return found[1]


# --- tokens


@pytest.mark.gen_test
async def test_a_token_is_shown_once_works_at_once_and_is_dead_as_soon_as_it_is_revoked() -> None:
    async with services() as running, ada_at(running) as ada:
        made = await ada.send("/me/tokens", "/me/tokens", name="laptop")
        secret = secret_on(made)
        assert (made.status, made.headers["Cache-Control"]) == (200, "no-store")
        assert secret not in (await ada.get("/me/tokens")).text
        assert (await ask(running, secret)).status == 200
        token = await the_id_of(ada, "laptop")
        told = await ada.send_and_follow("/me/tokens", f"/me/tokens/{token}/revoke")
        assert "The token is revoked." in told.text
        assert (await ask(running, secret)).status == 401


@pytest.mark.gen_test
async def test_a_token_has_the_terms_and_the_budget_that_its_form_says() -> None:
    async with services() as running, ada_at(running) as ada:
        terms = {"models": "gpt-4*, o1", "networks": "127.0.0.0/8", "addresses": "2", "keepalive": "off", "usd": "0.50"}
        made = await ada.send("/me/tokens", "/me/tokens", name="narrow", until=in_days(3), **terms)
        assert made.status == 200
        page = (await ada.get("/me/tokens")).text
        for words in ("Only for <bdi>gpt-4*, o1</bdi>", "Only from <bdi>127.0.0.0/8</bdi>", "2 addresses", "of $0.50"):
            assert words in page
        assert "Keepalive in streams: off" in page
        assert (await ask(running, secret_on(made), "gpt-5")).status == 404  # as if there were none of that name


@pytest.mark.gen_test
async def test_a_new_secret_takes_the_place_of_the_old_one() -> None:
    async with services() as running, ada_at(running) as ada:
        old = secret_on(await ada.send("/me/tokens", "/me/tokens", name="laptop"))
        token = await the_id_of(ada, "laptop")
        new = secret_on(await ada.send("/me/tokens", f"/me/tokens/{token}/rotate"))
        assert ((await ask(running, old)).status, (await ask(running, new)).status) == (401, 200)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("name", " ", "Please fill in “name”."),
        ("usd", "much", "“dollars” is an amount of dollars"),
        ("usd", "-1", "“dollars” is an amount of dollars"),
        ("until", "2020-01-01", "The expiry lies in the past."),
        ("until", "tomorrow", "“until” is a day"),
        ("addresses", "1e3", "“addresses” is a whole number"),
        ("networks", "here", "Networks: expected addresses or networks"),
        ("keepalive", "loud", "Keepalive: expected off, comment, chunk or nothing"),
    ],
)
@pytest.mark.gen_test
async def test_what_makes_no_sense_is_told_without_being_repeated(field: str, value: str, told: str) -> None:
    async with services() as running, ada_at(running) as ada:
        answer = await ada.send("/me/tokens", "/me/tokens", **{"name": "laptop", field: value})
        assert (answer.status, told in answer.text, 'role="alert"' in answer.text) == (400, True, True)
        assert len(await running.services.store.tokens()) == 1


@pytest.mark.gen_test
async def test_nobody_touches_what_is_somebody_elses() -> None:
    async with services() as running, ada_at(running) as ada, visitor(running, await running.token_of("eve")) as eve:
        await ask(running, running.token)
        (token,) = await running.services.store.tokens(ada_id := (await _person(running, "ada")).id)
        (row,) = await running.services.store.usage_rows(0, 10)
        for action in ("revoke", "rotate"):
            page = await eve.get("/me/tokens")
            answer = await eve.browser.post(f"/me/tokens/{token.id}/{action}", xsrf=xsrf(page))
            assert (answer.status, "There is no such token." in answer.text) == (400, True)
        assert (await eve.get(f"/me/requests/{row.request_id}")).status == 404
        assert (await ada.get(f"/me/requests/{row.request_id}")).status == 200
        assert [it.revoked_at for it in await running.services.store.tokens(ada_id)] == [None]


# --- usage


@pytest.mark.gen_test
async def test_a_request_is_in_the_sums_the_chart_and_the_list_and_is_explained() -> None:
    async with services() as running, ada_at(running) as ada:
        asked = await ask(running, running.token)
        for by in ("cost", "requests", "tokens"):
            page = await ada.get(f"/me/usage?by={by}")
            assert f'href="/me/requests/{asked.request_id}"' in page.text
            assert "1 request" in page.text
        explained = await ada.get(f"/me/requests/{asked.request_id}")
        assert (explained.status, "completed" in explained.text, "gpt-5" in explained.text) == (200, True, True)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_older_requests_are_behind_a_link() -> None:
    async with services() as running, ada_at(running) as ada:
        for _ in range(27):
            await ask(running, running.token)
        first = await ada.get("/me/usage")
        older = re.search(r'href="(/me/usage\?by=cost&amp;after=[0-9a-f]+)"', first.text)
        assert older
        second = await ada.get(older[1].replace("&amp;", "&"))
        ids = [re.findall(r"/me/requests/([^\"]+)", page.text) for page in (first, second)]
        assert [len(each) for each in ids] == [25, 2]
        assert not set(ids[0]) & set(ids[1])


# --- groups


@pytest.mark.gen_test
async def test_a_course_is_begun_joined_looked_at_left_and_closed() -> None:
    async with services() as running, operator_at(running) as teacher, ada_at(running) as ada:
        days = {"since": in_days(-1), "until": in_days(30), "pot": "20", "per_head": "5"}
        code = secret_on(await teacher.send("/me/groups", "/me/groups", name="Physics 101", **days))
        joined = await ada.send_and_follow("/me/groups", "/me/groups/join", code=code)
        assert "You are a member now." in joined.text
        assert ("Physics 101" in joined.text, "$20.00" in joined.text, "$5.00" in joined.text) == (True, True, True)
        await ask(running, running.token)
        totals = await teacher.get("/me/groups/Physics%20101")
        assert (totals.status, "<bdi>ada</bdi>" in totals.text) == (200, True)
        assert (await ada.get("/me/groups/Physics%20101")).status == 404
        again = await teacher.send("/me/groups/Physics%20101", "/me/groups/Physics%20101/code")
        assert secret_on(again) != code
        left = await ada.send_and_follow("/me/groups", "/me/groups/Physics%20101/leave")
        assert "You have left the group." in left.text
        assert (await ada.send("/me/groups", "/me/groups/join", code=code)).status == 400
        closed = await teacher.send_and_follow("/me/groups/Physics%20101", "/me/groups/Physics%20101/close")
        assert "The course is closed." in closed.text
        assert (await ada.send("/me/groups", "/me/groups/join", code=secret_on(again))).status == 400


@pytest.mark.gen_test
async def test_a_group_with_guests_lets_its_members_make_passes() -> None:
    async with services() as running, ada_at(running) as ada:
        assert "/me/passes" not in (await ada.get("/me/tokens")).text
        await running.services.changes.create_group("operator", Group(name="hosts", guests=True))
        person = await _person(running, "ada")
        await running.services.changes.put_in_group("operator", person.id, "hosts")
        await running.services.take_effect()
        made = await ada.send("/me/tokens", "/me/passes", name="Bob", until=in_days(2), usd="1")
        assert (made.status, "guest pass “<bdi>Bob</bdi>”" in made.text) == (200, True)
        assert (await ask(running, secret_on(made))).status == 200


# --- privacy


@pytest.mark.gen_test
async def test_the_privacy_page_lists_what_is_kept_and_gives_it_away_as_a_file() -> None:
    async with services() as running, ada_at(running) as ada:
        asked = await ask(running, running.token)
        page = await ada.get("/me/privacy")
        assert ("<bdi>ada</bdi>" in page.text, "<bdi>1 for " in page.text) == (True, True)
        taken = json.loads((await ada.get("/me/export")).text)
        assert taken["person"]["name"] == "ada"
        assert [row["request_id"] for row in taken["requests"]] == [asked.request_id]


@pytest.mark.gen_test
async def test_a_nickname_is_taken_refused_and_given_back() -> None:
    async with services() as running, ada_at(running) as ada:
        assert (
            "You are on the leaderboard."
            in (await ada.send_and_follow("/me/privacy", "/me/nickname", nickname="Countess")).text
        )
        assert (await ada.send("/me/privacy", "/me/nickname", nickname="<b>")).status == 400
        gone = await ada.send_and_follow("/me/privacy", "/me/nickname", nickname="")
        assert "You are not on the leaderboard." in gone.text


@pytest.mark.gen_test
async def test_logging_out_everywhere_else_keeps_this_browser() -> None:
    async with services() as running, ada_at(running) as here, ada_at(running) as there:
        told = await here.send_and_follow("/me/privacy", "/me/sessions/end")
        assert "You are logged out everywhere else." in told.text
        assert ((await here.get("/me")).status, (await there.get("/me")).status) == (200, 303)


@pytest.mark.gen_test
async def test_erasing_asks_for_the_name_and_then_forgets() -> None:
    async with services() as running, ada_at(running) as ada:
        await ask(running, running.token)
        assert (await ada.send("/me/privacy", "/me/erase", confirm="Ada")).status == 400
        person = await _person(running, "ada")
        farewell = await ada.send("/me/privacy", "/me/erase", confirm="ada")
        assert (farewell.status, "You are forgotten here" in farewell.text) == (200, True)
        assert (await ada.get("/me")).status == 303
        assert (await ask(running, running.token)).status == 401
        erased = await running.services.store.person(person.id)
        assert erased is not None
        assert (erased.name.startswith("erased-"), erased.disabled) == (True, True)


async def _person(running: Running, name: str) -> Person:
    person = await running.services.store.person_by_name(name)
    assert person is not None
    return person
