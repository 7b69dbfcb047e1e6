"""`/api/admin/reprice`: past requests get the cost that they have by the prices of now; first what it would come to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.admin.commands.repricing import RepriceCommands
from server.admin.repricing import RepricedTally
from server.admin.resources import AMOUNT, DAY, PRICE
from server.config.openapi import Description
from server.config.shapes import Text, Thing, Whole
from server.http.api.schemas import list_of
from server.http.api.table import Asking, Operation
from server.wire.errors import InvalidValue

REPRICED = Thing(
    {
        "model": Text(1000),
        "requests": Whole(),
        "changed": Whole(),
        "unpriced": Whole(),
        "before_micro_usd": AMOUNT,
        "after_micro_usd": AMOUNT,
    },
    name="Repriced",
)


async def preview_repricing(asking: Asking) -> object:
    """Nothing is written."""
    query = asking.query
    for name in ("first", "last"):
        if name not in query:
            raise InvalidValue(name)
    return _body(await _commands(asking).preview(query["first"], query["last"], query.get("model", "*")))


async def reprice(asking: Asking) -> object:
    body = asking.body
    return _body(await _commands(asking).reprice(body["first"], body["last"], body.get("model", "*")))


def _commands(asking: Asking) -> RepriceCommands:
    services = asking.services
    return RepriceCommands(services.store, services.changes, services.book, services.calendar, asking.actor)


def _body(tallies: Mapping[str, RepricedTally]) -> dict[str, Any]:
    return {
        "data": [
            {
                "model": model,
                "requests": each.rows,
                "changed": each.changed,
                "unpriced": each.unpriced,
                "before_micro_usd": each.before,
                "after_micro_usd": each.after,
            }
            for model, each in tallies.items()
        ]
    }


def _describe(method: str, summary: str, **more: Any) -> Description:
    return Description(method=method, path="/api/admin/reprice", summary=summary, role="admin", **more)


OPERATIONS = (
    Operation(
        _describe(
            "GET",
            "What repricing past requests would come to",
            query={"first": DAY, "last": DAY, "model": Text(1000)},
            answer=list_of(REPRICED),
        ),
        preview_repricing,
    ),
    Operation(
        _describe(
            "POST",
            "Give past requests the cost that they have by the prices of now",
            body=PRICE.body("reprice", "WantedRepricing"),
            answer=list_of(REPRICED),
        ),
        reprice,
    ),
)
