"""The interface of fhswf's openai-proxy (Node): requests by status group and month, and the caller's address.

Groups are named there "role@organisation", such as "student@fb-in.example.org". A request is counted once, for the
group that it was booked on; a group without an `@` is an organisation of plain members.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import orjson

from server.http.compat.base import CompatHandler
from server.ledger.reports import By, Days, Sum

MEMBER = "member"


class Dashboard(CompatHandler):
    """`GET /dashboard`: for administrators, since small groups are people."""

    async def get(self) -> None:
        await self.authenticate_admin()
        sums = await self.services.store.sums(Days(), (By.DAY, By.GROUP))
        self.set_header("Content-Type", "application/json")
        self.finish(orjson.dumps(dashboard(sums)))


class CallersAddress(CompatHandler):
    """`GET /ip`: to see whether `TRUSTED_PROXY_HOPS` is right."""

    def get(self) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self.address())


def dashboard(sums: Iterable[Sum]) -> list[dict[str, Any]]:
    """Requests by year, month and organisation or role, from sums by day and group."""
    scopes: Counter[tuple[int, int, str]] = Counter()
    roles: Counter[tuple[int, int, str]] = Counter()
    for each in sums:
        day, group = each.key
        if day is None or group is None:
            continue
        role, at, scope = group.rpartition("@")
        year, month = int(day[:4]), int(day[5:7])
        scopes[year, month, scope] += each.requests
        roles[year, month, role if at else MEMBER] += each.requests
    return [{"byScope": _years(scopes, "scope"), "byRole": _years(roles, "role")}]


def _years(counts: Counter[tuple[int, int, str]], noun: str) -> list[dict[str, Any]]:
    years: dict[int, dict[int, list[dict[str, Any]]]] = {}
    for (year, month, name), count in sorted(counts.items()):
        years.setdefault(year, {}).setdefault(month, []).append({noun: name, "count": count})
    return [
        {"_id": year, "months": [{"month": month, f"{noun}s": found} for month, found in months.items()]}
        for year, months in years.items()
    ]
