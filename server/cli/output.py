"""How a listing is written: a table with a head for people, or with --json a list of objects for programs.

The objects have the names, the units and the ids of the JSON API: instants are text with a zone, money is micro-USD.
Only on a terminal is the head in colour, and not where NO_COLOR is set (https://no-color.org).
"""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from server.cli.context import table
from server.config.settings import Settings

T = TypeVar("T")
Columns = Mapping[str, Callable[[T], object]]
HEAD, PLAIN = "\x1b[1;36m", "\x1b[0m"


def lists(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add --json, which every listing has."""
    parser.add_argument("--json", action="store_true", help="a list of objects, with the field names of the API")
    return parser


def print_json(objects: Sequence[Mapping[str, Any]]) -> None:
    """A list of objects, also of none."""
    print(json.dumps([dict(each) for each in objects], indent=2, ensure_ascii=True))


def print_table(settings: Settings, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table under its head; nothing, if it has no rows."""
    if rows:
        print(with_head(table(head, rows), coloured(settings, sys.stdout.isatty())))


def show(
    settings: Settings,
    options: argparse.Namespace,
    things: Sequence[T],
    as_json: Callable[[T], Mapping[str, Any]],
    columns: Columns[T],
) -> None:
    """Write things as they are asked for: `as_json` makes an object of one, `columns` what a person reads of it."""
    if options.json:
        print_json([as_json(each) for each in things])
    else:
        print_table(settings, list(columns), [[cell(each) for cell in columns.values()] for each in things])


def coloured(settings: Settings, terminal: bool) -> bool:
    """Whether colours may be shown."""
    return terminal and not settings.no_color


def with_head(text: str, colour: bool) -> str:
    """The text of a table, its head in colour if that may be."""
    head, line, rows = text.partition("\n")
    return f"{HEAD}{head}{PLAIN}{line}{rows}" if colour else text
