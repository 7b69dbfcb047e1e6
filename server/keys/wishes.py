"""Wishes: what the operator may ask for about upstream keys while the gateway runs.

It writes wishes into the store; every gateway carries them out within `KEYS_POLL_SECONDS` (`sync.py`). A key is
named by its fingerprint. Keys of the configuration can be paused and checked; they are taken out where they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from server.config.specs import Secret, UpstreamSpec
from server.keys.encryption import KeyEncryption, KeyEncryptionError
from server.keys.registry import RegisteredKey, UpstreamRegistry
from server.store.base import AddedKey, KeyTaken, Store
from server.store.identity import OTHER_MASTER


class KeyWishError(ValueError):
    """The operator asked for what cannot be done; the text says what, without repeating what was typed."""


class UnknownWish(KeyWishError):
    """There is no such key, or no such upstream."""


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key as it may be shown."""

    id: str
    spec: UpstreamSpec  # without the keys
    hint: str
    added: bool  # at run time; else it stands in the configuration
    paused: bool


class KeyWishes:
    """The operator's verbs. `wall` gives milliseconds since 1970, UTC."""

    def __init__(
        self, store: Store, encryption: KeyEncryption, registry: UpstreamRegistry, wall: Callable[[], int]
    ) -> None:
        self._store, self._encryption, self._registry, self._wall = store, encryption, registry, wall

    def insist_on_master(self) -> None:
        """Raises KeyEncryptionError if no key can be added, so that none is typed in vain."""
        self._encryption.insist()

    async def insist_on_same_master(self) -> None:
        """The same where there are keys already: a new master key would not decrypt those."""
        keys = await self._store.added_keys()
        if keys and not any(self._encryption.reads(key.encrypted, key.id) for key in keys):
            raise KeyEncryptionError(OTHER_MASTER)
        self._encryption.insist()

    async def add(self, spec: UpstreamSpec, secret: Secret) -> AddedKey:
        """Store one more key under these terms. Raises KeyWishError; KeyEncryptionError without a master key."""
        encrypted = self._encryption.encrypt(secret)
        if self._is_configured(secret.fingerprint):
            raise KeyWishError("this key stands in the configuration already")
        await self._insist_on_one_address(spec)
        key = AddedKey(
            id=secret.fingerprint,
            spec=replace(spec, keys=()),
            hint=hint(secret),
            encrypted=encrypted,
            added_at=self._wall(),
        )
        try:
            await self._store.add_key(key)
        except KeyTaken:
            raise KeyWishError("this key has been added already") from None
        return key

    async def remove(self, key_id: str) -> None:
        """Forget an added key, and what was wished of it."""
        if not await self._store.remove_key(key_id):
            raise KeyWishError(IN_CONFIGURATION) if self._is_configured(key_id) else UnknownWish(NO_SUCH_KEY)
        await self._store.forget_key_wish(key_id)

    async def pause(self, key_id: str) -> None:
        """Give no further request to a key, until `resume`."""
        await self._insist(key_id)
        await self._store.set_key_paused(key_id, True)

    async def resume(self, key_id: str) -> None:
        await self._insist(key_id)
        await self._store.set_key_paused(key_id, False)

    async def recheck(self, key_id: str) -> None:
        """Have a key checked now; one that was refused begins anew if it is let in."""
        await self._insist(key_id)
        await self._store.ask_key_recheck(key_id, self._wall())

    async def rotate(self) -> int:
        """Encrypt all added keys with the first master key; how many. KeyEncryptionError names those that it cannot."""
        keys, errors = await self._store.added_keys(), []
        for key in keys:
            try:
                encrypted = self._encryption.rotate(key.encrypted, key.id)
            except KeyEncryptionError as error:
                errors.append(str(error))
                continue
            await self._store.reencrypt_key(key.id, key.encrypted, encrypted)
        if errors:
            raise KeyEncryptionError("\n".join(errors))
        return len(keys)

    async def keys(self) -> list[ListedKey]:
        """All keys, those of the configuration first."""
        paused = {wish.id for wish in await self._store.key_wishes() if wish.paused}
        added = await self._store.added_keys()
        return [
            *(_listed(key, key.id in paused) for key in self._registry.keys.values() if not key.added),
            *(ListedKey(key.id, key.spec, key.hint, True, key.id in paused) for key in added),
        ]

    async def secret(self, key_id: str) -> Secret:
        """The secret of a key that is listed. Raises KeyEncryptionError."""
        if (known := self._registry.keys.get(key_id)) is not None:
            return known.secret
        for key in await self._store.added_keys():
            if key.id == key_id:
                return self._encryption.decrypt(key.encrypted, key_id)
        raise UnknownWish(NO_SUCH_KEY)

    async def terms(self, upstream: str) -> UpstreamSpec:
        """What the keys of an upstream may be used for, without the keys."""
        added = [key.spec for key in await self._store.added_keys()]
        for spec in (*self._registry.configured, *added):
            if spec.name == upstream:
                return replace(spec, keys=())
        raise UnknownWish("there is no such upstream: `key list` names them; --dialect makes one of its own")

    async def _insist(self, key_id: str) -> None:
        if all(key.id != key_id for key in await self.keys()):
            raise UnknownWish(NO_SUCH_KEY)

    async def _insist_on_one_address(self, spec: UpstreamSpec) -> None:
        added = [key.spec for key in await self._store.added_keys()]
        known = (*self._registry.configured, *added)
        if any(each.name == spec.name and each.base_url != spec.base_url for each in known):
            raise KeyWishError("there is an upstream of this name at another address")

    def _is_configured(self, key_id: str) -> bool:
        known = self._registry.keys.get(key_id)
        return known is not None and not known.added


NO_SUCH_KEY = "there is no such key: `key list` shows them by their fingerprints"
IN_CONFIGURATION = "this key stands in the configuration: take it out there, or pause it"


def _listed(key: RegisteredKey, paused: bool) -> ListedKey:
    return ListedKey(key.id, key.spec, hint(key.secret), False, paused)


def hint(secret: Secret) -> str:
    """The end of a key, to recognise it by."""
    return f"…{secret.last4}"
