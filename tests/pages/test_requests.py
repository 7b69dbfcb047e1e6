"""Why a request failed: found on one's own page, by administrators, by programs and on the command line."""

from __future__ import annotations

import csv
import io
import json

import pytest
from aiohttp import ClientSession

from server.ledger.reports import Which
from tests.fakes.fates import context_too_long
from tests.gateways import Running
from tests.pages.visitors import ADMIN_KEY, ada_at, ask, operator_at, services, visitor


async def refused(running: Running, token: str) -> dict[str, str]:
    """Some requests that are refused: their ids by the reason."""
    unknown = await ask(running, token, "gpt-nine")
    assert unknown.status == 404
    for _ in range(4):
        await ask(running, token, "gpt-nine")
    url, headers = f"{running.url}/v1/chat/completions", {"Authorization": f"Bearer {token}"}
    async with ClientSession() as session, session.post(url, json={"model": "gpt-5"}, headers=headers) as answer:
        assert answer.status == 400
        return {"unknown": unknown.request_id, "broken": answer.headers["X-Request-Id"]}


@pytest.mark.gen_test
async def test_refused_requests_are_listed_once_with_their_count_and_explained() -> None:
    async with services() as running, ada_at(running) as ada:
        served, ids = await ask(running, running.token), await refused(running, running.token)
        page = (await ada.get("/me/requests")).text
        assert served.request_id in page
        assert page.count("There is no such model here") == 1
        assert "×5" in page
        assert "It is about: messages" in page
        only = (await ada.get("/me/requests?status=refused")).text
        assert served.request_id not in only
        assert ids["unknown"] in only
        why = (await ada.get(f"/me/requests/{ids['unknown']}")).text
        assert "5 times in this hour" in why
        assert "Choose one of the models" in why
        assert "It was answered." in (await ada.get(f"/me/requests/{served.request_id}")).text


@pytest.mark.gen_test
async def test_a_token_that_does_not_count_says_so_to_its_person_and_to_nobody_else() -> None:
    async with services() as running, ada_at(running) as ada, visitor(running) as stranger:
        token = await running.services.accounts.create_token("ada", "old")
        await running.services.accounts.revoke(token[0].id)
        asked = await ask(running, token[1])
        assert asked.status == 401
        assert (await ask(running, "fg_" + "x" * 43)).status == 401
        page = (await ada.get("/me/requests")).text
        assert page.count("refused") and page.count("The token was revoked.") == 1
        assert (await stranger.get("/me/requests")).status in (302, 303)


@pytest.mark.gen_test
async def test_one_person_sees_none_of_another_and_an_administrator_all() -> None:
    async with services() as running, ada_at(running) as ada, operator_at(running) as boss:
        await running.services.accounts.create_person("Bob", email="bob@example.org")
        _, secret = await running.services.accounts.create_token("Bob", "laptop")
        ids = await refused(running, secret)
        served = await ask(running, secret)
        assert "gpt-nine" not in (await ada.get("/me/requests")).text
        for request_id in (ids["unknown"], served.request_id):
            assert (await ada.get(f"/me/requests/{request_id}")).status == 404
            page = await boss.get(f"/admin/requests/{request_id}")
            assert (page.status, "Bob" in page.text) == (200, True)
            found = (await boss.get(f"/admin/requests?q={request_id}")).text
            assert request_id in found
            assert "requests.csv" not in found  # the file would hold all the others, too
            assert (await boss.get(f"/admin/requests.csv?q={request_id}")).status == 400
        for query in ("Bob", "bob@example.org"):
            found = (await boss.get(f"/admin/requests?q={query}&status=refused&model=gpt-nine")).text
            assert ids["unknown"] in found
            assert ids["broken"] not in found
        assert "No request is like this." in (await boss.get("/admin/requests?q=Nemo")).text
        key = (await running.services.store.usage(served.request_id)).key  # type: ignore[union-attr]
        assert served.request_id in (await boss.get(f"/admin/requests?key={key}")).text
        assert (await ada.get("/admin/requests")).status == 403
        assert (await boss.get("/admin/requests?status=nothing")).status == 400
        rows = list(csv.DictReader(io.StringIO((await boss.get("/admin/requests.csv?status=refused")).text)))
        assert {row["code"] for row in rows} == {"model_not_found", "missing_required_parameter"}
        assert {row["user"] for row in rows} == {"Bob"}
        (line,) = csv.DictReader(io.StringIO((await boss.get("/admin/requests.csv?q=Bob")).text))
        assert line["request_id"] == served.request_id


@pytest.mark.gen_test
async def test_a_list_is_sorted_by_a_figure_without_what_has_none() -> None:
    async with services() as running, ada_at(running) as ada, operator_at(running) as boss:
        served = [await ask(running, running.token), await ask(running, running.token)]
        await refused(running, running.token)
        for visitor_, path in ((ada, "/me/requests"), (boss, "/admin/requests")):
            page = (await visitor_.get(f"{path}?sort=-tokens")).text
            assert all(each.request_id in page for each in served)
            assert 'aria-sort="descending"' in page
            assert "Refused requests have no figures" in page
            assert "gpt-nine" not in page
            assert (await visitor_.get(f"{path}?sort=name")).status == 400
            assert "gpt-nine" in (await visitor_.get(f"{path}?sort=-tokens&status=refused")).text
        lines = csv.DictReader(io.StringIO((await boss.get("/admin/requests.csv?sort=-duration")).text))
        seconds = [int(line["duration_ms"]) for line in lines]
        assert len(seconds) == 2
        assert seconds == sorted(seconds, reverse=True)


@pytest.mark.gen_test
async def test_the_provider_s_words_about_a_request_are_for_its_maker_alone() -> None:
    async with services() as running, ada_at(running) as ada, operator_at(running) as boss:
        for key in ("sk-upstream-one", "sk-upstream-two"):
            running.fake.script(key, context_too_long().for_ever())
        asked = await ask(running, running.token)
        assert asked.status == 400
        mine = (await ada.get(f"/me/requests/{asked.request_id}")).text
        assert "The provider’s words" in mine
        assert "The provider received it and refused it" in mine
        theirs = (await boss.get(f"/admin/requests/{asked.request_id}")).text
        assert "The provider received it and refused it" in theirs
        assert "The provider’s words" not in theirs
        assert mine.count("context_length_exceeded") >= 1 <= theirs.count("context_length_exceeded")


@pytest.mark.gen_test
async def test_programs_read_the_same() -> None:
    async with services() as running, ClientSession() as session:
        ids = await refused(running, running.token)
        mine = {"Authorization": f"Bearer {running.token}"}
        async with session.get(f"{running.url}/api/requests/refused?model=gpt-nine", headers=mine) as answer:
            (one,) = json.loads(await answer.read())["data"]
        assert (one["request_id"], one["count"], one["code"]) == (ids["unknown"], 5, "model_not_found")
        async with session.get(f"{running.url}/api/explain/{ids['broken']}", headers=mine) as answer:
            assert json.loads(await answer.read())["refused"]["code"] == "missing_required_parameter"
        boss = {"Authorization": f"Bearer {ADMIN_KEY}"}
        async with session.get(f"{running.url}/api/requests/refused?user=ada&limit=1", headers=boss) as answer:
            page = json.loads(await answer.read())
        assert len(page["data"]) == 1
        assert page["next_cursor"]


@pytest.mark.gen_test
async def test_what_is_served_or_served_in_part_is_on_the_ledger_alone() -> None:
    async with services() as running:
        await ask(running, running.token)
        await running.services.refused.write()
        found = await running.services.store.refused_before(Which(), None, 9)
        assert found == []
