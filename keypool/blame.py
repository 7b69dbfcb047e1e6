"""Who is to blame for a failure: the key, or the request that failed there?

A provider fails some requests because of what stands in them, so failures of one person's requests prove nothing: else
one caller with a poisonous request could close every key to everybody. A place, which is a key for one model or a key
as a whole, is convicted

    in a row    when requests of two persons fail there within a minute, and no request ends well in between; or
    by share    when a fifth and at least three of the last forty requests there fail, in ten minutes, and would still
                if any one person's requests were left out.

Until then only the person whose request failed is treated differently: that key comes last for that person, for five
minutes. What begins well and breaks off later has failed; only a good end clears a place.

A request that fails twice, while no failure of others speaks against those keys, is convicted itself (`MOST_DOUBTS`):
it pays for its attempts and is not tried again. So poison costs no more than two attempts, however many keys there are.

Precedents: outlier detection compares hosts by consecutive failures and by their share (Envoy); leaving each witness
out in turn is the jackknife. Times are seconds, monotonic.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass

TOGETHER = 60.0
LATELY = 600.0
REMEMBERED = 40  # outcomes at one place
FLAKY_SHARE = 0.2
FLAKY_COUNT = 3
FLAKY_REST = 10.0  # of a place that is convicted by its share: it works most of the time, so it does not rest for long
SHUNNED = 300.0
MOST_SHUNNED = 10_000
MOST_DOUBTS = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request ended at a place."""

    at: float
    person: str
    well: bool


class Place:
    """The last outcomes at one place, from the first failure on."""

    def __init__(self) -> None:
        self._outcomes: deque[Outcome] = deque(maxlen=REMEMBERED)

    def ended(self, person: str, *, well: bool, now: float) -> None:
        self._outcomes.append(Outcome(now, person, well))

    @property
    def clean(self) -> bool:
        """All that is remembered of it is good."""
        return all(outcome.well for outcome in self._outcomes)

    def in_a_row(self, now: float) -> bool:
        """Requests of two persons have failed lately, and nothing has ended well since."""
        persons = set()
        for outcome in reversed(self._outcomes):
            if outcome.well or outcome.at <= now - TOGETHER:
                break
            persons.add(outcome.person)
        return len(persons) > 1

    def by_share(self, now: float) -> bool:
        """Too many have failed, whichever one person is left out."""
        lately = [outcome for outcome in self._outcomes if outcome.at > now - LATELY]
        suspects = {outcome.person for outcome in lately if not outcome.well}
        return len(suspects) > 1 and all(map(_too_many, _leaving_out(lately, suspects)))


class Blame:
    """What was seen at every place. `kind` keeps apart what must not be added up, such as failures and refusals."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], dict[str, Place]] = {}  # by key and model, then by kind
        self._shunned: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    def failed(self, key: str, model: str, kind: str, person: str, now: float) -> float | None:
        """A request has failed. Returns the seconds for which that place should rest, or None while it is suspected.

        The seconds are 0 where the usual rest will do. A place that is convicted begins anew.
        """
        kinds = self._places.setdefault((key, model), {})
        place = kinds.setdefault(kind, Place())
        place.ended(person, well=False, now=now)
        in_a_row = place.in_a_row(now)
        if not (in_a_row or place.by_share(now)):
            return None
        del kinds[kind]
        return 0.0 if in_a_row else FLAKY_REST

    def served(self, key: str, model: str, person: str, now: float) -> None:
        """A request has ended well."""
        if not self._places:
            return
        for where in ((key, model), (key, "")):
            for kind, place in list(self._places.get(where, {}).items()):
                place.ended(person, well=True, now=now)
                if place.clean:
                    del self._places[where][kind]

    def shun(self, key: str, model: str, person: str, now: float) -> None:
        """This key comes last for this person for a while."""
        self._shunned[person, key, model] = now + SHUNNED
        self._shunned.move_to_end((person, key, model))
        while len(self._shunned) > MOST_SHUNNED or (self._shunned and next(iter(self._shunned.values())) <= now):
            self._shunned.popitem(last=False)

    def shuns(self, key: str, model: str, person: str, now: float) -> bool:
        return self._shunned.get((person, key, model), now) > now

    def forget(self, key: str) -> None:
        """The operator trusts this key, or it has gone."""
        for where in [where for where in self._places if where[0] == key]:
            del self._places[where]
        for whose in [whose for whose in self._shunned if whose[1] == key]:
            del self._shunned[whose]


def _leaving_out(outcomes: list[Outcome], persons: set[str]) -> Iterator[list[Outcome]]:
    return ([outcome for outcome in outcomes if outcome.person != person] for person in persons)


def _too_many(outcomes: list[Outcome]) -> bool:
    failures = sum(not outcome.well for outcome in outcomes)
    return failures >= FLAKY_COUNT and failures >= FLAKY_SHARE * len(outcomes)
