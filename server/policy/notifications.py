"""Notifications: what is worth a message, to whom it goes, and when it is tried again. Pure.

An *event* has an id made of what happened and of the period in which it counts, so that several gateways that see the
same thing, and a gateway that starts anew, make the same event. Of each event and receiver there is one *delivery*,
whose id is made of both: the store takes it once, and the second one is too late.

    state     ends with
    WAITING   sent: SENT; refused for good, or tried MOST_TRIES times: FAILED; nowhere to send it: SKIPPED
    SENT, FAILED, SKIPPED stay. They are kept until their period is over, or else they would be made again.

A gateway that is about to send takes the delivery first: it counts a try and puts it off by LEASE_MS, on the condition
that it is as it was read. If the gateway dies then, another one tries after that. So a message is sent at least once,
and twice only if the process dies between the receiver's yes and the store's: the second one has the same id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from server.ledger.limits import Scope
from server.policy.groups import Group
from web.wording import Wording

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
LEASE_MS = 2 * MINUTE_MS  # longer than any attempt takes
# Until the next try. Those of the Standard Webhooks' advice, but for its last days: a budget's news is old by then.
PAUSES_MS = (5_000, MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS, 10 * HOUR_MS)
MOST_TRIES = len(PAUSES_MS) + 1
KEPT_MS = 90 * DAY_MS
OPERATOR = "operator"  # a receiver; any other one is a person's id


class EventKind(StrEnum):
    """What has happened. The word is the `type` of a webhook's body, too."""

    BUDGET = "budget.threshold"
    KEY = "key.lost"
    MODEL = "model.away"
    STORE = "store.away"
    MAINTENANCE = "maintenance.scheduled"
    TEST = "test"


class Channel(StrEnum):
    """The way of a message."""

    MAIL = "mail"
    WEBHOOK = "webhook"


class DeliveryState(StrEnum):
    """How a delivery stands."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Event:
    """`facts` is what JSON can say: figures, and names of models, groups and upstreams; a person is an id.

    `at` is UTC milliseconds. `until` is when its period is over; None is never.
    """

    id: str
    kind: EventKind
    at: int
    facts: Mapping[str, Any]
    until: int | None = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one receiver. `receiver` is a person's id, or OPERATOR. Times are UTC milliseconds.

    `due_at` is when it is tried next; `kept_until` when it may be forgotten (None: never); `failure` is why
    the last try failed (`in_words`).
    """

    id: str
    kind: EventKind
    at: int
    channel: Channel
    receiver: str
    facts: Mapping[str, Any]
    due_at: int
    kept_until: int | None
    state: DeliveryState = DeliveryState.WAITING
    tries: int = 0
    ended_at: int | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways that there are. `operator`: the operator has a mail address."""

    mail: bool = False
    operator: bool = False
    webhook: bool = False

    @property
    def any(self) -> bool:
        """Whether anything can be sent at all."""
        return self.webhook or self.mail


class Cause(StrEnum):
    """Why a try failed."""

    UNREACHED = "unreached"
    STATUS = "status"
    GONE = "gone"
    UNUSABLE = "unusable"
    CREDENTIALS = "credentials"
    ADDRESS_REFUSED = "address refused"
    NO_ADDRESS = "no address"
    SWITCHED_OFF = "switched off"
    NO_WAY = "no way"


# Those behind which there is nowhere to send it.
NOWHERE = frozenset({Cause.NO_ADDRESS, Cause.SWITCHED_OFF, Cause.NO_WAY})
_CAUSES = {
    Cause.UNREACHED: Wording("the receiver cannot be reached, or did not answer in time"),
    Cause.STATUS: Wording("the receiver answered with an error"),
    Cause.GONE: Wording("the receiver wants no more messages"),
    Cause.UNUSABLE: Wording("the address cannot be used"),
    Cause.CREDENTIALS: Wording("the mail server refuses the user and the password of SMTP_URL"),
    Cause.ADDRESS_REFUSED: Wording("the mail server refuses the address"),
    Cause.NO_ADDRESS: Wording("the person has no mail address"),
    Cause.SWITCHED_OFF: Wording("the person wants no mails"),
    Cause.NO_WAY: Wording("messages of this kind are not configured any more"),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a try failed. `status`: of the receiver's answer, 0 if there was none. `final`: no other try can help."""

    cause: Cause
    status: int = 0
    final: bool = False

    def __str__(self) -> str:
        """As it is kept: "status 503"."""
        return f"{self.cause} {self.status}" if self.status else str(self.cause)


def in_words(failure: str) -> str:
    """A kept failure for people; as it is where it is none of ours, and empty where there is none."""
    cause, _, status = failure.rpartition(" ") if failure[-1:].isdecimal() else (failure, "", "")
    if cause not in frozenset(Cause):
        return failure
    words = _CAUSES[Cause(cause)]
    return Wording("%(reason)s (%(status)s)", reason=words, status=status) if status else words


def deliveries_of(event: Event, people: Iterable[str], operator: bool, ways: Ways) -> list[Delivery]:
    """The deliveries of an event to these people and, if it concerns them, the operator. The webhook gets each."""
    places = [(Channel.WEBHOOK, OPERATOR)] if ways.webhook else []
    if ways.mail:
        places += [(Channel.MAIL, each) for each in dict.fromkeys(people)]
        places += [(Channel.MAIL, OPERATOR)] if operator and ways.operator else []
    kept_until = None if event.until is None else max(event.at + KEPT_MS, event.until + DAY_MS)
    return [
        Delivery(_id(event, channel, to), event.kind, event.at, channel, to, dict(event.facts), event.at, kept_until)
        for channel, to in places
    ]


def addressed(event: Event, groups: Mapping[str, Group], ways: Ways) -> list[Delivery]:
    """The deliveries of an event: what is one person's to them, what a group shares to its teachers and the operator,
    all else to the operator. The webhook gets each."""
    facts = event.facts
    if person := facts.get("person"):
        return deliveries_of(event, [person], False, ways)
    group = groups.get(facts.get("subject", "")) if facts.get("scope") == Scope.GROUP else None
    return deliveries_of(event, group.teachers if group is not None else (), True, ways)


def begun(delivery: Delivery, now: int) -> Delivery:
    """The delivery, taken by a gateway that tries it now."""
    return replace(delivery, tries=delivery.tries + 1, due_at=now + LEASE_MS)


def after(delivery: Delivery, failure: Failure | None, now: int) -> Delivery:
    """The delivery after a try that was begun; `failure` None: it was sent."""
    if failure is None:
        return replace(delivery, state=DeliveryState.SENT, ended_at=now, failure="")
    if failure.cause in NOWHERE:
        return replace(delivery, state=DeliveryState.SKIPPED, ended_at=now, failure=str(failure))
    if failure.final or delivery.tries >= MOST_TRIES:
        return replace(delivery, state=DeliveryState.FAILED, ended_at=now, failure=str(failure))
    return replace(delivery, due_at=now + PAUSES_MS[delivery.tries - 1], failure=str(failure))


def _id(event: Event, channel: Channel, receiver: str) -> str:
    """An id that says nothing and is safe wherever ids stand: in headers, addresses and names of fields."""
    name = "\0".join((event.id, channel, receiver))
    return f"msg_{hashlib.sha256(name.encode()).hexdigest()[:32]}"
