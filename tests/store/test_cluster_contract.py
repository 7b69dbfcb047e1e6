"""What every store promises to several gateways: records of each, shared documents, and versions of what is kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from server.store.base import GatewayRecord, Record, SharedDocument, Versions
from tests.store.conftest import Fresh
from tests.store.samples import ADA, added_key, token

ONE = GatewayRecord("1f", 1, {"version": "1", "load": {"org/a.b$": [1, 2.5, None]}})
TWO = GatewayRecord("2f", 7, {})


@pytest.mark.gen_test
async def test_a_heartbeat_takes_the_place_of_the_one_before(fresh: Fresh) -> None:
    async with fresh() as store, fresh() as other:
        assert await store.gateways() == []
        await store.beat(TWO)
        await store.beat(ONE)
        assert await other.gateways() == [ONE, TWO]
        later = replace(ONE, beats=2, body={"load": {}})
        await store.beat(later)
        assert await other.gateways() == [later, TWO]


@pytest.mark.gen_test
async def test_of_all_who_see_a_gateway_dead_one_says_so(fresh: Fresh) -> None:
    async with fresh() as store, fresh() as other:
        await store.beat(ONE)
        said = await asyncio.gather(*(each.mark_gone(ONE, 9) for each in (store, other) for _ in range(5)))
        assert sorted(said) == [False] * 9 + [True]
        assert await store.gateways() == [replace(ONE, gone_at=9)]


@pytest.mark.gen_test
async def test_a_gateway_that_has_beaten_since_is_not_dead(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.beat(replace(ONE, beats=2))
        assert await store.mark_gone(ONE, 9) is False
        assert await store.mark_gone(TWO, 9) is False
        assert await store.gateways() == [replace(ONE, beats=2)]


@pytest.mark.gen_test
async def test_a_gateway_that_comes_back_is_alive_and_one_that_leaves_is_forgotten(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.beat(ONE)
        await store.mark_gone(ONE, 9)
        await store.beat(replace(ONE, beats=2))
        assert await store.gateways() == [replace(ONE, beats=2)]
        assert await store.forget_gateway(ONE.id) is True
        assert await store.forget_gateway(ONE.id) is False
        assert await store.gateways() == []


@pytest.mark.gen_test
async def test_a_shared_document_is_written_only_as_it_was_read(fresh: Fresh) -> None:
    async with fresh() as store, fresh() as other:
        first = SharedDocument("org/models", 0, {"a.b": {"$c": 1}})
        made = await asyncio.gather(*(each.swap_shared(first) for each in (store, other, store)))
        assert sorted(made) == [False, False, True]
        assert await other.shared_documents() == [replace(first, version=1)]
        seconds = [SharedDocument("org/models", 1, {"n": n}) for n in range(8)]
        swapped = await asyncio.gather(*((store, other)[n % 2].swap_shared(it) for n, it in enumerate(seconds)))
        assert sum(swapped) == 1
        assert await store.shared_documents() == [replace(seconds[swapped.index(True)], version=2)]


@pytest.mark.gen_test
async def test_each_version_grows_with_its_own_changes(fresh: Fresh) -> None:
    async with fresh() as store, fresh() as other:
        start = await other.versions()
        await store.create_person(ADA)
        await store.add_token(b"digest", token("laptop"))
        assert await other.versions() == start, "what is new was not remembered"
        await store.put_record(Record("limit", "l", {}))
        await store.set_key_paused("0123abcd", True)
        await store.add_key(added_key("0123abcd"))
        seen = await other.versions()
        assert (seen.book, seen.people) == (start.book + 1, start.people)
        assert seen.keys > start.keys
        assert (seen.keys, seen.book) == (await store.keys_version(), await store.book_version())


@pytest.mark.gen_test
async def test_whatever_may_shut_out_changes_the_version_of_people(fresh: Fresh) -> None:
    async with fresh() as store, fresh() as other:
        await store.create_person(ADA)
        await store.add_token(b"digest", token("laptop"))
        versions: list[Versions] = [await other.versions()]
        for change in (
            lambda: store.set_person_disabled(ADA.id, True),
            lambda: store.update_person(ADA.id, {"groups": ("physics",)}),
            lambda: store.update_person(ADA.id, {"claimed": ("staff",), "note": "x"}),
            lambda: store.update_person(ADA.id, {"admin": False}),
            lambda: store.narrow_token(token("laptop"), token("laptop", expires_at=5)),
            lambda: store.revoke_token("tok_laptop", 9),
            lambda: store.revoke_token("tok_laptop", 10),
            lambda: store.forget_tokens(ADA.id, 11),
        ):
            await change()
            versions.append(await other.versions())
        people = [each.people for each in versions]
        assert people == sorted(set(people))
        await store.update_person(ADA.id, {"last_login_at": 5, "nickname": "ada", "note": "y"})
        assert (await other.versions()).people == people[-1], "a login shuts no one out"
