"""The differences that a change makes, line by line, in words: for its maker beforehand and in the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from server.ledger.money import usd
from server.ledger.when import iso

INSTANTS = ("since", "until", "extra_until", "valid_from", "at")
AMOUNTS = ("amount", "extra")
NOTHING = "–"
HIDDEN = "join"  # the digest of a join code

Body = Mapping[str, Any]
Names = Mapping[str, str]


def lines(body: Body, names: Names | None = None) -> Iterator[str]:
    """One line for each field. `names`: what ids are called."""
    known = names or {}
    return (f"{field}: {_words(body, field, known)}" for field in body)


def differences(before: Body, after: Body, names: Names | None = None) -> list[str]:
    """One line for each field that is another afterwards: "weight: 1.0 → 2.0". `names`: what ids are called."""
    fields = [field for field in {**before, **after} if field != HIDDEN and before.get(field) != after.get(field)]
    known = names or {}
    return [
        f"{field.replace('_', ' ')}: {_words(before, field, known)} → {_words(after, field, known)}" for field in fields
    ]


def _words(body: Body, field: str, names: Names) -> str:
    value = body.get(field)
    if field in AMOUNTS and body.get("unit") == "usd":
        return f"{usd(value or 0)} USD"
    if value is None or value in ("", [], ()):
        return "all" if field == "models" else NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and (field in INSTANTS or field.endswith("_at")):
        return iso(value)
    if isinstance(value, Mapping):  # a token's terms: those that are set
        return ", ".join(f"{name} {_words(value, name, names)}" for name in value if value[name]) or NOTHING
    return ", ".join(_one(each, names) for each in value) if isinstance(value, (list, tuple)) else _one(value, names)


def _one(value: object, names: Names) -> str:
    """Prices of tools are written as they are set."""
    if isinstance(value, Mapping) and {"tool", "micro_usd"} <= set(value):
        return f"{value['tool']}={usd(value['micro_usd'])}"
    return names.get(str(value), str(value))
