"""Commands about upstream keys: who changed which is noted, and what an administrator writes is read.

A key's secret goes in and never comes out. It is noted by its fingerprint.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from server.admin.changes import Changes, CommandError, NotThere
from server.config.settings import ANTHROPIC, OPENAI
from server.config.specs import Secret, UpstreamSpec
from server.config.upstreams_file import FIELDS
from server.keys.encryption import KeyEncryptionError
from server.keys.wishes import KeyWishError, KeyWishes, ListedKey, UnknownWish
from server.store.base import AddedKey

HOMES = {"openai": OPENAI, "anthropic": ANTHROPIC}
TERMS = frozenset(FIELDS) - {"name", "keys", "key_env", "dialect", "base_url", "proxy", "ca_file"}


class KeyCommands:
    """The verbs; `actor` is the id of who asks. All raise CommandError and StoreError.

    `slots` are those of a key of which nothing is said.
    """

    def __init__(self, keys: KeyWishes, changes: Changes, slots: int) -> None:
        self._keys, self._changes, self._slots = keys, changes, slots

    async def keys(self) -> list[ListedKey]:
        """All keys, those of the configuration first."""
        return await self._keys.keys()

    def may_add(self) -> bool:
        """Whether there is a master key to encrypt with."""
        try:
            self._keys.insist_on_master()
        except KeyEncryptionError:
            return False
        return True

    async def add(self, actor: str, secret: str, wanted: Mapping[str, Any]) -> AddedKey:
        """Store one more key: `upstream`, or `dialect` and maybe `base_url`; beside it any of `TERMS`."""
        try:
            await self._keys.insist_on_same_master()
            (key,) = _read("keys", [secret])
            spec = await self._spec(key, wanted)
            await self._changes.note(actor, "key.add", key.fingerprint, None, {"upstream": spec.name, **_said(wanted)})
            return await self._keys.add(spec, key)
        except UnknownWish as error:
            raise NotThere(str(error)) from None
        except (KeyWishError, KeyEncryptionError) as error:
            raise CommandError(str(error)) from None

    async def pause(self, actor: str, key_id: str) -> None:
        """Give no further request to a key, until `resume`."""
        await self._noted(actor, "key.pause", key_id, self._keys.pause)

    async def resume(self, actor: str, key_id: str) -> None:
        await self._noted(actor, "key.resume", key_id, self._keys.resume)

    async def recheck(self, actor: str, key_id: str) -> None:
        """Have a key checked now."""
        await self._noted(actor, "key.recheck", key_id, self._keys.recheck)

    async def remove(self, actor: str, key_id: str) -> None:
        """Forget an added key."""
        await self._noted(actor, "key.remove", key_id, self._keys.remove)

    async def _noted(self, actor: str, action: str, key_id: str, verb: Callable[[str], Awaitable[None]]) -> None:
        known = {key.id: key for key in await self._keys.keys()}
        if key_id not in known:
            raise NotThere("there is no such key")
        key = known[key_id]
        before = {"upstream": key.spec.name, "hint": key.hint, "added": key.added, "paused": key.paused}
        await self._changes.note(actor, action, key_id, before, None)
        try:
            await verb(key_id)
        except UnknownWish as error:
            raise NotThere(str(error)) from None
        except KeyWishError as error:
            raise CommandError(str(error)) from None

    async def _spec(self, key: Secret, wanted: Mapping[str, Any]) -> UpstreamSpec:
        terms = dict(_term(name, value) for name, value in _said(wanted).items())
        if "upstream" in wanted:
            if "dialect" in wanted or "base_url" in wanted:
                raise CommandError("either an upstream that is there, or a dialect with its address")
            return replace(await self._keys.terms(wanted["upstream"]), **terms)
        return self._of_its_own(key, wanted, terms)

    def _of_its_own(self, key: Secret, wanted: Mapping[str, Any], terms: Mapping[str, Any]) -> UpstreamSpec:
        if "dialect" not in wanted:
            raise CommandError("expected an upstream that is there, or what the key's own one speaks")
        dialects: Sequence[str] = _read("dialect", wanted["dialect"])
        if "base_url" not in wanted and len(dialects) > 1:
            raise CommandError("no provider speaks both by one address: say which")
        url = _read("base_url", wanted["base_url"]) if "base_url" in wanted else HOMES[dialects[0]]
        name = f"{dialects[0]}-{key.fingerprint}"
        return UpstreamSpec(
            name=name, dialects=tuple(dialects), base_url=url, keys=(), **{"slots": self._slots, **terms}
        )  # fmt: skip


def _said(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if name in TERMS}


def _term(name: str, value: object) -> tuple[str, Any]:
    return FIELDS[name][0], _read(name, value)


def _read(name: str, value: object) -> Any:
    try:
        return FIELDS[name][1](value, {})
    except ValueError as error:
        raise CommandError(f"{name}: {error}") from None
