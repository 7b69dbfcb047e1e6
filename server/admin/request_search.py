"""The search for requests: those on the ledger and those that were refused, in one list, the newest first.

A list that is sorted by a figure (cost, tokens, duration, wait) is one of requests on the ledger alone: those that were
refused have no figures. No index has the order of each figure for each filter, so what is sorted are the newest
`WINDOW` requests that the filters choose, and `FoundRequests.since` says where they begin. A cursor holds the bounds of
that window: what arrives while a person turns the pages moves nothing, and no request is left out or comes twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

from server.ledger.question import cursor, cursor_text
from server.ledger.refused import RefusedRequest
from server.ledger.reports import Cursor, Figure, Ranking, Which
from server.ledger.usage import Outcome, UsageRow
from server.store.base import Store
from server.wire.errors import InvalidValue

REFUSED = "refused"  # stands where an outcome does
FoundRequest = UsageRow | RefusedRequest
STATUSES = (*(each.value for each in Outcome), REFUSED)
WINDOW = 20_000  # requests that are sorted by a figure

RANKINGS = {str(each): each for figure in Figure for each in (Ranking(figure, False), Ranking(figure, True))}
_PLACE = re.compile(r"(-?[a-z]{1,16}) (\d{1,18}) (\d{1,15}) (\d{1,15}) (\S{1,128})", re.ASCII)


@dataclass(frozen=True, slots=True)
class FoundRequests:
    """A page of the list. `older`: the cursor of the page behind it, as text; None if there is none.

    `since`: when the first request of the window arrived, UTC milliseconds, if the list is sorted by a figure and the
    filters choose more than the window holds.
    """

    rows: tuple[FoundRequest, ...]
    older: str | None
    since: int | None = None


class _Window(NamedTuple):
    """The requests that are sorted: they arrived from `since` to `until`, UTC milliseconds; `since` 0 means all."""

    since: int
    until: int

    def of(self, which: Which) -> Which:
        after, before = max(self.since, which.after or 0), self.until + 1
        return replace(which, after=after, before=before if which.before is None else min(before, which.before))


def ranking_of(sort: str) -> Ranking | None:
    """The order that an address names: "cost", or "-cost" for the largest first; None for "". Raises InvalidValue."""
    if sort and sort not in RANKINGS:
        raise InvalidValue("sort")
    return RANKINGS.get(sort)


async def search(
    store: Store,
    which: Which,
    behind: str,
    count: int,
    *,
    refused: bool | None,
    ranking: Ranking | None = None,
    most: int = WINDOW,
) -> FoundRequests:
    """So many requests behind a cursor, or the first where it is "". Raises InvalidValue for a cursor that is none.

    `refused`: only those that were refused, or none of them; None: both. A refused request belongs to no group and met
    no key, so where one of them is named there are none. `most`: how many are sorted by a figure.
    """
    if ranking is not None and not refused:
        window, last = _read(behind, ranking) if behind else (await _newest(store, which, most), None)
        found = await store.usage_ranked(window.of(which), ranking, last, count + 1)
        older = _written(ranking, window, found[count - 1]) if len(found) > count else None
        return FoundRequests(tuple(found[:count]), older, window.since or None)
    return await _in_time(store, which, behind, count, refused)


async def _in_time(store: Store, which: Which, behind: str, count: int, refused: bool | None) -> FoundRequests:
    last = cursor({"cursor": behind} if behind else {})
    sent: list[UsageRow] = [] if refused else await store.usage_before(which, last, count + 1)
    has_none = refused is False or which.group is not None or which.key is not None or which.status is not None
    denied: list[RefusedRequest] = [] if has_none else await store.refused_before(which, last, count + 1)
    listed: list[FoundRequest] = sorted([*sent, *denied], key=place, reverse=True)
    return FoundRequests(tuple(listed[:count]), cursor_text(place(listed[count - 1])) if len(listed) > count else None)


def place(request: FoundRequest) -> Cursor:
    """Where a request stands in the list."""
    return (request.first_at if isinstance(request, RefusedRequest) else request.started_at), request.request_id


def figure_of(row: UsageRow, figure: Figure) -> int:
    """The figure of a row: micro-USD, tokens or milliseconds."""
    return {
        Figure.COST: row.cost_micro_usd,
        Figure.TOKENS: row.usage.input + row.usage.output,
        Figure.DURATION: row.duration_ms,
        Figure.WAIT: row.queue_ms,
    }[figure]


async def _newest(store: Store, which: Which, most: int) -> _Window:
    """The window that ends with the newest request on the ledger."""
    until, since = await store.usage_place(which, 0), await store.usage_place(which, most)
    return _Window(since or 0, until or 0)


def _written(ranking: Ranking, window: _Window, row: UsageRow) -> str:
    """A cursor, written like that of the newest first."""
    figure = figure_of(row, ranking.figure)
    return f"{ranking} {figure} {window.since} {window.until} {row.request_id}".encode().hex()


def _read(behind: str, ranking: Ranking) -> tuple[_Window, Cursor]:
    try:
        found = _PLACE.fullmatch(bytes.fromhex(behind).decode())
    except ValueError:
        raise InvalidValue("cursor") from None
    if found is None or found[1] != str(ranking):
        raise InvalidValue("cursor")
    return _Window(int(found[3]), int(found[4])), (int(found[2]), found[5])
