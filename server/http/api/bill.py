"""`POST /api/admin/bill`: the ledger against a report of a provider."""

from __future__ import annotations

from typing import Any

from server.admin.commands.bill import key_pairs, reconcile, tolerated
from server.config.openapi import Description
from server.config.shapes import Flag, Many, Maybe, Text, Thing, Whole
from server.http.api.table import Asking, Operation
from server.ledger.reconcile import MEASURES, Drift

PLAIN = "text/plain; charset=utf-8"
_AMOUNT = Maybe(Whole(-(10**15), 10**15))
FIGURES = Thing(dict.fromkeys(MEASURES, _AMOUNT), name="BilledFigures")
DRIFT = Thing(
    {
        "provider": Text(),
        "day": Text(),
        "model": Maybe(Text()),
        "key": Maybe(Text()),
        "ours": FIGURES,
        "theirs": FIGURES,
        "within_tolerance": Flag(),
    },
    name="Drift",
)


def drift_json(drift: Drift) -> dict[str, Any]:
    """A line of the comparison. A model or key that is null: of all together. A figure that is null: not there."""
    return {
        "provider": drift.provider,
        "day": drift.day,
        "model": drift.model or None,
        "key": drift.key or None,
        "ours": {name: drift.ours.get(name) for name in MEASURES},
        "theirs": {name: drift.theirs.get(name) for name in MEASURES},
        "within_tolerance": drift.within,
    }


async def compare_bill(asking: Asking) -> object:
    specs = [each.spec for each in await asking.services.keys.keys()]
    keys = key_pairs([each for each in asking.query.get("keys", "").split(",") if each.strip()])
    percent = tolerated(asking.query.get("tolerance", "2"))
    found = await reconcile(asking.services.store, specs, [("the report", asking.text.encode())], keys, percent)
    return {"data": [drift_json(each) for each in found.lines], "notes": list(found.notes)}


OPERATIONS = (
    Operation(
        Description(
            method="POST",
            path="/api/admin/bill",
            summary="Compare the ledger with a usage or cost report of OpenAI or Anthropic, in CSV or JSON",
            role="admin",
            query={"keys": Text(10_000), "tolerance": Text(10)},
            takes=PLAIN,
            answer=Thing({"data": Many(DRIFT, 200_000), "notes": Many(Text(10_000))}, name="Reconciliation"),
        ),
        compare_bill,
    ),
)
