"""What of each capacity is this gateway's, as the pool applies it.

Two kinds of capacity have a document each: the rates of a domain, and the slots of a key, which serves many domains. In
a pool that is divided nothing is this gateway's unless a part says so, and a key or domain that is new waits for its
part: at most until the next heartbeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from keypool.domains import Domain
from keypool.holding import Load
from keypool.keys import Key
from keypool.shares import Capacity, Part, WholeLimit

NONE = Part(0, 0, None)


class Division:
    """The parts by capacity."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}

    def part(self, capacity: str) -> Part:
        return self.parts.get(capacity, NONE)

    def take_all(self, keys: Iterable[Key], domains: Iterable[Domain]) -> None:
        """Nothing is this gateway's for now."""
        for key in keys:
            key.share(0)
        for domain in domains:
            domain.share(NONE, 0.0)

    def apply(self, parts: Mapping[str, Part], keys: Iterable[Key], domains: Iterable[Domain], now: float) -> bool:
        """Use these parts from now on. Returns whether there is more, or less, than before."""
        changed = any(part.differs(self.part(name)) for name, part in parts.items())
        self.parts |= parts
        for key in keys:
            if (part := parts.get(slots_of(key))) is not None:
                key.share(part.slots)
        for domain in domains:
            if (part := parts.get(rates_of(domain))) is not None:
                domain.share(part, now)
        return changed


def slots_of(key: Key) -> str:
    """The name of the capacity that a key's slots are."""
    return f"slots of {key.id}"


def rates_of(domain: Domain) -> str:
    """The name of the capacity that a domain's rates are."""
    return f"rates of {domain.id}"


def load_of_key(key: Key) -> Load:
    return Load(Capacity(slots=key.all_slots), running=key.running)


def load_of_domain(domain: Domain, now: float) -> Load:
    limits, levels, sent = {}, {}, {}
    for measure, bucket in domain.buckets.items():
        bucket.refill(now)
        limits[measure.value] = WholeLimit(bucket.capacity, bucket.capacity / bucket.rate)
        levels[measure.value] = bucket.level / bucket.capacity
        sent[measure.value] = bucket.sent / bucket.capacity
    return Load(Capacity(limits), levels, domain.running, sent)
