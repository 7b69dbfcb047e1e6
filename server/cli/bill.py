"""The verb `fairgate usage reconcile FILE...`: the ledger against what providers say was used."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from server.admin.commands.bill import key_pairs, reconcile, tolerated
from server.cli.context import Add, CommandContext
from server.cli.output import lists, show
from server.http.api.bill import drift_json
from server.ledger.money import usd
from server.ledger.provider_report import LARGEST_REPORT
from server.ledger.reconcile import Drift
from server.policy.commands import CommandError


def add_verb(add: Add) -> None:
    """Add the verb to those of `usage`."""
    each = lists(add("reconcile", _reconcile, "compare with the exports of OpenAI's and Anthropic's consoles or APIs"))
    each.add_argument("--key", action="append", default=[], metavar="THEIRS=OURS", help="which key of ours one is")
    each.add_argument("--tolerance", default="2", metavar="PERCENT", help="what is no drift; 2, if not said")
    each.add_argument("--all", action="store_true", help="show what agrees, too")
    each.add_argument("files", nargs="+", metavar="FILE", help="a report in CSV or JSON")


async def _reconcile(room: CommandContext, options: argparse.Namespace) -> None:
    specs = [*room.settings.upstreams, *(key.spec for key in await room.store.added_keys())]
    files = [(name, _content(name)) for name in options.files]
    found = await reconcile(room.store, specs, files, key_pairs(options.key), tolerated(options.tolerance))
    for note in found.notes:
        print(note, file=sys.stderr)
    show(room.settings, options, found.lines if options.all else found.drifting, drift_json, COLUMNS)
    print(f"{len(found.drifting):,} of {len(found.lines):,} lines drift.", file=sys.stderr)


def _content(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(LARGEST_REPORT + 1)
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}") from None


def _pair(drift: Drift, measure: str) -> str:
    """What ours says, what theirs says; a dash where the bill says nothing."""
    if measure not in drift.theirs:
        return "-"
    ours, theirs = drift.ours[measure], drift.theirs[measure]
    return f"{usd(ours)} / {usd(theirs)}" if measure == "cost_micro_usd" else f"{ours:,} / {theirs:,}"


COLUMNS = {
    "day": lambda each: each.day,
    "provider": lambda each: each.provider,
    "model": lambda each: each.model or "all",
    "key": lambda each: each.key or "all",
    "input ours / theirs": lambda each: _pair(each, "input"),
    "output ours / theirs": lambda each: _pair(each, "output"),
    "USD ours / theirs": lambda each: _pair(each, "cost_micro_usd"),
    "": lambda each: "" if each.within else "drifts",
}
