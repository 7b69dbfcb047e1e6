"""Admission to the queue: how long a request would wait, and which one is refused instead of waiting in vain."""

from __future__ import annotations

from collections import Counter

from keypool.arrangement import Arrangement
from keypool.health import FOREVER
from keypool.keyring import Keyring
from keypool.messages import Ask, QueueLimits, Reason, Refuse
from keypool.pricing import Pricing
from keypool.queues import Forecast
from keypool.ticket import Ticket
from keypool.turn import Turn


class QueueAdmission:
    """Forecasts and refusals of one pool. `refusals` counts the refused tickets by reason."""

    def __init__(self, keyring: Keyring, areas: Arrangement, pricing: Pricing, limits: QueueLimits) -> None:
        self._keyring, self._areas, self._pricing, self._limits = keyring, areas, pricing, limits
        self.refusals: Counter[Reason] = Counter()

    def forecast(self, ask: Ask, now: float) -> Forecast:
        """The place and the wait of a request that came now. Changes nothing."""
        ticket = self._pricing.ticket(ask, self._keyring.reach(ask.model, ask.dialect, ask.groups), now)
        queue = self._areas.queue(ask.model)
        free = not queue.fair.is_awaited(ticket.reach) and self._keyring.choose(ticket, (), now) is not None
        if free and not Turn(self._keyring, queue.fair, self._limits, now).held_back(ticket):
            return Forecast(0, 0.0, 0.0)
        return self.outlook(ticket, now)

    def outlook(self, ticket: Ticket, now: float) -> Forecast:
        """The place of a ticket that waits, or might wait, and the wait that is left."""
        keyring = self._keyring
        full = not keyring.has_room(ticket)
        return self._areas.queue(ticket.model).forecast(ticket, keyring.openings(ticket, now), now, full=full)

    def opens_in(self, ticket: Ticket, now: float) -> float | None:
        """Seconds until the first key wakes that may serve a ticket; None if one is awake or only an operator can help.

        Asked for a ticket that was given up: its caller may come back then.
        """
        seconds = self._keyring.opens_at(ticket) - now
        return seconds if 0.0 < seconds < FOREVER else None

    def hopeless(self, ticket: Ticket, now: float) -> Refuse | None:
        """The refusal of a ticket that no key can serve before its deadline."""
        opens = self._keyring.opens_at(ticket)
        if opens <= max(ticket.deadline, now):
            return None
        return self.refuse(ticket, Reason.NO_KEY, None if opens == FOREVER else opens - now)

    def in_vain(self, ticket: Ticket, max_wait: float | None, now: float) -> Refuse | None:
        """An honest refusal of a ticket that has just begun to wait, and would wait in vain."""
        queue, keyring = self._areas.queue(ticket.model), self._keyring
        full = not keyring.has_room(ticket)
        forecast = queue.foresee(ticket, keyring.openings(ticket, now), now, full=full)
        if max_wait is not None and (forecast.seconds > max_wait or ticket.deadline <= now):
            reason = Reason.TOO_LONG
        elif queue.experienced and forecast.seconds > ticket.deadline - now:
            reason = Reason.QUEUE_FULL
        else:
            return None
        return self.refuse(ticket, reason, max(1.0, forecast.seconds))

    def shed(self, ticket: Ticket, now: float) -> Refuse:
        """The refusal of a ticket for which a full queue has no room."""
        return self.refuse(ticket, Reason.QUEUE_FULL, self._patience_needed(ticket, now))

    def timed_out(self, ticket: Ticket, now: float) -> Refuse:
        """The refusal of a ticket that has waited until its deadline: the caller's own, or the gateway's."""
        if ticket.impatient:
            return self.refuse(ticket, Reason.TOO_LONG, self._patience_needed(ticket, now))
        return self.refuse(ticket, Reason.TIMED_OUT, None)

    def refuse(self, ticket: Ticket, reason: Reason, retry_after: float | None) -> Refuse:
        """Count a refusal. `retry_after`: seconds."""
        self.refusals[reason] += 1
        return Refuse(ticket, reason, retry_after)

    def _patience_needed(self, ticket: Ticket, now: float) -> float:
        """Seconds after which a caller who found the queue full may find a place."""
        return max(1.0, self.outlook(ticket, now).seconds)
