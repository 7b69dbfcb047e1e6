"""What every store promises about upstream keys that were added at run time, and about the operator's wishes."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import pytest

from server.config.specs import UNSTORED, Secret, UpstreamSpec
from server.store import store_for
from server.store.base import KeyTaken, KeyWish
from server.store.sqlite.schema import STEPS
from tests.store.conftest import Fresh
from tests.store.samples import added_key

EVERY_TERM = UpstreamSpec(
    name="physics", dialects=("openai", "anthropic"), base_url="http://127.0.0.1:9/v1", keys=(), models=("m1", "m2"),
    slots=3, rpm=1, tpm=2, itpm=3, otpm=4, rpd=5, organisation="org", owner="Ada", groups=("staff", "phd"),
    monthly_cap_micro_usd=6, responses=False, kind="azure", api_version="2025-01-01", names=("m1=one", "m2=two"),
)  # fmt: skip


def test_the_sample_says_every_term() -> None:
    plain = UpstreamSpec(name="", dialects=(), base_url="", keys=())
    terms = [each.name for each in fields(UpstreamSpec) if each.name not in UNSTORED]
    assert all(getattr(EVERY_TERM, name) != getattr(plain, name) for name in terms)


@pytest.mark.gen_test
async def test_an_added_key_reads_back_with_all_its_terms(fresh: Fresh) -> None:
    key = added_key("0123abcd", spec=EVERY_TERM, encrypted=bytes(range(256)))
    async with fresh() as store:
        await store.add_key(key)
    async with fresh() as store:
        assert await store.added_keys() == [key]


@pytest.mark.gen_test
async def test_keys_are_listed_the_oldest_first(fresh: Fresh) -> None:
    new, old = added_key("aaaaaaaa", added_at=20), added_key("bbbbbbbb", added_at=10)
    async with fresh() as store:
        assert await store.added_keys() == []
        for key in (new, old):
            await store.add_key(key)
        assert await store.added_keys() == [old, new]


@pytest.mark.gen_test
async def test_a_key_is_added_once(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.add_key(added_key("0123abcd"))
        with pytest.raises(KeyTaken):
            await store.add_key(added_key("0123abcd", hint="other"))
        assert await store.added_keys() == [added_key("0123abcd")]


@pytest.mark.gen_test
async def test_a_removed_key_is_gone_and_may_come_back(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.add_key(added_key("0123abcd"))
        assert await store.remove_key("0123abcd") is True
        assert await store.remove_key("0123abcd") is False
        assert await store.added_keys() == []
        await store.add_key(added_key("0123abcd"))


@pytest.mark.gen_test
async def test_of_two_rotations_that_race_the_first_one_stays(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.add_key(added_key("0123abcd", encrypted=b"old"))
        assert await store.reencrypt_key("0123abcd", b"old", b"new") is True
        assert await store.reencrypt_key("0123abcd", b"old", b"newer") is False
        assert await store.reencrypt_key("ffffffff", b"old", b"newer") is False
        assert await store.added_keys() == [added_key("0123abcd", encrypted=b"new")]


@pytest.mark.gen_test
async def test_terms_are_changed_only_from_what_they_are(fresh: Fresh) -> None:
    async with fresh() as store:
        key = added_key("0123abcd")
        await store.add_key(key)
        after = replace(key.spec, slots=1, groups=("staff",), rpm=None, owner=None)
        assert await store.set_key_terms("0123abcd", key.spec, after) is True
        assert await store.set_key_terms("0123abcd", key.spec, after) is False
        assert await store.set_key_terms("ffffffff", after, key.spec) is False
        assert await store.added_keys() == [replace(key, spec=after)]


@pytest.mark.gen_test
async def test_any_key_may_be_paused_and_checked_and_neither_wish_touches_the_other(fresh: Fresh) -> None:
    async with fresh() as store:
        assert await store.key_wishes() == []
        await store.ask_key_recheck("bbbbbbbb", 5)
        await store.set_key_paused("bbbbbbbb", True)
        await store.set_key_paused("aaaaaaaa", True)
        await store.ask_key_recheck("aaaaaaaa", 6)
        await store.set_key_paused("aaaaaaaa", False)
        await store.ask_key_recheck("aaaaaaaa", 7)
        assert await store.key_wishes() == [KeyWish("aaaaaaaa", False, 7), KeyWish("bbbbbbbb", True, 5)]


@pytest.mark.gen_test
async def test_a_wish_is_forgotten(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.set_key_paused("aaaaaaaa", True)
        await store.forget_key_wish("aaaaaaaa")
        await store.forget_key_wish("aaaaaaaa")
        assert await store.key_wishes() == []


@pytest.mark.gen_test
async def test_every_change_is_seen_in_the_version_through_another_connection(fresh: Fresh) -> None:
    plain = added_key("0123abcd").spec
    async with fresh() as store, fresh() as other:
        versions = [await other.keys_version()]
        for change in (
            lambda: store.add_key(added_key("0123abcd", encrypted=b"old")),
            lambda: store.reencrypt_key("0123abcd", b"old", b"new"),
            lambda: store.set_key_terms("0123abcd", plain, replace(plain, slots=1)),
            lambda: store.set_key_paused("0123abcd", True),
            lambda: store.ask_key_recheck("0123abcd", 1),
            lambda: store.forget_key_wish("0123abcd"),
            lambda: store.remove_key("0123abcd"),
        ):
            await change()
            versions.append(await other.keys_version())
        assert versions == sorted(set(versions))


@pytest.mark.gen_test
async def test_what_does_not_change_a_key_leaves_the_version_alone(fresh: Fresh) -> None:
    async with fresh() as store:
        await store.add_key(added_key("0123abcd"))
        before = await store.keys_version()
        with pytest.raises(KeyTaken):
            await store.add_key(added_key("0123abcd"))
        await store.ping()
        await asyncio.gather(store.added_keys(), store.key_wishes())
        assert await store.keys_version() == before


def test_a_secret_never_reaches_the_store_unencrypted() -> None:
    spec = replace(EVERY_TERM, keys=(Secret("sk-do-not-show-this-0123456789"),))
    with pytest.raises(ValueError, match="encrypted only"):
        added_key("0123abcd", spec=spec)


def test_a_record_does_not_show_even_the_encrypted_secret() -> None:
    assert "junk" not in repr(added_key("0123abcd"))


@pytest.mark.gen_test
async def test_a_file_of_the_time_before_added_keys_gets_their_tables(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as db:
        for statement in STEPS[0]:
            db.execute(statement)
        db.execute("PRAGMA user_version = 1")
        db.commit()
    async with store_for(f"sqlite:///{path}") as store:
        await store.add_key(added_key("0123abcd"))
        assert await store.keys_version() == 1
