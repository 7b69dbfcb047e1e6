"""The API document's entries for the handlers that are older than its table: their shapes, in its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.admin.request_search import RANKINGS
from server.config.openapi import CSV, JSON, Description
from server.config.shapes import Flag, Instant, Many, Maybe, Number, Shape, Text, Thing, Whole, Word
from server.ledger.export import REFUSED_COLUMNS, REQUEST_COLUMNS, sum_columns
from server.ledger.question import GROUPINGS
from server.ledger.usage import Outcome

NUMBERS = frozenset({"attempts", "images", "audio_ms", "requests", "average_tokens"})
FLAGS = frozenset({"streamed", "client_aborted", "estimated"})
FACTS = Thing({}, open=True)  # further facts may be added

ANY = Text(None)
FILTERS: Mapping[str, Shape] = {
    "group": ANY,
    "token": ANY,
    "model": ANY,
    "status": Word(tuple(Outcome)),
    "after": Instant(),
    "before": Instant(),
}
BY = Text(pattern=rf"({'|'.join(GROUPINGS)})(,({'|'.join(GROUPINGS)}))*")


def _column(name: str) -> Shape:
    if name in FLAGS:
        return Flag()
    if name in NUMBERS or name.endswith(("_tokens", "_ms", "_micro_usd")):
        return Maybe(Whole())
    return Maybe(Text(1000, least=0))


OF_REFUSED = {name: FILTERS[name] for name in ("token", "model", "after", "before")}
_REFUSED: Mapping[str, Shape] = {name: _column(name) for name in REFUSED_COLUMNS}
REFUSED = Thing({**_REFUSED, "count": Whole(), "status": Whole()}, name="RefusedRequest")
REQUEST = Thing({name: _column(name) for name in REQUEST_COLUMNS}, name="Request")
SUM_MEMBERS: Mapping[str, Shape] = {name: _column(name) for name in sum_columns(())}
SUM = Thing(SUM_MEMBERS, name="Sum")
GROUPED = Thing(SUM_MEMBERS, {name: Maybe(Text(1000, least=0)) for name in GROUPINGS}, name="GroupedSum")
SUMS: Mapping[str, Shape] = {
    "after": Maybe(Instant()),
    "before": Maybe(Instant()),
    "timezone": Text(),
    "by": Many(Word(tuple(GROUPINGS))),
    "data": Many(GROUPED, 10_000),
    "more": Flag(),
    "total": SUM,
}
MODEL = Thing(
    {"id": Text(1000), "object": Word(("model",)), "created": Whole(), "owned_by": Text()}, name="Model", open=True
)
ME = Thing(
    {
        "name": Text(),
        "admin": Flag(),
        "groups": Many(Text(), 10_000),
        "token": Maybe(
            Thing(
                {
                    "id": Text(),
                    "name": Text(),
                    "hint": Text(),
                    "created_at": Instant(),
                    "expires_at": Maybe(Instant()),
                }
            )
        ),
        "limits": Many(
            Thing(
                {
                    "limit": Text(2000),
                    "scope": Text(),
                    "unit": Text(),
                    "window": Text(),
                    "models": Text(1000),
                    "most": Whole(),
                    "taken": Whole(),
                    "remaining": Whole(),
                    "resets_at": Maybe(Instant()),
                }
            ),
            10_000,
        ),
        "content_logging": Flag(),
        "content_days": Whole(),
        "content_readers": Many(Text()),
    },
    name="Me",
)
HEALTH = Thing({"status": Word(("ok",))})
READINESS = Thing(
    {"status": Word(("ready", "unready")), "problems": Many(Text()), "warnings": Many(Text(10_000), 10_000)}
)
STANDING = Thing(
    {
        "model": Text(1000),
        "position": Whole(),
        "wait_seconds": Number(0, 1e9),
        "wait_latest_seconds": Number(0, 1e9),
        "would_wait": Flag(),
    }
)
PAGE = Thing({"data": Many(REQUEST, 1000), "next_cursor": Maybe(Text(1000))}, {"since": Maybe(Instant())})


def _get(path: str, summary: str, role: str, answer: Shape, **more: Any) -> Description:
    return Description(method="GET", path=path, summary=summary, role=role, answer=answer, **more)


def _sums(path: str, summary: str, answer: Shape, query: Mapping[str, Shape]) -> Description:
    asked = {"by": BY, "limit": Whole(1, 10_000), "format": Word(("json", "csv")), **query}
    return _get(path, summary, "caller", answer, gives=(JSON, CSV), query=asked)


DESCRIPTIONS = (
    _get("/v1/models", "Models that the caller may use", "caller", Thing({"object": ANY, "data": Many(MODEL)})),
    _get("/v1/models/{model}", "One of them", "caller", MODEL),
    _get("/status.json", "How the gateway is", "public", Thing({"state": ANY}, open=True)),
    _get("/healthz", "Whether the gateway runs", "public", HEALTH),
    _get("/api/hello", "The same, as Claude Code asks it", "public", HEALTH),
    _get("/readyz", "Whether requests may be sent here", "public", READINESS, unready=True),
    _get("/openapi.json", "This document", "public", Thing({"openapi": ANY}, open=True)),
    _get("/api/explain/{request}", "What became of a request of mine", "caller", FACTS),
    _get(
        "/api/queue",
        "Where a short request of mine would stand now",
        "caller",
        STANDING,
        needs={"model": ANY},
        query={"dialect": Word(("openai", "anthropic"))},
        looks_up=True,
    ),
    _sums("/api/usage", "Sums of what was used", Thing(SUMS), {"user": ANY, **FILTERS}),
    _get(
        "/api/requests",
        "Single requests, the newest first or by a figure",
        "caller",
        PAGE,
        query={"user": ANY, "limit": Whole(1, 1000), "cursor": ANY, "sort": Word(tuple(RANKINGS)), **FILTERS},
    ),
    _get(
        "/api/requests/refused",
        "Requests that were refused, the newest first",
        "caller",
        Thing({"data": Many(REFUSED, 1000), "next_cursor": Maybe(Text(1000))}),
        query={"user": ANY, "limit": Whole(1, 1000), "cursor": ANY, **OF_REFUSED},
    ),
    _get(
        "/api/requests/export",
        "Single requests as a file",
        "caller",
        Many(REQUEST, 10**9),
        gives=(CSV, JSON, "application/jsonl"),
        query={"user": ANY, "format": Word(("csv", "jsonl", "json")), **FILTERS},
    ),
    _get("/api/me", "Who I am here, and my limits", "caller", ME),
    _sums("/api/me/usage", "What I have used", Thing({**SUMS, "today": SUM, "this_month": SUM}), FILTERS),
)
