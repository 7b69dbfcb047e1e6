"""The verb `python -m server queue`: what runs and waits now, by model and person, as the running gateway says it."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from server.cli.output import lists, print_json, print_table
from server.cli.running import asked
from server.config.settings import Settings
from web.formatting import seconds

Live = Sequence[Mapping[str, Any]]  # requests, as the API shows them
MODELS = ("model", "running", "waiting", "wait", "people")
FLOWS = ("model", "person", "running", "waiting", "wait")


def add_verb(parser: argparse.ArgumentParser, ask: Callable[[], str]) -> None:
    """Add the arguments of `queue` to its parser; `ask` gives a token where there is no ADMIN_KEY."""
    lists(parser)
    parser.set_defaults(verb=partial(_queue, ask=ask))


def _queue(settings: Settings, options: argparse.Namespace, ask: Callable[[], str]) -> int:
    live: Live = asked(settings, "/api/admin/queue", ask)["data"]
    if options.json:
        print_json(live)
    elif live:
        print_table(settings, MODELS, by_model(live))
        print()
        print_table(settings, FLOWS, by_flow(live))
    else:
        print("No request runs or waits.")
    return 0


def by_model(live: Live) -> list[Sequence[object]]:
    """Of each model: how many run and wait, the range of the waits that are left, and how many people those are."""
    return [
        (model, *_figures(mine), len({each["person"] for each in mine}))
        for model, mine in _grouped(live, "model").items()
    ]


def by_flow(live: Live) -> list[Sequence[object]]:
    """The same of each person at each model."""
    return [
        (model, theirs[0]["name"], *_figures(theirs))
        for model, mine in _grouped(live, "model").items()
        for theirs in _grouped(mine, "person").values()
    ]


def _grouped(live: Live, by: str) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for each in sorted(live, key=lambda each: str(each[by])):
        found.setdefault(each[by], []).append(each)
    return found


def _figures(live: Live) -> tuple[int, int, str | None]:
    waits = [each["expected_seconds"] for each in live if each["state"] == "queued"]
    return len(live) - len(waits), len(waits), _range(waits)


def _range(waits: Sequence[float]) -> str | None:
    if not waits:
        return None
    least, most = seconds(min(waits)), seconds(max(waits))
    return least if least == most else f"{least} – {most}"
