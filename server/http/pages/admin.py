"""`/admin`: what happens now, for administrators; and what their other pages share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from keypool.health import KeyState
from server.admin.commands import requests
from server.admin.commands.backup import MONGODB, pieces, snapshot
from server.admin.consequences import of_cancelling, of_cancelling_person
from server.cluster.face import short
from server.config.parsers import SQLITE
from server.http.pages.forms import Done, Form
from server.http.pages.me import MemberPage
from server.http.pages.me_ledger import spent
from server.http.streaming import stream
from server.ledger.reports import Days
from server.policy.maintenance import maintenance
from server.wire.errors import InvalidValue
from web import render_admin
from web.view_admin import AdminView, GatewayView, LiveView, MissingJournalView, QueueView
from web.wording import Plural, Wording


class AdminPage(MemberPage):
    """A page for administrators. Its role in the route table lets no one else in."""

    async def names(self) -> dict[str, str]:
        """The names of all people by id."""
        return {person.id: person.name for person in await self.services.store.people()}

    def day(self, name: str, instant: Callable[[str], int]) -> int | None:
        """The instant of a day that stands in the address; None if it says none. Raises InvalidValue."""
        if not (day := self.asked(name)):
            return None
        try:
            return instant(day)
        except (ValueError, OverflowError):
            raise InvalidValue(name) from None


class NowPage(AdminPage):
    """`/admin`"""

    async def draw(self, *path: str) -> bytes:
        services = self.services
        today = services.calendar.day(services.wall())
        view = AdminView(
            frame=self.frame,
            queues=self._queues(),
            live=await self._live(await self.names()),
            alerts=tuple(self._alerts()),
            spent=(
                await spent(services, Wording("Today"), Days(first=today, last=today)),
                await spent(services, Wording("This month"), Days(first=f"{today[:7]}-01", last=today)),
            ),
            gateways=self._gateways(),
            missing=self._missing(),
            no_backup="" if services.settings.store_url.startswith(SQLITE) else MONGODB,
        )
        return render_admin.admin_html(view)

    async def cancel(self, _: Form, request_id: str) -> Done:
        """End a request; its client hears by whom."""
        services = self.services
        live = await services.everywhere.live()
        await requests.cancel(services.changes, self.me.id, request_id, live, services.everywhere.cancel)
        return Done("cancelled", "/admin")

    async def cancel_all(self, form: Form) -> Done:
        services = self.services
        live = await services.everywhere.live()
        form.insist(Wording("End all requests?"), of_cancelling(live).lines(), Wording("End them all"))
        await requests.cancel_all(services.changes, self.me.id, live, services.everywhere.cancel)
        return Done("all-cancelled", "/admin")

    async def cancel_of(self, form: Form, person: str) -> Done:
        """End all requests of a person."""
        services = self.services
        live, name = await services.everywhere.live(), (await self.names()).get(person, person)
        form.insist(
            Wording("End all requests of this person?"),
            of_cancelling_person(live, person, name).lines(),
            Wording("End them"),
        )
        await requests.cancel_of(services.changes, self.me.id, person, name, live, services.everywhere.cancel)
        return Done("all-cancelled", "/admin")

    async def backup(self, _: Form) -> None:
        """Send a copy of the embedded store as a file."""
        services = self.services
        async with snapshot(services.changes, services.settings.store_url, self.me.id) as path:
            name = f"fairgate-{services.calendar.day(services.wall())}.db"
            self.set_header("Content-Type", "application/vnd.sqlite3")
            self.set_header("Content-Disposition", f'attachment; filename="{name}"')
            await stream(self, pieces(path))

    def _queues(self) -> tuple[QueueView, ...]:
        return tuple(
            QueueView(model.name, model.waiting, model.running, model.slots, model.people)
            for model in self.services.dispatcher.snapshot().models
        )

    async def _live(self, names: dict[str, str]) -> tuple[LiveView, ...]:
        now, live = self.services.wall(), await self.services.everywhere.seen()
        many = Counter(each.person for each in live)
        return tuple(
            LiveView(
                id=each.id,
                person=names.get(each.person, each.person),
                person_id=each.person,
                model=each.model,
                state="waiting" if each.key is None else "running",
                since_ms=now - round((each.waited if each.key is None else each.running) * 1000),
                position=each.position or None,
                wait_seconds=each.expected if each.key is None else None,
                upstream=each.upstream,
                tokens_in=each.tokens_in,
                many=many[each.person],
            )
            for each in live
        )

    def _gateways(self) -> tuple[GatewayView, ...]:
        if (face := self.services.gateways) is None:
            return ()
        return tuple(
            GatewayView(
                id=short(each.id),
                address=each.address,
                version=each.version,
                since_ms=each.since,
                heard_seconds=each.unheard,
                running=each.running,
                waiting=each.waiting,
                own=each.id == face.me,
            )
            for each in face.gateways()
        )

    def _missing(self) -> tuple[MissingJournalView, ...]:
        face = self.services.gateways
        found = face.missing() if face is not None else []
        return tuple(MissingJournalView(short(each.id), each.address, each.since) for each in found)

    def _alerts(self) -> list[str]:
        """The states that the operator should look at."""
        services, pool = self.services, self.services.dispatcher.snapshot()
        alerts: list[str] = []
        if maintenance(services.book.notices, services.wall()) is not None:
            alerts.append(Wording("Maintenance: new requests are turned away."))
        silent = [model.name for model in pool.models if not model.keys.get(KeyState.READY)]
        alerts += [Wording("No key answers for %(model)s.", model=name) for name in silent]
        dead = sum(key.state is KeyState.REVOKED for key in pool.keys)
        if dead:
            alerts.append(
                Plural("1 key is refused by the provider.", "%(count)s keys are refused by the provider.", dead)
            )
        return alerts
