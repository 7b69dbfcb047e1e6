"""The command line: `python -m server` runs the gateway, with a verb it does one thing and ends.

Exit codes: 0, 1 if what was asked cannot be done, 2 if the settings or the arguments cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from server import cli_keys, parsers, settings_docs
from server.accounts import AccountError, Accounts, pepper_for
from server.demo import DemoError
from server.keydesk import KeyDeskError
from server.settings import Settings, SettingsError, load
from server.store import store_for
from server.store.base import StoreError, Token
from server.vault import VaultError

T = TypeVar("T")
Verb = Callable[[Settings, argparse.Namespace], int]
AccountVerb = Callable[[Accounts, argparse.Namespace], Coroutine[Any, Any, None]]

DAY = 86_400_000  # milliseconds


def main(argv: Sequence[str] | None = None, ask_secret: cli_keys.AskSecret = cli_keys.ask_secret) -> int:
    """Do what the arguments say and return the exit code. `ask_secret` gives an upstream key that is to be added."""
    options = _parser(ask_secret).parse_args(argv)
    given = {"HOST": options.host, "PORT": options.port, "STORE_URL": options.store, "DEMO": options.demo}
    try:
        return int(options.verb(load(given), options))
    except SettingsError as error:
        print("fairgate cannot start with these settings:", *error.mistakes, sep="\n  ", file=sys.stderr)
        return 2
    except (AccountError, DemoError, KeyDeskError, StoreError, VaultError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser(ask_secret: cli_keys.AskSecret) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m server",
        description="Share LLM keys fairly. Without a verb: run the gateway.",
        epilog=settings_docs.help_text(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", help="the address to listen on (HOST)")
    parser.add_argument("--port", help="the port to listen on (PORT)")
    parser.add_argument("--store", metavar="URL", help="where people, tokens and usage are kept (STORE_URL)")
    parser.add_argument(
        "--demo", action="store_const", const="on", help="answer with a small local model, too (DEMO=on)"
    )
    parser.set_defaults(verb=_run)
    nouns = parser.add_subparsers(title="verbs", metavar="VERB", required=False)
    _user_verbs(nouns.add_parser("user", help="create NAME | list | disable NAME | enable NAME"))
    _token_verbs(nouns.add_parser("token", help="create USER [--name NAME] [--days N] | list | revoke ID"))
    keys = nouns.add_parser("key", help="list | check | add | pause, resume, recheck, remove KEY | new-, rotate-master")
    cli_keys.add_verbs(keys, _in_loop, ask_secret)
    nouns.add_parser("docs", help="rewrite the files that are made from the settings").set_defaults(verb=_docs)
    return parser


def _user_verbs(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for name, verb in (("create", _user_create), ("disable", _user_disable), ("enable", _user_enable)):
        each = verbs.add_parser(name)
        each.add_argument("user", metavar="NAME")
        each.set_defaults(verb=_account(verb))
    verbs.add_parser("list").set_defaults(verb=_account(_user_list))


def _token_verbs(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    create = verbs.add_parser("create")
    create.add_argument("user", metavar="USER")
    create.add_argument("--name", default="token", help="what the token is for")
    create.add_argument("--days", type=_days, help="how long it works; for ever if not said")
    create.set_defaults(verb=_account(_token_create))
    verbs.add_parser("list").set_defaults(verb=_account(_token_list))
    revoke = verbs.add_parser("revoke")
    revoke.add_argument("id", metavar="ID")
    revoke.set_defaults(verb=_account(_token_revoke))


def _days(text: str) -> int:
    try:
        return parsers.whole(1, 36_500)(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _run(settings: Settings, _: argparse.Namespace) -> int:
    from server.app import serve  # late: the other verbs need neither Tornado nor the pool

    try:
        return _in_loop(serve(settings, lambda text: print(text, flush=True)))
    except OSError as error:  # all else that may fail has an error of its own
        print(f"fairgate cannot listen on {settings.host} port {settings.port}: {error.strerror}", file=sys.stderr)
        return 1


def _in_loop(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where there is uvloop (not on Windows)."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _account(verb: AccountVerb) -> Verb:
    """A verb about people and tokens, with the store opened around it."""

    async def work(settings: Settings, options: argparse.Namespace) -> int:
        pepper = settings.token_pepper.reveal() if settings.token_pepper else ""
        proxy_key = settings.proxy_key.reveal() if settings.proxy_key else ""
        async with store_for(settings.store_url) as store:
            accounts = Accounts(store, settings.gatekeeper, proxy_key, pepper_for(settings.store_url, pepper))
            await verb(accounts, options)
        return 0

    return lambda settings, options: _in_loop(work(settings, options))


async def _user_create(accounts: Accounts, options: argparse.Namespace) -> None:
    person = await accounts.create_person(options.user)
    print(f"{person.name} may have tokens now: python -m server token create {person.name!r}")


async def _user_list(accounts: Accounts, _: argparse.Namespace) -> None:
    for person in await accounts.people():
        print(f"{person.name:<24} since {_day(person.created_at)}  {'disabled' if person.disabled else 'may ask'}")


async def _user_disable(accounts: Accounts, options: argparse.Namespace) -> None:
    await accounts.disable(options.user)


async def _user_enable(accounts: Accounts, options: argparse.Namespace) -> None:
    await accounts.enable(options.user)


async def _token_create(accounts: Accounts, options: argparse.Namespace) -> None:
    expires_at = None if options.days is None else _now() + options.days * DAY
    _, secret = await accounts.create_token(options.user, options.name, expires_at)
    print(secret)
    print("It is shown only now.", file=sys.stderr)


async def _token_list(accounts: Accounts, _: argparse.Namespace) -> None:
    names = {person.id: person.name for person in await accounts.people()}
    for token in await accounts.tokens():
        print(f"{token.id}  {token.hint}  {names[token.person_id]:<24} {token.name:<16} {_validity(token)}")


async def _token_revoke(accounts: Accounts, options: argparse.Namespace) -> None:
    await accounts.revoke(options.id)


def _validity(token: Token) -> str:
    if token.revoked_at is not None:
        return f"revoked {_day(token.revoked_at)}"
    if token.expires_at is None:
        return "valid"
    return f"{'valid until' if _now() < token.expires_at else 'expired'} {_day(token.expires_at)}"


def _docs(_: Settings, __: argparse.Namespace) -> int:
    settings_docs.write()
    return 0


def _day(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d")


def _now() -> int:
    return time.time_ns() // 1_000_000
