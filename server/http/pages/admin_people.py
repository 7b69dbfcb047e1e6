"""`/admin/people`: the people, their rights, and their usage; in and out as a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from server.admin.commands.allowances import More, allow_more
from server.admin.consequences import of_disabling, of_promotion
from server.admin.request_search import search
from server.auth.tokens import has_lapsed
from server.http.pages.admin import AdminPage
from server.http.pages.forms import Done, Form, FormError, amount_of
from server.http.pages.me_ledger import THEIRS, last_used, limit_views, token_limits, token_view
from server.http.pages.me_requests import either_view
from server.http.pages.me_tokens import pass_view, wanted, wanted_pass
from server.ledger.calendar import Calendar
from server.ledger.limits import LimitWindow, Unit, family_of
from server.ledger.reports import By, Days, Sum, Which
from server.policy.groups import LEFT
from server.store.base import Person, Token
from server.wire.errors import InvalidValue, UnknownId
from web import render_admin
from web.listing import Listing, arranged
from web.view_admin import PeopleView, PersonRow, PersonView
from web.view_me import NewSecret
from web.wording import Wording

PAGE = 50  # people
MOST = 1_000_000  # that are searched
ROWS = 15  # requests of a person
NOON_MS = 12 * 3_600_000
NOTHING = Sum()


STATES: Mapping[str, Callable[[PersonRow], bool]] = {
    "active": lambda it: not (it.disabled or it.lapsed),
    "closed": lambda it: it.disabled,
    "lapsed": lambda it: it.lapsed,
    "invited": lambda it: it.invited,
    "admin": lambda it: it.admin,
}
SORTS: Mapping[str, Callable[[PersonRow], Any]] = {
    "name": lambda it: it.name.casefold(),
    "tokens": lambda it: it.tokens,
    "spent": lambda it: it.month_micro_usd,
    "requests": lambda it: it.month_requests,
    "seen": lambda it: it.last_seen_ms,
}


class PeopleFigures(NamedTuple):
    """What is known of people beside their records, by their ids: usage and last day of this month, invitations."""

    used: Mapping[str, Sum]
    last_day: Mapping[str, str]
    invited: Mapping[str, int]


class PeoplePage(AdminPage):
    """`/admin/people?q=&group=&state=&sort=&after=`; the last one says how many people come before."""

    async def draw(self, *path: str) -> bytes:
        asked = {name: self.asked(name) for name in ("q", "group", "state")}
        if asked["state"] and asked["state"] not in STATES:
            raise InvalidValue("state")
        listing = Listing("/admin/people", asked, self.sorting(SORTS))
        rows = await self._rows(asked["q"])
        groups = sorted({name for row in rows for name in row.groups} - {LEFT})
        found = arranged([row for row in rows if _is_meant(row, asked)], listing.sort, SORTS)
        start = self._start()
        view = PeopleView(
            frame=self.frame,
            people=tuple(found[start : start + PAGE]),
            total=len(found),
            next=str(start + PAGE) if len(found) > start + PAGE else None,
            listing=listing,
            group_options=tuple((name, name) for name in groups),
        )
        return render_admin.people_html(view)

    async def _rows(self, query: str) -> list[PersonRow]:
        figures, tokens = await self.figures(), await self._tokens()
        found = await self.services.people.find(query, limit=MOST)
        return [self.row(each, figures, tokens.get(each.id, [])) for each in found]

    def _start(self) -> int:
        after = self.asked("after", "0")
        if not after.isascii() or not after.isdecimal() or len(after) > 9:
            raise InvalidValue("after")
        return int(after)

    async def add(self, form: Form) -> Done:
        email, note = form.text("email") or None, form.text("note")
        person = await self.services.people.create(self.me.id, form.needed("name"), email, form.names("groups"), note)
        return Done("person-added", f"/admin/people/{person.id}")

    async def figures(self) -> PeopleFigures:
        """Of all people."""
        store, today = self.services.store, self.services.calendar.day(self.services.wall())
        days = Days(first=f"{today[:7]}-01", last=today)
        used = {each.key[0] or "": each for each in await store.sums(days, (By.PERSON,))}
        last: dict[str, str] = {}
        for each in await store.sums(days, (By.PERSON, By.DAY)):
            person, day = (part or "" for part in each.key)
            last[person] = max(day, last.get(person, ""))
        return PeopleFigures(used, last, await self.services.invitations.pending())

    async def _tokens(self) -> dict[str, list[Token]]:
        found: dict[str, list[Token]] = {}
        for token in await self.services.store.tokens():
            found.setdefault(token.person_id, []).append(token)
        return found

    def row(self, person: Person, figures: PeopleFigures, tokens: list[Token]) -> PersonRow:
        """A line about a person, who was seen last at a login, or on a day of this month on which they asked."""
        now, month = self.services.wall(), figures.used.get(person.id, NOTHING)
        live = [it for it in tokens if it.revoked_at is None and (it.expires_at is None or now < it.expires_at)]
        day = figures.last_day.get(person.id)
        seen = [person.last_login_at or 0, within(day, self.services.calendar, now) if day else 0]
        return PersonRow(
            id=person.id,
            name=person.name,
            groups=tuple(dict.fromkeys((*person.groups, *person.claimed))),
            admin=person.admin,
            disabled=person.disabled,
            lapsed=has_lapsed(person.last_login_at, now, self.services.settings.affiliation_days),
            last_seen_ms=max(seen) or None,
            month_micro_usd=month.cost_micro_usd,
            month_requests=month.requests,
            tokens=len(live),
            invited=person.id in figures.invited,
        )


def within(day: str, calendar: Calendar, now: int) -> int:
    """A moment that stands for a day: noon, or now if it is earlier. The first is yesterday for readers in the west."""
    return min(now, calendar.starts(day) + NOON_MS)


def _is_meant(row: PersonRow, asked: Mapping[str, str]) -> bool:
    group, state = asked["group"], asked["state"]
    return (not group or group in row.groups) and (not state or STATES[state](row))


class PersonPage(PeoplePage):
    """`/admin/people/ID`"""

    async def draw(self, *path: str) -> bytes:
        services, person = self.services, await self._person(path[0])
        tokens = await services.store.tokens(person.id)
        limits, used = await token_limits(services, tokens), await last_used(services, tokens)
        await services.refused.write()
        latest = await search(services.store, Which(person_id=person.id), "", ROWS, refused=None)
        figures = await self.figures()
        line = self.row(person, figures, tokens)
        view = PersonView(
            frame=self.frame,
            person=replace(line, groups=person.groups),
            email=person.email or "",
            login=person.login or "",
            claimed=person.claimed,
            note=person.note,
            created_ms=person.created_at,
            tokens=tuple(token_view(each, limits.get(each.id), person.name, used) for each in reversed(tokens)),
            limits=await limit_views(services, person, THEIRS),
            groups=tuple(group.name for group in await services.changes.groups()),
            requests=tuple(map(either_view, latest.rows)),
            passes=tuple(map(pass_view, await services.passes.issued(person.id))),
            made=self.made,
            invited_ms=figures.invited.get(person.id),
        )
        return render_admin.person_html(view)

    async def change(self, form: Form, person_id: str) -> Done:
        changes = {
            "name": form.needed("name"),
            "email": form.text("email") or None,
            "groups": form.names("groups"),
            "note": form.text("note"),
        }
        await self.services.people.change(self.me.id, person_id, changes)
        return Done("person-changed", f"/admin/people/{person_id}")

    async def disable(self, form: Form, person_id: str) -> Done:
        person, live = await self._person(person_id), await self.services.everywhere.live()
        consequences = await of_disabling(self.services.store, person, live)
        form.insist(
            Wording("Close the access of %(name)s?", name=person.name), consequences.lines(), Wording("Close it")
        )
        return await self._set(person_id, {"disabled": True}, "person-disabled")

    async def enable(self, _: Form, person_id: str) -> Done:
        return await self._set(person_id, {"disabled": False}, "person-enabled")

    async def promote(self, form: Form, person_id: str) -> Done:
        person = await self._person(person_id)
        consequences = await of_promotion(self.services.store, person)
        form.insist(
            Wording("Make %(name)s an administrator?", name=person.name), consequences.lines(), Wording("Make them one")
        )
        return await self._set(person_id, {"admin": True}, "person-promoted")

    async def demote(self, _: Form, person_id: str) -> Done:
        return await self._set(person_id, {"admin": False}, "person-demoted")

    async def erase(self, form: Form, person_id: str) -> Done:
        person = await self._person(person_id)
        if form.needed("confirm") != person.name:
            raise FormError(Wording("Please type their name just as it stands there."))
        await self.services.privacy.erase(self.me.id, person_id)
        return Done("person-erased", "/admin/people")

    async def allow_more(self, form: Form, person_id: str) -> Done:
        """More of one limit, for this person alone."""
        person, services = await self._person(person_id), self.services
        try:
            unit, window = Unit(form.text("unit")), LimitWindow(form.text("window"))
        except ValueError:
            raise FormError(Wording("Please choose one of the limits.")) from None
        family = family_of(form.words("models"))
        more = More(unit, window, amount_of(form, "extra", unit), form.needed_end("until"), family, form.text("group"))
        await allow_more(services.changes, self.me.id, person, more, services.settings.limits, services.wall())
        return Done("limit-raised", f"/admin/people/{person_id}")

    async def invite(self, _: Form, person_id: str) -> NewSecret:
        """A link by which the person comes in for the first time."""
        made = await self.services.invitations.invite(self.maker, self.me.id, person_id)
        return NewSecret("invitation link", made.person.name, made.link(self.base_url()))

    async def withdraw(self, _: Form, person_id: str) -> Done:
        await self.services.invitations.withdraw(self.me.id, person_id)
        return Done("invitation-withdrawn", f"/admin/people/{person_id}")

    async def make_token(self, form: Form, person_id: str) -> NewSecret:
        asked = wanted(form, form.needed("kind"))
        token, secret = await self.services.tokens.create(self.maker, self.me.id, person_id, asked)
        return NewSecret("token", token.name, secret)

    async def make_pass(self, form: Form, person_id: str) -> NewSecret:
        guest, asked = form.needed("name"), wanted_pass(form, self.services.wall())
        person = await self._person(person_id)
        _, secret = await self.services.passes.issue_for(self.maker, self.me.id, person, asked)
        return NewSecret("guest pass", guest, secret)

    async def _set(self, person_id: str, changes: Mapping[str, bool], sentence: str) -> Done:
        await self.services.people.change(self.me.id, person_id, changes, self.authority)
        return Done(sentence, f"/admin/people/{person_id}")

    async def _person(self, person_id: str) -> Person:
        person = await self.services.store.person(person_id)
        if person is None:
            raise UnknownId
        return person
