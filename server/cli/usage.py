"""The verbs about what was used: `python -m server usage ... | journal replay`. Most of them are long work.

Ctrl-C is no harm to any of them: the same command goes on where it stopped.
"""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from server.accounting.journal import Journal
from server.admin import repricing
from server.admin.changes import OPERATOR
from server.admin.long_work import Job, Span, WorkError
from server.admin.repricing import RepricedTally, Repricing
from server.cli import bill, row_files
from server.cli import maintenance as chores
from server.cli.context import Add, CommandContext, InLoop, asks, insist, wall
from server.cli.output import lists, print_json, print_table
from server.cli.price_table import price_table
from server.cli.progress import shown
from server.cli.row_files import Found
from server.http.api.schemas import sum_json
from server.ledger.export import added
from server.ledger.limits import LimitWindow
from server.ledger.money import usd
from server.ledger.question import GROUPINGS
from server.ledger.reports import By, Days, Sum, Which

_MANY = "1970-01-02", "9998-12-30"  # all days


def add_verbs(nouns: Any, in_loop: InLoop) -> None:
    """Add the nouns `usage` and `journal`."""
    usage = nouns.add_parser("usage", help="sums | reconcile, export, import FILE | reprice | resum | purge")
    add = Add(usage, _patient(in_loop))
    each = lists(add("sums", _sums, "what was used in a month"))
    each.add_argument("--by", type=_grouping, default=(By.DAY,), metavar="A,B", help=f"of {', '.join(GROUPINGS)}")
    each.add_argument("--month", metavar="MONTH", help="such as 2026-11; this one, if not said")
    each = add("reprice", _reprice, "compute costs anew, by the prices that hold now for the time of each request")
    _days(each, required=True)
    each.add_argument("--model", default="*", metavar="PATTERN", help="such as gpt-5*")
    each.add_argument("--dry-run", action="store_true", help="only tell what would change")
    _days(add("resum", _resum, "compute the sums of days anew from their rows"), required=True)
    each = add("purge", _purge, "delete the rows of single requests; their sums by day stay")
    each.add_argument("--before", required=True, metavar="DAY")
    asks(each)
    each = add("export", _export, "write requests to a file, or to the standard output")
    each.add_argument("--format", choices=("csv", "jsonl"), default="csv")
    each.add_argument("--resume", action="store_true", help="go on behind what is in the file")
    _days(each, required=False)
    each.add_argument("file", metavar="FILE|-")
    each = add("import", _import, "put an export in jsonl on the ledger; what is there already stays as it is")
    each.add_argument("file", metavar="FILE")
    bill.add_verb(add)
    add = Add(nouns.add_parser("journal", help="replay FOLDER"), _patient(in_loop))
    each = add("replay", _replay, "write what a gateway that died has left in its journal")
    each.add_argument("folder", metavar="FOLDER")


def _patient(in_loop: InLoop) -> InLoop:
    """Print how to go on when the work is interrupted."""

    def run(work: Coroutine[Any, Any, int]) -> int:
        try:
            return in_loop(work)
        except KeyboardInterrupt:
            print("Interrupted. The same command goes on where it stopped.", file=sys.stderr)
            raise

    return run


def _days(parser: argparse.ArgumentParser, required: bool) -> None:
    parser.add_argument("--from", dest="first", required=required, metavar="DAY", help="the first day")
    parser.add_argument("--to", dest="last", required=required, metavar="DAY", help="the last day, which is included")


def _grouping(text: str) -> tuple[By, ...]:
    names = text.split(",")
    if len(set(names)) < len(names) or not GROUPINGS.keys() >= set(names):
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(GROUPINGS)}, with commas between")
    return tuple(GROUPINGS[name] for name in names)


@contextmanager
def _job(room: CommandContext, label: str, unit: str = "rows") -> Iterator[Job]:
    with shown(label, unit) as progress:
        yield Job(room.store, room.changes, OPERATOR, progress)


async def _sums(room: CommandContext, options: argparse.Namespace) -> None:
    sums = await room.store.sums(_month(room, options.month), options.by)
    names = {person.id: person.name for person in await room.store.people()} if By.PERSON in options.by else {}
    if options.json:
        print_json([sum_json(each, options.by, names) for each in sums])
        return
    head = [name for by in options.by for name, each in GROUPINGS.items() if each is by]
    rows = [[*(names.get(str(part), part) for part in each.key), *_figures(each)] for each in sums]
    total = [["total", *[""] * (len(head) - 1), *_figures(added(sums))]]
    print_table(room.settings, [*head, "requests", "input", "cached", "output", "USD"], [*rows, *total])


def _month(room: CommandContext, text: str | None) -> Days:
    """A month such as "2026-11", or this one."""
    begins = wall() if text is None else room.begins(f"{text}-01")
    ends = room.calendar.window(LimitWindow.MONTH, begins).ends_at
    assert ends is not None, "months end"
    last = room.calendar.day(ends - 1)
    return Days(first=f"{last[:7]}-01", last=last)


def _figures(found: Sum) -> list[object]:
    return [found.requests, found.input, found.cached, found.output, usd(found.cost_micro_usd)]


async def _reprice(room: CommandContext, options: argparse.Namespace) -> None:
    prices = await price_table(room.settings, room.store)
    wanted = Repricing(Span.of(room.calendar, options.first, options.last), options.model)
    work = repricing.preview if options.dry_run else repricing.reprice
    with _job(room, "repricing") as job:
        tally = await work(job, prices, wanted)
    _tell(tally, "would cost" if options.dry_run else "cost")


def _tell(tally: RepricedTally, cost: str) -> None:
    difference = tally.after - tally.before
    sign = "+" if difference > 0 else ""
    print(f"{tally.rows:,} requests; {tally.changed:,} {cost} something else or by another price.")
    print(f"Together {usd(tally.before)} USD before, {usd(tally.after)} USD now: {sign}{usd(difference)} USD.")
    if tally.unpriced:
        print(f"{tally.unpriced:,} of them have no price now, and stay as they were.")
    print("Budgets of the past stay as they are.")


async def _resum(room: CommandContext, options: argparse.Namespace) -> None:
    span = Span.of(room.calendar, options.first, options.last)
    with _job(room, "summing", "days") as job:
        rows = await chores.resum(job, span)
    print(f"The sums of {span} are those of {rows:,} rows.")


async def _purge(room: CommandContext, options: argparse.Namespace) -> None:
    before = Span.of(room.calendar, options.before, options.before).after
    if before > wall():
        raise WorkError("this day lies in the future")
    (gone,) = await room.store.usage_sums(Which(before=before), ())
    insist(
        options, f"Rows of single requests that are deleted for good: {gone.requests:,}. The sums of their days stay."
    )
    with _job(room, "purging") as job:
        purged = await chores.purge(job, before, options.before)
    print(f"{purged:,} rows are deleted; the sums of their days stay.")


async def _export(room: CommandContext, options: argparse.Namespace) -> None:
    which = Which()
    if options.first or options.last:
        span = Span.of(room.calendar, options.first or _MANY[0], options.last or _MANY[1])
        which = Which(after=span.after, before=span.before)
    names = {person.id: person.name for person in await room.store.people()}
    where = _output(options) if options.file == "-" else _file(options)
    with where as (file, found), _job(room, "exporting") as job:
        rows = await row_files.export(job, which, names, options.format, file.write, found)
    print(f"{rows:,} requests are written.", file=sys.stderr)


@contextmanager
def _output(options: argparse.Namespace) -> Iterator[tuple[BinaryIO, Found]]:
    if options.resume:
        raise WorkError("only a file can be gone on with: name one in place of -, or leave --resume out")
    try:
        yield sys.stdout.buffer, Found()
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The reader has closed the pipe. The rest goes to the null device, or else Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise WorkError("the output has no reader any more") from None


@contextmanager
def _file(options: argparse.Namespace) -> Iterator[tuple[BinaryIO, Found]]:
    """Where to write, and what is there already. Nothing is ever overwritten."""
    path = Path(options.file)
    try:
        with path.open("r+b" if options.resume and path.exists() else "x+b") as file:
            found = row_files.whole_part(file, options.format)
            file.seek(found.length)
            file.truncate()
            yield file, found
    except FileExistsError:
        raise WorkError(f"{path} is there already: --resume goes on behind what is in it") from None
    except OSError as error:
        raise WorkError(f"{path} cannot be written: {error.strerror}") from None


async def _import(room: CommandContext, options: argparse.Namespace) -> None:
    people = {person.name: person.id for person in await room.store.people()}
    with _readable(options.file) as file, _job(room, "importing", "bytes") as job:
        found = await row_files.import_rows(job, file, os.fstat(file.fileno()).st_size, people)
    print(f"{found.written:,} requests are new on the ledger; {found.repeated:,} were there. No budget was charged.")


@contextmanager
def _readable(path: str) -> Iterator[BinaryIO]:
    try:
        with Path(path).open("rb") as file:
            yield file
    except OSError as error:
        raise WorkError(f"{path} cannot be read: {error.strerror}") from None


async def _replay(room: CommandContext, options: argparse.Namespace) -> None:
    with _journal(Path(options.folder)) as journal, _job(room, "replaying", "settlements") as job:
        found = await chores.replay(job, journal)
    print(f"{found.settlements:,} settlements of the dead; {found.written:,} were not on the ledger yet.")
    if found.damaged:
        print(f"{found.damaged:,} lines were damaged.")


@contextmanager
def _journal(folder: Path) -> Iterator[Journal]:
    """Open beside those that live: their files are theirs."""
    if not folder.is_dir():
        raise WorkError(f"there is no folder {folder.absolute()}")
    journal = Journal(folder, f"replay-{secrets.token_hex(8)}")
    journal.open()
    try:
        yield journal
    finally:
        journal.close()
