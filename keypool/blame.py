"""The cause of a failure: the key, or the request that failed there.

A provider fails some requests because of what stands in them, so failures of one person's requests prove nothing: else
one caller with a poisonous request could close every key to all people. A place, which is a key for one model or a key
as a whole, is convicted

    in a row    when requests of two witnesses fail there within a minute, and no request ends well in between; or
    by share    when a fifth and at least three of the last forty requests there fail, in ten minutes, and would still
                if any one witness's requests were left out.

Two requests have two witnesses if both their persons and their parties (group or address, where those share) differ:
one user with many names in one group is one witness, and so is one person who comes from two groups.

Until then only the person whose request failed is treated differently: that key comes last for that person, for five
minutes. What begins well and breaks off later has failed; only a good end clears a place.

Where one person alone uses a key, it is not convicted here: its failures cost that person a second attempt, and to rest
it would take the first attempt from the next who comes. Such a place is `suspected`, which the operator sees and which
has no other effect.

A request that fails twice, while no failure of others speaks against those keys, is convicted itself (`MOST_DOUBTS`):
it pays for its attempts and is not tried again. So poison costs no more than two attempts, however many keys there are.

Precedents: outlier detection compares hosts by consecutive failures and by their share (Envoy); leaving each witness
out in turn is the jackknife. Times are seconds, monotonic.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

TOGETHER = 60.0
LATELY = 600.0
REMEMBERED = 40  # outcomes at one place
FLAKY_SHARE = 0.2
FLAKY_COUNT = 3
FLAKY_REST = 10.0  # of a place that is convicted by its share: it works most of the time, so it does not rest for long
SHUNNED = 300.0
MOST_SHUNNED = 10_000
MOST_DOUBTS = 2


class Witness(NamedTuple):
    """The person of a failed request. `party`: the group or address with which they share, else the person again."""

    person: str
    party: str

    def differs(self, other: Witness) -> bool:
        """Do the two speak independently of each other?"""
        return self.person != other.person and self.party != other.party


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """How one request ended at a place."""

    at: float
    witness: Witness
    well: bool


class FailurePlace:
    """The last outcomes at one place, from the first failure on."""

    def __init__(self) -> None:
        self._outcomes: deque[AttemptOutcome] = deque(maxlen=REMEMBERED)

    def ended(self, witness: Witness, *, well: bool, now: float) -> None:
        self._outcomes.append(AttemptOutcome(now, witness, well))

    @property
    def clean(self) -> bool:
        """All that is remembered of it is good."""
        return all(outcome.well for outcome in self._outcomes)

    def in_a_row(self, now: float) -> bool:
        """Requests of two witnesses have failed lately, and nothing has ended well since."""
        witnesses = set()
        for outcome in reversed(self._outcomes):
            if outcome.well or outcome.at <= now - TOGETHER:
                break
            witnesses.add(outcome.witness)
        return any(one.differs(other) for one, other in combinations(witnesses, 2))

    def by_share(self, now: float) -> bool:
        """Too many have failed, whichever one person or party is left out."""
        lately = self._lately(now)
        return _too_many(lately) and all(map(_too_many, _leaving_out(lately)))

    def suspected(self, now: float) -> bool:
        """Too many have failed, though perhaps of one person."""
        return _too_many(self._lately(now))

    def _lately(self, now: float) -> list[AttemptOutcome]:
        return [outcome for outcome in self._outcomes if outcome.at > now - LATELY]


class Blame:
    """The failures at each place. `kind` separates events that must not be added up, such as failures and refusals."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], dict[str, FailurePlace]] = {}  # by key and model, then by kind
        self._shunned: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    def failed(self, key: str, model: str, kind: str, witness: Witness, now: float) -> float | None:
        """A request has failed. Returns the seconds for which that place should rest, or None while it is suspected.

        The seconds are 0 where the usual rest will do. A place that is convicted begins anew.
        """
        kinds = self._places.setdefault((key, model), {})
        place = kinds.setdefault(kind, FailurePlace())
        place.ended(witness, well=False, now=now)
        in_a_row = place.in_a_row(now)
        if not (in_a_row or place.by_share(now)):
            return None
        del kinds[kind]
        return 0.0 if in_a_row else FLAKY_REST

    def served(self, key: str, model: str, witness: Witness, now: float) -> None:
        """A request has ended well."""
        for where in ((key, model), (key, "")):
            kinds = self._places.get(where, {})
            for kind, place in list(kinds.items()):
                place.ended(witness, well=True, now=now)
                if place.clean:
                    del kinds[kind]
            if not kinds:
                self._places.pop(where, None)

    def suspected(self, now: float) -> set[tuple[str, str]]:
        """The keys and models for which requests fail that do not prove anything; an empty model is the whole key."""
        return {where for where, kinds in self._places.items() if any(place.suspected(now) for place in kinds.values())}

    def shun(self, key: str, model: str, person: str, now: float) -> None:
        """This key comes last for this person for a while."""
        self._shunned[person, key, model] = now + SHUNNED
        self._shunned.move_to_end((person, key, model))
        while len(self._shunned) > MOST_SHUNNED or (self._shunned and next(iter(self._shunned.values())) <= now):
            self._shunned.popitem(last=False)

    @property
    def suspecting(self) -> bool:
        """Whether anything has failed anywhere of late: else what ends well says nothing new."""
        return bool(self._places)

    @property
    def shunning(self) -> bool:
        """Whether any key comes last for any person."""
        return bool(self._shunned)

    def shuns(self, key: str, model: str, person: str, now: float) -> bool:
        return self._shunned.get((person, key, model), now) > now

    def forget(self, key: str) -> None:
        """The operator trusts this key, or it has gone."""
        for where in [where for where in self._places if where[0] == key]:
            del self._places[where]
        for whose in [whose for whose in self._shunned if whose[1] == key]:
            del self._shunned[whose]


def _leaving_out(outcomes: list[AttemptOutcome]) -> Iterator[list[AttemptOutcome]]:
    suspects = {outcome.witness for outcome in outcomes if not outcome.well}
    for person in {suspect.person for suspect in suspects}:
        yield [outcome for outcome in outcomes if outcome.witness.person != person]
    for party in {suspect.party for suspect in suspects}:
        yield [outcome for outcome in outcomes if outcome.witness.party != party]


def _too_many(outcomes: list[AttemptOutcome]) -> bool:
    failures = sum(not outcome.well for outcome in outcomes)
    return failures >= FLAKY_COUNT and failures >= FLAKY_SHARE * len(outcomes)
