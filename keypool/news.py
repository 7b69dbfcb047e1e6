"""What one gateway learns and all must know: rests, refusals, recoveries, and limits.

A place is a key, a key's model, a domain, one of a domain's limits, or its hidden limits. What is known of a place is a
value, and two values of one place are merged. The merge is the same in any order and however often it is done, so news
may be lost, doubled and late.

Standing. A rest has a begin, an end and a kind; a lift says that the place served at an instant, or was trusted anew.
A rest counts if it began after the last lift. Of two rests the later end counts, and the worse kind; one that another
covers in all respects is forgotten. So an answered trial at one gateway opens the place at all of them, and not for
those who have been refused since. Where clocks differ by some seconds, a rest may end with a lift from so many seconds
before it: the next refusal begins it again.

Limits, the sent and the hidden ones: the later word counts. They are those of the whole capacity, and each gateway
applies its part of them.

A pause is the operator's. It stands in the store, where each gateway sees it, and is none of this.

Nothing is announced while it happens. `since` compares how all places stand with what is known of them, once a
heartbeat, and numbers what is new: so a request costs nothing more. Instants are UTC milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from keypool.domains import Domain
from keypool.health import FOREVER, KeyEvent, KeyHealth, KeyState
from keypool.hidden import Learnt
from keypool.keyring import Keyring
from keypool.limits import LimitMeasure
from keypool.shares import WHOLE

KINDS = (KeyState.COOLING, KeyState.EXHAUSTED, KeyState.REVOKED)  # from the mildest on
EVENTS = (KeyEvent.FAILED, KeyEvent.OUT_OF_QUOTA, KeyEvent.KEY_REFUSED)
ALWAYS = 1 << 53  # the end of a rest that only a check or the operator ends
ALIKE = 1000  # milliseconds: an end that is later by less is no news
ALIKE_AMOUNT = 1e-3  # of a limit

Place = tuple[str, str, str]  # what it is, the id of its key or domain, and which of its models or limits


class Rest(NamedTuple):
    """`kind` is an index into `KINDS`."""

    since: int
    until: int
    kind: int

    def covers(self, other: Rest, alike: int = 0) -> bool:
        return self.since >= other.since and self.until + alike >= other.until and self.kind >= other.kind


@dataclass(frozen=True, slots=True)
class Standing:
    """How a place stands: the last lift, and the rests since then, none of which covers another one."""

    lift: int = 0
    rests: tuple[Rest, ...] = ()

    def merged(self, other: Self) -> Standing:
        lift = max(self.lift, other.lift)
        rests = {each for each in self.rests + other.rests if each.since > lift}
        return Standing(
            lift,
            tuple(sorted(one for one in rests if not any(two != one and two.covers(one) for two in rests))),
        )

    @property
    def until(self) -> int:
        return max((each.until for each in self.rests), default=0)

    @property
    def kind(self) -> int:
        return max((each.kind for each in self.rests), default=-1)

    def as_json(self) -> list[Any]:
        return [self.lift, [list(each) for each in self.rests]]


class Word(NamedTuple):
    """Numbers that hold from an instant on: of a limit, its amount and period; of hidden limits, those of `Learnt`."""

    at: int
    numbers: tuple[float, ...]

    def merged(self, other: Word) -> Word:
        return max(self, other)

    def as_json(self) -> list[Any]:
        return [self.at, list(self.numbers)]


class News:
    """What is known of all places, and which of it this gateway has found out."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._standings: dict[Place, Standing] = {}
        self._words: dict[Place, Word] = {}
        self._own: dict[Place, tuple[float, ...]] = {}  # what a place said when it was looked at last
        self._numbers: dict[Place, int] = {}  # of what was found out here
        self._number = 0

    def since(self, number: int, now: float, wall: int) -> tuple[int, list[list[Any]]]:
        """The number of the latest news, and what was found out here after another one; after 0: all that is known."""
        for place, health in self._healths():
            self._look(place, health, now, wall)
        for domain in self._keyring.domains.values():
            for place, numbers in _words(domain):
                self._note(place, numbers, wall)
        places = self._standings.keys() | self._words.keys()
        found = [place for place in places if not number or self._numbers.get(place, 0) > number]
        return self._number, [[list(each), self._known(each).as_json()] for each in sorted(found)]

    def hear(self, news: Iterable[list[Any]], now: float, wall: int) -> bool:
        """Learn what others have found out. Returns whether any of it is new.

        Raises ValueError, TypeError or IndexError of what `since` has not made.
        """
        new = False
        for (kind, name, detail), value in news:
            place = str(kind), str(name), str(detail)
            if kind in ("key", "domain"):
                new |= self._hear_standing(place, _standing(value), now, wall)
            else:
                new |= self._hear_word(place, Word(int(value[0]), tuple(float(each) for each in value[1])), now)
        return new

    def _known(self, place: Place) -> Standing | Word:
        return self._standings.get(place) or self._words[place]

    def _healths(self) -> Iterable[tuple[Place, KeyHealth]]:
        for key in self._keyring.keys.values():
            yield ("key", key.id, ""), key.whole
            for model, health in list(key.by_model.items()):
                yield ("key", key.id, model), health
        for domain in self._keyring.domains.values():
            yield ("domain", domain.id, ""), domain.standing

    def _health(self, place: Place) -> KeyHealth | None:
        kind, name, model = place
        if kind == "domain":
            return domain.standing if (domain := self._keyring.domains.get(name)) is not None else None
        key = self._keyring.keys.get(name)
        return None if key is None else key.standing(model) if model else key.whole

    def _look(self, place: Place, health: KeyHealth, now: float, wall: int) -> None:
        """Note what a place has come to, if that is not known yet."""
        known = self._standings.get(place, Standing())
        since = wall - round((now - health.since) * 1000)
        if health.state in KINDS:
            until = ALWAYS if health.dead else wall + round((health.until - now) * 1000)
            rest = Rest(since, until, KINDS.index(health.state))
            if until <= wall or any(each._replace(since=since).covers(rest, ALIKE) for each in known.rests):
                return
            found = Standing(known.lift, (rest,))
        elif health.well and known.rests:
            found = Standing(since)
        else:
            return
        if (merged := known.merged(found)) != known:
            self._standings[place] = merged
            self._count(place)

    def _hear_standing(self, place: Place, heard: Standing, now: float, wall: int) -> bool:
        known = self._standings.get(place, Standing())
        merged = known.merged(heard)
        if merged == known:
            return False
        self._standings[place] = merged
        health = self._health(place)
        if health is None or health.state is KeyState.PAUSED:
            return False
        if not merged.rests:
            self._lift(place, health, now, wall, merged.lift)
        elif merged.until > wall:
            until = FOREVER if merged.until >= ALWAYS else now + (merged.until - wall) / 1000
            begun = max(each.since for each in merged.rests)
            health.hears(EVENTS[merged.kind], now - (wall - begun) / 1000, until)
        return True

    def _lift(self, place: Place, health: KeyHealth, now: float, wall: int, lift: int) -> None:
        """Another gateway has seen it serve at `lift`."""
        if lift < wall - round((now - health.since) * 1000):
            return  # it has come to rest here since
        if health.state is KeyState.REVOKED:
            health.apply(KeyEvent.RESUME, now)
            self._keyring.anew(self._keyring.keys[place[1]], now)
        elif health.resting:
            health.apply(KeyEvent.ANSWERED, now)

    def _note(self, place: Place, numbers: tuple[float, ...], wall: int) -> None:
        before, self._own[place] = self._own.get(place, ()), numbers
        known = self._words.get(place)
        if _are_alike(before, numbers) or (known is not None and _are_alike(known.numbers, numbers)):
            return
        self._words[place] = Word(wall if known is None else max(wall, known.at + 1), numbers)
        self._count(place)

    def _hear_word(self, place: Place, heard: Word, now: float) -> bool:
        known = self._words.get(place)
        if known is not None and known.merged(heard) == known:
            return False
        self._words[place] = heard
        kind, name, detail = place
        domain = self._keyring.domains.get(name)
        if domain is None:
            return False
        if kind == "limit":
            amount, period = heard.numbers
            domain.hears_limit(LimitMeasure(detail), amount, period, now)
        elif not domain.sends_limits:
            width, top, span, tokens = heard.numbers
            domain.hidden.hears(Learnt(width, top * domain.part.part / WHOLE, span, bool(tokens)), now)
        return True

    def _count(self, place: Place) -> None:
        self._number += 1
        self._numbers[place] = self._number


def _words(domain: Domain) -> Iterable[tuple[Place, tuple[float, ...]]]:
    """What a domain has learnt of its limits, those of the operator's configuration left out."""
    if domain.sends_limits:
        for measure, bucket in domain.buckets.items():
            yield ("limit", domain.id, measure.value), (bucket.capacity, bucket.capacity / bucket.rate)
    elif (learnt := domain.hidden.learnt) is not None and domain.part.part:
        yield (
            ("hidden", domain.id, ""),
            (learnt.width, learnt.top * WHOLE / domain.part.part, learnt.span, learnt.tokens),
        )


def _are_alike(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    if len(one) != len(other):
        return False
    return all(abs(a - b) <= ALIKE_AMOUNT * abs(a) for a, b in zip(one, other, strict=True))


def _standing(value: list[Any]) -> Standing:
    lift, rests = value
    return Standing(int(lift), tuple(Rest(int(since), int(until), int(kind)) for since, until, kind in rests))
