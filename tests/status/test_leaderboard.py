"""Who stands on the leaderboard, and who sees what of it."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest

from server.ledger.quota import Settlement
from server.policy.groups import Group, group_body
from server.store.base import Record
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, exchanged, gateway
from tests.store.samples import usage_row

BROWSER = {"Accept": "text/html"}


async def use(running: Running, name: str, requests: int, group: str | None = None, days_ago: int = 0) -> str:
    """A person, perhaps a new one, with so many requests on the ledger; returns their id."""
    services = running.services
    person = await services.store.person_by_name(name) or await services.accounts.create_person(name)
    at = services.wall() - days_ago * 86_400_000
    whose = {"person_id": person.id, "group": group, "started_at": at, "day": services.calendar.day(at)}
    rows = [usage_row(f"{name}-{group}-{days_ago}-{n}", **whose) for n in range(requests)]
    await asyncio.gather(*(services.store.settle(Settlement(row)) for row in rows))
    return person.id


async def call(running: Running, person_id: str, nickname: str) -> None:
    await running.services.store.update_person(person_id, {"nickname": nickname})


@asynccontextmanager
async def place() -> AsyncIterator[Running]:
    async with FakeUpstream() as fake, gateway(fake) as running:
        yield running


async def page(running: Running, query: str = "", headers: dict[str, str] | None = None) -> tuple[int, str]:
    url = f"{running.url}/leaderboard{query}"
    async with aiohttp.ClientSession(headers=BROWSER) as session, session.get(url, headers=headers) as answer:
        return answer.status, html.unescape(await answer.text())


@pytest.mark.gen_test
async def test_only_who_chose_a_nickname_is_named_and_never_by_anything_else() -> None:
    async with place() as running:
        ids = [await use(running, name, requests) for name, requests in (("dora", 5), ("bob", 3), ("evelyn", 9))]
        await call(running, ids[0], "Ωmega")
        status, text = await page(running)
        assert status == 200
        assert "Ωmega" in text
        for secret in (*ids, "dora", "bob", "evelyn", "usr_", "tok_", "127.0.0.1", "0123abcd"):
            assert secret not in text, secret


@pytest.mark.gen_test
async def test_boards_rank_by_what_is_asked_for_and_hold_only_their_window() -> None:
    async with place() as running:
        old, new = await use(running, "old", 9, days_ago=40), await use(running, "new", 2)
        await use(running, "old", 1)
        await call(running, old, "Old")
        await call(running, new, "New")
        board = running.services.status_service.leaderboard
        for window, names in (("day", ["New", "Old"]), ("ever", ["Old", "New"])):
            for by in ("requests", "tokens", "cost"):
                found = await board.board(window, by)  # type: ignore[arg-type]
                assert [score.name for _, score in found.people] == names
        ever = await board.board("ever", "requests")
        assert [(score.rank, score.requests, score.tokens) for _, score in ever.people] == [(1, 10, 1400), (2, 2, 280)]
        assert ever.since_ms is None


@pytest.mark.gen_test
async def test_who_presents_a_token_sees_their_own_place_whether_listed_or_not() -> None:
    async with place() as running:
        first = await use(running, "dora", 5)
        await call(running, first, "Dora the first")
        await use(running, "ada", 2)
        await use(running, "last", 1)
        assert "You are" not in (await page(running))[1]
        _, text = await page(running, headers=running.headers)
        assert re.search(r"You are <b>number 2</b> of 3", text), text
        assert (await page(running, headers={"Authorization": "Bearer fg_wrong"}))[0] == 401


@pytest.mark.gen_test
async def test_a_group_is_listed_from_five_people_on_and_only_if_the_operator_made_it() -> None:
    async with place() as running:
        for group in (Group(name="physics"), Group(name="small")):
            await running.services.store.put_record(Record("group", group.name, group_body(group)))
        await running.services.book.sync()
        for number in range(5):
            await use(running, f"p{number}", 2, group="physics")
            await use(running, f"c{number}", 2, group="claimed/by/ada")
        for number in range(4):
            await use(running, f"s{number}", 50, group="small")
        groups = (await running.services.status_service.leaderboard.board("week", "requests")).groups
        assert [(group.name, group.people, group.requests) for group in groups] == [("physics", 5, 10)]


@pytest.mark.gen_test
async def test_who_is_disabled_is_not_listed() -> None:
    async with place() as running:
        gone = await use(running, "gone", 5)
        await call(running, gone, "Gone")
        await running.services.store.set_person_disabled(gone, True)
        assert (await running.services.status_service.leaderboard.board("week", "requests")).people == ()


@pytest.mark.gen_test
async def test_an_unknown_window_or_measure_is_refused_and_a_board_that_is_off_is_not_there() -> None:
    async with place() as running:
        for query in ("?window=year", "?by=<script>", "?window=%ff"):
            status, text = await page(running, query)
            assert status == 400
            assert "<script>" not in text
        with exchanged(running.services, settings=replace(running.services.settings, leaderboard=False)):
            assert (await page(running))[0] == 404


@pytest.mark.gen_test
async def test_all_who_look_within_ten_seconds_share_one_board() -> None:
    async with place() as running:
        board = running.services.status_service.leaderboard
        assert await board.board("week", "cost") is await board.board("week", "cost")
