"""The verbs about upstream keys: `python -m server key ...`.

A secret is read from the standard input, or asked for without an echo; it is never an argument, because arguments stand
in the shell's history and in the list of processes.
"""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import getpass
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from server.config import parsers
from server.config.settings import ANTHROPIC, OPENAI, Settings
from server.config.specs import Secret, UpstreamSpec
from server.config.upstreams_file import DIALECTS
from server.keys import prober
from server.keys.encryption import KeyEncryption, KeyEncryptionError, new_master
from server.keys.registry import UpstreamRegistry
from server.keys.wishes import KeyWishError, KeyWishes, ListedKey
from server.store import store_for
from server.upstream import Patience, Upstreams

T = TypeVar("T")
Work = Coroutine[Any, Any, int]
DeskVerb = Callable[[KeyWishes, Settings, argparse.Namespace], Coroutine[Any, Any, None]]
InLoop = Callable[[Work], int]
AskSecret = Callable[[], str]

HOMES = {"openai": OPENAI, "anthropic": ANTHROPIC}
MOST = 10**12  # of any limit


def ask_secret() -> str:
    """A line from the standard input; of a person it is asked for without an echo."""
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    try:
        return getpass.getpass("The key (it is not shown): ")
    except EOFError:
        return ""


def add_verbs(parser: argparse.ArgumentParser, in_loop: InLoop, ask: AskSecret) -> None:
    """Add the verbs to the parser of `key`. `in_loop` runs a coroutine, `ask` gives what the operator typed."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, work: DeskVerb, told: str) -> argparse.ArgumentParser:
        each = verbs.add_parser(name, help=told, allow_abbrev=False)
        each.set_defaults(verb=lambda settings, options: in_loop(_at_desk(work, settings, options)))
        return each

    verb("list", _list, "all keys, by their fingerprints")
    verb("check", _check, "ask the upstreams about every key, now")
    _terms(verb("add", _add, "add a key, which is read from the standard input")).set_defaults(ask=ask)
    for name, work, told in (
        ("pause", _pause, "give a key no further request"),
        ("resume", _resume, "use a paused key again"),
        ("remove", _remove, "forget an added key"),
        ("recheck", _recheck, "let running gateways check a key, also one that was refused"),
    ):
        verb(name, work, told).add_argument("key", metavar="FINGERPRINT")
    verb("rotate-master", _rotate, "encrypt all added keys with the first of MASTER_KEYS")
    verbs.add_parser("new-master", help="print a new master key").set_defaults(verb=_new_master)


async def _at_desk(work: DeskVerb, settings: Settings, options: argparse.Namespace) -> int:
    async with store_for(settings.store_url) as store:
        registry, encryption = UpstreamRegistry(settings.upstreams), KeyEncryption(settings.master_keys)
        await work(KeyWishes(store, encryption, registry, _now), settings, options)
    return 0


def _terms(add: argparse.ArgumentParser) -> argparse.ArgumentParser:
    where = add.add_mutually_exclusive_group(required=True)
    where.add_argument("--upstream", metavar="NAME", help="use it like the other keys of this upstream")
    where.add_argument("--dialect", action="append", choices=DIALECTS, help="or: what its upstream speaks")
    add.add_argument(
        "--base-url", type=_parsed(parsers.base_url), metavar="URL", help="the provider's own, if not said"
    )
    add.add_argument(
        "--models", type=_parsed(parsers.words), metavar="A,B", help="all that the upstream lists, if not said"
    )
    add.add_argument("--slots", type=_parsed(parsers.whole(1, 10_000)), metavar="N", help="requests in flight")
    for limit in ("rpm", "tpm", "itpm", "otpm", "rpd"):
        add.add_argument(f"--{limit}", type=_parsed(parsers.whole(1, MOST)), metavar="N")
    add.add_argument("--organisation", metavar="NAME", help="keys of one organisation share limits")
    add.add_argument("--owner", metavar="NAME", help="whose it is")
    add.add_argument("--group", action="append", metavar="NAME", help="who may use it; everybody, if not said")
    add.add_argument("--monthly-cap-usd", type=_parsed(parsers.micro_usd), metavar="USD")
    return add


def _parsed(parse: Callable[[str], T]) -> Callable[[str], T]:
    def typed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return typed


async def _list(changes: KeyWishes, _: Settings, __: argparse.Namespace) -> None:
    for key in await _keys(changes):
        notes = [", ".join(key.spec.models) or "all its models"]
        notes += ["added"] * key.added + ["paused"] * key.paused
        print(f"{_shown(key)}  {'; '.join(notes)}")


async def _check(changes: KeyWishes, _: Settings, __: argparse.Namespace) -> None:
    """Ask about every key; KeyWishError if any is not let in."""
    ready, registry = True, UpstreamRegistry()
    upstreams = Upstreams(registry.route, Patience())
    try:
        for key in await _keys(changes):
            found = await _found(changes, key, registry, upstreams)
            ready = ready and found.state == "ready"
            said = f"{len(found.models)} models" if found.state == "ready" else found.detail
            print(f"{_shown(key)}  {found.state:<12} {said}")
    finally:
        await upstreams.close()
    if not ready:
        raise KeyWishError("not every key is let in")


async def _keys(changes: KeyWishes) -> list[ListedKey]:
    """All keys. That there is none is said, beside the output."""
    keys = await changes.keys()
    if not keys:
        print("There is no key: name one in .env (OPENAI_KEY, ANTHROPIC_KEY) or add one (`key add`).", file=sys.stderr)
    return keys


async def _found(changes: KeyWishes, key: ListedKey, registry: UpstreamRegistry, upstreams: Upstreams) -> prober.Check:
    try:
        registry.add(key.spec, await changes.secret(key.id))
    except KeyEncryptionError:
        return prober.Check("unclear", "it cannot be decrypted with these MASTER_KEYS")
    return await prober.check(upstreams, key.id, key.spec)


async def _add(changes: KeyWishes, settings: Settings, options: argparse.Namespace) -> None:
    await changes.insist_on_same_master()
    known = await changes.terms(options.upstream) if options.upstream else None
    secret = _secret(options.ask())
    spec = _like(known, options) if known else _of_its_own(secret, options, settings.key_slots)
    key = await changes.add(spec, secret)
    print(f"{key.spec.name:<16} {key.id}  {key.hint}  added")
    print(f"Running gateways use it within {settings.keys_poll_seconds:g} seconds.", file=sys.stderr)


def _secret(typed: str) -> Secret:
    try:
        return parsers.key(typed.strip())
    except ValueError as error:
        raise KeyWishError(f"the key: {error}") from None


def _like(known: UpstreamSpec, options: argparse.Namespace) -> UpstreamSpec:
    if options.base_url:
        raise KeyWishError("--base-url goes with --dialect; the upstream has an address already")
    if options.models and not known.models:
        raise KeyWishError("the keys of this upstream have the models that it lists: leave --models out")
    return replace(known, **_said(options))


def _of_its_own(secret: Secret, options: argparse.Namespace, slots: int) -> UpstreamSpec:
    dialects = tuple(dict.fromkeys(options.dialect))
    if not options.base_url and len(dialects) > 1:
        raise KeyWishError("no provider speaks both by one address: say which with --base-url")
    return UpstreamSpec(
        name=f"{dialects[0]}-{secret.fingerprint}",
        dialects=dialects,
        base_url=options.base_url or HOMES[dialects[0]],
        keys=(),
        **{"slots": slots, **_said(options)},
    )


def _said(options: argparse.Namespace) -> dict[str, Any]:
    """The terms that were said, by their names in UpstreamSpec."""
    names = ("models", "slots", "rpm", "tpm", "itpm", "otpm", "rpd", "organisation", "owner")
    said = {name: getattr(options, name) for name in names}
    said["groups"] = tuple(options.group) if options.group else None
    said["monthly_cap_micro_usd"] = options.monthly_cap_usd
    return {name: value for name, value in said.items() if value is not None}


async def _pause(changes: KeyWishes, _: Settings, options: argparse.Namespace) -> None:
    await changes.pause(options.key)


async def _resume(changes: KeyWishes, _: Settings, options: argparse.Namespace) -> None:
    await changes.resume(options.key)


async def _remove(changes: KeyWishes, _: Settings, options: argparse.Namespace) -> None:
    await changes.remove(options.key)


async def _recheck(changes: KeyWishes, _: Settings, options: argparse.Namespace) -> None:
    await changes.recheck(options.key)


async def _rotate(changes: KeyWishes, _: Settings, __: argparse.Namespace) -> None:
    print(f"{await changes.rotate()} keys are encrypted with the first of MASTER_KEYS now.")


def _new_master(_: Settings, __: argparse.Namespace) -> int:
    print(new_master())
    print(
        "Put it into MASTER_KEYS, before the ones that are there; whoever loses it loses the added keys.",
        file=sys.stderr,
    )
    return 0


def _shown(key: ListedKey) -> str:
    return f"{key.spec.name:<16} {key.id}  {key.hint}"


def _now() -> int:
    return time.time_ns() // 1_000_000
