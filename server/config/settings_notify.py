"""The settings of messages to people and to the operator. They stand among the others in front of "The queue"."""

# ruff: noqa: RUF009 - `row` is `dataclasses.field`, and all defaults are immutable

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.config.notify_parsers import SmtpServer, mail_address, smtp_server, webhook_secret, webhook_url
from server.config.setting import row
from server.config.settings_models import ModelRows
from server.config.specs import Secret
from server.ledger.thresholds import parse_thresholds


@dataclass(frozen=True, kw_only=True)
class NotifyRows(ModelRows):
    """Without SMTP_URL there are no mails, without NOTIFY_WEBHOOK_URL no webhook (`docs/notifications.md`)."""

    smtp_url: SmtpServer | None = row(
        "", smtp_server, "The server that takes mails: smtps://, or smtp:// with STARTTLS.", secret=True,
        example="smtps://user:password@mail.example.org:465", section="Messages",
    )  # fmt: skip
    mail_from: str = row("", mail_address, "The sender of mails.", secret=True, example="LLM gateway <llm@example.org>")
    operator_mail: str = row(
        "",
        mail_address,
        "Where mails to the operator go; empty: there are none.",
        secret=True,
        example="admin@example.org",
    )
    notify_webhook_url: str = row(
        "", webhook_url, "An address of yours that gets each message, signed (Standard Webhooks).", secret=True,
        example="https://hooks.example.org/fairgate",
    )  # fmt: skip
    notify_webhook_secret: Secret | None = row(
        "", webhook_secret, "What signs them; `notify new-secret` makes one.", secret=True
    )
    notify_thresholds: Sequence[int] = row(
        "50,80,95,100", parse_thresholds, "Percents of a budget at which a message goes out, or none."
    )


def contradictions_of_messages(rows: NotifyRows) -> Iterator[str]:
    """What does not fit together, a sentence each."""
    if rows.smtp_url is not None and not rows.mail_from:
        yield "MAIL_FROM: expected the sender's address, because SMTP_URL is set"
    if rows.operator_mail and rows.smtp_url is None:
        yield "SMTP_URL: expected the server that takes mails, because OPERATOR_MAIL is set"
    if rows.notify_webhook_url and rows.notify_webhook_secret is None:
        yield "NOTIFY_WEBHOOK_SECRET: expected, because NOTIFY_WEBHOOK_URL is set; `notify new-secret` makes one"
