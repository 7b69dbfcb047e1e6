"""What a message says to a person: a subject and a few sentences, made of an event's facts when it is sent.

No prompt, token or secret is among the facts, so none can be in a text. Each sentence is in the reader's language when
it is written (`web/mails.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Any

from server.ledger.limits import Scope
from server.policy.notifications import OPERATOR, Delivery, EventKind
from web import formatting
from web.mails import MailView
from web.wording import Wording, Written

USED_UP = 100  # percent
Said = tuple[str, tuple[str, ...], str]  # subject, sentences, and the path of the page to look at

_BUDGETS: Mapping[str, Callable[[str], str]] = {
    Scope.TOKEN: lambda _: Wording("the budget of one of your tokens"),
    Scope.MEMBER: lambda group: Wording("your share of the budget of %(group)s", group=group),
    Scope.GROUP: lambda group: Wording("the budget of the group %(group)s", group=group),
    Scope.UPSTREAM: lambda name: Wording("the budget of the upstream %(upstream)s", upstream=name),
}
_OPERATORS = Wording("You get this because you are the operator of this gateway (OPERATOR_MAIL).")
_TEACHERS = Wording("You get this because you teach this group. You can switch these mails off on your own pages.")
_ONES_OWN = Wording("You get this because this budget is yours. You can switch these mails off on your own pages.")


def mail_view(delivery: Delivery, title: str, home: str, zone: tzinfo) -> MailView:
    """`home` is the gateway's address, "" if it is not known; times are in the `zone`."""
    subject, sentences, path = _SAID[delivery.kind](delivery.facts, zone)
    return MailView(title, subject, sentences, _why(delivery), f"{home}{path}" if home else "")


def _why(delivery: Delivery) -> str:
    if delivery.receiver == OPERATOR:
        return _OPERATORS
    return _TEACHERS if delivery.facts.get("scope") == Scope.GROUP else _ONES_OWN


def _budget(facts: Mapping[str, Any], zone: tzinfo) -> Said:
    name = _BUDGETS.get(facts["scope"], _yours)(facts["subject"])
    unit, models, resets_at = facts["unit"], facts["models"], facts["resets_at"]
    percent = facts["threshold"]
    subject = (
        Wording("Used up: %(budget)s", budget=name)
        if percent >= USED_UP
        else Wording("%(percent)s %% are used: %(budget)s", percent=percent, budget=name)
    )
    sentences: list[str] = [
        Wording(
            "%(used)s of %(most)s are used: %(budget)s.",
            used=Written(formatting.amount, facts["used"], unit),
            most=Written(formatting.amount, facts["most"], unit),
            budget=name,
        )
    ]
    if models != "*":
        sentences.append(Wording("It is for these models: %(models)s.", models=models.replace(" ", ", ")))
    if percent >= USED_UP:
        sentences.append(Wording("Requests that it would pay for are refused until there is more."))
    if resets_at is not None:
        sentences.append(Wording("It starts anew on %(time)s.", time=Written(formatting.moment, resets_at, zone)))
    return subject, tuple(sentences), "/admin/limits" if facts["scope"] == Scope.UPSTREAM else "/me/usage"


def _yours(_: str) -> str:
    return Wording("your budget")


def _key(facts: Mapping[str, Any], _: tzinfo) -> Said:
    what = _state(facts["state"], facts["upstream"])
    which = Wording("It is the key %(key)s. Its card says why, and what comes next.", key=facts["key"])
    return what, (Wording("%(what)s.", what=what), which), "/admin/keys"


def _state(state: str, upstream: str) -> str:
    if state == "revoked":
        return Wording("The provider refuses a key of %(upstream)s", upstream=upstream)
    return Wording("The quota of a key of %(upstream)s is used up", upstream=upstream)


def _model(facts: Mapping[str, Any], zone: tzinfo) -> Said:
    since = Written(formatting.moment, facts["since"], zone)
    return (
        Wording("%(model)s does not answer", model=facts["model"]),
        (Wording("Since %(time)s none of its keys can serve %(model)s.", time=since, model=facts["model"]),),
        "/admin/keys",
    )


def _store(facts: Mapping[str, Any], zone: tzinfo) -> Said:
    since = Written(formatting.moment, facts["since"], zone)
    return (
        Wording("The database cannot be reached"),
        (
            Wording("The gateway cannot reach its database since %(time)s.", time=since),
            Wording("Requests go on as far as their budgets are known."),
        ),
        "/",
    )


def _maintenance(facts: Mapping[str, Any], zone: tzinfo) -> Said:
    since, until = (Written(formatting.moment, facts[name], zone) for name in ("since", "until"))
    return (
        Wording("Maintenance from %(since)s", since=since),
        (
            Wording("Maintenance is scheduled from %(since)s until %(until)s.", since=since, until=until),
            Wording("All people read: “%(text)s”", text=facts["text"]),
        ),
        "/admin/notices",
    )


def _test(_: Mapping[str, Any], __: tzinfo) -> Said:
    return (
        Wording("This is a test"),
        (Wording("An administrator asked for this message, to see that it arrives. It does."),),
        "/admin/notifications",
    )


_SAID: Mapping[EventKind, Callable[[Mapping[str, Any], tzinfo], Said]] = {
    EventKind.BUDGET: _budget,
    EventKind.KEY: _key,
    EventKind.MODEL: _model,
    EventKind.STORE: _store,
    EventKind.MAINTENANCE: _maintenance,
    EventKind.TEST: _test,
}
