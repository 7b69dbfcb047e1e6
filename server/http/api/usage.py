"""The usage: sums, single requests, and all of them as a file. Each person sees their own, an administrator all.

docs/usage-api.md describes the parameters and the answers.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence

from server.admin.request_search import ranking_of, search
from server.http.api.schemas import sum_json
from server.http.reports import ReportHandler
from server.ledger.export import (
    REQUEST_COLUMNS,
    Fields,
    added,
    layout,
    refused_fields,
    request_fields,
    sum_columns,
    sum_fields,
)
from server.ledger.question import (
    FILTERS,
    GROUPING_NAMES,
    choice,
    grouping,
    number,
    which,
    whole_days,
)
from server.ledger.refused import RefusedRequest
from server.ledger.reports import By, Cursor, Sum, Which
from server.ledger.usage import UsageRow
from server.ledger.when import iso
from server.store.base import Caller
from server.wire.errors import InvalidValue

SUMS, MOST_SUMS = 1000, 10_000
ROWS, MOST_ROWS = 100, 1000
EXPORT_PAGE = 250  # rows; to write them takes about four milliseconds, in which the gateway does nothing else


class UsageHandler(ReportHandler):
    """`GET /api/usage`: sums, grouped by what is asked for."""

    known = FILTERS | {"by", "format", "limit"}

    async def answer(self, caller: Caller, asked: Mapping[str, str]) -> None:
        by, form = grouping(asked), choice(asked, "format", "json", "csv")
        limit = number(asked, "limit", SUMS, MOST_SUMS)
        if form == "csv" and "limit" in asked:
            raise InvalidValue("limit")  # a table cannot tell that it is not the whole
        question = which(asked, await self.whose(caller, asked))
        sums = await self.sums(question, by)
        names = await self.names(caller) if By.PERSON in by else {}
        if form == "csv":
            await self.stream("usage", layout(form, sum_columns(_words(by))), _sum_pages(sums, by, names))
        else:
            self.tell({**self.scope(question, by), **_summed(sums, by, names, limit), **await self.more(caller)})

    async def sums(self, question: Which, by: Sequence[By]) -> list[Sum]:
        """Whole days from the sums by day, which are quick and outlive the rows; anything else from the rows."""
        days = whole_days(question, self.services.calendar.day)
        store = self.services.store
        return await (store.usage_sums(question, by) if days is None else store.sums(days, by))

    def scope(self, question: Which, by: Sequence[By]) -> dict[str, object]:
        """The scope of the sums: the span of time, the time zone of the days, and the grouping."""
        return {
            "after": None if question.after is None else iso(question.after),
            "before": None if question.before is None else iso(question.before),
            "timezone": str(self.services.settings.timezone),
            "by": _words(by),
        }

    async def more(self, caller: Caller) -> dict[str, object]:
        """Further members of the answer."""
        return {}


class RequestsHandler(ReportHandler):
    """`GET /api/requests`: a page of requests, the newest first or by a figure."""

    known = FILTERS | {"limit", "cursor", "sort"}

    async def answer(self, caller: Caller, asked: Mapping[str, str]) -> None:
        limit, behind = number(asked, "limit", ROWS, MOST_ROWS), asked.get("cursor", "")
        ranking = ranking_of(asked.get("sort", ""))
        question = which(asked, await self.whose(caller, asked))
        found = await search(self.services.store, question, behind, limit, refused=False, ranking=ranking)
        names = await self.names(caller)
        rows = [row for row in found.rows if isinstance(row, UsageRow)]
        window = {} if ranking is None else {"since": None if found.since is None else iso(found.since)}
        self.tell(
            {
                "data": [request_fields(row, names.get(row.person_id, row.person_id)) for row in rows],
                "next_cursor": found.older,
                **window,
            }
        )


class RefusedHandler(ReportHandler):
    """`GET /api/requests/refused`: requests that were refused, the newest first. They have no row on the ledger."""

    known = (FILTERS - {"group", "status"}) | {"limit", "cursor"}

    async def answer(self, caller: Caller, asked: Mapping[str, str]) -> None:
        limit, behind = number(asked, "limit", ROWS, MOST_ROWS), asked.get("cursor", "")
        question = which(asked, await self.whose(caller, asked))
        await self.services.refused.write()
        found = await search(self.services.store, question, behind, limit, refused=True)
        names = await self.names(caller)
        rows = [row for row in found.rows if isinstance(row, RefusedRequest)]
        self.tell(
            {
                "data": [refused_fields(row, names.get(row.person_id, row.person_id)) for row in rows],
                "next_cursor": found.older,
            }
        )


class ExportHandler(ReportHandler):
    """`GET /api/requests/export`: requests as a file, the oldest first. However many they are, few are in memory."""

    known = FILTERS | {"format"}

    async def answer(self, caller: Caller, asked: Mapping[str, str]) -> None:
        form = choice(asked, "format", "csv", "jsonl", "json")
        question = which(asked, await self.whose(caller, asked))
        pages = self._pages(question, await self.names(caller))
        await self.stream("requests", layout(form, REQUEST_COLUMNS), pages)

    async def _pages(self, question: Which, names: Mapping[str, str]) -> AsyncGenerator[list[Fields], None]:
        behind: Cursor | None = None
        while page := await self.services.store.usage_after(question, behind, EXPORT_PAGE):
            yield [request_fields(row, names.get(row.person_id, row.person_id)) for row in page]
            behind = page[-1].started_at, page[-1].request_id


def _summed(sums: Sequence[Sum], by: Sequence[By], names: Mapping[str, str], limit: int) -> dict[str, object]:
    """The first sums by themselves and all of them together."""
    return {
        "data": [sum_json(each, by, names) for each in sums[:limit]],
        "more": len(sums) > limit,
        "total": sum_fields(added(sums)),
    }


async def _sum_pages(
    sums: Sequence[Sum], by: Sequence[By], names: Mapping[str, str]
) -> AsyncGenerator[list[Fields], None]:
    for start in range(0, len(sums), EXPORT_PAGE):
        yield [sum_json(each, by, names) for each in sums[start : start + EXPORT_PAGE]]


def _words(by: Sequence[By]) -> list[str]:
    return [GROUPING_NAMES[part] for part in by]
