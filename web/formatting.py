"""Numbers and states in words, for the templates, in the language of the page that is being written.

Times are shown in the operator's zone and name it where a visitor might be in another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from math import floor
from typing import Any
from urllib.parse import quote

from web.languages import catalogue, reader
from web.locale import locale
from web.view import KEY_STATES, ModelView, NoticeView, StatusView, Tone
from web.wording import Plural, Wording

_UNITS = ((10**12, Wording("T")), (10**9, Wording("B")), (10**6, Wording("M")), (10**3, Wording("k")))
_MICRO = 1_000_000
FEW_FORECASTS = 10


@dataclass(frozen=True, slots=True)
class Headline:
    """The answer to "is it up?": a colour, two or three words, one sentence."""

    tone: Tone
    title: str
    sentence: str


# --- is it up?


def headline(view: StatusView) -> Headline:
    """The first line of the status page. A problem that the operator must solve comes before the load."""
    if view.state == "draining":
        words = Wording("Running requests are finished; new ones are turned away.")
        return Headline("warn", Wording("Shutting down"), words)
    if view.state == "maintenance":
        words = Wording("The operator is at work; new requests are turned away until then.")
        return Headline("warn", Wording("Maintenance"), words)
    if not view.models:
        return Headline("idle", Wording("No models yet"), Wording("The gateway is up. It has not been given a key."))
    if all(model.condition == "checking" for model in view.models):
        words = Wording("The gateway is up and is asking each key whether it works.")
        return Headline("idle", Wording("Checking keys"), words)
    if view.answering == 0:
        return Headline("bad", Wording("Not answering"), Wording("The gateway is up, but no key works right now."))
    if view.state == "degraded":
        return Headline("warn", Wording("Degraded"), answering(view))
    return Headline("good", Wording("Up"), answering(view))


def answering(view: StatusView) -> str:
    """How many of the models answer, as a sentence."""
    total = len(view.models)
    if view.answering < total:
        return Plural(
            "1 of %(total)s models answers.", "%(count)s of %(total)s models answer.", view.answering, total=total
        )
    return Plural("The model answers.", "All %(count)s models answer.", total)


def load(view: StatusView) -> str:
    """How busy it is, as a sentence."""
    if not view.running and not view.waiting:
        return Wording("No request is running or waiting.").said()
    running = requests(view.running)
    if not view.waiting:
        return Wording("%(running)s running, none waiting.", running=running).said()
    return Wording("%(running)s running, %(waiting)s waiting.", running=running, waiting=view.waiting).said()


def online(view: StatusView) -> str:
    """How many people are here, as a sentence; empty if they are not counted."""
    if view.people_online is None:
        return ""
    if not view.people_online:
        return Wording("No people are here at the moment.").said()
    return Plural("1 person is here.", "%(count)s people are here.", view.people_online).said()


def fairness(view: StatusView) -> str:
    """How evenly those who wait are served, as a sentence: of the model where it is least even."""
    contested = [model for model in view.models if model.waiting and model.gap_bound]
    if not contested:
        return Wording("No request has to wait.").said()
    worst = max(contested, key=lambda model: model.gap / model.gap_bound)
    return Wording(
        "Fairness: no two people who wait have been served more than %(gap)s large requests apart;"
        " the queue’s rule allows %(bound)s.",
        gap=plain(worst.gap),
        bound=plain(worst.gap_bound),
    ).said()


def forecasts(view: StatusView) -> str:
    """How true the forecasts of waits were, as a sentence; empty before there were enough."""
    made, near = (sum(getattr(model, name) for model in view.models) for name in ("forecasts", "forecasts_near"))
    if made < FEW_FORECASTS:
        return ""
    of_ten = round(10 * near / made)
    return Wording(
        "Forecasts of the wait: %(tenths)s of 10 were within a quarter of what it then was.", tenths=of_ten
    ).said()


def checking(view: StatusView) -> str:
    """How far the first look at the keys has come, as a sentence; empty once it is over."""
    if view.checking is None:
        return ""
    done, total = view.checking
    return Plural("Checking %(done)s of 1 key.", "Checking %(done)s of %(count)s keys.", total, done=done).said()


def wait(model: ModelView) -> str:
    """How long a new request would wait."""
    if not model.answers:
        return Wording("no answer").said()
    if model.wait_seconds is None:
        return (Wording("a queue") if model.waiting else Wording("none")).said()
    if model.wait_seconds < 0.5:
        return Wording("none").said()
    latest = model.wait_latest_seconds or 0.0
    usual = f"≈ {seconds(model.wait_seconds)}"
    if latest < 1.5 * model.wait_seconds:
        return usual
    return Wording("%(usual)s, at most %(most)s", usual=usual, most=seconds(latest)).said()


def keys_in_words(model: ModelView) -> str:
    """The keys by state, for readers of text: "2 ready, 1 cooling"."""
    return (
        ", ".join(f"{grouped(model.keys[state])} {word(state)}" for state in KEY_STATES if model.keys.get(state))
        or Wording("no keys").said()
    )


def word(name: str) -> str:
    """One of the words of `vocabulary.py`: a state, a unit or the like."""
    return catalogue(reader()).message(name)


def lasts(notice: NoticeView, now_ms: int, zone: tzinfo = UTC) -> str:
    """When a notice holds, as a phrase."""
    if notice.since_ms > now_ms:
        since = moment(notice.since_ms, zone)
        if notice.until_ms is None:
            return Wording("from %(since)s", since=since).said()
        return Wording("from %(since)s until %(until)s", since=since, until=moment(notice.until_ms, zone)).said()
    return Wording("until %(until)s", until=moment(notice.until_ms, zone)).said() if notice.until_ms is not None else ""


# --- numbers


def plain(number: float) -> str:
    """One decimal where it says something: "1.2", "17"."""
    return locale().marked(f"{number:,.1f}".removesuffix(".0"))


def requests(count: int) -> str:
    """A number of requests with its noun."""
    return Plural("1 request", "%(count)s requests", count).said()


def grouped(number: int) -> str:
    """All digits, in threes."""
    return locale().grouped(number)


def compact(number: int) -> str:
    """Three digits and a unit from ten thousand on: "9,999", "12.3 k", "4.56 M"."""
    if number < 10_000:
        return grouped(number)
    # The unit follows the rounded value: 999,600 is "1.00 M" and not "1000 k".
    size, unit = next((size, unit) for size, unit in _UNITS if number >= 0.9995 * size)
    return f"{locale().marked(_three_digits(number / size))} {unit.said()}"


def _three_digits(value: float) -> str:
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f}"


def money(micro_usd: int) -> str:
    """Dollars as people read them: "$1,204", "$3.20", "$0.0042", and never a rounded-away something."""
    if micro_usd < 0:
        return f"−{money(-micro_usd)}"
    if 0 < micro_usd < 100:
        return f"< {locale().dollars('0.0001')}"
    if 0 < micro_usd < _MICRO // 100:
        return locale().dollars(f"{micro_usd / _MICRO:.4f}")
    return locale().dollars(f"{micro_usd / _MICRO:,.{0 if micro_usd >= 1000 * _MICRO else 2}f}")


def dollars(micro_usd: int) -> str:
    """Dollars with all their digits, as a form takes them: "12.50", "0.000075"."""
    whole, rest = divmod(micro_usd, _MICRO)
    return f"{whole}.{f'{rest:06d}'.rstrip('0'):0<2}"


def amount(number: int, unit: str) -> str:
    """So much of what a limit or a chart counts."""
    if unit in ("usd", "cost"):
        return money(number)
    if unit == "tokens":
        return Plural("%(amount)s token", "%(amount)s tokens", number, amount=compact(number)).said()
    if unit == "requests":
        return Plural("%(amount)s request", "%(amount)s requests", number, amount=compact(number)).said()
    return f"{compact(number)} {unit}"


def percent(share: float) -> str:
    """A share of 1, never rounded up to all of it: "99.98 %", "100 %"."""
    if share >= 1:
        return "100 %"
    hundredths = floor(share * 10_000)
    return locale().marked(f"{hundredths / 100:.2f} %" if hundredths >= 9_900 else f"{hundredths / 100:.1f} %")


def energy(watt_hours: float) -> str:
    """An estimate of energy, in two digits: more would be a claim."""
    kilo = watt_hours >= 1000
    number = locale().marked(f"{float(f'{watt_hours / (1000 if kilo else 1):.2g}'):g}")
    return f"≈ {number} {'kWh' if kilo else 'Wh'}"


# --- durations and instants


def seconds(value: float) -> str:
    """A short duration: "80 ms", "1.4 s", "12 s", "3 min"."""
    if value < 0.0995:
        return f"{value * 1000:.0f} ms"
    if value < 9.95:
        return locale().marked(f"{value:.1f} s")
    return f"{value:.0f} s" if value < 119.5 else f"{value / 60:.0f} min"


def duration(value: float) -> str:
    """The two largest units that matter: "3 d 4 h", "12 min", "40 s"."""
    whole = max(0, int(value))
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return Wording("%(days)s d %(hours)s h", days=days, hours=hours).said()
    if hours:
        return Wording("%(hours)s h %(minutes)s min", hours=hours, minutes=minutes).said()
    return f"{minutes} min" if minutes else f"{whole} s"


def ago(then_ms: int, now_ms: int) -> str:
    """How long something has been so."""
    return duration((now_ms - then_ms) / 1000)


def clock(ms: int, zone: tzinfo = UTC) -> str:
    """The time of day with its zone: "14:13:20 UTC"."""
    return locale().clock(local(ms, zone))


def hour(ms: int, zone: tzinfo = UTC) -> str:
    """The time of day: "14:00"."""
    return local(ms, zone).strftime("%H:%M")


def moment(ms: int, zone: tzinfo = UTC) -> str:
    """A day and a time of day: "21 Sep 2026, 14:13"."""
    return locale().moment(local(ms, zone))


def since(ms: int, zone: tzinfo = UTC) -> str:
    """A day: "21 Sep 2026"."""
    return locale().since(local(ms, zone))


def day(name: str) -> str:
    """A day's name for people: "21 Sep"."""
    return locale().day(date.fromisoformat(name))


def iso(ms: int) -> str:
    """The instant for machines, as in `<time datetime>`."""
    return local(ms, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def quoted(text: str) -> str:
    """A text as one part of an address: whatever it is, no slash or question mark of it counts."""
    return quote(text, safe="", errors="replace")


def input_day(ms: int | None, zone: tzinfo = UTC) -> str:
    """The day as `<input type=date>` takes it; empty for None."""
    return "" if ms is None else local(ms, zone).strftime("%Y-%m-%d")


def local(ms: int, zone: tzinfo) -> datetime:
    """UTC milliseconds as a date in a zone."""
    return datetime.fromtimestamp(ms / 1000, zone)


FILTERS: dict[str, Callable[..., Any]] = {
    filter_.__name__: filter_
    for filter_ in (
        checking, keys_in_words, lasts, plain, requests, grouped, compact, money,
        dollars, amount, percent, energy, seconds, duration, ago, clock, hour, moment, since, day, iso, input_day,
        quoted, wait, word,
    )
}  # fmt: skip
