"""One request on its way through the pool."""

from __future__ import annotations

from dataclasses import dataclass, field

from keypool.domains import Domain, Need, Sent
from keypool.keys import Key

BATCH_WEIGHT = 0.125  # of a batch flow beside an interactive one: while both wait, it gets one part in nine


def flow_of(person: str, *, batch: bool) -> str:
    """The name of the flow to which a person's requests of one class belong."""
    return f"{person} (batch)" if batch else person


@dataclass(slots=True, eq=False)
class Ticket:
    """One request in the queue or in flight. Times are seconds, monotonic; costs are in the unit of `estimates`."""

    id: str
    person: str
    model: str
    dialect: str
    cost: float
    submitted: float
    deadline: float
    impatient: bool = False  # the deadline is the caller's own, before ours
    weight: float = 1.0  # of its flow
    batch: bool = False
    running_cap: int | None = None  # of its flow, below the queue's own cap
    flow: str = field(init=False)
    groups: frozenset[str] = frozenset()
    need: Need = Need()  # noqa: RUF009 - immutable; what it will probably take from a provider's limits
    reach: frozenset[str] = frozenset()  # ids of the keys that may ever serve it; empty: not known
    conversation: bytes = b""  # names the conversation, for affinity; empty: none
    bound_to: str | None = None  # the only key that can serve it
    attempts: int = 0  # grants
    retries: int = 0  # of these, the ones that the retry budget paid
    tried: frozenset[str] = frozenset()  # keys that failed it
    position: int = 0  # its place in the queue when it came, from 1; 0: it did not wait
    predicted: float = 0.0  # the wait that was predicted then, without the learnt factor

    waiting: bool = False
    charged: float = 0.0  # what the flow has paid for it so far
    lag: float = 0.0  # how far its flow was behind the virtual time when it was dispatched
    granted: float = 0.0
    key: Key | None = None  # while in flight, and its domain, and what that had sent when it started
    domain: Domain | None = None
    sent: Sent = field(default_factory=Sent)

    def __post_init__(self) -> None:
        self.flow = flow_of(self.person, batch=self.batch)
