"""What other proxies know of their people, read from their files: the OAI Reverse Proxy, and two with a SQLite file.

A file is only read. What has no place here is named in a note, with what to do. Secrets of theirs are left where they
are: their keys can be computed, or were kept as they are, so each person gets a new token.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from server.ledger.limits import LimitWindow, Unit
from server.ledger.money import MICRO, MOST
from server.ledger.prices import Price, Rates
from server.ledger.when import instant, iso
from server.policy.commands import CommandError

LARGEST = 64 << 20  # bytes of users.json
LONGEST_NAME = 64
LONGEST_NOTE = 1000
# The OAI Reverse Proxy's families of models, as patterns of names.
FAMILIES: Mapping[str, str] = {
    "turbo": "gpt-3.5*", "gpt4": "gpt-4", "gpt4-32k": "gpt-4-32k*", "gpt4-turbo": "gpt-4-turbo*", "gpt4o": "gpt-4o*",
    "o1": "o1*", "o1-mini": "o1-mini*", "dall-e": "dall-e*", "claude": "claude*", "claude-opus": "claude*opus*",
    "gemini-flash": "gemini*flash*", "gemini-pro": "gemini*pro*", "gemini-ultra": "gemini*ultra*",
    "mistral-tiny": "mistral-tiny*", "mistral-small": "mistral-small*", "mistral-medium": "mistral-medium*",
    "mistral-large": "mistral-large*",
}  # fmt: skip
_KINDS = ("normal", "special", "temporary")


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A person as another proxy knows them. `tokens`: how many are left, by patterns of models. `expires_at`: UTC ms.

    `amount` is what a limit of theirs leaves, of a unit in a window. `closed`: they may not ask any more.
    """

    name: str
    note: str = ""
    email: str | None = None
    login: str | None = None
    closed: bool = False
    kind: str = "normal"
    addresses: int = 0
    expires_at: int | None = None
    tokens: Mapping[str, int] = field(default_factory=dict)
    amount: tuple[int, Unit, LimitWindow] | None = None
    with_token: bool = True


@dataclass(frozen=True, slots=True)
class Arrivals:
    """All that a file says, and sentences about what is left behind."""

    people: tuple[Newcomer, ...] = ()
    prices: tuple[Price, ...] = ()
    notes: tuple[str, ...] = ()


# --- the OAI Reverse Proxy


def of_oai_reverse_proxy(path: Path) -> Arrivals:
    """`users.json`: the export of its administrators' page, or the file of its store. Raises CommandError."""
    notes: dict[str, None] = {}
    people = [_user(f"{path.name}, user {number}", each, notes) for number, each in enumerate(_users(path), 1)]
    return Arrivals(tuple(named(people)), notes=tuple(notes))


def _users(path: Path) -> list[Any]:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        found = json.loads(content) if len(content) <= LARGEST else None
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise CommandError(f"{path}: no valid JSON") from None
    if isinstance(found, dict):
        found = found.get("users", list(found.values()))
    if not isinstance(found, list):
        raise CommandError(f"{path}: expected users, as the administrators' page of the proxy exports them")
    return found


def _user(place: str, user: Any, notes: dict[str, None]) -> Newcomer:
    if not isinstance(user, dict) or not isinstance(token := user.get("token"), str):
        raise CommandError(f"{place}: expected an object with a `token`")
    kind = user.get("type", "normal")
    if kind not in _KINDS:
        raise CommandError(f"{place}: `type` is none of {', '.join(_KINDS)}")
    expires_at, addresses = _whole(place, user, "expiresAt"), _whole(place, user, "maxIps") or 0
    if kind == "temporary" and expires_at is None:
        notes["Temporary users without an end become normal ones: their time begins with a request there."] = None
        kind = "normal"
    daily = _whole(place, user, "promptLimit", least=-1)
    return Newcomer(
        name=_name(user.get("nickname") or user.get("alias")) or f"user-{token[-4:]}",
        note=_name(user.get("adminNote"), LONGEST_NOTE),
        closed=bool(user.get("disabledAt")),
        kind=str(kind),
        addresses=min(addresses, 1000),
        expires_at=expires_at,
        tokens=_left(place, user, notes),
        amount=(daily, Unit.REQUESTS, LimitWindow.DAY) if daily and daily > 0 else None,
    )


def _left(place: str, user: Mapping[str, Any], notes: dict[str, None]) -> dict[str, int]:
    """What is left of each family's limit, by our patterns; 0 there is no limit."""
    limits, counts = user.get("tokenLimits") or {}, user.get("tokenCounts") or {}
    if not isinstance(limits, dict) or not isinstance(counts, dict):
        raise CommandError(f"{place}: `tokenLimits` and `tokenCounts` are objects")
    left = {}
    for family in limits:
        limit = _whole(place, limits, family) or 0
        if limit and family not in FAMILIES:
            notes[f"The family {family!r} is not known: set a limit for its models by `limit set`."] = None
        elif limit:
            left[FAMILIES[family]] = max(0, limit - _count(counts.get(family)))
    return left


def _count(counted: object) -> int:
    """How many were used: one number, or in later versions one for each direction."""
    if isinstance(counted, dict):
        return sum(_count(each) for each in counted.values())
    return counted if isinstance(counted, int) and counted > 0 else 0


def _whole(place: str, holder: Mapping[str, Any], name: str, least: int = 0) -> int | None:
    value = holder.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 10**15:
        raise CommandError(f"{place}: `{name}` is no whole number in its bounds")
    return value


# --- two with a SQLite file


def of_flask(path: Path) -> Arrivals:
    """AI-Northstar's openai-proxy: a key for each user name, and how many dollars are left of it."""
    rows = _select(path, "api_key_to_quota", ("api_key", "rem_quota"))
    people = []
    for number, (key, left) in enumerate(rows, 1):
        if not isinstance(left, (int, float)) or left * MICRO > MOST:
            raise CommandError(f"{path.name}, api_key_to_quota {number}: `rem_quota` is no amount of dollars")
        dollars = max(0, int(Decimal(str(left)) * MICRO))
        name = _name(str(key).rpartition("_")[0]) or f"user-{number}"
        people.append(Newcomer(name, amount=(dollars, Unit.USD, LimitWindow.EVER)))
    note = "Prompts and answers that were kept stay in that file (openai_request_response)."
    return Arrivals(tuple(named(people)), notes=(note,))


def of_java(path: Path) -> Arrivals:
    """SSEHUB's openai-api-proxy: users, who were a header there, and the prices of models."""
    people = [Newcomer(_name(str(name)) or f"user-{number}", with_token=False)
              for number, (name,) in enumerate(_select(path, "user", ("name",)), 1)]  # fmt: skip
    columns = ("model_name", "valid_from", "per1k_query_tokens", "per1k_answer_tokens")
    prices = [
        _price(f"{path.name}, cost {number}", *row) for number, row in enumerate(_select(path, "cost", columns), 1)
    ]
    notes = (
        "Single queries stay in that file: the ledger begins anew.",
        "People go on by `x-user` from USER_HEADER_NETWORKS; `token create` makes a token for one.",
    )
    return Arrivals(tuple(named(people)), tuple(prices), notes)


def _price(place: str, model: object, since: object, query: object, answer: object) -> Price:
    try:
        valid_from = since if isinstance(since, int) else instant(_zoned(str(since)))
        rates = Rates(input=_rate(query), output=_rate(answer))
        return Price(f"{model}@{iso(valid_from)}", str(model), valid_from, rates)
    except (ValueError, ArithmeticError):
        raise CommandError(f"{place}: no price that could be read") from None


def _zoned(text: str) -> str:
    """A time as SQLite keeps it, "2023-11-06 00:00:00.0", as ISO 8601; without a zone it is UTC."""
    found = datetime.fromisoformat(text.strip())
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()


def _rate(per_thousand: object) -> int:
    """Micro-USD per million tokens of dollars per thousand."""
    rate = Decimal(str(per_thousand)) * 1000 * MICRO
    if not 0 <= rate <= MOST:
        raise ValueError
    return round(rate)


def _select(path: Path, table: str, columns: Iterable[str]) -> list[tuple[Any, ...]]:
    """The rows of a table; a column is found whatever its case and its underscores. Raises CommandError."""
    if not path.is_file():
        raise CommandError(f"there is no file {path}")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            there = {_plain(row[1]): row[1] for row in db.execute(f'PRAGMA table_info("{table}")')}
            missing = [name for name in columns if _plain(name) not in there]
            if missing:
                raise CommandError(f"{path}: the table {table} has no column {missing[0]}, so this is another file")
            chosen = ", ".join(f'"{there[_plain(name)]}"' for name in columns)
            return db.execute(f'SELECT {chosen} FROM "{table}" ORDER BY rowid').fetchall()  # noqa: S608 - of its schema
    except sqlite3.Error:
        raise CommandError(f"{path}: no SQLite database that could be read") from None


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


# --- fhswf's requests in MongoDB


def of_fhswf(users: Iterable[Mapping[str, Any]], issuer: str) -> Arrivals:
    """fhswf's openai-proxy: those who have asked, as their logins said who they are."""
    people = {}
    for user in users:
        if subject := str(user.get("sub") or ""):
            mail = _name(user.get("email"), 254)
            name = _name(user.get("name") or user.get("preferred_username")) or mail[:LONGEST_NAME] or subject[:64]
            people[subject] = Newcomer(name, email=mail or None, login=f"{issuer} {subject}", with_token=False)
    notes = ("Groups come with each person's next login. Single requests stay in that database.",)
    return Arrivals(tuple(named(people.values())), notes=notes)


# --- names


def named(people: Iterable[Newcomer]) -> Iterator[Newcomer]:
    """Each with a name of their own: a second one is called `ada-2`."""
    taken: set[str] = set()
    for each in people:
        name, number = each.name, 2
        while name in taken:
            name, number = f"{each.name[: LONGEST_NAME - 6]}-{number}", number + 1
        taken.add(name)
        yield replace(each, name=name)


def _name(text: object, longest: int = LONGEST_NAME) -> str:
    """A text without what no name may hold."""
    return "".join(sign if sign.isprintable() else " " for sign in str(text or ""))[:longest].strip()
