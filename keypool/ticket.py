"""One request on its way through the pool."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from keypool.blame import Witness
from keypool.domains import NO_NEED, NOTHING, Domain, Need, Sent
from keypool.flow_heap import Lane, lane_of
from keypool.keys import Key

BATCH_WEIGHT = 0.125  # of a batch flow beside an interactive one: while both wait, it gets one part in nine


def flow_of(person: str, *, batch: bool) -> str:
    """The name of the flow to which a person's requests of one class belong."""
    return f"{person} (batch)" if batch else person


class Spread(NamedTuple):
    """Over how many gateways a flow is spread, which of them this one is (from 0), and whose turn it is."""

    gateways: int = 1
    rank: int = 0
    turn: int = 0

    def of(self, cap: int) -> int:
        """This gateway's part of a cap: those of all gateways add up to it."""
        place = (self.rank + self.turn) % self.gateways
        return cap * (place + 1) // self.gateways - cap * place // self.gateways


ALONE = Spread()


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
    party: str = ""  # the group or address with which its flow shares; empty: the flow stands for itself
    party_weight: float = 1.0
    least: float = 0.0  # what it costs at least, if it is answered at all
    doubt: float = 0.0  # what its prompt may turn out to be cheaper, because it was cached
    most_output: int | None = None  # the caller's own bound, in tokens
    flow: str = field(init=False)
    groups: frozenset[str] = frozenset()
    need: Need = NO_NEED  # what it will probably take from a provider's limits
    reach: frozenset[str] = frozenset()  # ids of the keys that may ever serve it; empty: not known
    conversation: bytes = b""  # names the conversation, for affinity; empty: none
    bound_to: frozenset[str] | None = None  # the only keys that can serve it
    attempts: int = 0  # grants
    retries: int = 0  # of these, the ones that the retry budget paid
    tried: frozenset[str] = frozenset()  # keys that failed it
    doubts: int = 0  # failures that only its own word lays on a key
    position: int = 0  # its place in the queue when it came, from 1; 0: it did not wait
    predicted: float = 0.0  # the wait that was predicted then, without the learnt factor

    spread: Spread = ALONE  # of its flow, and of its party
    party_spread: Spread = ALONE
    waiting: bool = False
    lane: Lane = field(init=False)  # where it waits
    charged: float = 0.0  # what the flow has paid for it so far
    known: float = 0.0  # the part of that which will not be given back
    metered: bool = False  # the length of its answer was reported while the answer came
    lag: float = 0.0  # how far its flow was behind the virtual time when it was dispatched
    granted: float = 0.0
    key: Key | None = None  # while in flight, and its domain, and what that had sent when it started
    domain: Domain | None = None
    taken: Need = NO_NEED  # what it took from that
    sent: Sent = field(default_factory=lambda: NOTHING)

    def divide(self, flow: Spread, party: Spread) -> bool:
        """Its flow and its party are spread like this now. Returns whether that is new."""
        if (flow, party) == (self.spread, self.party_spread):
            return False
        self.weight *= self.spread.gateways / flow.gateways
        self.party_weight *= self.party_spread.gateways / party.gateways
        self.spread, self.party_spread = flow, party
        return True

    @property
    def witness(self) -> Witness:
        """The witness of its failures."""
        return Witness(self.person, self.party or self.person)

    def __post_init__(self) -> None:
        self.flow = flow_of(self.person, batch=self.batch)
        self.lane = lane_of(self.model, self.reach)
        if self.party:  # a person may come from several parties, and each pays for its own requests
            self.flow += f" of {self.party}"
