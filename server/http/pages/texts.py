"""`/me/groups/NAME/texts` and `/admin/groups/NAME/texts`: texts that a group lets its teachers or operators read."""

from __future__ import annotations

from server.admin.commands.contents import OPERATORS, TEACHERS, ContentCommands
from server.http.api.contents import readable
from server.http.pages.forms import Form
from server.http.pages.me import MemberPage
from server.store.base import Content
from server.wire.errors import UnknownId
from web import render_me
from web.view_texts import TextsView, TextView

LONGEST = 20_000  # characters of a prompt or an answer on the page; the API gives all


class TextsPage(MemberPage):
    """For teachers of the group. The name of a person goes in; the texts stand on the page that answers."""

    reader = TEACHERS
    found: list[Content] | None = None
    whose = ""

    @property
    def contents(self) -> ContentCommands:
        return ContentCommands(self.services.store, self.services.changes, self.services.wall)

    async def draw(self, *path: str) -> bytes:
        name = path[0]
        if self.reader == TEACHERS and not await self.contents.teaches(self.me.id, name):
            raise UnknownId
        texts = tuple(
            TextView(each.request_id, each.at, readable(each.asked)[:LONGEST], readable(each.answered)[:LONGEST])
            for each in self.found or ()
        )
        return render_me.texts_html(TextsView(self.frame, name, self.reader == OPERATORS, self.whose, texts))

    async def read(self, form: Form, name: str) -> None:
        """Show the texts of a person; the reading is noted first."""
        self.whose = form.needed("person")
        self.found = await self.contents.read(self.me.id, self.reader, name, self.whose)


class OperatorsTextsPage(TextsPage):
    """The same for administrators, where the group names them."""

    reader = OPERATORS
