"""The search for requests: those on the ledger and those that were refused, in one list, the newest first."""

from __future__ import annotations

from dataclasses import dataclass

from server.ledger.refused import RefusedRequest
from server.ledger.reports import Cursor, Which
from server.ledger.usage import Outcome, UsageRow
from server.store.base import Store

REFUSED = "refused"  # stands where an outcome does
FoundRequest = UsageRow | RefusedRequest
STATUSES = (*(each.value for each in Outcome), REFUSED)


@dataclass(frozen=True, slots=True)
class FoundRequests:
    """A page of the list; `older`: the cursor of the page behind it, None if there is none."""

    rows: tuple[FoundRequest, ...]
    older: Cursor | None


async def search(
    store: Store, which: Which, behind: Cursor | None, count: int, *, refused: bool | None
) -> FoundRequests:
    """So many requests behind a cursor. `refused`: only those that were refused, or none of them; None: both.

    A refused request belongs to no group and met no key, so where one of them is named there are none.
    """
    sent: list[UsageRow] = [] if refused else await store.usage_before(which, behind, count + 1)
    has_none = refused is False or which.group is not None or which.key is not None or which.status is not None
    denied: list[RefusedRequest] = [] if has_none else await store.refused_before(which, behind, count + 1)
    found: list[FoundRequest] = sorted([*sent, *denied], key=place, reverse=True)
    page = tuple(found[:count])
    return FoundRequests(page, place(page[-1]) if len(found) > count else None)


def place(request: FoundRequest) -> Cursor:
    """Where a request stands in the list."""
    return (request.first_at if isinstance(request, RefusedRequest) else request.started_at), request.request_id
