"""Mails: sentences go in, a subject, a plain text and a simple HTML text come out, in the language of their reader."""

from __future__ import annotations

from typing import NamedTuple

from web.environment import filled
from web.languages import reading
from web.wording import said

LONGEST_SUBJECT = 200  # characters


class MailText(NamedTuple):
    """One mail, without its addresses."""

    subject: str
    plain: str
    html: str


class MailView(NamedTuple):
    """`title`: the installation's; `why`: why its reader gets it; `page`: where to look, "" if that is not known."""

    title: str
    subject: str
    sentences: tuple[str, ...]
    why: str
    page: str


def mail_text(view: MailView, language: str) -> MailText:
    """Both parts say the same."""
    with reading(language):
        subject = " ".join(f"{said(view.subject)} · {view.title}".split())[:LONGEST_SUBJECT]
        plain = filled("mail.txt", view=view).decode()
        return MailText(subject, plain.strip() + "\n", filled("mail.html", view=view, language=language).decode())
