"""The common parts of the command line's verbs: the opened store with `Changes` before it, days, tables."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import re
import secrets
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from server.admin.changes import Changes
from server.config.parsers import SQLITE
from server.config.settings import Settings
from server.ledger.calendar import Calendar
from server.ledger.when import instant, iso
from server.policy.commands import CommandError
from server.store import store_for
from server.store.base import Store, StoreError
from server.store.sqlite.store import database_path

T = TypeVar("T")
Work = Coroutine[Any, Any, int]
InLoop = Callable[[Work], int]

A_DAY = "a day where you live, or a time such as 2026-11-21T06:05:00Z"

HOW_TO_FIND_IT = (
    "call this in the folder of the gateway, or name the store by --store URL before the verb, or by STORE_URL. "
    "The gateway makes a store at its first start, and `store create` makes one without it"
)

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class CommandContext:
    """Where a verb does its work."""

    settings: Settings
    store: Store
    changes: Changes
    calendar: Calendar

    def begins(self, text: str) -> int:
        """UTC ms of a day's first moment, or of a time with its zone. Raises CommandError."""
        return _moment(text, self.calendar.starts)

    def ends(self, text: str) -> int:
        """The same for an end: a day is included."""
        return _moment(text, self.calendar.ends)

    def begins_if(self, text: str | None) -> int | None:
        return None if text is None else self.begins(text)

    def ends_if(self, text: str | None) -> int | None:
        return None if text is None else self.ends(text)


CommandVerb = Callable[[CommandContext, argparse.Namespace], Coroutine[Any, Any, None]]


class Add:
    """Adds verbs to a noun's parser; `in_loop` runs what they do."""

    def __init__(self, parser: argparse.ArgumentParser, in_loop: InLoop, required: bool = True) -> None:
        self._verbs = parser.add_subparsers(required=required, metavar="VERB")
        self._in_loop = in_loop

    def __call__(self, name: str, work: CommandVerb, summary: str) -> argparse.ArgumentParser:
        return hooked(self.verb(name, summary), work, self._in_loop)

    def verb(self, name: str, summary: str) -> argparse.ArgumentParser:
        """A verb with no work behind it yet."""
        parser: argparse.ArgumentParser = self._verbs.add_parser(name, help=summary, allow_abbrev=False)
        return parser


def hooked(parser: argparse.ArgumentParser, work: CommandVerb, in_loop: InLoop) -> argparse.ArgumentParser:
    """The parser, with this work behind it."""
    parser.set_defaults(verb=lambda settings, options: in_loop(in_context(work, settings, options)))
    return parser


def asks(parser: argparse.ArgumentParser) -> None:
    """An act that hurts asks before it is done."""
    parser.add_argument("--yes", action="store_true", help="do it without asking")


def creates(parser: argparse.ArgumentParser) -> None:
    """Add --new, with which a verb refuses to write over a thing that exists."""
    parser.add_argument("--new", action="store_true", help="refuse if there is one already")


def insist(options: argparse.Namespace, *lines: str) -> None:
    """Say what will happen, and ask. Raises CommandError unless the answer is yes; a script says --yes."""
    for line in lines:
        print(line)
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise CommandError("nothing is done: say --yes if that shall happen")
    if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        raise CommandError("nothing is done")


def times(parser: argparse.ArgumentParser) -> None:
    """When something begins and ends to hold."""
    parser.add_argument("--since", metavar="WHEN", help=A_DAY)
    parser.add_argument("--until", metavar="WHEN", help=f"the last day, which is included; else {A_DAY}")


def parsed(parse: Callable[[str], T]) -> Callable[[str], T]:
    """A setting's parser for an argument: argparse repeats nothing of what was typed then."""

    def typed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return typed


def read(make: Callable[[], T]) -> T:
    """The value that the arguments make together. Raises CommandError if they make no sense."""
    try:
        return make()
    except ValueError as error:
        raise CommandError(str(error)) from None


async def tell_unreadable(room: CommandContext, kind: str) -> None:
    """Name the records that a list has to leave out."""
    for record in await room.changes.unreadable():
        if record.kind == kind:
            print(f"the {kind} {plain(record.id)} cannot be read, and counts for nothing", file=sys.stderr)


async def in_context(verb: CommandVerb, settings: Settings, options: argparse.Namespace) -> int:
    """Do a verb with the store opened around it. Raises StoreError if there is none: a verb makes no empty one."""
    if (missing := missing_store(settings)) is not None:
        raise StoreError(f"there is no store at {missing}; {HOW_TO_FIND_IT}")
    async with store_for(settings.store_url, settings.store_driver) as store:
        upstreams = [spec.name for spec in settings.upstreams]
        changes = Changes(store, wall, lambda: secrets.token_hex(12), upstreams=upstreams)
        await verb(CommandContext(settings, store, changes, Calendar(settings.timezone)), options)
    return 0


def unmade_store(settings: Settings) -> Path | None:
    """Where the embedded store of these settings should be and is not; None if it is there, or is a MongoDB."""
    if not settings.store_url.startswith(SQLITE):
        return None
    path = database_path(settings.store_url).absolute()
    return None if path.exists() else path


def missing_store(settings: Settings) -> Path | None:
    """The same, where that may be a mistake: a path from the root, in a folder that is there, is none.

    It does not depend on the folder in which a verb is called, so the first verb that opens such a store makes it.
    """
    path = unmade_store(settings)
    named = path is not None and database_path(settings.store_url).is_absolute() and path.parent.is_dir()
    return None if named else path


def wall() -> int:
    return time.time_ns() // 1_000_000


def when(ms: int | None) -> str:
    """An instant for people; a dash for none."""
    return "-" if ms is None else iso(ms).replace(".000Z", "Z")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns one below the other, numbers to the right. Control characters are shown as question marks."""
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [all(_is_number(text) for text in column[1:]) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            text.rjust(width) if to_the_right else text.ljust(width)
            for text, width, to_the_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    )


def plain(text: str) -> str:
    """A text of another person that a terminal can show without harm."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else plain(str(value))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[\d,.]+|-", text) is not None


def _moment(text: str, of_day: Callable[[str], int]) -> int:
    try:
        return of_day(text) if _DAY.fullmatch(text) else instant(text)
    except ValueError:
        raise CommandError("expected a day such as 2026-11-21, or a time such as 2026-11-21T06:05:00Z") from None
