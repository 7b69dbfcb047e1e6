"""What an operator may ask for about keys, and what is refused with a way out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from server.config.specs import Secret, UpstreamSpec
from server.keys.encryption import KeyEncryption, KeyEncryptionError
from server.keys.registry import UpstreamRegistry
from server.keys.wishes import KeyWishError, KeyWishes, ListedKey
from server.store import store_for
from server.store.base import KeyWish, Store

MASTER = Secret("m" * 32)
CONFIGURED, ADDED = Secret("sk-do-not-show-configured"), Secret("sk-do-not-show-added")
PLAIN = UpstreamSpec(name="university", dialects=("openai",), base_url="https://llm.example.org/v1", keys=())
OTHER = replace(PLAIN, name="physics", base_url="https://physics.example.org/v1", rpm=5)


def desk_of(store: Store, *masters: Secret) -> KeyWishes:
    return KeyWishes(
        store, KeyEncryption(masters), UpstreamRegistry([replace(PLAIN, keys=(CONFIGURED,))]), lambda: 4_000
    )


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/fairgate.db"


@asynccontextmanager
async def desk_at(url: str) -> AsyncIterator[tuple[KeyWishes, Store]]:
    async with store_for(url) as store:
        yield desk_of(store, MASTER), store


@pytest.mark.gen_test
async def test_keys_are_listed_without_their_secrets_those_of_the_configuration_first(url: str) -> None:
    async with desk_at(url) as (changes, _):
        await changes.add(OTHER, ADDED)
        await changes.pause(CONFIGURED.fingerprint)
        assert await changes.keys() == [
            ListedKey(CONFIGURED.fingerprint, PLAIN, "…ured", added=False, paused=True),
            ListedKey(ADDED.fingerprint, OTHER, "…dded", added=True, paused=False),
        ]


@pytest.mark.gen_test
async def test_a_key_is_kept_encrypted_and_can_be_opened_again(url: str) -> None:
    async with desk_at(url) as (changes, store):
        key = await changes.add(replace(OTHER, keys=(ADDED,)), ADDED)
        assert await store.added_keys() == [key]
        assert ADDED.reveal().encode() not in key.encrypted
        assert [await changes.secret(each.id) for each in await changes.keys()] == [CONFIGURED, ADDED]
    assert all(ADDED.reveal().encode() not in file.read_bytes() for file in Path(url[10:]).parent.iterdir())


@pytest.mark.gen_test
async def test_a_key_cannot_be_there_twice(url: str) -> None:
    async with desk_at(url) as (changes, _):
        await changes.add(OTHER, ADDED)
        with pytest.raises(KeyWishError, match="added already"):
            await changes.add(OTHER, ADDED)
        with pytest.raises(KeyWishError, match="in the configuration already"):
            await changes.add(OTHER, CONFIGURED)


@pytest.mark.gen_test
async def test_one_name_of_an_upstream_means_one_address(url: str) -> None:
    async with desk_at(url) as (changes, _):
        await changes.add(OTHER, ADDED)
        for name in (PLAIN.name, OTHER.name):
            with pytest.raises(KeyWishError, match="of this name at another address"):
                await changes.add(
                    replace(PLAIN, name=name, base_url="https://elsewhere.example.org"), Secret("sk-third")
                )


@pytest.mark.gen_test
async def test_without_a_master_key_nothing_is_added_and_the_way_out_is_told(url: str) -> None:
    async with store_for(url) as store:
        with pytest.raises(KeyEncryptionError, match="new-master"):
            await desk_of(store).add(OTHER, ADDED)
        with pytest.raises(KeyEncryptionError, match="new-master"):
            desk_of(store).insist_on_master()
        assert await store.added_keys() == []


@pytest.mark.gen_test
async def test_removing_a_key_forgets_what_was_wished_of_it(url: str) -> None:
    async with desk_at(url) as (changes, store):
        await changes.add(OTHER, ADDED)
        await changes.pause(ADDED.fingerprint)
        await changes.remove(ADDED.fingerprint)
        assert (await store.added_keys(), await store.key_wishes()) == ([], [])


@pytest.mark.gen_test
async def test_a_key_of_the_configuration_is_taken_out_there(url: str) -> None:
    async with desk_at(url) as (changes, _):
        with pytest.raises(KeyWishError, match="stands in the configuration: take it out there, or pause it"):
            await changes.remove(CONFIGURED.fingerprint)


@pytest.mark.gen_test
async def test_the_terms_of_an_added_key_change_and_its_audit_entry_says_how(url: str) -> None:
    async with desk_at(url) as (changes, store):
        third = Secret("sk-of-the-third-key")
        await changes.add(OTHER, ADDED)
        await changes.add(OTHER, third)
        await changes.change(ADDED.fingerprint, {"slots": 3, "monthly_cap_micro_usd": 5_000_000})
        mine, theirs = (key.spec for key in await store.added_keys())
        assert (mine, theirs.slots) == (replace(OTHER, slots=3, monthly_cap_micro_usd=5_000_000), OTHER.slots)
        assert theirs.monthly_cap_micro_usd == 5_000_000, "it is for all keys of the upstream together"
        (entry,) = [each for each in await store.audits(None, 9) if each.action == "key.change"]
        assert entry.target == ADDED.fingerprint
        assert entry.before == {"slots": OTHER.slots, "monthly_cap_micro_usd": OTHER.monthly_cap_micro_usd}
        assert entry.after == {"slots": 3, "monthly_cap_micro_usd": 5_000_000}
        await changes.change(ADDED.fingerprint, {"slots": 3})
        assert len(await store.audits(None, 9)) == 3, "nothing has changed, so nothing is noted"
        with pytest.raises(KeyWishError, match="in the configuration: change it there"):
            await changes.change(CONFIGURED.fingerprint, {"slots": 3})


@pytest.mark.gen_test
async def test_wishes_are_written_for_keys_of_both_kinds(url: str) -> None:
    async with desk_at(url) as (changes, store):
        await changes.add(OTHER, ADDED)
        await changes.pause(CONFIGURED.fingerprint)
        await changes.recheck(ADDED.fingerprint)
        assert sorted(await store.key_wishes(), key=lambda wish: wish.paused) == [
            KeyWish(ADDED.fingerprint, False, 4_000),
            KeyWish(CONFIGURED.fingerprint, True, None),
        ]
        await changes.resume(CONFIGURED.fingerprint)
        assert not any(wish.paused for wish in await store.key_wishes())


@pytest.mark.gen_test
async def test_of_an_unknown_key_nothing_can_be_wished(url: str) -> None:
    async with desk_at(url) as (changes, _):
        for verb in (changes.pause, changes.resume, changes.recheck, changes.remove, changes.secret):
            with pytest.raises(KeyWishError, match="no such key"):
                await verb("ffffffff")
        with pytest.raises(KeyWishError, match="no such upstream"):
            await changes.terms("chemistry")


@pytest.mark.gen_test
async def test_the_terms_of_an_upstream_are_those_of_its_keys(url: str) -> None:
    async with desk_at(url) as (changes, _):
        await changes.add(OTHER, ADDED)
        assert [await changes.terms(name) for name in ("university", "physics")] == [PLAIN, OTHER]


@pytest.mark.gen_test
async def test_a_rotation_encrypts_all_it_can_and_names_the_keys_it_cannot(url: str) -> None:
    new, lost, third = Secret("n" * 32), Secret("l" * 32), Secret("sk-do-not-show-third")
    async with store_for(url) as store:
        await desk_of(store, lost).add(OTHER, third)
        await desk_of(store, MASTER).add(OTHER, ADDED)
        with pytest.raises(KeyEncryptionError, match=f"key {third.fingerprint} cannot be decrypted") as caught:
            await desk_of(store, new, MASTER).rotate()
        assert ADDED.fingerprint not in str(caught.value)
        assert await desk_of(store, new).secret(ADDED.fingerprint) == ADDED
        assert await desk_of(store, lost).secret(third.fingerprint) == third
        assert await desk_of(store, new, lost).rotate() == 2
