"""Answers that are read on after their clients have left, because it is not known yet what they will be billed.

A client who leaves pays for what was generated. Closing the upstream's socket stops the generation, and the text which
came is the measure; unless the model may have reasoned in silence, or the answer comes in one piece at its end. Such an
answer is read to its usage, for at most `DRAIN_USAGE_SECONDS`, and goes nowhere. The key's slot stays taken meanwhile,
as it would be if the client had stayed, and the person's share of the queue with it.

Reading on ends with the usage, with its time, with the gateway and with an administrator's word. Only so many answers
are read on at a time, in all and of one person; the others are closed at once, and estimated (`wire/unreported.py`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from server.relay.context import RequestContext
from server.wire.published import answers_at_once, may_think

MOST = 256  # answers at a time
MOST_OF_A_PERSON = 8


@dataclass(slots=True)
class UsageDrain:
    """`seconds` is the longest time for one of them; 0 closes all at once."""

    seconds: float
    persons: Counter[str] = field(default_factory=Counter)
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)  # by request

    def __len__(self) -> int:
        return len(self.timers)

    def begin(self, context: RequestContext, give_up: Callable[[], object]) -> bool:
        """The client has left; whether the answer is read on. `give_up` is called when it takes too long."""
        request_id, person = context.call.id, context.call.caller.person_id
        if request_id in self.timers:
            return True
        full = len(self) >= MOST or self.persons[person] >= MOST_OF_A_PERSON
        if self.seconds <= 0 or full or not usage_is_to_come(context):
            return False
        self.timers[request_id] = asyncio.get_running_loop().call_later(self.seconds, give_up)
        self.persons[person] += 1
        return True

    def end(self, context: RequestContext) -> None:
        """The request has ended, if it was read on."""
        timer = self.timers.pop(context.call.id, None)
        if timer is not None:
            timer.cancel()
            self.persons[context.call.caller.person_id] -= 1
            self.persons += Counter()  # forgets those who have none


def usage_is_to_come(context: RequestContext) -> bool:
    """Whether an upstream is at work for a request, and only its usage will tell what that costs."""
    price, meter = context.bill.price, context.meter
    at_work = context.perhaps_billed and not meter.finished and not meter.failed
    if not at_work or price is None or price.free or context.runs_on:  # `background.py` sees to that
        return False
    return meter.ended() or hides(context)


def hides(context: RequestContext) -> bool:
    """Whether more may be billed than what came.

    That is so if all comes at once at the end, if the model reasons unseen, or if the provider's tools read pages (or
    its compaction the conversation once more) that only the usage shows.
    """
    request = context.call.request
    unseen = request.extent.thinks or request.extent.compacts or request.hosted.calls or may_think(request.model)
    if not request.stream or unseen:
        return True
    return context.meter.output_pieces == 0 and not answers_at_once(request.model)
