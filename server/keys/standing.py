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
from keypool.trouble import KeyCheck, ModelTrouble, Trouble
from web.formatting import duration, grouped, money

UNHEARD = "The gateway does not use it yet: it takes up a new key within seconds."
SUSPECTED = "Requests fail with it, perhaps by their own fault: too few people have used it to tell."
ELSEWHERE = "Another gateway found it out."
WHOLE: Mapping[KeyState, str] = {
    KeyState.UNCHECKED: "Nothing is known of it yet.",
    KeyState.READY: "It is let in.",
    KeyState.COOLING: "It rests after a failure.",
    KeyState.EXHAUSTED: "Its quota or its money is used up.",
    KeyState.REVOKED: "The provider does not accept it.",
    KeyState.PAUSED: "An administrator has paused it.",
}
HAPPENED: Mapping[KeyEvent, str] = {
    KeyEvent.RATE_LIMITED: "the provider asked for a pause, because too much was sent",
    KeyEvent.FAILED: "the provider failed",
    KeyEvent.NO_SUCH_MODEL: "the provider has no such model for this key",
    KeyEvent.UNREACHED: "the provider could not be reached",
    KeyEvent.OUT_OF_QUOTA: "the provider said that nothing is left to spend",
    KeyEvent.KEY_REFUSED: "the provider refused the key",
}
FOUND: Mapping[str, str] = {
    "ready": "let in",
    "revoked": "refused",
    "unclear": "not clear",
    "unreachable": "not reached",
}
MEASURES: Mapping[LimitMeasure, str] = {
    LimitMeasure.REQUESTS: "requests a minute",
    LimitMeasure.TOKENS: "tokens a minute",
    LimitMeasure.INPUT: "input tokens a minute",
    LimitMeasure.OUTPUT: "output tokens a minute",
    LimitMeasure.HOURLY: "requests an hour",
    LimitMeasure.HOURLY_TOKENS: "tokens an hour",
    LimitMeasure.DAILY: "requests a day",
    LimitMeasure.DAILY_TOKENS: "tokens a day",
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
    check: str
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
        return KeyStanding("unchecked", None, 0, None, (UNHEARD,), (), "", None, tuple(_spent(spent)))
    clock = _Clock(now, wall)
    mine = [each for each in domains if each.id in seen.domains]
    return KeyStanding(
        state=seen.state.value,
        since_ms=clock.ms(seen.since) if seen.since else None,
        running=seen.running,
        slots=seen.slots,
        why=tuple(_why(seen, clock)),
        next=tuple(_next(seen, clock)),
        check=check_sentence(seen.checked, now),
        checked_ms=clock.ms(seen.checked.at) if seen.checked else None,
        left=(*_spent(spent), *_limits(mine)),
    )


@dataclass(frozen=True, slots=True)
class _Clock:
    now: float
    wall: int

    def ms(self, at: float) -> int:
        return self.wall + round((at - self.now) * 1000)

    def ago(self, at: float) -> str:
        return f"{duration(max(0.0, self.now - at))} ago"

    def until(self, at: float) -> str:
        return f"in {duration(max(0.0, at - self.now))}"


# --- why


def _why(seen: KeySnapshot, clock: _Clock) -> Iterable[str]:
    yield WHOLE[seen.state]
    trouble = seen.trouble
    if trouble is not None and trouble.explains(seen.state):
        yield _happened(trouble, clock)
    elif seen.state in (KeyState.COOLING, KeyState.EXHAUSTED, KeyState.REVOKED):
        yield ELSEWHERE
    if seen.suspected:
        yield SUSPECTED
        if seen.doubt is not None:
            yield _happened(seen.doubt, clock)
    yield from (_of_model(each, clock) for each in seen.resting)


def _happened(trouble: Trouble, clock: _Clock) -> str:
    what = trouble.cause or HAPPENED[trouble.event]
    status = f" ({trouble.status})" if trouble.status else ""
    model = f", asked for {trouble.model}" if trouble.model else ""
    by = " at a test" if trouble.checked else ""
    said = f": “{trouble.words}”" if trouble.words else ""
    return f"{_capital(clock.ago(trouble.at))}{by}{model}, {what}{status}{said}."


def _of_model(each: ModelTrouble, clock: _Clock) -> str:
    why = "" if each.trouble is None else f" {_happened(each.trouble, clock)}"
    return f"{each.model} rests: it is tried again {clock.until(each.until)}.{why}"


# --- what comes next


def _next(seen: KeySnapshot, clock: _Clock) -> Iterable[str]:
    if seen.state is KeyState.PAUSED:
        yield "It serves again when it is resumed."
        return
    if seen.state in (KeyState.COOLING, KeyState.EXHAUSTED):
        yield _trial(seen, clock)
    if seen.state is KeyState.EXHAUSTED:
        yield "If it has been topped up, test it: then it is used at once."
    if seen.state is KeyState.REVOKED:
        yield "It serves again by itself if a test lets it in; else replace it."
    if seen.next_check is not None:
        yield (
            f"The next test is {clock.until(seen.next_check)}." if seen.next_check > clock.now else "A test is due now."
        )
    elif seen.state is KeyState.REVOKED:
        yield "No test is planned: ask for one."


def _trial(seen: KeySnapshot, clock: _Clock) -> str:
    if seen.trial:
        return "A request tries it now."
    return (
        f"One request tries it {clock.until(seen.until)}." if seen.until > clock.now else "The next request tries it."
    )


# --- the last test


def check_sentence(check: KeyCheck | None, now: float) -> str:
    """The last free check in a sentence. `now` is of the clock of its instant."""
    if check is None:
        return "Not tested yet."
    models = f", {grouped(check.models)} {'model' if check.models == 1 else 'models'}" if check.models else ""
    result = f"{FOUND.get(check.found, check.found)}{models}"
    detail = "" if check.found == "ready" else f": {check.detail}"
    words = f" It says: “{check.words}”." if check.words else ""
    hint = f" {_capital(check.hint.removeprefix('; '))}." if check.hint else ""
    return f"Tested {duration(max(0.0, now - check.at))} ago: {result}{detail}.{words}{hint}"


# --- what is left


def _spent(spent: KeyMoney) -> Iterable[str]:
    requests = "1 request" if spent.today_requests == 1 else f"{grouped(spent.today_requests)} requests"
    yield f"Today {money(spent.today_micro_usd)} for {requests}."
    for taken, most, anew in spent.caps:
        again = "" if anew is None else f", anew in {duration(anew)}"
        left = max(0, most - taken)
        yield f"{money(left)} of {money(most)} left under the cap of its upstream{again}."


def _limits(domains: Iterable[DomainSnapshot]) -> Iterable[str]:
    """The limits of the fullest capacity that it uses, of each measure."""
    worst: dict[LimitMeasure, Left] = {}
    for domain in domains:
        for measure, left in domain.limits.items():
            if measure not in worst or left.used > worst[measure].used:
                worst[measure] = left
    for measure, left in worst.items():
        full = f", all of it in {duration(left.full_in)}" if left.full_in >= 1 else ""
        yield f"{grouped(max(0, round(left.level)))} of {grouped(round(left.capacity))} {MEASURES[measure]} left{full}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
