"""`/admin/people/import` and `/admin/people.csv`: people in and out as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from server.admin.commands.invitations import Invitation
from server.admin.commands.people_import import ImportedPeople
from server.admin.people_csv import decoded
from server.http.pages.admin import AdminPage
from server.http.pages.forms import Form, FormError
from server.ledger.export import CSV_TYPE, safe
from server.wire.multipart import file_in, read_fields
from web import render_admin
from web.view_admin import ImportView, InvitationRow
from web.wording import Plural, Wording

SHOWN = 20  # names in the question
LARGEST_FILE = 1 << 20  # bytes; a form that holds it once more may have four times as many


class ImportPage(AdminPage):
    """`/admin/people/import`: what would happen is shown first; with one mistake nothing is changed."""

    found: ImportedPeople | None = None
    invited: Sequence[Invitation] = ()

    @property
    def largest_body(self) -> int:
        return 4 * LARGEST_FILE

    def fields(self, body: bytes) -> dict[str, str]:
        """Those of the form with the file, whose text takes the place of what was pasted, or of the question's form."""
        kind = self.request.headers.get("Content-Type", "")
        if not kind.lower().startswith("multipart/"):
            return super().fields(body)
        fields = read_fields(body, kind)
        fields.pop("file", None)
        if content := file_in(body, kind, "file"):
            fields["csv"] = decoded(content)
        return fields

    async def draw(self, *path: str) -> bytes:
        view = ImportView(self.frame)
        if self.found is not None:
            faults = tuple((each.line, f"{each.sentence}.") for each in self.found.mistakes)
            rows = tuple(_row(each, self.base_url()) for each in self.invited)
            view = ImportView(
                self.frame, self.found.added, self.found.changed, faults, rows, _table(rows), self.found.done
            )
        return render_admin.import_html(view)

    async def read(self, form: Form) -> None:
        """Show what would happen; with a yes carry it out, and show the links of those who were added."""
        services, text = self.services, form.text("csv")
        if not text or len(text) > LARGEST_FILE:
            raise FormError(Wording("Please choose a file of at most 1 MB, or paste its contents."))
        self.found = await services.people_table.read(self.me.id, text, trial=True, by=self.authority)
        if self.found.mistakes:
            return
        if form.ticked("invite"):
            await services.invitations.insist(self.maker)
        form.insist(
            Wording("Import these people?"), _consequences(self.found, form.ticked("invite")), Wording("Import them")
        )
        self.found = await services.people_table.read(self.me.id, text, by=self.authority)
        if form.ticked("invite"):
            added = await services.people_table.to_invite(self.found)
            self.invited = await services.invitations.invite_each(self.maker, self.me.id, added)
        if not self.found.mistakes:
            self.sent = None


class PeopleFile(AdminPage):
    """`/admin/people.csv`"""

    async def get(self, *path: str) -> None:
        self.set_header("Content-Type", CSV_TYPE)
        self.set_header("Content-Disposition", 'attachment; filename="fairgate-people.csv"')
        self.finish(await self.services.people_table.export())


def _consequences(found: ImportedPeople, invite: bool) -> list[str]:
    """What an import will do, in sentences."""
    lines: list[str] = [Plural("%(count)s person is added.", "%(count)s people are added.", found.added)]
    if len(found.names) > SHOWN:
        first = ", ".join(found.names[:SHOWN])
        lines.append(Wording("Added: %(names)s and %(more)s more.", names=first, more=len(found.names) - SHOWN))
    elif found.names:
        lines.append(Wording("Added: %(names)s.", names=", ".join(found.names)))
    lines.append(Plural("%(count)s is changed.", "%(count)s are changed.", found.changed))
    if invite:
        lines.append(
            Wording(
                "Those who are added, and those who have not used their invitation, get links, "
                "which the next page shows once."
            )
        )
    return lines


def _row(invitation: Invitation, base_url: str) -> InvitationRow:
    person = invitation.person
    return InvitationRow(person.name, person.email or "", invitation.link(base_url), invitation.expires_at)


def _table(rows: Sequence[InvitationRow]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("name", "email", "link"))
    writer.writerows((safe(each.name), safe(each.email), each.link) for each in rows)
    return text.getvalue()
