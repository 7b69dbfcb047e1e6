"""The administrators' pages: a view goes in, a page comes out."""

from __future__ import annotations

from web import charts
from web import environment as press
from web.view_admin import (
    AdminGroupsView,
    AdminTokensView,
    AdminUsageView,
    AdminView,
    AuditView,
    ImportView,
    KeysView,
    LimitsView,
    NoticesView,
    PeopleView,
    PersonView,
    PricesView,
)
from web.view_bill import BillView
from web.view_me import RequestsView
from web.view_messages import MessagesView
from web.view_public import MEASURES

GROUPINGS = ("model", "user", "group", "token", "day", "status")


def requests_html(view: RequestsView) -> bytes:
    return press.printed("requests.html", view.frame, "admin requests", view=view)


def admin_html(view: AdminView) -> bytes:
    return press.printed("admin.html", view.frame, "admin queues", view=view)


def people_html(view: PeopleView) -> bytes:
    return press.printed("people.html", view.frame, "admin people", view=view)


def person_html(view: PersonView) -> bytes:
    return press.printed("person.html", view.frame, "admin people", view=view)


def import_html(view: ImportView) -> bytes:
    return press.printed("import.html", view.frame, "admin people", view=view)


def admin_groups_html(view: AdminGroupsView) -> bytes:
    return press.printed("admin_groups.html", view.frame, "admin groups", view=view)


def admin_tokens_html(view: AdminTokensView) -> bytes:
    return press.printed("admin_tokens.html", view.frame, "admin tokens", view=view)


def keys_html(view: KeysView) -> bytes:
    return press.printed("keys.html", view.frame, "admin keys", view=view)


def prices_html(view: PricesView) -> bytes:
    return press.printed("prices.html", view.frame, "admin prices", view=view)


def bill_html(view: BillView) -> bytes:
    return press.printed("bill.html", view.frame, "admin prices", view=view)


def limits_html(view: LimitsView) -> bytes:
    return press.printed("limits.html", view.frame, "admin limits", view=view)


def notices_html(view: NoticesView) -> bytes:
    return press.printed("notices.html", view.frame, "admin notices", view=view)


def messages_html(view: MessagesView) -> bytes:
    return press.printed("messages.html", view.frame, "admin notices", view=view)


def usage_html(view: AdminUsageView) -> bytes:
    pictures = {
        "bars": charts.daily(view.cells, view.first_day, view.last_day, view.by),
        "shares": charts.shares(view.cells, view.by),
        "hours": charts.last_hours(view.hours, view.frame.now_ms),
    }
    return press.printed(
        "usage.html", view.frame, "admin usage", view=view, measures=MEASURES, groupings=GROUPINGS, **pictures
    )


def audit_html(view: AuditView) -> bytes:
    return press.printed("audit.html", view.frame, "admin audit", view=view)
