"""The verbs about requests: `python -m server request list | explain ID`."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from server.admin.changes import no_such
from server.admin.request_search import RANKINGS, REFUSED, STATUSES, place, ranking_of, search
from server.cli.context import A_DAY, Add, CommandContext, plain
from server.cli.output import Columns, lists, print_json, show
from server.ledger.export import refused_fields, request_fields
from server.ledger.money import usd
from server.ledger.refused import RefusedRequest
from server.ledger.reports import Which
from server.ledger.usage import Outcome, UsageRow
from server.ledger.when import iso
from server.policy.commands import CommandError
from web.explanations import Explanation, of_ended, of_refusal

Found = UsageRow | RefusedRequest
USUAL, MOST = 50, 10_000
BY_FIGURE = (
    "cost, tokens, duration or wait, with = and - before it the largest first (--sort=-cost); without refused ones"
)


def add_verbs(add: Add) -> None:
    """Add the verbs to the noun `request`."""
    each = lists(add("list", _list, "requests on the ledger and refused ones, the newest first"))
    each.add_argument("--user", metavar="NAME", help="of this person")
    each.add_argument("--status", choices=STATUSES, help="that ended so")
    each.add_argument("--model", metavar="MODEL", help="that asked for this model")
    each.add_argument("--token", metavar="ID", help="made with this token")
    each.add_argument("--key", metavar="FINGERPRINT", help="served by this key")
    each.add_argument("--since", metavar="WHEN", help=A_DAY)
    each.add_argument("--until", metavar="WHEN", help=f"the last day, which is included; else {A_DAY}")
    each.add_argument("--sort", choices=RANKINGS, metavar="FIGURE", help=BY_FIGURE)
    each.add_argument("--limit", type=int, default=USUAL, metavar="N", help=f"how many, {USUAL} if not said")
    each = lists(add("explain", _explain, "why a request ended as it did, and what to do"))
    each.add_argument("request", metavar="ID")


async def _list(room: CommandContext, options: argparse.Namespace) -> None:
    if not 1 <= options.limit <= MOST:
        raise CommandError(f"--limit is a number from 1 to {MOST}")
    status = options.status
    which = Which(
        person_id=None if options.user is None else await _person(room, options.user),
        token_id=options.token,
        model=options.model,
        key=options.key,
        status=Outcome(status) if status and status != REFUSED else None,
        after=room.begins_if(options.since),
        before=room.ends_if(options.until),
    )
    if options.sort and status == REFUSED:
        raise CommandError("--sort is for requests with figures: refused ones have none")
    refused, ranking = True if status == REFUSED else None, ranking_of(options.sort or "")
    found = await search(room.store, which, "", options.limit, refused=refused, ranking=ranking)
    people = {person.id: person.name for person in await room.store.people()}
    columns: Columns[Found] = {
        "ID": lambda it: it.request_id,
        "WHEN": lambda it: iso(place(it)[0]),
        "WHO": lambda it: plain(people.get(it.person_id, it.person_id)),
        "MODEL": lambda it: plain(_model(it)),
        "STATUS": _status,
        "WAIT": lambda it: "" if isinstance(it, RefusedRequest) else f"{it.queue_ms / 1000:.1f}",
        "SECONDS": lambda it: "" if isinstance(it, RefusedRequest) else f"{it.duration_ms / 1000:.1f}",
        "TOKENS": lambda it: "" if isinstance(it, RefusedRequest) else str(it.usage.input + it.usage.output),
        "USD": lambda it: "" if isinstance(it, RefusedRequest) else usd(it.cost_micro_usd),
    }
    if found.since is not None:
        print(f"Of those that arrived since {iso(found.since)}: more are not sorted.", file=sys.stderr)
    show(room.settings, options, found.rows, lambda it: _json(it, people.get(it.person_id, it.person_id)), columns)


async def _explain(room: CommandContext, options: argparse.Namespace) -> None:
    store, request_id = room.store, options.request
    found = await store.usage(request_id) or await store.refused_request(request_id)
    if found is None:
        raise no_such("request")
    person = await store.person(found.person_id)
    name, (what, advice) = found.person_id if person is None else person.name, explanation(found)
    if options.json:
        print_json([{**_json(found, name), "explanation": what, "advice": advice}])
        return
    print(what)
    print(advice)
    for label, value in _json(found, name).items():
        if value not in (None, "", 0, False):
            print(f"  {label:<20} {plain(str(value))}")


def explanation(found: Found) -> Explanation:
    """Why a request ended as it did."""
    if isinstance(found, RefusedRequest):
        return of_refusal(found.code, found.detail)
    return of_ended(found.status.value, found.error)


async def _person(room: CommandContext, name: str) -> str:
    person = await room.store.person_by_name(name)
    if person is None:
        raise no_such("person")
    return person.id


def _model(found: Found) -> str:
    return found.model if isinstance(found, RefusedRequest) else found.model_asked


def _status(found: Found) -> str:
    if isinstance(found, UsageRow):
        return " ".join(filter(None, (found.status.value, found.error)))
    return f"{REFUSED} {found.code}" + (f" x{found.count}" if found.count > 1 else "")


def _json(found: Found, name: str) -> Mapping[str, Any]:
    return refused_fields(found, name) if isinstance(found, RefusedRequest) else request_fields(found, name)
