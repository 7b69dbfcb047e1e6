"""Our ledger against a provider's bill: how far apart they are, for each day, model and key. Pure.

* Two things are compared only where both are known alike: as finely as all lines of a report tell. Costs without a
  key are compared for all keys together, costs without a model for all models.
* A key of the bill is ours where the operator says which one it is. All other keys of the bill are compared with all
  other keys of ours, as one (`OTHER_KEYS`); without a word about keys, all of them are one.
* Only days are compared that the report spans, in UTC.
* Names of models are compared without their dates: a bill says "gpt-4o-2024-08-06" or "Claude Sonnet 4.5" where a
  request says "gpt-4o" or "claude-sonnet-4-5".
* Input counts what was cached. Requests are not compared: providers count only those that they answered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from server.ledger.money import MICRO
from server.ledger.provider_report import ReportLine
from server.ledger.reports import Sum

OTHER_KEYS = "other keys"
ALL = ""  # of a model or a key: all together
PROVIDERS = ("openai", "anthropic")
MEASURES = ("input", "output", "cost_micro_usd")
_AT_LEAST = {"input": 100, "output": 100, "cost_micro_usd": 10_000}  # less than this is no drift: a cent
_DATED = re.compile(r"-(?:\d{4}-\d\d-\d\d|\d{8}|latest)$")

Figures = dict[str, Decimal]  # by measure
Place = tuple[str, str, str, str]  # provider, day, model, key


@dataclass(frozen=True, slots=True)
class Drift:
    """One line of the comparison. Tokens, or micro-USD; a measure that the bill does not tell stands in neither."""

    provider: str
    day: str  # UTC
    model: str  # ALL: of all models
    key: str  # the fingerprint of ours; ALL or OTHER_KEYS
    ours: Mapping[str, int]
    theirs: Mapping[str, int]
    within: bool  # no measure is further off than is tolerated

    def off(self, measure: str) -> int | None:
        """By how much ours is more than theirs; None if the bill does not tell."""
        return self.ours[measure] - self.theirs[measure] if measure in self.theirs else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison is made by. `keys`: fingerprints of ours by the bill's names; `percent` is tolerated."""

    providers: Mapping[str, str]  # of our upstreams, by their names
    keys: Mapping[str, str]
    percent: Decimal = Decimal(2)


def compare(lines: Sequence[ReportLine], billed: Iterable[Sum], by: Comparison) -> list[Drift]:
    """The bill against our sums by UTC day, upstream, key and served model. Sorted by provider, day, model and key."""
    own = list(billed)
    ours: dict[Place, Figures] = {}
    theirs: dict[Place, Figures] = {}
    names: dict[Place, str] = {}
    for provider in PROVIDERS:
        for measures in (MEASURES[:2], MEASURES[2:]):
            said = [line for line in lines if line.provider == provider and _tells(line, measures)]
            if not said:
                continue
            with_model = all(line.model for line in said)
            with_key = bool(by.keys) and all(line.key for line in said)
            for line in said:
                key = by.keys.get(line.key or "", OTHER_KEYS) if with_key else ALL
                place = (provider, line.day, canonical(line.model or "") if with_model else ALL, key)
                names.setdefault(place, line.model or "" if with_model else ALL)
                _add(theirs, place, {name: _figure(line, name) for name in measures})
            days, mapped = set(span(said, lines, provider)), set(by.keys.values())
            for each in own:
                day, upstream, fingerprint, model = (part or "" for part in each.key)
                if by.providers.get(upstream) != provider or day not in days:
                    continue
                key = (fingerprint if fingerprint in mapped else OTHER_KEYS) if with_key else ALL
                place = (provider, day, canonical(model) if with_model else ALL, key)
                names[place] = model if with_model else ALL
                _add(ours, place, {name: Decimal(getattr(each, name)) for name in measures})
    return [_drift(place, names[place], ours, theirs, by.percent) for place in sorted(names)]


def span(said: Sequence[ReportLine], lines: Sequence[ReportLine], provider: str) -> Iterator[str]:
    """All days from the first to the last that a report of a provider names: also those on which nothing was used."""
    empty = [line.day for line in lines if line.provider == provider and not _tells(line, MEASURES)]
    days = sorted([line.day for line in said] + empty)
    first, last = date.fromisoformat(days[0]), date.fromisoformat(days[-1])
    return ((first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1))


def canonical(model: str) -> str:
    """A model's name without what a bill writes otherwise: its date, capitals, blanks and points; Claude's in order."""
    plain = _DATED.sub("", re.sub(r"[\s._]+", "-", model.strip().lower()))
    if not plain.startswith("claude"):
        return plain
    return "-".join(sorted(plain.split("-")))


def unknown_keys(lines: Iterable[ReportLine], keys: Mapping[str, str]) -> list[str]:
    """The keys of a bill of which is not known which one of ours each is."""
    return sorted({line.key for line in lines if line.key and line.key not in keys})


def _tells(line: ReportLine, measures: Sequence[str]) -> bool:
    return any((line.dollars if name == "cost_micro_usd" else getattr(line, name)) is not None for name in measures)


def _figure(line: ReportLine, measure: str) -> Decimal:
    if measure == "cost_micro_usd":
        return (line.dollars or Decimal()) * MICRO
    return Decimal(getattr(line, measure) or 0)


def _add(sums: dict[Place, Figures], place: Place, figures: Figures) -> None:
    there = sums.setdefault(place, {})
    for name, amount in figures.items():
        there[name] = there.get(name, Decimal()) + amount


PER_CENT = Decimal("0.01")


def _drift(
    place: Place, name: str, ours: Mapping[Place, Figures], theirs: Mapping[Place, Figures], percent: Decimal
) -> Drift:
    own, bill = ours.get(place, {}), theirs.get(place, {})
    said = [measure for measure in MEASURES if measure in own or measure in bill]
    mine = {measure: round(own.get(measure, Decimal())) for measure in said}
    billed = {measure: round(bill.get(measure, Decimal())) for measure in said}
    allowed = {measure: max(Decimal(_AT_LEAST[measure]), abs(billed[measure]) * percent * PER_CENT) for measure in said}
    within = all(abs(mine[measure] - billed[measure]) <= allowed[measure] for measure in said)
    return Drift(place[0], place[1], name, place[3], mine, billed, within)
