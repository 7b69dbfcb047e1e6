"""The routes of the pages behind a login: each person's own, and the administrators'.

A page that is shown and has a form of its own answers GET and POST; each further form has an address of its own.
"""

from __future__ import annotations

from server.http.access import Role, Route
from server.http.pages.admin import NowPage
from server.http.pages.admin_audit import AuditPage
from server.http.pages.admin_bill import BillPage
from server.http.pages.admin_groups import AdminGroupsPage
from server.http.pages.admin_import import ImportPage, PeopleFile
from server.http.pages.admin_keys import KeysPage
from server.http.pages.admin_limits import LimitsPage
from server.http.pages.admin_notices import NoticesPage
from server.http.pages.admin_notifications import NotificationsPage
from server.http.pages.admin_people import PeoplePage, PersonPage
from server.http.pages.admin_prices import PricesPage
from server.http.pages.admin_requests import AdminExplainPage, AdminRequestsPage, RequestsFile
from server.http.pages.admin_tokens import AdminTokensPage
from server.http.pages.admin_usage import AdminUsagePage, UsageFile
from server.http.pages.home import HomePage
from server.http.pages.me import Act, MemberPage
from server.http.pages.me_groups import CoursePage, GroupsPage
from server.http.pages.me_privacy import ExportFile, PrivacyPage
from server.http.pages.me_requests import ExplainPage, RequestsPage
from server.http.pages.me_tokens import TokensPage
from server.http.pages.me_usage import UsagePage
from server.http.pages.texts import OperatorsTextsPage, TextsPage
from server.http.services import PageServices

ID = "([^/]{1,128})"
NAME = "(.{1,600})"  # of what may hold slashes


def page_routes() -> list[Route[PageServices]]:
    """Those of one's own, then the administrators'."""
    return [*_own(), *_people(), *_operators()]


def _own() -> list[Route[PageServices]]:
    return [
        _page("/me", HomePage),
        _page("/me/usage", UsagePage),
        Route("/me/export", ExportFile, {"GET": Role.PERSON}),
        _page("/me/requests", RequestsPage),
        _page(f"/me/requests/{ID}", ExplainPage),
        _page("/me/tokens", TokensPage, TokensPage.make),
        _form(f"/me/tokens/{ID}/rotate", TokensPage, TokensPage.rotate),
        _form(f"/me/tokens/{ID}/narrow", TokensPage, TokensPage.narrow),
        _form(f"/me/tokens/{ID}/revoke", TokensPage, TokensPage.revoke),
        _form("/me/passes", TokensPage, TokensPage.make_pass),
        _form(f"/me/passes/{ID}/revoke", TokensPage, TokensPage.revoke_pass),
        _page("/me/groups", GroupsPage, GroupsPage.found),
        _form("/me/groups/join", GroupsPage, GroupsPage.join),
        _form(f"/me/groups/{NAME}/leave", GroupsPage, GroupsPage.leave),
        _form(f"/me/groups/{NAME}/code", CoursePage, CoursePage.code),
        _form(f"/me/groups/{NAME}/close", CoursePage, CoursePage.close),
        _page(f"/me/groups/{NAME}/texts", TextsPage, TextsPage.read),
        _page(f"/me/groups/{NAME}", CoursePage),
        _page("/me/privacy", PrivacyPage),
        _form("/me/nickname", PrivacyPage, PrivacyPage.nickname),
        _form("/me/mails", PrivacyPage, PrivacyPage.mails),
        _form("/me/sessions/end", PrivacyPage, PrivacyPage.end_sessions),
        _form(f"/me/sessions/{ID}/end", PrivacyPage, PrivacyPage.end_session),
        _form("/me/erase", PrivacyPage, PrivacyPage.erase),
    ]


def _people() -> list[Route[PageServices]]:
    admin = Role.ADMIN
    return [
        _page("/admin/people", PeoplePage, PeoplePage.add, admin),
        Route(r"/admin/people\.csv", PeopleFile, {"GET": admin}),
        _page("/admin/people/import", ImportPage, ImportPage.read, admin),
        _page(f"/admin/people/{ID}", PersonPage, PersonPage.change, admin),
        _form(f"/admin/people/{ID}/disable", PersonPage, PersonPage.disable, admin),
        _form(f"/admin/people/{ID}/enable", PersonPage, PersonPage.enable, admin),
        _form(f"/admin/people/{ID}/promote", PersonPage, PersonPage.promote, admin),
        _form(f"/admin/people/{ID}/demote", PersonPage, PersonPage.demote, admin),
        _form(f"/admin/people/{ID}/invitation", PersonPage, PersonPage.invite, admin),
        _form(f"/admin/people/{ID}/invitation/withdraw", PersonPage, PersonPage.withdraw, admin),
        _form(f"/admin/people/{ID}/raise", PersonPage, PersonPage.allow_more, admin),
        _form(f"/admin/people/{ID}/erase", PersonPage, PersonPage.erase, admin),
        _form(f"/admin/people/{ID}/tokens", PersonPage, PersonPage.make_token, admin),
        _form(f"/admin/people/{ID}/passes", PersonPage, PersonPage.make_pass, admin),
        _form(f"/admin/passes/{ID}/revoke", AdminTokensPage, AdminTokensPage.revoke_pass, admin),
        _page("/admin/groups", AdminGroupsPage, AdminGroupsPage.create, admin),
        _form(f"/admin/groups/{NAME}/change", AdminGroupsPage, AdminGroupsPage.change, admin),
        _form(f"/admin/groups/{NAME}/code", CoursePage, CoursePage.code, admin),
        _page(f"/admin/groups/{NAME}/texts", OperatorsTextsPage, OperatorsTextsPage.read, admin),
        _form(f"/admin/groups/{NAME}/remove", AdminGroupsPage, AdminGroupsPage.remove, admin),
        _page("/admin/tokens", AdminTokensPage, role=admin),
        _form(f"/admin/tokens/{ID}/rotate", AdminTokensPage, AdminTokensPage.rotate, admin),
        _form(f"/admin/tokens/{ID}/narrow", AdminTokensPage, AdminTokensPage.narrow, admin),
        _form(f"/admin/tokens/{ID}/revoke", AdminTokensPage, AdminTokensPage.revoke, admin),
    ]


def _operators() -> list[Route[PageServices]]:
    admin = Role.ADMIN
    return [
        _page("/admin", NowPage, role=admin),
        _page("/admin/requests", AdminRequestsPage, role=admin),
        Route(r"/admin/requests\.csv", RequestsFile, {"GET": admin}),
        _form("/admin/requests/cancel", NowPage, NowPage.cancel_all, admin),
        _form("/admin/backup", NowPage, NowPage.backup, admin),
        _form(f"/admin/requests/of/{ID}/cancel", NowPage, NowPage.cancel_of, admin),
        _form(f"/admin/requests/{ID}/cancel", NowPage, NowPage.cancel, admin),
        _page(f"/admin/requests/{ID}", AdminExplainPage, role=admin),
        _page("/admin/keys", KeysPage, KeysPage.add, admin),
        _form(f"/admin/keys/{ID}/change", KeysPage, KeysPage.change, admin),
        _form(f"/admin/keys/{ID}/pause", KeysPage, KeysPage.pause, admin),
        _form(f"/admin/keys/{ID}/resume", KeysPage, KeysPage.resume, admin),
        _form(f"/admin/keys/{ID}/recheck", KeysPage, KeysPage.recheck, admin),
        _form(f"/admin/keys/{ID}/remove", KeysPage, KeysPage.remove, admin),
        _form("/admin/aliases", KeysPage, KeysPage.set_alias, admin),
        _form(f"/admin/aliases/{NAME}/remove", KeysPage, KeysPage.remove_alias, admin),
        _page("/admin/prices", PricesPage, PricesPage.set_price, admin),
        _form("/admin/prices/reprice", PricesPage, PricesPage.reprice, admin),
        _form(f"/admin/prices/{NAME}/remove", PricesPage, PricesPage.remove, admin),
        _page("/admin/bill", BillPage, BillPage.compare, admin),
        _page("/admin/limits", LimitsPage, LimitsPage.set_limit, admin),
        _form(f"/admin/limits/{NAME}/raise", LimitsPage, LimitsPage.increase, admin),
        _form(f"/admin/limits/{NAME}/remove", LimitsPage, LimitsPage.remove, admin),
        _page("/admin/notifications", NotificationsPage, role=admin),
        _form("/admin/notifications/test", NotificationsPage, NotificationsPage.test, admin),
        _page("/admin/notices", NoticesPage, NoticesPage.announce, admin),
        _form(f"/admin/notices/{NAME}/remove", NoticesPage, NoticesPage.remove, admin),
        _form("/admin/maintenance", NoticesPage, NoticesPage.schedule, admin),
        _form("/admin/close", NoticesPage, NoticesPage.close, admin),
        _form("/admin/open", NoticesPage, NoticesPage.reopen, admin),
        _page("/admin/usage", AdminUsagePage, role=admin),
        Route(r"/admin/usage\.csv", UsageFile, {"GET": admin}),
        _page("/admin/audit", AuditPage, role=admin),
        _form(f"/admin/audit/{ID}/undo", AuditPage, AuditPage.undo, admin),
    ]


def _page(
    pattern: str, page: type[MemberPage], act: Act | None = None, role: Role = Role.PERSON
) -> Route[PageServices]:
    """A page, and the form that is sent to its own address, if it has one."""
    if act is None:
        return Route(pattern, page, {"GET": role})
    return Route(pattern, page, {"GET": role, "POST": role}, {"act": act})


def _form(pattern: str, page: type[MemberPage], act: Act, role: Role = Role.PERSON) -> Route[PageServices]:
    """A form of a page."""
    return Route(pattern, page, {"POST": role}, {"act": act, "shows": False})
