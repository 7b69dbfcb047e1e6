"""Messages, put together: the ways out that are configured, and the task that looks and sends. Without any, nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

from server.accounting.assembly import Accounting
from server.bootstrap import from_settings as wiring
from server.config.settings import Settings
from server.dispatching import Dispatching
from server.httpclient.egress import Egress
from server.ledger.limits import LimitSet
from server.notifications.budgets import BudgetWatch
from server.notifications.happenings import HappeningsWatch
from server.notifications.mail import MailSender
from server.notifications.mailbox import Letterhead, Mailbox
from server.notifications.notifier import Messages, Notifier
from server.notifications.outbox import Outbox, Sender
from server.notifications.webhook import WebhookSender
from server.policy.groups import Group
from server.policy.notifications import Channel, Delivery, Event, Ways, addressed
from server.store.base import Store
from server.store.breaker import BreakerState
from server.tasks import run_until_closed


def ways_of(settings: Settings) -> Ways:
    """The ways that are configured."""
    mail = settings.smtp_url is not None
    return Ways(mail, mail and bool(settings.operator_mail), bool(settings.notify_webhook_url))


def open_outbox(
    settings: Settings,
    store: Store,
    groups: Callable[[], Mapping[str, Group]],
    egress: Egress,
    wall: Callable[[], int],
    stack: AsyncExitStack,
) -> Outbox | None:
    """The outbox; None if nothing can be sent."""
    ways = ways_of(settings)
    if not ways.any:
        return None
    senders: dict[Channel, Sender] = {}
    if settings.smtp_url is not None:
        head = Letterhead(settings.title, settings.public_url, settings.timezone, settings.page_languages[0])
        sender = MailSender(settings.smtp_url, settings.mail_from, settings.upstream_ca_file)
        senders[Channel.MAIL] = Mailbox(sender, store, settings.operator_mail, head)
    if settings.notify_webhook_url and settings.notify_webhook_secret is not None:
        webhook = WebhookSender(settings.notify_webhook_url, settings.notify_webhook_secret, egress)
        stack.push_async_callback(webhook.close)
        senders[Channel.WEBHOOK] = webhook

    def deliveries(event: Event) -> Sequence[Delivery]:
        return addressed(event, groups(), ways)

    return Outbox(store, senders, deliveries, wall)


def open_messages(
    settings: Settings,
    store: Store,
    accounting: Accounting,
    dispatcher: Dispatching,
    wall: Callable[[], int],
    stack: AsyncExitStack,
    *,
    watches: bool,
) -> Messages:
    """Look and send from now on, until the stack is closed. `watches`: also at keys and at all budgets."""
    book, calendar = accounting.book, accounting.calendar
    outbox = open_outbox(settings, store, lambda: book.groups, wiring.egress(settings), wall, stack)
    if outbox is None:
        return Messages()

    def limits() -> LimitSet:
        """Before they have been read, the settings' own would be taken for those of all people."""
        return book.limits if book.known else LimitSet()

    watch = HappeningsWatch(calendar, partial(secrets.token_hex, 8))

    def happenings(reached: bool) -> list[Event]:
        well = reached and accounting.guard.state is BreakerState.CLOSED
        return watch.look(dispatcher.snapshot(), well=well, notices=book.notices, now=wall())

    budgets = BudgetWatch(store, limits, calendar, settings.notify_thresholds, wall)
    notifier = Notifier(budgets, happenings if watches else None, outbox, wall)
    run_until_closed(stack, notifier.keep())
    return Messages(outbox, budgets, notifier)
