"""The requests to the pool, and its decisions.

What is made for each request is a named tuple: it cannot be changed, and is made in a fifth of the time of a frozen
dataclass.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from keypool.keys import Key
from keypool.ticket import Ticket


class Reason(Enum):
    QUEUE_FULL = "queue full"
    TIMED_OUT = "timed out"
    TOO_LONG = "the wait would be too long"
    NO_KEY = "no key"
    TOO_LARGE = "no key can ever hold it"


class Grant(NamedTuple):
    """Send it now, with this key."""

    ticket: Ticket
    key: Key


class Refuse(NamedTuple):
    """It leaves the queue without a key. `retry_after` is in seconds."""

    ticket: Ticket
    reason: Reason
    retry_after: float | None = None


class GiveUp(NamedTuple):
    """It failed and is not tried again."""

    ticket: Ticket


Decision = Grant | Refuse | GiveUp


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Bounds of each area's queue: requests in all, waiting per person, in flight per flow (None: no cap).

    `headroom`: the last slots, which stay free for those below a fair share; None: one from 8 slots on, a sixteenth of
    them from 32 on. A key with few slots needs it as much as a large pool, but on fewer than eight one is too large a
    part.
    """

    total: int = 5000
    per_person: int = 100
    cap: int | None = None
    headroom: int | None = None

    def headroom_of(self, slots: int) -> int:
        if self.headroom is not None:
            return self.headroom
        return max(1, slots // 16) if slots >= 8 else 0


class Ask(NamedTuple):
    """A request for a key. `deadline` is the instant until which it may wait for one, `max_wait` the seconds that the
    caller is willing to wait. `batch`: no person waits for the answer. `running_cap` is how many requests of its flow
    may be in flight (None: the queue's own cap). `party` is the group or the address with which the person shares
    (empty: the person stands alone), with its weight among the parties."""

    id: str
    person: str
    model: str
    dialect: str
    input_tokens: int
    most_output: int | None
    deadline: float
    weight: float = 1.0
    groups: frozenset[str] = frozenset()
    conversation: bytes = b""
    bound_to: frozenset[str] | None = None
    max_wait: float | None = None
    batch: bool = False
    running_cap: int | None = None
    party: str = ""
    party_weight: float = 1.0
