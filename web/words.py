"""Numbers and states in words: everything that the templates print and that is not a fact itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from web.view import KEY_STATES, ModelView, StatusView

_UNITS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))

Tone = Literal["good", "warn", "bad", "idle"]


@dataclass(frozen=True, slots=True)
class Headline:
    """The answer to "is it up?": a colour, two or three words, one sentence."""

    tone: Tone
    title: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a bar, in per cent of its width."""

    state: str
    start: float
    width: float


def headline(view: StatusView) -> Headline:
    """What a visitor reads first. What the operator has to do comes before how well it goes."""
    if view.state == "draining":
        return Headline("warn", "Shutting down", "Running requests are finished; new ones are turned away.")
    if not view.models:
        return Headline("idle", "No models yet", "The gateway is up. It has not been given a key.")
    if all(model.condition == "checking" for model in view.models):
        return Headline("idle", "Checking keys", "The gateway is up and is asking each key whether it works.")
    if view.answering == 0:
        return Headline("bad", "Not answering", "The gateway is up, but no key works right now.")
    if view.state == "degraded":
        return Headline("warn", "Degraded", answering(view))
    return Headline("good", "Up", answering(view))


def answering(view: StatusView) -> str:
    """How many of the models answer, as a sentence."""
    total = len(view.models)
    if view.answering < total:
        return f"{view.answering} of {total} models {'answers' if view.answering == 1 else 'answer'}."
    return "The model answers." if total == 1 else f"All {total} models answer."


def load(view: StatusView) -> str:
    """How busy it is, as a sentence."""
    if not view.running and not view.waiting:
        return "No request is running or waiting."
    if not view.waiting:
        return f"{requests(view.running)} running, none waiting."
    return f"{requests(view.running)} running, {grouped(view.waiting)} waiting."


def fairness(view: StatusView) -> str:
    """How evenly those who wait are served, as a sentence: of the model where it is least even."""
    contested = [model for model in view.models if model.waiting and model.gap_bound]
    if not contested:
        return "Nobody has to wait."
    worst = max(contested, key=lambda model: model.gap / model.gap_bound)
    return (
        f"Fairness: no two people who wait have been served more than {plain(worst.gap)} large requests apart;"
        f" the queue’s rule allows {plain(worst.gap_bound)}."
    )


def checking(view: StatusView) -> str:
    """How far the first look at the keys has come, as a sentence; empty once it is over."""
    if view.checking is None:
        return ""
    done, total = view.checking
    return f"Checking {grouped(done)} of {grouped(total)} {'key' if total == 1 else 'keys'}."


def plain(number: float) -> str:
    """One decimal where it says something: "1.2", "17"."""
    return f"{number:,.1f}".removesuffix(".0")


def requests(count: int) -> str:
    """A number of requests with its noun."""
    return "1 request" if count == 1 else f"{grouped(count)} requests"


def duration(seconds: float) -> str:
    """The two largest units that matter: "3 d 4 h", "12 min", "40 s"."""
    whole = max(0, int(seconds))
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{whole} s"


def clock(now_ms: int) -> str:
    """The time of day in UTC."""
    return moment(now_ms).strftime("%H:%M:%S UTC")


def iso(now_ms: int) -> str:
    """The instant for machines, as in `<time datetime>`."""
    return moment(now_ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(now_ms: int) -> datetime:
    """UTC milliseconds as a date."""
    return datetime.fromtimestamp(now_ms / 1000, UTC)


def grouped(number: int) -> str:
    """All digits, in threes."""
    return f"{number:,}"


def compact(number: int) -> str:
    """Three digits and a unit from ten thousand on: "9,999", "12.3 k", "4.56 M"."""
    if number < 10_000:
        return grouped(number)
    # The unit follows the rounded value: 999,600 is "1.00 M" and not "1000 k".
    size, unit = next((size, unit) for size, unit in _UNITS if number >= 0.9995 * size)
    return f"{_three_digits(number / size)} {unit}"


def _three_digits(value: float) -> str:
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f}"


def keys_in_words(model: ModelView) -> str:
    """The keys by state, for readers of text: "2 ready, 1 cooling"."""
    return ", ".join(f"{grouped(model.keys[state])} {state}" for state in present(model)) or "no keys"


def present(model: ModelView) -> list[str]:
    """The states that at least one key is in."""
    return [state for state in KEY_STATES if model.keys.get(state)]


def key_segments(model: ModelView) -> list[Segment]:
    """The bar of keys: each state as wide as its share."""
    total = sum(model.keys.values())
    segments, start = [], 0.0
    for state in present(model):
        width = 100 * model.keys[state] / total
        segments.append(Segment(state, round(start, 2), round(width, 2)))
        start += width
    return segments


def share(model: ModelView) -> float:
    """Slots in use, in per cent."""
    return round(min(100.0, 100 * model.running / model.slots), 2) if model.slots else 0.0


FILTERS: dict[str, Callable[..., Any]] = {
    "load": load,
    "fairness": fairness,
    "checking": checking,
    "duration": duration,
    "clock": clock,
    "iso": iso,
    "grouped": grouped,
    "compact": compact,
    "keys_in_words": keys_in_words,
    "key_segments": key_segments,
    "share": share,
}
