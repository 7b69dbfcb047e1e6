"""What the operator reads about one key: why it stands as it does, what comes next, and what is left of it today.

Pure, and the only place that makes these sentences: the page, the JSON API and the command line show the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from keypool.domains import Left
from keypool.health import KeyEvent, KeyState
from keypool.limits import LimitMeasure
from keypool.snapshot import DomainSnapshot, KeySnapshot
from keypool.trouble import KeyCheck, Trouble
from web.formatting import duration, money
from web.wording import Phrase, Plural, Written
from web.wording import Wording as W

UNHEARD = W("The gateway does not use it yet: it takes up a new key within seconds.")
SUSPECTED = W("Requests fail with it, perhaps by their own fault: too few people have used it to tell.")
ACCEPTED = W("The provider accepted it when it was reached last.")
ELSEWHERE = W("Another gateway found it out.")
WHOLE: Mapping[KeyState, Phrase] = {
    KeyState.UNCHECKED: W("Nothing is known of it yet."),
    KeyState.READY: W("The provider accepts it."),
    KeyState.COOLING: W("It rests after a failure."),
    KeyState.EXHAUSTED: W("Its quota or its money is used up."),
    KeyState.REVOKED: W("The provider does not accept it."),
    KeyState.PAUSED: W("An administrator has paused it."),
}
HAPPENED: Mapping[KeyEvent, Phrase] = {
    KeyEvent.RATE_LIMITED: W("the provider asked for a pause, because too much was sent"),
    KeyEvent.FAILED: W("the provider failed"),
    KeyEvent.NO_SUCH_MODEL: W("the provider had no such model for this key"),
    KeyEvent.UNREACHED: W("the provider could not be reached"),
    KeyEvent.OUT_OF_QUOTA: W("the provider said that nothing is left to spend"),
    KeyEvent.KEY_REFUSED: W("the provider refused the key"),
}
CAUSES: Mapping[str, Phrase] = {
    each: each
    for each in (
        W("there was no connection"),
        W("the connection ended before any answer"),
        W("the answer was none"),
        W("there was no answer in time"),
        W("the answer broke off"),
        W("the monthly cap of its upstream had no room for a request"),
    )
}
FOUND: Mapping[str, Phrase] = {
    "ready": W("the provider accepts it"),
    "revoked": W("the provider does not know this key"),
    "unclear": W("the provider does not say whether it accepts it"),
    "unreachable": W("no connection, no answer in time, or a failure of the provider"),
}
LEFT: Mapping[LimitMeasure, str] = {
    LimitMeasure.REQUESTS: W("%(left)s of %(most)s requests a minute are left."),
    LimitMeasure.TOKENS: W("%(left)s of %(most)s tokens a minute are left."),
    LimitMeasure.INPUT: W("%(left)s of %(most)s input tokens a minute are left."),
    LimitMeasure.OUTPUT: W("%(left)s of %(most)s output tokens a minute are left."),
    LimitMeasure.HOURLY: W("%(left)s of %(most)s requests an hour are left."),
    LimitMeasure.HOURLY_TOKENS: W("%(left)s of %(most)s tokens an hour are left."),
    LimitMeasure.DAILY: W("%(left)s of %(most)s requests a day are left."),
    LimitMeasure.DAILY_TOKENS: W("%(left)s of %(most)s tokens a day are left."),
}


@dataclass(frozen=True, slots=True)
class KeyMoney:
    """What a key has cost today, and how the caps of its upstream stand: what is taken, how much there may be, in
    micro-USD, and the seconds until it begins anew, None for never."""

    today_micro_usd: int = 0
    today_requests: int = 0
    caps: tuple[tuple[int, int, float | None], ...] = ()


NO_MONEY = KeyMoney()


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """How a key stands: facts for programs, and sentences for people. Instants are UTC milliseconds."""

    state: str
    since_ms: int | None
    running: int
    slots: int | None  # None: as its terms say
    why: tuple[str, ...]
    next: tuple[str, ...]
    check: tuple[str, ...]
    checked_ms: int | None
    left: tuple[str, ...]


def standing_of(
    seen: KeySnapshot | None,
    domains: Iterable[DomainSnapshot],
    spent: KeyMoney,
    now: float,
    wall: int,
) -> KeyStanding:
    """`seen`: the key in the running pool, whose clock shows `now` (seconds); `wall`: UTC milliseconds."""
    if seen is None:
        return KeyStanding("unchecked", None, 0, None, (UNHEARD,), (), (), None, tuple(_spent(spent)))
    clock = _Clock(now, wall)
    mine = [each for each in domains if each.id in seen.domains]
    return KeyStanding(
        state=seen.state.value,
        since_ms=clock.ms(seen.since) if seen.since else None,
        running=seen.running,
        slots=seen.slots,
        why=tuple(_why(seen, clock)),
        next=tuple(_next(seen, clock)),
        check=tuple(_check(seen.checked, clock)),
        checked_ms=clock.ms(seen.checked.at) if seen.checked else None,
        left=(*_spent(spent), *_limits(mine)),
    )


@dataclass(frozen=True, slots=True)
class _Clock:
    now: float
    wall: int

    def ms(self, at: float) -> int:
        return self.wall + round((at - self.now) * 1000)

    def ago(self, at: float) -> Phrase:
        return Written(duration, max(0.0, self.now - at))

    def until(self, at: float) -> Phrase:
        return Written(duration, max(0.0, at - self.now))


# --- why


def _why(seen: KeySnapshot, clock: _Clock) -> Iterable[str]:
    unreached = seen.state is KeyState.READY and seen.checked is not None and seen.checked.found == "unreachable"
    yield ACCEPTED if unreached else WHOLE[seen.state]
    trouble = seen.trouble
    if trouble is not None and trouble.explains(seen.state):
        yield from _happened(trouble, clock)
    elif seen.state in (KeyState.COOLING, KeyState.EXHAUSTED, KeyState.REVOKED):
        yield ELSEWHERE
    if seen.suspected:
        yield SUSPECTED
        if seen.doubt is not None:
            yield from _happened(seen.doubt, clock)
    for each in seen.resting:
        again = clock.until(each.until)
        yield W("%(model)s rests: it is tried again in %(time)s.", model=each.model, time=again)
        if each.trouble is not None:
            yield from _happened(each.trouble, clock)


def _happened(trouble: Trouble, clock: _Clock) -> Iterable[str]:
    what, ago = CAUSES.get(trouble.cause, HAPPENED[trouble.event]), clock.ago(trouble.at)
    if trouble.checked:
        yield W("At a test %(ago)s ago, %(what)s.", ago=ago, what=what)
    elif trouble.status:
        yield W("%(ago)s ago, %(what)s (%(status)s).", ago=ago, what=what, status=str(trouble.status))
    else:
        yield W("%(ago)s ago, %(what)s.", ago=ago, what=what)
    if trouble.model:
        yield W("It was asked for %(model)s.", model=trouble.model)
    if trouble.words:
        yield W("It said: “%(words)s”.", words=trouble.words)


# --- what comes next


def _next(seen: KeySnapshot, clock: _Clock) -> Iterable[str]:
    if seen.state is KeyState.PAUSED:
        yield W("It serves again when it is resumed.")
        return
    if seen.state in (KeyState.COOLING, KeyState.EXHAUSTED):
        yield _trial(seen, clock)
    if seen.state is KeyState.EXHAUSTED:
        yield W("If it has been topped up, test it: then it is used at once.")
    if seen.state is KeyState.REVOKED:
        yield W("It serves again by itself once a test shows that the provider accepts it; else replace it.")
    if seen.next_check is None:
        yield W("No test is planned.")
    elif seen.next_check > clock.now:
        yield W("The next test is in %(time)s.", time=clock.until(seen.next_check))
    else:
        yield W("A test is due now.")


def _trial(seen: KeySnapshot, clock: _Clock) -> Phrase:
    if seen.trial:
        return W("A request tries it now.")
    if seen.until <= clock.now:
        return W("The next request tries it.")
    return W("One request tries it in %(time)s.", time=clock.until(seen.until))


# --- the last test


def _check(check: KeyCheck | None, clock: _Clock) -> Iterable[str]:
    if check is None:
        yield W("Not tested yet.")
        return
    ago, found = clock.ago(check.at), FOUND.get(check.found, check.found)
    if check.status and check.found != "ready":
        yield W("Tested %(ago)s ago: %(found)s (%(status)s).", ago=ago, found=found, status=str(check.status))
    else:
        yield W("Tested %(ago)s ago: %(found)s.", ago=ago, found=found)
    if check.models:
        yield Plural("It lists %(count)s model.", "It lists %(count)s models.", check.models)
    if check.words:
        yield W("It said: “%(words)s”.", words=check.words)
    if check.hint:
        yield W("Its kind or its address may be wrong: %(hint)s.", hint=check.hint.removeprefix("; "))


# --- what is left


def _spent(spent: KeyMoney) -> Iterable[str]:
    yield Plural(
        "Today %(cost)s for %(count)s request.",
        "Today %(cost)s for %(count)s requests.",
        spent.today_requests,
        cost=Written(money, spent.today_micro_usd),
    )
    for taken, most, anew in spent.caps:
        left, of = Written(money, max(0, most - taken)), Written(money, most)
        yield W("%(left)s of %(most)s are left under the cap of its upstream.", left=left, most=of)
        if anew is not None:
            yield W("The cap begins anew in %(time)s.", time=Written(duration, anew))


def _limits(domains: Iterable[DomainSnapshot]) -> Iterable[str]:
    """The limits of the fullest capacity that it uses, of each measure."""
    worst: dict[LimitMeasure, Left] = {}
    for domain in domains:
        for measure, left in domain.limits.items():
            if measure not in worst or left.used > worst[measure].used:
                worst[measure] = left
    for measure, left in worst.items():
        yield W(LEFT[measure], left=max(0, round(left.level)), most=round(left.capacity))
        if left.full_in >= 1:
            yield W("All of it is there in %(time)s.", time=Written(duration, left.full_in))
