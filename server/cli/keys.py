"""The verbs about upstream keys: `python -m server key ...`.

A secret is read from the standard input, or asked for without an echo; it is never an argument, because arguments stand
in the shell's history and in the list of processes.
"""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.parse import quote

from server.admin.changes import OPERATOR
from server.admin.commands.keys import KeyCommands
from server.admin.consequences import of_key_removal
from server.bootstrap.from_settings import egress, trial
from server.cli.context import HOW_TO_FIND_IT, asks, insist, missing_store, plain, wall
from server.cli.output import Columns, lists, print_json, show
from server.cli.running import asked
from server.config import parsers
from server.config.parsers import SQLITE
from server.config.settings import Settings
from server.config.upstream_kinds import KINDS
from server.config.upstreams_file import DIALECTS
from server.http.api.schemas import key_json
from server.keys import prober
from server.keys.encryption import KeyEncryption, KeyEncryptionError, new_master
from server.keys.registry import UpstreamRegistry
from server.keys.wishes import KeyWishError, KeyWishes, ListedKey
from server.store import store_for
from server.store.base import Store, StoreError
from server.upstream import Patience, Upstreams

T = TypeVar("T")
Work = Coroutine[Any, Any, int]
InLoop = Callable[[Work], int]
AskSecret = Callable[[], str]
Checked = tuple[ListedKey, prober.Check]

LIMITS = ("rpm", "tpm", "itpm", "otpm", "rpd")
FIELDS_SAID = (
    *("upstream", "dialect", "name", "base_url", "models", "slots", *LIMITS),
    *("organisation", "owner", "groups", "monthly_cap_usd", "kind", "api_version", "names", "headers", "untested"),
)
MOST = 10**12  # of any limit


@dataclass(frozen=True, slots=True)
class KeyCommandContext:
    """The parts that a verb about keys needs."""

    settings: Settings
    wishes: KeyWishes
    commands: KeyCommands


KeyCommandVerb = Callable[[KeyCommandContext, argparse.Namespace], Coroutine[Any, Any, None]]


def ask_secret() -> str:
    """A line from the standard input; of a person it is asked for without an echo."""
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    try:
        return getpass.getpass("The secret (it is not shown): ")
    except EOFError:
        return ""


def add_verbs(parser: argparse.ArgumentParser, in_loop: InLoop, ask: AskSecret) -> None:
    """Add the verbs to the parser of `key`. `in_loop` runs a coroutine, `ask` gives what the operator typed."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, work: KeyCommandVerb, summary: str) -> argparse.ArgumentParser:
        each = verbs.add_parser(name, help=summary, allow_abbrev=False)
        each.set_defaults(verb=lambda settings, options: in_loop(_in_context(work, settings, options)))
        return each

    lists(verb("list", _list, "all keys, by their fingerprints"))
    show_one = verbs.add_parser("show", help="why a key stands so, as the running gateway says it", allow_abbrev=False)
    show_one.add_argument("key", metavar="FINGERPRINT")
    lists(show_one).set_defaults(verb=partial(_show_one, ask=ask))
    lists(verb("check", _check, "ask the upstreams about every key, now"))
    _terms(verb("add", _add, "add a key, which is read from the standard input")).set_defaults(ask=ask)
    _changes(verb("change", _change, "give an added key other terms; '' takes one away"))
    for name, work, summary in (
        ("pause", _pause, "give a key no further request"),
        ("resume", _resume, "use a paused key again"),
        ("remove", _remove, "forget an added key"),
        ("recheck", _recheck, "let running gateways check a key, also one that was refused"),
    ):
        each = verb(name, work, summary)
        each.add_argument("key", metavar="FINGERPRINT")
        if name == "remove":
            asks(each)
    verb("rotate-master", _rotate, "encrypt all added keys with the first of MASTER_KEYS")
    verbs.add_parser("new-master", help="print a new master key").set_defaults(verb=_new_master)


async def _in_context(work: KeyCommandVerb, settings: Settings, options: argparse.Namespace) -> int:
    async with _store(work, settings) as store:
        registry = UpstreamRegistry(settings.upstreams)
        wishes = KeyWishes(store, KeyEncryption(settings.master_keys), registry, wall)
        await work(
            KeyCommandContext(settings, wishes, KeyCommands(wishes, settings.key_slots, trial(settings))), options
        )
    return 0


@asynccontextmanager
async def _store(work: KeyCommandVerb, settings: Settings) -> AsyncIterator[Store]:
    """The store. Before the first start there is none, and the keys of the settings can be looked at all the same.

    Raises StoreError if there is none and more than that is wanted.
    """
    missing = missing_store(settings)
    if missing is None:
        async with store_for(settings.store_url, settings.store_driver) as store:
            yield store
    elif work in (_list, _check):
        print(f"There is no store at {missing}: these are the keys of the settings alone.", file=sys.stderr)
        with TemporaryDirectory(prefix="fairgate-") as folder:
            async with store_for(f"{SQLITE}{folder}/empty.db") as store:
                yield store
    else:
        raise StoreError(f"there is no store at {missing}; {HOW_TO_FIND_IT}")


def _terms(add: argparse.ArgumentParser) -> argparse.ArgumentParser:
    where = add.add_mutually_exclusive_group(required=True)
    where.add_argument("--upstream", metavar="NAME", help="use it like the other keys of this upstream")
    where.add_argument("--dialect", action="append", choices=DIALECTS, help="or: what its upstream speaks")
    add.add_argument("--name", metavar="NAME", help="of an upstream of its own")
    add.add_argument(
        "--base-url", type=_parsed(parsers.base_url), metavar="URL", help="the provider's own, if not said"
    )
    add.add_argument("--models", type=_parsed(_words), metavar="A,B", help="all that the upstream lists, if not said")
    _bounds(add, _parsed)
    add.add_argument("--group", action="append", dest="groups", metavar="NAME", help="who may use it; all, if not said")
    add.add_argument("--monthly-cap-usd", type=_parsed(_amount), metavar="USD")
    add.add_argument("--kind", choices=KINDS, help="what its upstream is, where the address does not show it")
    add.add_argument("--api-version", metavar="VERSION", help="of Azure's dated API")
    add.add_argument(
        "--model-name", action="append", dest="names", metavar="OURS=THEIRS", help="what the upstream calls a model"
    )
    add.add_argument(
        "--header", action="append", dest="headers", metavar="'NAME: VALUE'",
        help="sent with this key, such as OpenAI-Organization; what is secret belongs in UPSTREAMS_FILE",
    )  # fmt: skip
    add.add_argument("--untested", action="store_true", default=None, help="save it though a test does not let it in")
    return add


def _bounds(
    parser: argparse.ArgumentParser, reading: Callable[[Callable[[str], int]], Callable[[str], object]]
) -> None:
    """The options that a key has when it is added and when it is changed; `reading` makes the reader of a number."""
    parser.add_argument("--slots", type=reading(parsers.whole(1, 10_000)), metavar="N", help="requests in flight")
    for limit in LIMITS:
        parser.add_argument(f"--{limit}", type=reading(parsers.whole(1, MOST)), metavar="N")
    parser.add_argument("--organisation", metavar="NAME", help="keys of one organisation share limits")
    parser.add_argument("--owner", metavar="NAME", help="whose it is")


def _changes(change: argparse.ArgumentParser) -> None:
    change.add_argument("key", metavar="FINGERPRINT")
    change.add_argument("--models", type=_parsed(_words), metavar="A,B", help="if its upstream lists none")
    _bounds(change, _or_none)
    change.add_argument("--group", action="append", dest="groups", metavar="NAME", help="who may use it; '' is all")
    cap = "of all keys of its upstream together, at most"
    change.add_argument("--monthly-cap-usd", type=_or_none(_amount), metavar="USD", help=cap)


def _or_none(parse: Callable[[str], T]) -> Callable[[str], T | str]:
    """An option that '' takes away."""
    parsed = _parsed(parse)
    return lambda text: parsed(text) if text else ""


def _words(text: str) -> list[str]:
    return list(parsers.words(text))


def _amount(text: str) -> str:
    """Dollars as they were written, once it is certain that they can be read."""
    parsers.micro_usd(text)
    return text


def _parsed(parse: Callable[[str], T]) -> Callable[[str], T]:
    def typed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return typed


async def _list(room: KeyCommandContext, options: argparse.Namespace) -> None:
    columns: Columns[ListedKey] = {
        **_NAMED,
        "models": lambda each: ", ".join(each.spec.models) or "all its models",
        "state": lambda each: ", ".join(["added"] * each.added + ["paused"] * each.paused) or None,
    }
    show(room.settings, options, await _keys(room.wishes), _key_json, columns)


def _show_one(settings: Settings, options: argparse.Namespace, ask: AskSecret) -> int:
    """What the running gateway knows of a key: the sentences of its card."""
    key = asked(settings, f"/api/admin/keys/{quote(options.key, safe='')}", ask)
    if options.json:
        print_json([key])
        return 0
    print(f"{key['upstream']}  {key['id']}  {key['hint']}  {key['state']}")
    sentences = [*key["why"], *key["next"], *filter(None, [key["check"]]), *key["left"]]
    sentences.append(f"Owner: {key['owner'] or 'not said'}.")
    print("\n".join(plain(each) for each in sentences))
    return 0


async def _check(room: KeyCommandContext, options: argparse.Namespace) -> None:
    """Ask about every key; KeyWishError if any is not let in."""
    found, registry = [], UpstreamRegistry(room.settings.upstreams)
    upstreams = Upstreams(registry.route, Patience(), egress(room.settings))
    try:
        for key in await _keys(room.wishes):
            found.append((key, await _found(room.wishes, key, registry, upstreams)))
    finally:
        await upstreams.close()
    show(room.settings, options, found, _checked_json, _CHECKED)
    if any(check.state != "ready" for _, check in found):
        raise KeyWishError("not every key is let in")


def _key_json(key: ListedKey) -> dict[str, Any]:
    """As in the API, but for how it stands in a running gateway, which is not asked."""
    return {**key_json(key), "state": None, "running": None}


def _checked_json(checked: Checked) -> dict[str, Any]:
    """The state is what the check found."""
    key, check = checked
    return {**_key_json(key), "state": check.state, "models": check.models, "detail": _detail(check)}


def _detail(check: prober.Check) -> str:
    return f"{f'{len(check.models)} models' if check.state == 'ready' else check.detail}{check.hint}"


async def _keys(wishes: KeyWishes) -> list[ListedKey]:
    """All keys. That there is none is said, beside the output."""
    keys = await wishes.keys()
    if not keys:
        print("There is no key: name one in .env (OPENAI_KEY, ANTHROPIC_KEY) or add one (`key add`).", file=sys.stderr)
    return keys


async def _found(wishes: KeyWishes, key: ListedKey, registry: UpstreamRegistry, upstreams: Upstreams) -> prober.Check:
    try:
        if key.added:
            registry.add(key.spec, await wishes.secret(key.id))
    except KeyEncryptionError:
        return prober.Check("unclear", "it cannot be decrypted with these MASTER_KEYS")
    return await prober.check(upstreams, key.id, key.spec)


async def _add(room: KeyCommandContext, options: argparse.Namespace) -> None:
    await room.wishes.insist_on_same_master()
    if options.upstream:
        await room.wishes.terms(options.upstream)  # so that no secret is typed in vain
    key = await room.commands.add(OPERATOR, options.ask().strip(), _said(options))
    print(f"{key.spec.name:<16} {key.id}  {key.hint}  added")
    print(f"Running gateways use it within {room.settings.keys_poll_seconds:g} seconds.", file=sys.stderr)


def _said(options: argparse.Namespace) -> dict[str, Any]:
    """The options that were given of the key, by the names of their fields in the table of resources."""
    said = {name: getattr(options, name, None) for name in FIELDS_SAID}
    return {name: value for name, value in said.items() if value is not None}


async def _change(room: KeyCommandContext, options: argparse.Namespace) -> None:
    wanted = _said(options)
    if not wanted:
        raise KeyWishError("say what is to change, such as --slots 4")
    if wanted.get("groups") == [""]:
        wanted["groups"] = []
    key = await room.commands.change(OPERATOR, options.key, wanted)
    print(f"{key.spec.name:<16} {key.id}  {key.hint}  changed")
    print(f"Running gateways use it so within {room.settings.keys_poll_seconds:g} seconds.", file=sys.stderr)


async def _pause(room: KeyCommandContext, options: argparse.Namespace) -> None:
    await room.commands.pause(OPERATOR, options.key)


async def _resume(room: KeyCommandContext, options: argparse.Namespace) -> None:
    await room.commands.resume(OPERATOR, options.key)


async def _remove(room: KeyCommandContext, options: argparse.Namespace) -> None:
    insist(options, *of_key_removal(await room.wishes.keys(), options.key).lines())
    await room.commands.remove(OPERATOR, options.key)


async def _recheck(room: KeyCommandContext, options: argparse.Namespace) -> None:
    await room.commands.recheck(OPERATOR, options.key)


async def _rotate(room: KeyCommandContext, _: argparse.Namespace) -> None:
    print(f"{await room.wishes.rotate(OPERATOR)} keys are encrypted with the first of MASTER_KEYS now.")


def _new_master(_: Settings, __: argparse.Namespace) -> int:
    print(new_master())
    print(
        "Put it into MASTER_KEYS, before the ones that are there. If it is lost, the added keys are lost, too.",
        file=sys.stderr,
    )
    return 0


_NAMED: Columns[ListedKey] = {
    "upstream": lambda each: each.spec.name,
    "id": lambda each: each.id,
    "hint": lambda each: each.hint,
}
_CHECKED: Columns[Checked] = {
    "upstream": lambda each: each[0].spec.name,
    "id": lambda each: each[0].id,
    "hint": lambda each: each[0].hint,
    "state": lambda each: each[1].state,
    "detail": lambda each: _detail(each[1]),
}
