"""The command line: `fairgate`, or `python -m server`, runs the gateway, with a verb it does one thing and ends.

Exit codes: 0, 1 if what was asked cannot be done, 2 if the settings or the arguments cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from server.accounting.journal import JournalError
from server.bootstrap.demo import DemoError
from server.cli import backup as cli_backup
from server.cli import coming_over as cli_coming_over
from server.cli import courses as cli_courses
from server.cli import keys as cli_keys
from server.cli import ledger as cli_ledger
from server.cli import notify as cli_notify
from server.cli import people as cli_people
from server.cli import queue as cli_queue
from server.cli import requests as cli_requests
from server.cli import store as cli_store
from server.cli import tokens as cli_tokens
from server.cli.completion import complete
from server.cli.context import Add
from server.config import settings_docs
from server.config.settings import Settings, SettingsError, load
from server.policy.commands import CommandError
from server.store.base import StoreError
from server.store.identity import ForeignStoreError
from server.workers.role import Role, workers_of

T = TypeVar("T")
COMMAND = "fairgate"  # as it is installed
REFUSALS = (
    CommandError,
    DemoError,
    ForeignStoreError,
    JournalError,
    StoreError,
)


def main(argv: Sequence[str] | None = None, ask_secret: cli_keys.AskSecret = cli_keys.ask_secret) -> int:
    """Do what the arguments say and return the exit code. `ask_secret` gives an upstream key that is to be added."""
    parser = _parser(ask_secret)
    complete(parser)
    options = parser.parse_args(argv)
    given = {
        "HOST": options.host,
        "PORT": options.port,
        "STORE_URL": options.store,
        "DEMO": options.demo,
        "WORKERS": options.workers,
    }
    try:
        return int(options.verb(load(given), options))
    except SettingsError as error:
        print("fairgate cannot start with these settings:", *error.mistakes, sep="\n  ", file=sys.stderr)
        return 2
    except REFUSALS as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser(ask_secret: cli_keys.AskSecret) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=COMMAND if Path(sys.argv[0]).stem == COMMAND else "python -m server",
        description="Share LLM keys fairly. Without a verb: run the gateway.",
        epilog=settings_docs.help_text(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{COMMAND} {_version()}")
    parser.add_argument("--host", help="the address to listen on (HOST)")
    parser.add_argument("--port", help="the port to listen on (PORT)")
    parser.add_argument("--workers", metavar="N", help="how many processes serve requests (WORKERS)")
    parser.add_argument("--store", metavar="URL", help="where people, tokens and usage are kept (STORE_URL)")
    parser.add_argument(
        "--demo", action="store_const", const="on", help="answer with a small local model, too (DEMO=on)"
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)  # the supervisor starts its children with it
    parser.set_defaults(verb=_run)
    nouns = parser.add_subparsers(title="verbs", metavar="VERB", required=False)
    cli_people.add_verbs(nouns, _in_loop)
    cli_tokens.add_verbs(nouns, _in_loop)
    courses = nouns.add_parser("course", help="create COURSE | list | code, close, view COURSE")
    cli_courses.add_verbs(Add(courses, _in_loop))
    keys = nouns.add_parser(
        "key", help="list | add | show, pause, resume, recheck, remove KEY | check | new-, rotate-master"
    )
    cli_keys.add_verbs(keys, _in_loop, ask_secret)
    cli_ledger.add_verbs(nouns, _in_loop)
    cli_store.add_verbs(nouns, _in_loop)
    cli_coming_over.add_verbs(nouns, _in_loop)
    cli_requests.add_verbs(Add(nouns.add_parser("request", help="list | explain ID"), _in_loop))
    cli_notify.add_verbs(Add(nouns.add_parser("notify", help="list | test | new-secret"), _in_loop))
    cli_backup.add_verb(nouns.add_parser("backup", help="FILE: copy the embedded store while the gateway runs"))
    cli_queue.add_verb(nouns.add_parser("queue", help="what runs and waits now at the running gateway"), ask_secret)
    nouns.add_parser("docs", help="rewrite the files that are made from the settings").set_defaults(verb=_docs)
    return parser


def _version() -> str:
    try:
        return version(COMMAND)
    except PackageNotFoundError:
        return "(not installed, so without a version)"


def _run(settings: Settings, options: argparse.Namespace) -> int:
    try:
        return _in_loop(_gateway(settings, options))
    except OSError as error:  # all else that may fail has an error of its own
        print(f"fairgate cannot listen on {settings.host} port {settings.port}: {error.strerror}", file=sys.stderr)
        return 1


def _gateway(settings: Settings, options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    """The gateway: in this process, or in several, of which this one may be a child."""
    # The imports are late: the verbs need neither Tornado nor the pool, and the supervisor little of them.
    announce = partial(print, flush=True)
    if options.child is not None:
        from server.bootstrap.children import run_child

        return run_child(settings, Role.read(options.child))
    if workers_of(settings) > 1:
        from server.bootstrap.supervise import supervise

        return supervise(settings, _passed_on(options), announce)
    from server.bootstrap.serve import serve

    return serve(settings, announce)


def _passed_on(options: argparse.Namespace) -> list[str]:
    """The options that a supervisor gives to its children, as they were given to it."""
    given = {"--host": options.host, "--port": options.port, "--store": options.store, "--workers": options.workers}
    return [word for name, value in given.items() if value is not None for word in (name, str(value))]


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


def _docs(_: Settings, __: argparse.Namespace) -> int:
    settings_docs.write()
    return 0
