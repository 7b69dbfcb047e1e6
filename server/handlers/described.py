"""What the API's document tells of the handlers that are older than its table: their shapes, in its words."""

from __future__ import annotations

from collections.abc import Mapping

from server.ledger.export import REQUEST_COLUMNS, sum_columns
from server.ledger.question import GROUPINGS
from server.ledger.usage import Outcome
from server.openapi import Description
from server.shapes import Flag, Instant, Many, Maybe, Number, Shape, Text, Thing, Whole, Word

NUMBERS = frozenset({"attempts", "images", "audio_ms", "requests", "average_tokens"})
FLAGS = frozenset({"streamed", "client_aborted", "estimated"})
FACTS = Thing({}, open=True)  # what is told of further facts may grow

FILTERS: Mapping[str, Shape] = {
    "group": Text(),
    "token": Text(),
    "model": Text(),
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
    },
    name="Me",
)
HEALTH = Thing({"status": Word(("ok",))})
READINESS = Thing(
    {"status": Word(("ready", "unready")), "problems": Many(Text()), "warnings": Many(Text(10_000), 10_000)}
)
STANDING = Thing({"model": Text(1000), "position": Whole(), "wait_seconds": Number(0, 1e9), "would_wait": Flag()})
PAGE = Thing({"data": Many(REQUEST, 1000), "next_cursor": Maybe(Text(1000))})


def _get(path: str, summary: str, role: str, answer: Shape, **query: Shape) -> Description:
    return Description(method="GET", path=path, summary=summary, role=role, answer=answer, query=query)


DESCRIPTIONS = (
    _get("/v1/models", "Models that the caller may use", "caller", Thing({"object": Text(), "data": Many(MODEL)})),
    _get("/v1/models/{model}", "One of them", "caller", MODEL),
    _get("/status.json", "How the gateway is", "public", Thing({"state": Text()}, open=True)),
    _get("/healthz", "Whether the gateway runs", "public", HEALTH),
    Description(
        method="GET",
        path="/readyz",
        summary="Whether requests may be sent here",
        role="public",
        answer=READINESS,
        others={503: "Not now; `problems` says why."},
    ),
    _get("/api/explain/{request}", "What became of a request of mine", "caller", FACTS),
    _get(
        "/api/queue",
        "Where a short request of mine would stand now",
        "caller",
        STANDING,
        model=Text(1000),
        dialect=Word(("openai", "anthropic")),
    ),
    _get(
        "/api/usage",
        "Sums of what was used",
        "caller",
        Thing(SUMS),
        user=Text(),
        by=BY,
        limit=Whole(1, 10_000),
        **FILTERS,
    ),
    _get(
        "/api/requests",
        "Single requests, the newest first",
        "caller",
        PAGE,
        user=Text(),
        limit=Whole(1, 1000),
        cursor=Text(1000),
        **FILTERS,
    ),
    _get("/api/requests/export", "Single requests as a file", "caller", Many(REQUEST, 10**9), user=Text(), **FILTERS),
    _get("/api/me", "Who I am here, and my limits", "caller", ME),
    _get(
        "/api/me/usage",
        "What I have used",
        "caller",
        Thing({**SUMS, "today": SUM, "this_month": SUM}),
        by=BY,
        limit=Whole(1, 10_000),
        **FILTERS,
    ),
)
