"""`/admin/notifications`: what is said by mail and webhook, what was said lately, and a test."""

from __future__ import annotations

from urllib.parse import urlsplit

from server.config.notify_parsers import SmtpServer
from server.http.pages.admin import AdminPage
from server.http.pages.forms import Done, Form
from server.policy.notifications import OPERATOR, Delivery, DeliveryState, EventKind, in_words
from web import render_admin
from web.view_messages import MessageRow, MessagesView
from web.wording import Wording

NOTIFICATIONS = "/admin/notifications"
KINDS = {
    EventKind.BUDGET: Wording("a budget"),
    EventKind.KEY: Wording("a key is lost"),
    EventKind.MODEL: Wording("a model is away"),
    EventKind.STORE: Wording("the database is away"),
    EventKind.MAINTENANCE: Wording("maintenance"),
    EventKind.TEST: Wording("a test"),
}
SECURITY = {
    "tls": Wording("TLS"),
    "starttls": Wording("STARTTLS"),
    "plain": Wording("on this machine, without TLS"),
}


class NotificationsPage(AdminPage):
    """`/admin/notifications`"""

    async def draw(self, *path: str) -> bytes:
        settings, names = self.services.settings, await self.names()
        latest = await self.services.notifications.latest()
        view = MessagesView(
            self.frame,
            server=_server(settings.smtp_url),
            sender=settings.mail_from if settings.smtp_url else "",
            operator=settings.operator_mail,
            webhook=urlsplit(settings.notify_webhook_url).hostname or "",
            thresholds=tuple(settings.notify_thresholds),
            rows=tuple(_row(each, names) for each in latest),
        )
        return render_admin.messages_html(view)

    async def test(self, _: Form) -> Done:
        """The page that follows lists how each of them went."""
        found = await self.services.notifications.test(self.me.id)
        sent = all(each.state is DeliveryState.SENT for each in found)
        return Done("message-sent" if sent else "message-not-sent", NOTIFICATIONS)


def _server(server: SmtpServer | None) -> str:
    if server is None:
        return ""
    return Wording(
        "%(host)s, port %(port)s, %(security)s",
        host=server.host,
        port=str(server.port),
        security=SECURITY[server.security],
    )


def _row(each: Delivery, names: dict[str, str]) -> MessageRow:
    receiver = Wording("the operator") if each.receiver == OPERATOR else names.get(each.receiver, each.receiver)
    percent = each.facts.get("threshold", 0) if each.kind is EventKind.BUDGET else 0
    return MessageRow(
        at_ms=each.at,
        what=KINDS[each.kind],
        percent=percent,
        channel=str(each.channel),
        receiver=receiver,
        state=str(each.state),
        tries=each.tries,
        failure=in_words(each.failure),
    )
