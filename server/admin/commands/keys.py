"""Commands about upstream keys: what an administrator writes is read, and carried out as a wish (`server.keys.wishes`).

A key's secret goes in and never comes out. It is noted by its fingerprint.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from server.config import parsers
from server.config.settings import ANTHROPIC, OPENAI
from server.config.specs import Secret, UpstreamSpec
from server.config.upstreams_file import FIELDS, whole
from server.keys.encryption import KeyEncryptionError
from server.keys.prober import Check
from server.keys.wishes import KeyWishes, ListedKey
from server.policy.commands import CommandError, words_of
from server.store.base import AddedKey
from web.wording import Wording

HOMES = {"openai": OPENAI, "anthropic": ANTHROPIC}
BASE_URL = "--base-url goes with --dialect"
SAVED_ALL_THE_SAME = "untested"
TERMS = frozenset(FIELDS) - {"name", "keys", "key_env", "dialect", "base_url", "proxy", "ca_file"}
# The terms of an added key that may be changed.
CHANGEABLE = (
    *("models", "slots", "rpm", "tpm", "itpm", "otpm", "rpd"),
    *("organisation", "owner", "groups", "monthly_cap_usd"),
)

Trial = Callable[[UpstreamSpec, Secret], Awaitable[Check]]


class KeyCommands:
    """The verbs; `actor` is the id of the caller. All raise CommandError and StoreError.

    `slots` are those of a key of which nothing is said. `trial` asks a provider about a key that is not in use, free.
    """

    def __init__(self, keys: KeyWishes, slots: int, trial: Trial) -> None:
        self._keys, self._slots, self._trial = keys, slots, trial

    async def keys(self) -> list[ListedKey]:
        """All keys, those of the configuration first."""
        return await self._keys.keys()

    async def key(self, key_id: str) -> ListedKey:
        """One of them."""
        return await self._keys.key(key_id)

    def may_add(self) -> bool:
        """Whether there is a master key to encrypt with."""
        try:
            self._keys.insist_on_master()
        except KeyEncryptionError:
            return False
        return True

    async def add(self, actor: str, secret: str, wanted: Mapping[str, Any]) -> AddedKey:
        """Store one more key: `upstream`, or `dialect` and maybe `name` and `base_url`; beside it any of `TERMS`.

        It is tested first, and refused if its provider does not let it in; `untested` saves it all the same.
        """
        await self._keys.insist_on_same_master()
        terms = dict(wanted)
        headers = _read("headers", terms.pop("headers")) if "headers" in terms else ()
        key = _key(secret).carrying(headers)
        spec = await self._spec(key, terms)
        await self._keys.insist_on_new(spec, key)
        if not terms.get(SAVED_ALL_THE_SAME):
            await self._insist_on_answer(spec, key)
        return await self._keys.add(spec, key, actor)

    async def change(self, actor: str, key_id: str, wanted: Mapping[str, Any]) -> ListedKey:
        """Change terms of an added key, each by its name in `CHANGEABLE`; None, "" and an empty list take one away.

        The gateways use them within seconds. What the key serves goes on, and what is known of it stays.
        """
        key = await self._keys.key(key_id)
        terms = {FIELDS[name][0]: self._changed(name, value) for name, value in wanted.items() if name in CHANGEABLE}
        if "models" in terms and bool(terms["models"]) != bool(key.spec.models):
            if terms["models"]:
                raise CommandError(
                    Wording("the keys of this upstream have the models that it lists"), "leave --models out"
                )
            raise CommandError(Wording("the keys of this upstream name their models: name at least one"))
        return await self._keys.change(key_id, terms, actor)

    def _changed(self, name: str, value: object) -> Any:
        if value is None or value in ("", [], ()):
            return {"slots": self._slots, "models": (), "groups": ()}.get(name)
        return _read(name, list(value) if isinstance(value, tuple) else value)

    async def pause(self, actor: str, key_id: str) -> None:
        """Give no further request to a key, until `resume`."""
        await self._keys.pause(key_id, actor)

    async def resume(self, actor: str, key_id: str) -> None:
        await self._keys.resume(key_id, actor)

    async def recheck(self, actor: str, key_id: str) -> None:
        """Have a key checked now."""
        await self._keys.recheck(key_id, actor)

    async def remove(self, actor: str, key_id: str) -> None:
        """Forget an added key."""
        await self._keys.remove(key_id, actor)

    async def _insist_on_answer(self, spec: UpstreamSpec, key: Secret) -> None:
        found = await self._trial(spec, key)
        if found.state != "ready":
            why = f'{found.detail}. It says: "{found.words}"' if found.words else found.detail
            words = Wording("the test failed, so nothing is saved: %(why)s", why=f"{why}{found.hint}")
            raise CommandError(words, "--untested saves it all the same")

    async def _spec(self, key: Secret, wanted: Mapping[str, Any]) -> UpstreamSpec:
        terms = dict(_term(name, value) for name, value in _said(wanted).items())
        if "upstream" in wanted:
            if any(name in wanted for name in ("dialect", "base_url", "name")):
                raise CommandError(Wording("either an upstream that is there, or a dialect with its address"), BASE_URL)
            known = await self._keys.terms(wanted["upstream"])
            if terms.get("models") and not known.models:
                raise CommandError(
                    Wording("the keys of this upstream have the models that it lists"), "leave --models out"
                )
            if any(getattr(known, name) != terms.get(name, getattr(known, name)) for name in ("kind", "api_version")):
                raise CommandError(
                    Wording("the keys of an upstream are of one kind"), "leave --kind and --api-version out"
                )
            return replace(known, **terms)
        return await self._of_its_own(key, wanted, terms)

    async def _of_its_own(self, key: Secret, wanted: Mapping[str, Any], terms: Mapping[str, Any]) -> UpstreamSpec:
        if "dialect" not in wanted:
            raise CommandError(Wording("expected an upstream that is there, or what the key's own one speaks"))
        dialects: Sequence[str] = _read("dialect", wanted["dialect"])
        if "base_url" not in wanted and len(dialects) > 1:
            raise CommandError(Wording("no provider speaks both by one address"), "say which with --base-url")
        url = _read("base_url", wanted["base_url"]) if "base_url" in wanted else HOMES[dialects[0]]
        name = _read("name", wanted["name"]) if "name" in wanted else f"{dialects[0]}-{key.fingerprint}"
        if any(each.spec.name == name for each in await self._keys.keys()):
            raise CommandError(Wording("there is an upstream of this name: add the key to it, or choose another name"))
        try:
            return whole(
                UpstreamSpec(
                    name=name, dialects=tuple(dialects), base_url=url, keys=(), **{"slots": self._slots, **terms}
                )
            )
        except ValueError as error:
            raise CommandError(words_of(error)) from None


def _said(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if name in TERMS}


def _term(name: str, value: object) -> tuple[str, Any]:
    return FIELDS[name][0], _read(name, value)


def _key(secret: str) -> Secret:
    try:
        return parsers.key(secret)
    except ValueError as error:
        raise CommandError(Wording("the key: %(error)s", error=words_of(error))) from None


def _read(name: str, value: object) -> Any:
    try:
        return FIELDS[name][1](value, {})
    except ValueError as error:
        raise CommandError(f"{name}: {error}") from None
