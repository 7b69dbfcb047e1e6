"""`/admin/people/import` and `/admin/people.csv`: people in and out as a table."""

from __future__ import annotations

from server.admin.commands.people_import import ImportedPeople
from server.http.pages.admin import AdminPage
from server.http.pages.forms import Form
from server.ledger.export import CSV_TYPE
from web import render_admin
from web.view_admin import ImportView


class ImportPage(AdminPage):
    """`/admin/people/import`: with one mistake nothing is changed."""

    found: ImportedPeople | None = None
    trial = False

    async def draw(self, *path: str) -> bytes:
        view = ImportView(self.frame)
        if self.found is not None:
            faults = tuple((each.line, f"{each.sentence}.") for each in self.found.mistakes)
            view = ImportView(self.frame, self.found.added, self.found.changed, faults, self.trial)
        return render_admin.import_html(view)

    async def read(self, form: Form) -> None:
        """Read the table; its result stands on the page that answers."""
        self.trial = form.ticked("trial")
        text = form.needed("csv")
        self.found = await self.services.people_table.read(self.me.id, text, trial=self.trial, by=self.authority)
        if not self.trial and not self.found.mistakes:
            self.sent = None


class PeopleFile(AdminPage):
    """`/admin/people.csv`"""

    async def get(self, *path: str) -> None:
        self.set_header("Content-Type", CSV_TYPE)
        self.set_header("Content-Disposition", 'attachment; filename="fairgate-people.csv"')
        self.finish(await self.services.people_table.export())
