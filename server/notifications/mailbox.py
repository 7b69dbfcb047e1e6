"""The way by mail: whose address it is, whether they want mails, and what it says in their language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol

from server.notifications.mail import MailSender
from server.notifications.texts import mail_view
from server.policy.notifications import OPERATOR, Cause, Delivery, Failure
from server.store.base import Person
from web.mails import mail_text


class PeopleStore(Protocol):
    """The part of a store that is needed here."""

    async def person(self, person_id: str) -> Person | None: ...


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What is the same in all mails. `home`: the gateway's address, "" if it is not known."""

    title: str
    home: str
    zone: tzinfo
    language: str


class Mailbox:
    """`operator`: the operator's address, "" if there is none."""

    def __init__(self, sender: MailSender, store: PeopleStore, operator: str, head: Letterhead) -> None:
        self._sender, self._store, self._operator, self._head = sender, store, operator, head

    async def send(self, delivery: Delivery, now: int) -> Failure | None:
        """None if the mail server has it. Raises StoreError."""
        receiver, head = await self._receiver(delivery.receiver), self._head
        if isinstance(receiver, Failure):
            return receiver
        address, language = receiver
        text = mail_text(mail_view(delivery, head.title, head.home, head.zone), language or head.language)
        return await self._sender.send(delivery, address, text)

    async def _receiver(self, receiver: str) -> tuple[str, str] | Failure:
        """The address, and the language; "" is the installation's first."""
        if receiver == OPERATOR:
            return (self._operator, "") if self._operator else Failure(Cause.NO_ADDRESS)
        person = await self._store.person(receiver)
        if person is None or person.disabled or not person.email:
            return Failure(Cause.NO_ADDRESS)
        return (person.email, person.language) if person.mails else Failure(Cause.SWITCHED_OFF)
