"""The YAML file of the operator's own prices.

    prices:
      - model: gpt-5                    # or gpt-5*, every model that begins so
        valid_from: 2025-08-07          # that day in UTC, or a time with its zone; always, if it is not said
        input: 1.25                     # US dollars per million tokens
        cached: 0.125
        output: 10
        tiers:
          - above: 272000               # with more input tokens all of the request costs
            input: 2.50
            output: 15
      - model: whisper-1
        audio_minute: 0.006             # US dollars

It is read strictly: an unknown field, a wrong amount or two prices of a model from the same time are mistakes, and all
of them are reported, each with its place (`prices[2].output`). Amounts are read as the text that stands there, so no
digit is lost. An entry with a price for input needs one for output, and the reverse: 0 is never meant by silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from server.ledger.money import micro_usd
from server.ledger.prices import TOKENS, Price, PriceTier, Rates
from server.ledger.when import instant, iso


class _Loader(yaml.BaseLoader):
    """Every scalar stays the text that it is. A field that stands twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode)]
        if len(names) != len(set(names)):
            raise yaml.constructor.ConstructorError(None, None, "a field stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_prices(path: Path) -> tuple[list[Price], list[str]]:
    """The prices of the file that can be used, and the mistakes."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - it builds nothing but texts
    except (OSError, UnicodeDecodeError):
        return [], ["PRICES_FILE: expected a readable text file in UTF-8"]
    except yaml.YAMLError as error:
        return [], [f"PRICES_FILE{_line(error)}: expected YAML, and no field twice"]
    entries = document.get("prices") if isinstance(document, dict) and set(document) == {"prices"} else None
    if not isinstance(entries, list):
        return [], ["PRICES_FILE: expected one field `prices` with a list"]
    mistakes: list[str] = []
    read = [_price(f"prices[{number}]", entry, mistakes) for number, entry in enumerate(entries)]
    mistakes.extend(_repeated(read))
    return [price for price in read if price], mistakes


def _line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" line {mark.line + 1}" if mark else ""


def _repeated(prices: list[Price | None]) -> Iterator[str]:
    ids: set[str] = set()
    for number, price in enumerate(prices):
        if price and price.id in ids:
            yield f"prices[{number}]: the model has another price from the same time"
        if price:
            ids.add(price.id)


def _price(place: str, entry: object, mistakes: list[str]) -> Price | None:
    """One entry of the list; None if it cannot be used, and then `mistakes` says why."""
    before = len(mistakes)
    said = _fields(place, entry, _PRICE, mistakes)
    steps = said.pop("tiers", [])
    tiers = [_fields(f"{place}.tiers[{number}]", step, _TIER, mistakes) for number, step in enumerate(steps)]
    if len(mistakes) > before:
        return None
    model, valid_from = said.pop("model"), said.pop("valid_from", 0)
    since = f"@{iso(valid_from)}" if valid_from else ""
    try:
        return Price(f"file:{model}{since}", model, valid_from, _rates(said, tiers))
    except ValueError as error:
        mistakes.append(f"{place}.tiers: {error}")
        return None


def _rates(said: Mapping[str, Any], tiers: Iterable[Mapping[str, Any]]) -> Rates:
    """A tier is about tokens; the rest costs in it what it costs below."""
    rest = {kind: amount for kind, amount in said.items() if kind not in _TOKENS}
    steps = [{**rest, **tier} for tier in tiers]
    return Rates(**said, tiers=tuple(PriceTier(step.pop("above"), Rates(**step)) for step in steps))


def _fields(place: str, entry: object, known: Fields, mistakes: list[str]) -> dict[str, Any]:
    """The values of an entry's fields."""
    said: dict[str, Any] = {}
    if not isinstance(entry, dict):
        mistakes.append(f"{place}: expected fields such as {', '.join(list(known)[:4])}")
        return said
    for name, value in entry.items():
        if name not in known:
            mistakes.append(f"{place}: unknown field; the fields are {', '.join(known)}")
            continue
        kind, check = known[name]
        try:
            said[kind] = check(value)
        except ValueError as error:
            mistakes.append(f"{place}.{name}: {error}")
    mistakes += [f"{place}.{name}: expected, but missing" for name in _needed(entry, known) if name not in entry]
    return said


def _needed(entry: Mapping[object, object], known: Fields) -> list[str]:
    """The first of the known fields; and all of input and output where there is something about tokens, or nothing."""
    first = next(iter(known))
    about_tokens = not entry.keys().isdisjoint(_TOKENS) or entry.keys().isdisjoint(_OTHERS)
    return [first, "input", "output"] if about_tokens else [first]


def _model(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[!-)+-~]{1,256}\*?|\*", value):
        raise ValueError("expected a model's name, or its beginning and a *")
    return value


def _valid_from(value: object) -> int:
    text = value if isinstance(value, str) else ""
    try:
        return instant(f"{text}T00:00Z" if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else text)
    except ValueError:
        raise ValueError("expected a date such as 2025-08-07, or a time with its zone") from None


def _usd(value: object) -> int:
    return micro_usd(value if isinstance(value, str) else "")


def _usd_a_minute(value: object) -> int:
    return _usd(value) * 60


def _above(value: object) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise ValueError("expected a number of tokens")
    return int(value)


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("expected a list")
    return value


# The name of a field in the file: its name here, and what it must be.
Fields = Mapping[str, tuple[str, Callable[[object], Any]]]

_TOKENS: Fields = {kind: (kind, _usd) for kind in TOKENS}
_OTHERS: Fields = {
    "request": ("request", _usd),
    "image": ("image", _usd),
    "audio_minute": ("audio_hour", _usd_a_minute),
}
_PRICE: Fields = {
    "model": ("model", _model),
    "valid_from": ("valid_from", _valid_from),
    **_TOKENS,
    **_OTHERS,
    "tiers": ("tiers", _list),
}
_TIER: Fields = {"above": ("above", _above), **_TOKENS}
