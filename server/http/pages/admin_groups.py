"""`/admin/groups`: the groups that there are, and what they give their members."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from server.http.pages.admin import AdminPage
from server.http.pages.forms import Done, Form, FormError, sentence
from server.http.pages.me_ledger import last_moment
from server.policy.groups import Group, group_body, group_of
from web import render_admin
from web.view_admin import AdminGroupsView, GroupRow

GROUPS = "/admin/groups"


class AdminGroupsPage(AdminPage):
    """`/admin/groups?edit=NAME`"""

    async def draw(self, *path: str) -> bytes:
        people = await self.services.store.people()
        names = {person.id: person.name for person in people}
        members = Counter(name for person in people for name in {*person.groups, *person.claimed})
        rows = tuple(_row(group, names, members[group.name]) for group in await self.services.changes.groups())
        wanted = self.asked("edit")
        edited = next((row for row in rows if row.name == wanted), None)
        return render_admin.admin_groups_html(AdminGroupsView(self.frame, rows, edited))

    async def save(self, form: Form) -> Done:
        """A new group, or one as it shall be; what the form does not say stays."""
        name = form.needed("name")
        known = {group.name: group_body(group) for group in await self.services.changes.groups()}
        said = {
            "weight": form.number("weight", 1.0),
            "models": list(form.words("models")),
            "running": form.whole("running"),
            "batch": form.ticked("batch"),
            "content_days": form.whole("content_days"),
            "since": form.begins("since"),
            "until": form.ends("until"),
            "teachers": [(await self.services.changes.person_named(each)).id for each in form.names("teachers")],
            "note": form.text("note"),
        }
        try:
            group = group_of(name, {**known.get(name, {}), **said})
        except ValueError as error:
            raise FormError(sentence(error)) from None
        await self.services.changes.set_group(self.me.id, group)
        return Done("group-saved", GROUPS)

    async def remove(self, _: Form, name: str) -> Done:
        await self.services.changes.remove_group(self.me.id, name)
        return Done("group-removed", GROUPS)


def _row(group: Group, names: Mapping[str, str], members: int) -> GroupRow:
    return GroupRow(
        name=group.name,
        weight=group.weight,
        models=group.models,
        running=group.running,
        batch=group.batch,
        content_days=group.content_days,
        since_ms=group.since,
        until_ms=last_moment(group.until),
        teachers=tuple(names.get(each, each) for each in group.teachers),
        joinable=bool(group.join),
        note=group.note,
        members=members,
    )
