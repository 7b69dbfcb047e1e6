"""`/admin/groups`: the groups that there are, and what they give their members."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from server.admin.consequences import of_group_removal
from server.admin.differences import differences
from server.config.tariff_parsers import tool_price_words, tool_prices
from server.http.pages.admin import AdminPage
from server.http.pages.forms import Done, Form, FormError, sentence
from server.http.pages.me_ledger import last_moment
from server.policy.groups import Group, group_body, group_of, prices_body
from web import render_admin
from web.view_admin import AdminGroupsView, GroupRow
from web.wording import Wording

GROUPS = "/admin/groups"


class AdminGroupsPage(AdminPage):
    """`/admin/groups?edit=NAME`"""

    async def draw(self, *path: str) -> bytes:
        people = await self.services.store.people()
        names = {person.id: person.name for person in people}
        members = Counter(name for person in people for name in {*person.groups, *person.claimed})
        rows = tuple(_row(group, names, members[group.name]) for group in await self.services.changes.groups())
        wanted = path[0] if path else self.asked("edit")
        edited = next((row for row in rows if row.name == wanted), None)
        return render_admin.admin_groups_html(AdminGroupsView(self.frame, rows, edited))

    async def create(self, form: Form) -> Done:
        """A new group; one that exists is never written over."""
        group = await self._wanted(form, form.needed("name"), {})
        await self.services.changes.create_group(self.me.id, group)
        return Done("group-created", GROUPS)

    async def change(self, form: Form, name: str) -> Done:
        """Change a group; the differences are shown before they are saved. A field that the form leaves out stays."""
        before = group_body(await self.services.changes.group(name))
        group = await self._wanted(form, name, before)
        if changes := differences(before, group_body(group), await self.names()):
            form.insist(Wording("Change %(name)s?", name=name), changes, Wording("Save these changes"))
            await self.services.changes.change_group(self.me.id, group)
        return Done("group-changed", GROUPS)

    async def _wanted(self, form: Form, name: str, before: Mapping[str, Any]) -> Group:
        said = {
            "weight": form.number("weight", 1.0),
            "models": list(form.words("models")),
            "running": form.whole("running"),
            "batch": form.ticked("batch"),
            "guests": form.ticked("guests"),
            "content_days": form.whole("content_days"),
            "readers": form.text("readers").split(),
            "since": form.begins("since"),
            "until": form.ends("until"),
            "teachers": [(await self.services.changes.person_named(each)).id for each in form.names("teachers")],
            "fallback": form.text("fallback"),
            "note": form.text("note"),
        }
        try:
            said["tool_prices"] = prices_body(tool_prices(form.text("tool_prices")))
            return group_of(name, {**before, **said})
        except ValueError as error:
            raise FormError(sentence(error)) from None

    async def remove(self, form: Form, name: str) -> Done:
        removal = await of_group_removal(self.services.store, self.services.changes, name)
        form.insist(Wording("Remove %(name)s?", name=name), removal.lines(), Wording("Remove the group"))
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
        readers=group.readers,
        fallback=group.fallback,
        since_ms=group.since,
        until_ms=last_moment(group.until),
        teachers=tuple(names.get(each, each) for each in group.teachers),
        joinable=bool(group.join),
        guests=group.guests,
        tool_prices=tool_price_words(group.tool_prices),
        note=group.note,
        members=members,
    )
