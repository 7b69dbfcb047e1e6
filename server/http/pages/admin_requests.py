"""`/admin/requests`: the requests of all people, to be found by person, id, status, key, model, token and day."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import NamedTuple

from server.admin.request_search import REFUSED, STATUSES, FoundRequest, FoundRequests, search
from server.http.pages.admin import AdminPage
from server.http.pages.me_requests import FILTERS, chosen, either_view, explained, models_of, order
from server.http.reports import NO_PERSON
from server.http.streaming import stream
from server.ledger.export import (
    CSV_TYPE,
    REFUSED_COLUMNS,
    REQUEST_COLUMNS,
    Fields,
    Layout,
    layout,
    refused_fields,
    request_fields,
)
from server.ledger.refused import RefusedRequest
from server.ledger.reports import Ranking, Which
from server.store.base import Person, Store
from server.wire.errors import InvalidValue, UnknownId
from web import render_admin, render_me
from web.listing import Listing
from web.view_me import RequestsView
from web.wording import Wording

REQUESTS = "/admin/requests"
PAGE, EXPORT_PAGE = 50, 250  # requests


class RequestChoice(NamedTuple):
    """What the address asks for."""

    filters: Mapping[str, str]
    which: Which
    refused: bool | None
    sort: str
    ranking: Ranking | None


class AdminRequestsPage(AdminPage):
    """`/admin/requests?q=&status=&model=&token=&key=&first=&last=&sort=&after=`; `q`: a name, mail or request's id."""

    async def draw(self, *path: str) -> bytes:
        services, choice = self.services, await self.choice()
        await services.refused.write()
        found = await self._found(choice, self.asked("after"))
        people, tokens = await self.names(), {token.id: token.name for token in await services.store.tokens()}
        listing = Listing(REQUESTS, choice.filters, choice.sort)
        view = RequestsView(
            frame=self.frame,
            requests=tuple(either_view(row, tokens, people) for row in found.rows),
            listing=listing,
            statuses=STATUSES,
            models=await models_of(services, None),
            tokens=(),
            older=found.older,
            since_ms=found.since,
            of_all=True,
            files=tuple(_files(choice, found.since)),
        )
        return render_admin.requests_html(view)

    async def choice(self) -> RequestChoice:
        """What the address asks for. Raises InvalidValue."""
        filters = {name: self.asked(name) for name in ("q", "key", *FILTERS)}
        person = None if not filters["q"] or _is_id(filters["q"]) else await self._person(filters["q"])
        which, refused = chosen(self, filters, person)
        return RequestChoice(filters, which, refused, *order(self, refused))

    async def _person(self, query: str) -> str:
        """The person whose name or mail this is, whole or in part, if it is but one's."""
        found = await self.services.people.find(query, limit=2)
        exact = [each for each in found if query in (each.name, each.email)]
        if len(exact or found) > 1:
            raise InvalidValue("q")
        return (exact or found)[0].id if found else NO_PERSON

    async def _found(self, choice: RequestChoice, behind: str) -> FoundRequests:
        store, query = self.services.store, choice.filters["q"]
        if not _is_id(query):
            return await search(store, choice.which, behind, PAGE, refused=choice.refused, ranking=choice.ranking)
        found = await store.usage(query) or await store.refused_request(query)
        return FoundRequests((found,) if found is not None else (), None)


class RequestsFile(AdminRequestsPage):
    """`/admin/requests.csv`: all that the filters of the page mean; refused ones, where the status says so.

    Sorted by a figure, it holds the window of the page (`request_search.WINDOW`).
    """

    async def get(self, *path: str) -> None:
        choice = await self.choice()
        if _is_id(choice.filters["q"]):
            raise InvalidValue("q")  # one request is no file, and all of them are not what was asked for
        await self.services.refused.write()
        self.set_header("Content-Type", CSV_TYPE)
        self.set_header("Content-Disposition", 'attachment; filename="fairgate-requests.csv"')
        table = layout("csv", REFUSED_COLUMNS if choice.refused else REQUEST_COLUMNS)
        await stream(self, _lines(self.services.store, choice, table, await self.names()))


class AdminExplainPage(AdminPage):
    """`/admin/requests/ID`: how a request of anyone's went."""

    async def draw(self, *path: str) -> bytes:
        (request_id,) = path
        person = await self._maker_of(request_id)
        view = await explained(self.services, self.frame, person, request_id, REQUESTS, of_another=True)
        return render_me.explain_html(view, "admin requests")

    async def _maker_of(self, request_id: str) -> Person:
        """The person who made a request. Raises UnknownId."""
        services = self.services
        found = await services.store.usage(request_id) or await services.store.refused_request(request_id)
        live = {each.id: each.person for each in await services.everywhere.live()} if found is None else {}
        person_id = live.get(request_id) if found is None else found.person_id
        person = None if person_id is None else await services.store.person(person_id)
        if person is None:
            raise UnknownId
        return person


def _files(choice: RequestChoice, since: int | None) -> Iterator[tuple[str, str]]:
    """The files that hold what the page shows: served and refused requests have columns of their own.

    One in the order of a figure would lack what arrived before `since`, so that one is the newest first.
    """
    file = Listing(f"{REQUESTS}.csv", choice.filters, choice.sort if since is None else "")
    if _is_id(choice.filters["q"]):
        return
    if not choice.refused:
        yield Wording("Export CSV"), file.address()
    if choice.refused or choice.which.status is None:
        yield Wording("Export refused (CSV)"), file.address(status=REFUSED, sort="")


def _is_id(query: str) -> bool:
    return query.startswith("req_")


async def _lines(
    store: Store, choice: RequestChoice, table: Layout, people: Mapping[str, str]
) -> AsyncGenerator[bytes, None]:
    yield table.head
    refused, ranking, behind = bool(choice.refused), choice.ranking, ""
    while True:
        found = await search(store, choice.which, behind, EXPORT_PAGE, refused=refused, ranking=ranking)
        if found.rows:
            yield table.page([_fields(row, people.get(row.person_id, row.person_id)) for row in found.rows])
        if found.older is None:
            return
        behind = found.older


def _fields(row: FoundRequest, user: str) -> Fields:
    return refused_fields(row, user) if isinstance(row, RefusedRequest) else request_fields(row, user)
