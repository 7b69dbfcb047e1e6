"""`/admin/limits`: what may be used, by whom, and more of it for a while."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from server.admin.changes import NEW
from server.admin.consequences import of_limit_removal
from server.admin.differences import differences
from server.http.pages.admin import AdminPage
from server.http.pages.forms import Done, Form, FormError, amount_of, sentence
from server.http.pages.me_ledger import last_moment
from server.ledger.limits import Limit, LimitWindow, Scope, Unit, family_of, limit_body, limit_of
from server.policy.commands import NotThere
from web import render_admin
from web.view_admin import LimitRow, LimitsView
from web.wording import Wording

LIMITS = "/admin/limits"


class LimitsPage(AdminPage):
    """`/admin/limits`: those that were decided at run time; those of the settings hold beside them."""

    async def draw(self, *path: str) -> bytes:
        names, now = await self.names(), self.services.wall()
        rows = tuple(_row(limit, names, now) for limit in await self.services.changes.limits())
        return render_admin.limits_html(LimitsView(self.frame, rows))

    async def set_limit(self, form: Form) -> Done:
        """A new limit, or another amount in place of one for the same purpose."""
        wanted = await self._wanted(form)
        known = await self.services.changes.limit_like(wanted)
        if known is not None and known.amount != wanted.amount:
            changes = differences(limit_body(known), limit_body(replace(known, amount=wanted.amount)))
            form.insist(Wording("Change this limit?"), changes, Wording("Save these changes"))
        await self.services.changes.set_limit(self.me.id, wanted)
        return Done("limit-set", LIMITS)

    async def increase(self, form: Form, limit_id: str) -> Done:
        limit = next((each for each in await self.services.changes.limits() if each.id == limit_id), None)
        if limit is None:
            raise NotThere(Wording("there is no such limit"))
        extra = amount_of(form, "extra", limit.unit)
        await self.services.changes.raise_limit(self.me.id, limit_id, extra, form.needed_end("until"))
        return Done("limit-raised", LIMITS)

    async def remove(self, form: Form, limit_id: str) -> Done:
        consequences = await of_limit_removal(self.services.store, self.services.changes, limit_id)
        form.insist(Wording("Remove this limit?"), consequences.lines(), Wording("Remove the limit"))
        await self.services.changes.remove_limit(self.me.id, limit_id)
        return Done("limit-removed", LIMITS)

    async def _wanted(self, form: Form) -> Limit:
        try:
            scope, unit, window = Scope(form.text("scope")), Unit(form.text("unit")), LimitWindow(form.text("window"))
        except ValueError:
            raise FormError(Wording("Please choose for whom, of what and in which time.")) from None
        subject = await self._subject(form, scope)
        body = {
            "scope": scope,
            "subject": subject,
            "unit": unit,
            "window": window,
            "amount": amount_of(form, "amount", unit),
            "family": family_of(form.words("models")),
            "since": form.begins("since"),
            "until": form.ends("until"),
        }
        try:
            return limit_of(NEW, body)
        except ValueError as error:
            raise FormError(sentence(error)) from None

    async def _subject(self, form: Form, scope: Scope) -> str:
        """The id of the limit's subject; a form names a person by their name."""
        if scope is Scope.EVERYONE:
            if form.text("subject"):
                raise FormError(
                    Wording("A limit for each person has no “whose”: choose for whom it is, or empty that field.")
                )
            return ""
        subject = form.needed("subject")
        if scope is Scope.PERSON:
            return (await self.services.changes.person_named(subject)).id
        return subject


def _row(limit: Limit, names: Mapping[str, str], now: int) -> LimitRow:
    raised = bool(limit.extra) and (limit.extra_until is None or now < limit.extra_until)
    return LimitRow(
        id=limit.id,
        scope=limit.scope.value,
        subject=names.get(limit.subject, limit.subject),
        unit=limit.unit.value,
        window=limit.window.value,
        amount=limit.amount,
        models=limit.family,
        since_ms=limit.since,
        until_ms=last_moment(limit.until),
        extra=limit.extra if raised else 0,
        extra_until_ms=last_moment(limit.extra_until) if raised else None,
        person=names.get(limit.person, limit.person),
    )
