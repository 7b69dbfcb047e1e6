"""How well something stands: a whole key, a key for one model, or a capacity domain.

    UNCHECKED   nothing is known yet; it may serve
    READY       it served last time
    COOLING     it rests until an instant, then ONE request may try it (half open); an answer makes it READY
    EXHAUSTED   its quota is gone; it rests long, then one request may try it
    REVOKED     the provider does not accept it, until the operator or a free check says otherwise
    PAUSED      the operator does not want it used

Everything comes back by itself except PAUSED; of a REVOKED key a free check asks now and then, and a key that is let in
again begins anew. Times are seconds, monotonic. The table is total: every state knows every event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class KeyState(Enum):
    UNCHECKED = "unchecked"
    READY = "ready"
    COOLING = "cooling"
    EXHAUSTED = "exhausted"
    REVOKED = "revoked"
    PAUSED = "paused"


class KeyEvent(Enum):
    """An event that changes a key's health: an answer, a check, or the operator's command."""

    ANSWERED = "answered"
    RATE_LIMITED = "rate limited"
    FAILED = "failed"
    NO_SUCH_MODEL = "no such model"
    OUT_OF_QUOTA = "out of quota"
    KEY_REFUSED = "key refused"
    LISTED = "listed"  # a free request was let in: it shows neither credit nor a model's health
    UNREACHED = "unreached"  # a free request got no answer
    PAUSE = "pause"
    RESUME = "resume"  # by the operator, or by a free check that a revoked key passes


_U, _R, _C, _E, _V, _P = KeyState
TRANSITIONS: dict[tuple[KeyState, KeyEvent], KeyState] = {
    (_U, KeyEvent.ANSWERED): _R,
    (_R, KeyEvent.ANSWERED): _R,
    (_C, KeyEvent.ANSWERED): _R,
    (_E, KeyEvent.ANSWERED): _R,
    (_V, KeyEvent.ANSWERED): _V,  # a stream that began before the revocation proves nothing
    (_P, KeyEvent.ANSWERED): _P,
    (_U, KeyEvent.RATE_LIMITED): _C,
    (_R, KeyEvent.RATE_LIMITED): _C,
    (_C, KeyEvent.RATE_LIMITED): _C,
    (_E, KeyEvent.RATE_LIMITED): _E,
    (_V, KeyEvent.RATE_LIMITED): _V,
    (_P, KeyEvent.RATE_LIMITED): _P,
    (_U, KeyEvent.FAILED): _C,
    (_R, KeyEvent.FAILED): _C,
    (_C, KeyEvent.FAILED): _C,
    (_E, KeyEvent.FAILED): _E,
    (_V, KeyEvent.FAILED): _V,
    (_P, KeyEvent.FAILED): _P,
    (_U, KeyEvent.NO_SUCH_MODEL): _C,
    (_R, KeyEvent.NO_SUCH_MODEL): _C,
    (_C, KeyEvent.NO_SUCH_MODEL): _C,
    (_E, KeyEvent.NO_SUCH_MODEL): _E,
    (_V, KeyEvent.NO_SUCH_MODEL): _V,
    (_P, KeyEvent.NO_SUCH_MODEL): _P,
    (_U, KeyEvent.OUT_OF_QUOTA): _E,
    (_R, KeyEvent.OUT_OF_QUOTA): _E,
    (_C, KeyEvent.OUT_OF_QUOTA): _E,
    (_E, KeyEvent.OUT_OF_QUOTA): _E,
    (_V, KeyEvent.OUT_OF_QUOTA): _V,
    (_P, KeyEvent.OUT_OF_QUOTA): _P,
    (_U, KeyEvent.KEY_REFUSED): _V,
    (_R, KeyEvent.KEY_REFUSED): _V,
    (_C, KeyEvent.KEY_REFUSED): _V,
    (_E, KeyEvent.KEY_REFUSED): _V,
    (_V, KeyEvent.KEY_REFUSED): _V,
    (_P, KeyEvent.KEY_REFUSED): _V,
    (_U, KeyEvent.LISTED): _R,
    (_R, KeyEvent.LISTED): _R,
    (_C, KeyEvent.LISTED): _R,
    (_E, KeyEvent.LISTED): _E,
    (_V, KeyEvent.LISTED): _V,
    (_P, KeyEvent.LISTED): _P,
    (_U, KeyEvent.UNREACHED): _C,
    (_R, KeyEvent.UNREACHED): _C,
    (_C, KeyEvent.UNREACHED): _C,
    (_E, KeyEvent.UNREACHED): _E,
    (_V, KeyEvent.UNREACHED): _V,
    (_P, KeyEvent.UNREACHED): _P,
    (_U, KeyEvent.PAUSE): _P,
    (_R, KeyEvent.PAUSE): _P,
    (_C, KeyEvent.PAUSE): _P,
    (_E, KeyEvent.PAUSE): _P,
    (_V, KeyEvent.PAUSE): _P,
    (_P, KeyEvent.PAUSE): _P,
    (_U, KeyEvent.RESUME): _U,
    (_R, KeyEvent.RESUME): _R,
    (_C, KeyEvent.RESUME): _U,
    (_E, KeyEvent.RESUME): _U,  # the operator has topped it up: it need not rest for the hour
    (_V, KeyEvent.RESUME): _U,
    (_P, KeyEvent.RESUME): _U,
}

RESTING = frozenset({KeyState.COOLING, KeyState.EXHAUSTED})
DEAD = frozenset({KeyState.REVOKED, KeyState.PAUSED})
KEY_WIDE = frozenset(
    {KeyEvent.KEY_REFUSED, KeyEvent.OUT_OF_QUOTA, KeyEvent.LISTED, KeyEvent.UNREACHED, KeyEvent.PAUSE, KeyEvent.RESUME}
)
"""Events about a key as a whole. An answer says good things of both: `Pool.answered` tells each."""
FOREVER = float("inf")

# Seconds of rest where the provider names none. A failure doubles from one second to a minute (the providers' own
# advice for 429 and 5xx); a quota is looked at again each hour, and so is a model that this key may not use.
FIRST_REST = 1.0
LONGEST_REST = 60.0
SLOW_REST = 3600.0
# A trial that has not ended by then is no longer the only one: one slow request must not keep a key closed.
TRIAL_SECONDS = 30.0


@dataclass(slots=True)
class KeyHealth:
    """How one thing stands. Times are seconds, monotonic."""

    state: KeyState = KeyState.UNCHECKED
    since: float = 0.0
    until: float = 0.0
    failures: int = 0  # in a row
    trial: str | None = None  # the ticket that is trying a key which rested
    tried: float = 0.0  # since when
    resting: bool = field(init=False, repr=False)  # these follow from the state, and are asked for at every choice
    dead: bool = field(init=False, repr=False)
    well: bool = field(init=False, repr=False)  # neither: it serves at once

    def __post_init__(self) -> None:
        self.resting, self.dead = self.state in RESTING, self.state in DEAD
        self.well = not (self.resting or self.dead)

    def apply(self, event: KeyEvent, now: float, rest: float | None = None) -> None:
        """Move by the table. `rest` is what the provider asked for, in seconds.

        What fails during a rest was sent before it and says nothing new: a burst counts once, no rest is cut short, and
        a trial under way stays the only one (its request gives it back when it ends).
        """
        state = TRANSITIONS[self.state, event]
        if state is not self.state:
            self.since = now
        self.state = state
        self.__post_init__()
        if not self.resting:
            self.until, self.failures, self.trial = 0.0, 0, None
            return
        if now >= self.until:
            self.failures += 1
        self.until = max(self.until, now + _rest(event, self.failures, rest))

    def hears(self, event: KeyEvent, since: float, until: float) -> None:
        """Another gateway has learnt that it rests, or is refused, since an instant and until another one."""
        self.state = TRANSITIONS[self.state, event]
        self.__post_init__()
        self.since = max(self.since, since)
        if self.resting:
            self.until, self.failures = max(self.until, until), max(1, self.failures)

    def admits(self, now: float) -> bool:
        """May a request be sent now?"""
        return now >= self.next_trial() if self.resting else not self.dead

    def try_with(self, ticket: str, now: float) -> None:
        """A request is sent; if this rested, it is a trial."""
        if self.resting:
            self.trial, self.tried = ticket, now

    def begins_well(self, ticket: str, sent: float, now: float) -> None:
        """An answer to a request that was sent at `sent` has begun: others may come. What was sent before a rest proves
        nothing, and only a good end makes the next rest a short one."""
        if self.state is not KeyState.READY and (not self.resting or ticket == self.trial or sent >= self.until):
            failures = self.failures
            self.apply(KeyEvent.ANSWERED, now)
            self.failures = failures

    def ends_well(self) -> None:
        """An answer has come to its end."""
        if self.state is KeyState.READY:
            self.failures = 0

    def next_trial(self) -> float:
        """The instant of the next trial of what rests, if none ends before."""
        return self.until if self.trial is None else max(self.until, self.tried + TRIAL_SECONDS)

    def opens_at(self) -> float:
        """The instant from which a request may be sent; `FOREVER` when only the operator can say."""
        return FOREVER if self.dead else self.until


def _rest(event: KeyEvent, failures: int, asked: float | None) -> float:
    if event in (KeyEvent.OUT_OF_QUOTA, KeyEvent.NO_SUCH_MODEL):
        return SLOW_REST
    if asked is not None:
        return asked
    return min(LONGEST_REST, FIRST_REST * 2.0 ** min(failures - 1, 10))
