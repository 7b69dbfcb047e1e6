"""The running keys follow the store: what the operator wishes happens, and nothing else does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from keypool.health import KeyEvent, KeyState
from server.config.specs import Secret, UpstreamSpec
from server.keys.encryption import KeyEncryption
from server.keys.registry import UpstreamRegistry
from server.keys.sync import KeySync
from server.keys.wishes import KeyWishes
from server.store.base import StoreError
from server.store.sqlite.store import SqliteStore
from tests.fakes.running_keys import RunningKeys

MASTER = Secret("m" * 32)
CONFIGURED, ADDED = Secret("sk-do-not-show-configured"), Secret("sk-do-not-show-added")
PLAIN = UpstreamSpec(name="university", dialects=("openai",), base_url="https://llm.example.org/v1", keys=())
OTHER = replace(PLAIN, name="physics", base_url="https://physics.example.org/v1")


class MoodyStore(SqliteStore):
    """A store that may be away."""

    away = False

    async def keys_version(self) -> int:
        if self.away:
            raise StoreError("no route")
        return await super().keys_version()


class Watcher:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.watched: set[str] = set()
        self.rechecked: list[str] = []
        self.woken = 0

    def watch(self, key_id: str) -> None:
        self.watched.add(key_id)

    def forget(self, key_id: str) -> None:
        self.watched.remove(key_id)

    def recheck(self, key_id: str) -> None:
        self.rechecked.append(key_id)

    def wake(self) -> None:
        self.woken += 1


class Room:
    """A key room and all that it touches. The desk is the operator's, in whatever process."""

    def __init__(self, store: MoodyStore, masters: Sequence[Secret]) -> None:
        configured = UpstreamRegistry([replace(PLAIN, keys=(CONFIGURED,))])
        self.store, self.watcher = store, Watcher()
        self.keys = RunningKeys(configured)
        self.room = KeySync(store, KeyEncryption(masters), self.keys, self.watcher, configured)
        self.times = iter(range(1, 100))
        self.changes = KeyWishes(store, KeyEncryption([MASTER]), configured, lambda: next(self.times))

    def ids(self) -> set[str]:
        return set(self.keys.key_ids())


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/fairgate.db"


@asynccontextmanager
async def room_at(url: str, *masters: Secret) -> AsyncIterator[Room]:
    async with MoodyStore(url) as store:
        yield Room(store, masters or (MASTER,))


@pytest.mark.gen_test
async def test_an_added_key_is_used_and_watched_with_its_terms(url: str) -> None:
    async with room_at(url) as each:
        await each.room.sync()
        assert each.ids() == {CONFIGURED.fingerprint}
        await each.changes.add(replace(OTHER, slots=3, groups=("staff",)), ADDED)
        await each.room.sync()
        key = each.keys.registry.keys[ADDED.fingerprint]
        assert (key.secret, key.spec) == (ADDED, replace(OTHER, slots=3, groups=("staff",)))
        assert each.watcher.watched == {ADDED.fingerprint}


@pytest.mark.gen_test
async def test_a_removed_key_is_used_and_watched_no_more(url: str) -> None:
    async with room_at(url) as each:
        await each.changes.add(OTHER, ADDED)
        await each.room.sync()
        await each.changes.remove(ADDED.fingerprint)
        await each.room.sync()
        assert (each.ids(), each.watcher.watched) == ({CONFIGURED.fingerprint}, set())


@pytest.mark.gen_test
async def test_a_key_that_was_added_anew_with_other_terms_has_these(url: str) -> None:
    async with room_at(url) as each:
        await each.changes.add(OTHER, ADDED)
        await each.changes.pause(ADDED.fingerprint)
        await each.room.sync()
        await each.changes.remove(ADDED.fingerprint)
        await each.changes.add(replace(OTHER, slots=1), ADDED)
        await each.room.sync()
        assert each.keys.registry.keys[ADDED.fingerprint].spec.slots == 1
        assert each.keys.state(ADDED.fingerprint) is KeyState.UNCHECKED


@pytest.mark.gen_test
async def test_other_terms_hold_at_once_and_nothing_else_changes(url: str) -> None:
    async with room_at(url) as each:
        await each.changes.add(OTHER, ADDED)
        await each.room.sync()
        each.keys.learn(ADDED.fingerprint, KeyEvent.ANSWERED)
        await each.changes.change(ADDED.fingerprint, {"slots": 1, "groups": ("staff",), "rpm": 5})
        await each.room.sync()
        spec = each.keys.registry.keys[ADDED.fingerprint].spec
        assert (spec.slots, spec.groups, spec.rpm) == (1, ("staff",), 5)
        assert each.keys.state(ADDED.fingerprint) is KeyState.READY, "it was neither taken out nor put in"


@pytest.mark.parametrize("secret", [CONFIGURED, ADDED], ids=["configured", "added"])
@pytest.mark.gen_test
async def test_any_key_is_paused_and_resumed_once_for_each_wish(url: str, secret: Secret) -> None:
    async with room_at(url) as each:
        await each.changes.add(OTHER, ADDED)
        await each.changes.pause(secret.fingerprint)
        for _ in range(2):
            await each.room.sync()
        assert each.keys.state(secret.fingerprint) is KeyState.PAUSED
        await each.changes.resume(secret.fingerprint)
        await each.changes.recheck(secret.fingerprint)
        await each.room.sync()
        assert each.keys.events == [(secret.fingerprint, KeyEvent.PAUSE), (secret.fingerprint, KeyEvent.RESUME)]
        assert each.watcher.woken == 2


@pytest.mark.gen_test
async def test_a_key_that_was_paused_before_the_start_is_paused_after_it(url: str) -> None:
    async with room_at(url) as before:
        await before.changes.add(OTHER, ADDED)
        await before.changes.pause(ADDED.fingerprint)
    async with room_at(url) as after:
        await after.room.sync()
        assert after.keys.state(ADDED.fingerprint) is KeyState.PAUSED


@pytest.mark.gen_test
async def test_a_check_that_is_asked_for_happens_once_and_not_again_after_a_new_start(url: str) -> None:
    async with room_at(url) as each:
        await each.room.sync()
        for _ in range(2):
            await each.changes.recheck(CONFIGURED.fingerprint)
            await each.room.sync()
        await each.changes.pause(CONFIGURED.fingerprint)
        await each.room.sync()
        assert each.watcher.rechecked == [CONFIGURED.fingerprint] * 2
    async with room_at(url) as again:
        await again.room.sync()
        assert again.watcher.rechecked == []


@pytest.mark.gen_test
async def test_while_nothing_changes_nothing_is_done(url: str) -> None:
    async with room_at(url) as each:
        for _ in range(3):
            await each.room.sync()
        assert each.watcher.woken == 1


@pytest.mark.gen_test
async def test_an_outage_of_the_store_changes_nothing_and_is_told_once(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with room_at(url) as each:
        await each.changes.add(OTHER, ADDED)
        await each.room.sync()
        await each.changes.remove(ADDED.fingerprint)
        each.store.away = True
        for _ in range(3):
            await each.room.sync()
        assert ADDED.fingerprint in each.ids()
        assert caplog.messages == ["the store cannot say whether keys have changed, so they stay: no route"]
        each.store.away = False
        await each.room.sync()
        assert ADDED.fingerprint not in each.ids()
        each.store.away = True
        await each.room.sync()
        assert len(caplog.messages) == 2


@pytest.mark.gen_test
async def test_a_key_that_cannot_be_decrypted_is_left_out_told_and_harms_no_other(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with room_at(url, Secret("x" * 32)) as each:
        await each.changes.add(OTHER, ADDED)
        await each.changes.pause(CONFIGURED.fingerprint)
        await each.room.sync()
        assert each.ids() == {CONFIGURED.fingerprint}
        assert each.keys.state(CONFIGURED.fingerprint) is KeyState.PAUSED
        (line,) = caplog.messages
        assert f"key {ADDED.fingerprint} cannot be decrypted" in line


@pytest.mark.gen_test
async def test_a_running_gateway_keeps_its_keys_while_the_master_key_changes(url: str) -> None:
    new = Secret("n" * 32)
    async with room_at(url) as running:
        await running.changes.add(OTHER, ADDED)
        await running.room.sync()
        assert await KeyWishes(running.store, KeyEncryption([new, MASTER]), UpstreamRegistry(), lambda: 0).rotate() == 1
        await running.room.sync()
        assert ADDED.fingerprint in running.ids()
    async with room_at(url, new) as restarted:
        await restarted.room.sync()
        assert restarted.keys.registry.keys[ADDED.fingerprint].secret == ADDED


@pytest.mark.gen_test
async def test_a_secret_goes_nowhere_but_where_it_was_meant_for(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """It was added for an upstream whose name means another address in the configuration of today."""
    async with room_at(url) as each:
        elsewhere = replace(PLAIN, base_url="https://elsewhere.example.org/v1")
        await KeyWishes(each.store, KeyEncryption([MASTER]), UpstreamRegistry(), lambda: 0).add(elsewhere, ADDED)
        await each.room.sync()
        assert each.ids() == {CONFIGURED.fingerprint}
        (line,) = caplog.messages
        assert line.startswith(f"key {ADDED.fingerprint} is not used: its upstream has another address now")


@pytest.mark.gen_test
async def test_a_key_that_is_both_configured_and_added_is_the_configured_one(url: str) -> None:
    async with room_at(url) as each:
        changes = KeyWishes(each.store, KeyEncryption([MASTER]), UpstreamRegistry(), lambda: 0)
        await changes.add(OTHER, CONFIGURED)
        await each.room.sync()
        assert each.keys.registry.keys[CONFIGURED.fingerprint].spec.name == PLAIN.name
        await changes.remove(CONFIGURED.fingerprint)
        await each.room.sync()
        assert each.ids() == {CONFIGURED.fingerprint}


@pytest.mark.gen_test
async def test_it_follows_the_store_by_itself_from_the_start_to_the_close(url: str) -> None:
    async with room_at(url) as each:
        await each.changes.pause(CONFIGURED.fingerprint)
        await each.room.start(0.001)
        assert each.keys.state(CONFIGURED.fingerprint) is KeyState.PAUSED
        await each.changes.resume(CONFIGURED.fingerprint)
        async with asyncio.timeout(5.0):
            while each.keys.state(CONFIGURED.fingerprint) is KeyState.PAUSED:
                await each.store.ping()
        await each.room.close()
        await each.room.close()
        await each.changes.pause(CONFIGURED.fingerprint)
        await each.store.ping()
        assert each.keys.state(CONFIGURED.fingerprint) is not KeyState.PAUSED
