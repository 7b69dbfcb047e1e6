"""Wishes: what the operator may ask for about upstream keys while the gateway runs.

It writes wishes into the store; every gateway carries them out within `KEYS_POLL_SECONDS` (`sync.py`). A key is
named by its fingerprint. Keys of the configuration can be paused and checked; they are taken out where they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from server.config.specs import TERMS, Secret, UpstreamSpec
from server.keys.encryption import KeyEncryption, KeyEncryptionError
from server.keys.registry import RegisteredKey, UpstreamRegistry
from server.policy.commands import AlreadyThere, CommandError, NotThere
from server.store import acts
from server.store.acts import Act, Outdated
from server.store.audited import GATEWAY, AuditedStore
from server.store.base import AddedKey, KeyTaken, Store
from server.store.identity import OTHER_MASTER
from web.wording import Wording


class KeyWishError(CommandError):
    """This cannot be done with an upstream key."""


class KeyKnown(KeyWishError, AlreadyThere):
    """This upstream key is known already."""


class UnknownWish(KeyWishError, NotThere):
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
    """The operator's verbs; each is noted as `actor`'s. `wall` gives milliseconds since 1970, UTC."""

    def __init__(
        self, store: Store, encryption: KeyEncryption, registry: UpstreamRegistry, wall: Callable[[], int]
    ) -> None:
        self._store, self._encryption, self._registry, self._wall = store, encryption, registry, wall
        self._audited = AuditedStore(store, wall)

    def insist_on_master(self) -> None:
        """Raises KeyEncryptionError if no key can be added, so that none is typed in vain."""
        self._encryption.insist()

    async def insist_on_same_master(self) -> None:
        """The same where there are keys already: a new master key would not decrypt those."""
        keys = await self._store.added_keys()
        if keys and not any(self._encryption.reads(key.encrypted, key.id) for key in keys):
            raise KeyEncryptionError(OTHER_MASTER)
        self._encryption.insist()

    async def add(self, spec: UpstreamSpec, secret: Secret, actor: str = GATEWAY) -> AddedKey:
        """Store one more key under these terms. Raises KeyWishError; KeyEncryptionError without a master key."""
        encrypted = self._encryption.encrypt(secret)
        await self.insist_on_new(spec, secret)
        key = AddedKey(
            id=secret.fingerprint,
            spec=spec.bare(),
            hint=hint(secret),
            encrypted=encrypted,
            added_at=self._wall(),
        )
        try:
            await self._audited.change(actor, "key.add", key.id, None, _said(key.spec), acts.add_key(key))
        except KeyTaken:
            raise KeyKnown(Wording("this key has been added already")) from None
        return key

    async def insist_on_new(self, spec: UpstreamSpec, secret: Secret) -> None:
        """Raises KeyWishError if this key is here already, or its upstream has another address."""
        if self._is_configured(secret.fingerprint):
            raise KeyKnown(Wording("this key stands in the configuration already"))
        if any(key.id == secret.fingerprint for key in await self._store.added_keys()):
            raise KeyKnown(Wording("this key has been added already"))
        await self._insist_on_one_address(spec)

    async def change(self, key_id: str, terms: Mapping[str, Any], actor: str = GATEWAY) -> ListedKey:
        """Give an added key other terms: fields of its specification (`specs.TERMS`), of which those not named stay.

        A monthly cap is for all keys of the upstream together, and so is the same for all that were added to it.
        Raises KeyWishError.
        """
        key = await self.key(key_id)
        if not key.added:
            raise KeyWishError(CHANGED_IN_CONFIGURATION)
        self._insist_on_cap(key.spec, terms)
        after = replace(key.spec, **terms)
        cap = {name: terms[name] for name in terms if name == "monthly_cap_micro_usd"}
        added = [each for each in await self._store.added_keys() if each.spec.name == key.spec.name]
        others = [each for each in added if cap and each.id != key_id]
        writes = [acts.set_key_terms(each.id, each.spec, replace(each.spec, **cap)) for each in others]
        was, is_ = _different(key.spec, after)
        if was or is_:
            try:
                await self._audited.change(
                    actor, "key.change", key_id, was, is_, acts.set_key_terms(key_id, key.spec, after), *writes
                )
            except Outdated:
                raise KeyWishError(Wording("the key has been changed meanwhile: look at it again")) from None
        return replace(key, spec=after)

    async def remove(self, key_id: str, actor: str = GATEWAY) -> None:
        """Forget an added key, and what was wished of it."""
        key = await self.key(key_id)
        if not key.added:
            raise KeyWishError(IN_CONFIGURATION)
        try:
            await self._change(actor, "key.remove", key, acts.remove_key(key_id), acts.forget_key_wish(key_id))
        except Outdated:
            raise no_such_key() from None

    async def pause(self, key_id: str, actor: str = GATEWAY) -> None:
        """Give no further request to a key, until `resume`."""
        await self._change(actor, "key.pause", await self.key(key_id), acts.set_key_paused(key_id, True))

    async def resume(self, key_id: str, actor: str = GATEWAY) -> None:
        await self._change(actor, "key.resume", await self.key(key_id), acts.set_key_paused(key_id, False))

    async def recheck(self, key_id: str, actor: str = GATEWAY) -> None:
        """Have a key checked now; one that was refused begins anew if it is let in."""
        asking = acts.ask_key_recheck(key_id, self._wall())
        await self._change(actor, "key.recheck", await self.key(key_id), asking)

    async def rotate(self, actor: str = GATEWAY) -> int:
        """Encrypt all added keys with the first master key; how many. KeyEncryptionError names those that it cannot."""
        keys, errors = await self._store.added_keys(), []
        writes = []
        for key in keys:
            try:
                encrypted = self._encryption.rotate(key.encrypted, key.id)
            except KeyEncryptionError as error:
                errors.append(str(error))
                continue
            writes.append(acts.reencrypt_key(key.id, key.encrypted, encrypted))
        if writes:
            await self._audited.change(actor, "key.rotate-master", "keys", None, {"keys": len(writes)}, *writes)
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
        raise no_such_key()

    async def terms(self, upstream: str) -> UpstreamSpec:
        """The uses that the keys of an upstream are allowed, without the keys."""
        added = [key.spec for key in await self._store.added_keys()]
        for spec in (*self._registry.configured, *added):
            if spec.name == upstream:
                return spec.bare()
        raise UnknownWish(Wording("there is no such upstream"), "`key list` names them; --dialect makes one of its own")

    async def key(self, key_id: str) -> ListedKey:
        """A key by its fingerprint. Raises UnknownWish."""
        for key in await self.keys():
            if key.id == key_id:
                return key
        raise no_such_key()

    async def _change(self, actor: str, action: str, key: ListedKey, *writes: Act) -> None:
        before = {"upstream": key.spec.name, "hint": key.hint, "added": key.added, "paused": key.paused}
        await self._audited.change(actor, action, key.id, before, None, *writes)

    async def _insist_on_one_address(self, spec: UpstreamSpec) -> None:
        added = [key.spec for key in await self._store.added_keys()]
        known = (*self._registry.configured, *added)
        if any(each.name == spec.name and each.base_url != spec.base_url for each in known):
            raise KeyWishError(Wording("there is an upstream of this name at another address"))

    def _insist_on_cap(self, spec: UpstreamSpec, terms: Mapping[str, Any]) -> None:
        """Raises KeyWishError for a cap that the configuration's own one makes vain: the tightest counts."""
        caps = [each.monthly_cap_micro_usd for each in self._registry.configured if each.name == spec.name]
        own, wanted = next(iter(caps), None), terms.get("monthly_cap_micro_usd")
        if "monthly_cap_micro_usd" in terms and own is not None and (wanted is None or wanted > own):
            raise KeyWishError(Wording("the configuration has a lower cap for this upstream: change it there"))

    def _is_configured(self, key_id: str) -> bool:
        known = self._registry.keys.get(key_id)
        return known is not None and not known.added


def no_such_key() -> UnknownWish:
    return UnknownWish(Wording("there is no such key"), "`key list` shows them by their fingerprints")


def _said(spec: UpstreamSpec) -> dict[str, Any]:
    """The uses that a new key is allowed, as the audit log notes them."""
    terms = {each.name: getattr(spec, each.name) for each in fields(spec) if each.name not in ("name", "keys")}
    return {"upstream": spec.name, **{name: value for name, value in terms.items() if value not in (None, "", ())}}


def _different(before: UpstreamSpec, after: UpstreamSpec) -> tuple[dict[str, Any], dict[str, Any]]:
    """The terms that differ, as they were and as they are."""
    names = [name for name in TERMS if getattr(before, name) != getattr(after, name)]
    was, is_ = ({name: getattr(spec, name) for name in names} for spec in (before, after))
    return was, is_


CHANGED_IN_CONFIGURATION = Wording("this key stands in the configuration: change it there")
IN_CONFIGURATION = Wording("this key stands in the configuration: take it out there, or pause it")


def _listed(key: RegisteredKey, paused: bool) -> ListedKey:
    return ListedKey(key.id, key.spec, hint(key.secret), False, paused)


def hint(secret: Secret) -> str:
    """The end of a key, to recognise it by."""
    return f"…{secret.last4}"
