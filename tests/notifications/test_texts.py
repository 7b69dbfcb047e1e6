"""What mails say: to whom it is said and why, in their language, and as text that no value can turn into markup."""

from __future__ import annotations

from datetime import UTC

import pytest

from server.notifications.texts import mail_view
from server.policy.notifications import Channel, Delivery, EventKind
from web.mails import MailText, mail_text

NOW = 1_795_262_400_000  # 2026-11-21T12:00Z
BUDGET = {
    "threshold": 80, "limit": "5.00 USD a month", "scope": "everyone", "person": "usr_ada", "subject": "",
    "unit": "usd", "window": "month", "models": "*", "used": 4_000_000, "most": 5_000_000, "resets_at": NOW,
}  # fmt: skip
FACTS = {
    "yours": (EventKind.BUDGET, "usr_ada", BUDGET),
    "used up": (EventKind.BUDGET, "usr_ada", {**BUDGET, "threshold": 100, "resets_at": None, "models": "gpt-5* o1"}),
    "token": (EventKind.BUDGET, "usr_ada", {**BUDGET, "scope": "token", "subject": "tok_1"}),
    "member": (EventKind.BUDGET, "usr_ada", {**BUDGET, "scope": "member", "subject": "physics"}),
    "group": (EventKind.BUDGET, "usr_ada", {**BUDGET, "scope": "group", "subject": "<b>physics", "unit": "tokens"}),
    "upstream": (EventKind.BUDGET, "operator", {**BUDGET, "scope": "upstream", "subject": "university"}),
    "key": (EventKind.KEY, "operator", {"upstream": "university", "key": "0123abcd", "state": "revoked"}),
    "quota": (EventKind.KEY, "operator", {"upstream": "university", "key": "0123abcd", "state": "exhausted"}),
    "model": (EventKind.MODEL, "operator", {"model": "gpt-5", "since": NOW}),
    "store": (EventKind.STORE, "operator", {"since": NOW}),
    "maintenance": (EventKind.MAINTENANCE, "operator", {"text": "<i>disks", "since": NOW, "until": NOW + 60_000}),
    "test": (EventKind.TEST, "operator", {}),
}


def said(name: str, language: str = "en", home: str = "https://llm.example.org") -> MailText:
    kind, receiver, facts = FACTS[name]
    delivery = Delivery("msg_1", kind, NOW, Channel.MAIL, receiver, facts, NOW, None)
    return mail_text(mail_view(delivery, "LLM <3", home, UTC), language)


def test_a_budget_is_said_in_figures_with_its_end_and_a_page() -> None:
    text = said("yours")
    assert text.subject == "80 % are used: your budget · LLM <3"
    assert text.plain == (
        "$4.00 of $5.00 are used: your budget.\n\n"
        "It starts anew on 21 Nov 2026, 12:00.\n\n"
        "https://llm.example.org/me/usage\n\n"
        "-- \nLLM <3\n"
        "You get this because this budget is yours. You can switch these mails off on your own pages.\n"
    )


def test_the_last_threshold_says_what_that_means() -> None:
    text = said("used up", home="")
    assert text.subject == "Used up: your budget · LLM <3"
    assert "It is for these models: gpt-5*, o1." in text.plain
    assert "refused" in text.plain
    assert "http" not in text.plain + text.html


def test_nothing_in_a_mail_is_taken_for_markup() -> None:
    assert "<b>physics" in said("group").plain
    assert "&lt;b&gt;physics" in said("group").html
    assert "<b>" not in said("group").html
    assert "<i>" not in said("maintenance").html


@pytest.mark.parametrize("name", FACTS)
def test_each_event_has_a_text_in_every_language(name: str) -> None:
    english, german = said(name), said(name, "de")
    assert english.subject != german.subject
    assert '<html lang="de">' in german.html
    for sentence in said(name, "en-XA").plain.split("\n\n")[:-1]:
        assert "⟦" in sentence or sentence.startswith("https://")
