"""Keeps the keys of the running pool in step with the store.

The operator adds, removes, pauses and resumes keys in the store (`wishes.py`), from whatever process. A gateway asks
for the version of that every few seconds, and when it has changed, carries out the difference. Requests notice nothing:
a removed key ends what it serves, a new one takes its first request at once.

Keys of the configuration are only paused, resumed and checked here. Of the added ones

* a secret goes only where it was meant for: a key whose upstream has another address by now is left out;
* what cannot be decrypted is left out, and logged; keys that were opened before stay in use;
* while the store is away everything stays as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Protocol

from keypool.health import KeyEvent
from server.config.specs import Secret, UpstreamSpec, only_terms_differ
from server.keys.encryption import KeyEncryption, KeyEncryptionError
from server.keys.registry import UpstreamRegistry
from server.store.base import AddedKey, KeyWish, Store
from server.store.following import Following

log = logging.getLogger("fairgate")


class PoolKeys(Protocol):
    """The running keys."""

    def key_ids(self) -> Collection[str]: ...

    def add_key(self, spec: UpstreamSpec, secret: Secret) -> None:
        """Use one more key from now on."""

    def retune_key(self, spec: UpstreamSpec, secret: Secret) -> None:
        """A key has other terms from now on; what it serves goes on."""

    def remove_key(self, key_id: str) -> None:
        """Give no further request to a key; what it serves now ends undisturbed."""

    def learn(self, key_id: str, event: KeyEvent) -> None: ...


class Watcher(Protocol):
    """A checker of keys, each named by its id."""

    def watch(self, key_id: str) -> None: ...

    def forget(self, key_id: str) -> None: ...

    def recheck(self, key_id: str) -> None: ...

    def wake(self) -> None:
        """Some key may have been paused or resumed."""


class KeySync:
    """Carries the store's wishes to `keys` and `watcher`; `registry` says which keys are there already."""

    def __init__(
        self,
        store: Store,
        encryption: KeyEncryption,
        keys: PoolKeys,
        watcher: Watcher,
        registry: UpstreamRegistry,
    ) -> None:
        self._store, self._encryption, self._keys, self._watcher = store, encryption, keys, watcher
        self._registry = registry
        self._following = Following("keys", store.keys_version, self._read)
        self._paused: set[str] = set()
        self._rechecks: dict[str, int] = {}

    async def start(self, poll_seconds: float) -> None:
        """Carry out what is wished now, and from then on every few seconds what has changed."""
        await self._following.start(poll_seconds)

    async def close(self) -> None:
        """Follow the store no more. The keys stay."""
        await self._following.close()

    async def sync(self) -> None:
        """Carry out what has changed since the last time. An outage changes nothing and is logged once."""
        await self._following.sync()

    async def _read(self) -> None:
        self._apply(await self._store.added_keys(), await self._store.key_wishes())

    def _apply(self, added: Sequence[AddedKey], wishes: Sequence[KeyWish]) -> None:
        wanted = {key.id: key for key in added}
        for known in list(self._registry.keys.values()):
            if known.added and (known.id not in wanted or not only_terms_differ(wanted[known.id].spec, known.spec)):
                self._take_out(known.id)
            elif known.added and wanted[known.id].spec != known.spec:
                self._keys.retune_key(wanted[known.id].spec, known.secret)
        for key in added:
            if key.id not in self._keys.key_ids():
                self._put_in(key)
        self._pause_and_resume({wish.id for wish in wishes if wish.paused} & set(self._keys.key_ids()))
        self._watcher.wake()
        self._recheck({wish.id: wish.recheck_at for wish in wishes if wish.recheck_at is not None})

    def _put_in(self, key: AddedKey) -> None:
        if key.spec.base_url != (self._registry.address(key.spec.name) or key.spec.base_url):
            log.error("key %s is not used: its upstream has another address now; remove it and add it again", key.id)
            return
        try:
            secret = self._encryption.decrypt(key.encrypted, key.id)
        except KeyEncryptionError as error:
            log.error("a key is not used: %s", error)
            return
        self._keys.add_key(key.spec, secret)
        self._watcher.watch(key.id)

    def _take_out(self, key_id: str) -> None:
        self._watcher.forget(key_id)
        self._keys.remove_key(key_id)
        self._paused.discard(key_id)

    def _pause_and_resume(self, paused: set[str]) -> None:
        for key_id in sorted(paused - self._paused):
            self._keys.learn(key_id, KeyEvent.PAUSE)
        for key_id in sorted(self._paused - paused):
            self._keys.learn(key_id, KeyEvent.RESUME)
        self._paused = paused

    def _recheck(self, asked: dict[str, int]) -> None:
        """Pass on what was asked for since the last time; at the start every key is checked anyway."""
        for key_id, asked_at in asked.items():
            if self._following.known and self._rechecks.get(key_id) != asked_at:
                self._watcher.recheck(key_id)
        self._rechecks = asked
