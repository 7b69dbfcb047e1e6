"""`/admin/bill`: the ledger against the reports of OpenAI and Anthropic."""

from __future__ import annotations

from server.admin.commands.bill import Reconciliation, key_pairs, reconcile, tolerated
from server.http.api.table import LARGEST_FILE
from server.http.pages.admin import AdminPage
from server.http.pages.forms import Form, FormError
from server.ledger.reconcile import MEASURES, Drift
from web import render_admin
from web.view_bill import BillRow, BillView
from web.wording import Wording

MOST_ROWS = 1000


class BillPage(AdminPage):
    """`/admin/bill`: it reads, and keeps nothing of what was sent."""

    found: Reconciliation | None = None
    whole = False

    @property
    def largest_body(self) -> int:
        return LARGEST_FILE

    async def draw(self, *path: str) -> bytes:
        if self.found is None:
            return render_admin.bill_html(BillView(self.frame))
        shown = self.found.lines if self.whole else self.found.drifting
        rows = tuple(_row(each) for each in shown[:MOST_ROWS])
        counts = len(self.found.lines), len(self.found.drifting)
        return render_admin.bill_html(BillView(self.frame, rows, self.found.notes, counts, len(shown) - len(rows)))

    async def compare(self, form: Form) -> None:
        """Compare; the result stands on the page that answers."""
        sent = {name: form.text(name) for name in ("usage", "costs")}
        files = [(f"the field {name}", text.encode()) for name, text in sent.items() if text]
        if not files:
            raise FormError(Wording("Put in a report: usage, costs or both."))
        keys = key_pairs([each for each in form.text("keys").split(",") if each.strip()])
        specs = [each.spec for each in await self.services.keys.keys()]
        self.whole = form.ticked("all")
        percent = tolerated(form.text("tolerance") or "2")
        self.found = await reconcile(self.services.store, specs, files, keys, percent)


def _row(drift: Drift) -> BillRow:
    tokens, output, cost = (
        (drift.ours[name], drift.theirs[name]) if name in drift.theirs else None for name in MEASURES
    )
    return BillRow(drift.provider, drift.day, drift.model, drift.key, tokens, output, cost, drift.within)
