"""The fields of a form as names, amounts and days, and the one sentence that the next page says about it.

A field that is left empty says nothing, as the box that is not ticked does. Days are the operator's; the last day of
something is part of it. A mistake names the field, never what stood there.

After a form the browser is sent on to a page, which shows once one of the sentences below. A cookie, signed for this
session, names the sentence: no other text can be put there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from server.auth.sessions import Sessions
from server.ledger.calendar import Calendar
from server.ledger.limits import Unit
from server.ledger.money import micro_usd
from server.policy.commands import CommandError, words_of
from web.view import Flash
from web.wording import Phrase, Wording, Written, said

MOST_WHOLE = 10**15
_WHOLE = re.compile(r"\d{1,16}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LABELS = {"usd": "dollars", "per_head": "per head"}

SENTENCES = {
    "token-revoked": Wording("The token is revoked."),
    "pass-revoked": Wording("The pass is revoked."),
    "token-narrowed": Wording("The token may do less now."),
    "session-ended": Wording("That browser is logged out."),
    "joined": Wording("You are a member now."),
    "left": Wording("You have left the group."),
    "course-closed": Wording("The course is closed."),
    "nickname-set": Wording("You are on the leaderboard."),
    "nickname-removed": Wording("You are not on the leaderboard."),
    "mails-on": Wording("You get mails about your budgets."),
    "mails-off": Wording("You get no mails."),
    "message-sent": Wording("The test is sent."),
    "message-not-sent": Wording("A test was not sent: the list says why. It is tried again."),
    "sessions-ended": Wording("You are logged out everywhere else."),
    "cancelled": Wording("The request is cancelled."),
    "all-cancelled": Wording("The requests are cancelled."),
    "undone": Wording("It is as it was before."),
    "person-added": Wording("The person is added."),
    "person-changed": Wording("The person is changed."),
    "person-disabled": Wording("Access is closed."),
    "person-enabled": Wording("Access is open again."),
    "person-promoted": Wording("This person is an administrator now."),
    "person-demoted": Wording("This person is no administrator any more."),
    "invitation-withdrawn": Wording("The invitation link works no more."),
    "person-erased": Wording("The person is erased."),
    "group-created": Wording("The group is made."),
    "group-changed": Wording("The group is changed."),
    "group-removed": Wording("The group is removed."),
    "key-added": Wording("The key is added. It is used within seconds."),
    "key-changed": Wording("The key has these terms within seconds. What it serves goes on."),
    "key-paused": Wording("The key gets no further request, within seconds."),
    "key-resumed": Wording("The key is used again, within seconds."),
    "key-rechecked": Wording("The test takes longer than some seconds. Its result stands here when it is there."),
    "key-tested": Wording("The key is tested: its card shows the result."),
    "key-removed": Wording("The key is removed."),
    "price-set": Wording("The price is set."),
    "repriced": Wording("The requests are repriced, and the sums of their days are computed anew."),
    "price-removed": Wording("The price is removed."),
    "limit-set": Wording("The limit is set."),
    "limit-raised": Wording("The limit is raised."),
    "limit-removed": Wording("The limit is removed."),
    "alias-set": Wording("Requests for this name are served by its model within seconds."),
    "alias-removed": Wording("The name is removed."),
    "notice-set": Wording("All people read it within seconds."),
    "notice-removed": Wording("The notice is removed."),
    "maintenance-scheduled": Wording("All people read it within seconds. Requests are served until it begins."),
    "maintenance-on": Wording("New requests are turned away within seconds."),
    "maintenance-off": Wording("Requests are served again within seconds."),
}


class FormError(ValueError):
    """A field makes no sense; the text says which, for the person who filled it in."""


class Unsure(Exception):
    """The act waits for a yes: `heading` is the question, `lines` say what will happen, `verb` is on the button."""

    def __init__(self, heading: str, lines: Sequence[str], verb: str) -> None:
        super().__init__(heading)
        self.heading, self.lines, self.verb = heading, tuple(lines), verb


@dataclass(frozen=True, slots=True)
class Done:
    """A form has been carried out: where the browser goes now, and which of the sentences it reads there."""

    sentence: str
    path: str


class Form:
    """The fields of one form. Money is micro-USD and times are UTC milliseconds; all raise FormError."""

    def __init__(self, fields: Mapping[str, str], calendar: Calendar) -> None:
        self._fields, self._calendar = fields, calendar

    def text(self, name: str) -> str:
        """The text of a field, without the blanks around it; empty if there is none."""
        return self._fields.get(name, "").strip()

    def needed(self, name: str) -> str:
        if not (text := self.text(name)):
            raise FormError(Wording("Please fill in “%(field)s”.", field=_label(name)))
        return text

    def insist(self, heading: str, lines: Sequence[str], verb: str) -> None:
        """Raises Unsure unless the answer to this question stands in the form."""
        if not self.ticked("sure"):
            raise Unsure(heading, lines, verb)

    def ticked(self, name: str) -> bool:
        return self.text(name) == "yes"

    def words(self, name: str) -> tuple[str, ...]:
        """Words with blanks or commas between them."""
        return tuple(self.text(name).replace(",", " ").split())

    def names(self, name: str) -> tuple[str, ...]:
        """Names with commas between them, which may hold blanks; each once."""
        return tuple(dict.fromkeys(part.strip() for part in self.text(name).split(",") if part.strip()))

    def whole(self, name: str, default: int = 0) -> int:
        text = self.text(name)
        if text and (not _WHOLE.fullmatch(text) or int(text) > MOST_WHOLE):
            raise FormError(Wording("“%(field)s” is a whole number.", field=_label(name)))
        return int(text) if text else default

    def number(self, name: str, default: float) -> float:
        try:
            return float(self.text(name) or default)
        except ValueError:
            raise FormError(Wording("“%(field)s” is a number.", field=_label(name))) from None

    def money(self, name: str) -> int | None:
        """Dollars such as "12.50"; None if nothing is said."""
        try:
            return micro_usd(text) if (text := self.text(name)) else None
        except ValueError:
            raise FormError(Wording("“%(field)s” is an amount of dollars such as 12.50.", field=_label(name))) from None

    def needed_money(self, name: str) -> int:
        self.needed(name)
        return self.money(name) or 0

    def begins(self, name: str) -> int | None:
        """The first moment of a day."""
        return self._day(name, self._calendar.starts)

    def ends(self, name: str) -> int | None:
        """The first moment after a day."""
        return self._day(name, self._calendar.ends)

    def needed_begin(self, name: str) -> int:
        self.needed(name)
        return self.begins(name) or 0

    def needed_end(self, name: str) -> int:
        self.needed(name)
        return self.ends(name) or 0

    def moment(self, name: str) -> int | None:
        """A day with a time of day, where the operator lives: "2026-11-21T06:05"."""
        if not (text := self.text(name)):
            return None
        try:
            local = datetime.strptime(text[:16], "%Y-%m-%dT%H:%M").replace(tzinfo=self._calendar.tz)
        except ValueError:
            raise FormError(Wording("“%(field)s” is a day with a time.", field=_label(name))) from None
        return round((local - _EPOCH).total_seconds() * 1000)

    def _day(self, name: str, read: Callable[[str], int]) -> int | None:
        try:
            return read(text) if (text := self.text(name)) else None
        except (ValueError, OverflowError):
            raise FormError(Wording("“%(field)s” is a day such as 2026-11-21.", field=_label(name))) from None


def amount_of(form: Form, name: str, unit: Unit) -> int:
    """An amount that must be said, in the unit of a limit: dollars as micro-USD, or a whole number."""
    if unit is Unit.USD:
        return form.needed_money(name)
    form.needed(name)
    return form.whole(name)


def sentence(error: Exception) -> str:
    """The sentence of an error, for a page: a command's words without the verbs of the command line."""
    words = error.words if isinstance(error, CommandError) else words_of(error)
    if isinstance(error, FormError):
        return words
    return Written(_sentence, words) if isinstance(words, Phrase) else _sentence(words)


def _sentence(words: str) -> str:
    text = str(said(words)).rstrip(" .:;")
    return f"{text[:1].upper()}{text[1:]}."


def flash_cookie(sessions: Sessions, session: str, name: str) -> str:
    """The cookie that names a sentence for the next page."""
    return f"{name}.{sessions.xsrf(f'{session} {name}')}"


def flash_of(sessions: Sessions, session: str, cookie: str | None) -> Flash | None:
    """The sentence of such a cookie; None if it is not ours, or another session's."""
    name, _, signature = (cookie or "").partition(".")
    if name not in SENTENCES or not sessions.check(f"{session} {name}", signature):
        return None
    return Flash("good", SENTENCES[name])


def _label(name: str) -> str:
    return Wording(_LABELS.get(name, name.replace("_", " ")))  # `web/vocabulary.py` lists them
