"""Repricing: what rows of the past cost by the prices that hold now for the time at which they were asked.

A price that came too late, or was wrong, is set right here by an explicit command, never by itself. Rows get the cost
and the price id that the gateway would have given them; then the sums of the days with changes are computed anew.
Budgets of the past stay as they are: what was refused or allowed then cannot be mended.

Left alone are rows of callers' own keys, for which the caller pays, those whose cost the provider has stated
itself, and those of models that have no price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from server.accounting.bill import Bill
from server.admin.long_work import Bookmark, Job, Span, days_with_all_rows, position
from server.ledger.holds import Who
from server.ledger.prices import Price
from server.ledger.reports import Cursor, Which
from server.ledger.tariff import LISTED, Tariff
from server.ledger.usage import UsageRow
from server.store.base import Store

PriceOf = Callable[[str, int], Price | None]


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of models at a time (UTC ms), and a digest that changes with the decisions behind them."""

    of: PriceOf
    digest: str
    tariff: Tariff = LISTED
    of_groups: Mapping[str, Tariff] = field(default_factory=dict)  # those that have prices of their own for tools

    def bill(self, row: UsageRow, price: Price) -> Bill:
        """The bill that the gateway would have written: its rules are these."""
        who = Who(row.person_id, row.token_id, () if row.group is None else (row.group,))
        tariff = self.of_groups.get(row.group or "", self.tariff)
        return Bill(row.request_id, row.started_at, row.day, who, row.model_asked, row.dialect, price, tariff=tariff)


@dataclass(frozen=True, slots=True)
class Repricing:
    """The choice of rows: of these days, and of the models whose names match the pattern."""

    span: Span
    pattern: str = "*"

    @property
    def which(self) -> Which:
        exact = None if any(sign in self.pattern for sign in "*?[") else self.pattern
        return Which(after=self.span.after, before=self.span.before, model=exact)

    def takes(self, row: UsageRow) -> bool:
        return not (row.with_own_key or row.with_stated_bill) and fnmatchcase(row.model_asked, self.pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepricedTally:
    """The result. `rows` were looked at, so many `changed`, so many of the others have no price now.

    `before` and `after` are micro-USD: what the rows with a price had cost, and what they cost now.
    """

    rows: int = 0
    changed: int = 0
    unpriced: int = 0
    before: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True)
class _Standing:
    """How far it is: a bookmark's body. `days` are those whose sums are to be computed anew."""

    audit: str
    seen: int = 0  # rows behind us, also those that were not meant
    cursor: Cursor | None = None
    days: tuple[str, ...] = ()
    tally: RepricedTally = RepricedTally()

    def body(self) -> dict[str, Any]:
        cursor = None if self.cursor is None else list(self.cursor)
        return {**asdict(self), "cursor": cursor, "days": list(self.days)}


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of rows, priced."""

    changes: tuple[tuple[str, int, str | None], ...]
    days: frozenset[str]
    tally: RepricedTally


async def by_model(job: Job, prices: Prices, wanted: Repricing) -> dict[str, RepricedTally]:
    """What `reprice` would come to, of each model. Nothing is written."""
    found: dict[str, RepricedTally] = {}
    async for page in job.pages(wanted.which, None):
        for model in dict.fromkeys(row.model_asked for row in page if wanted.takes(row)):
            tally = _priced((row for row in page if row.model_asked == model), prices, wanted).tally
            found[model] = _added(found.get(model, RepricedTally()), tally)
    return dict(sorted(found.items()))


async def preview(job: Job, prices: Prices, wanted: Repricing) -> RepricedTally:
    """What `reprice` would come to. Nothing is written."""
    total, seen, tally = await job.count(wanted.which), 0, RepricedTally()
    async for page in job.pages(wanted.which, None):
        tally, seen = _added(tally, _priced(page, prices, wanted).tally), seen + len(page)
        job.progress(seen, total)
    return tally


async def reprice(job: Job, prices: Prices, wanted: Repricing) -> RepricedTally:
    """Do it, or go on with it. Prices that have changed since an interruption begin it anew."""
    await days_with_all_rows(job.store, wanted.span)
    bookmark = Bookmark(job.store, "reprice", str(wanted.span), wanted.pattern, prices.digest)
    target, asked = f"{wanted.span} {wanted.pattern}", {"prices": prices.digest[:16]}
    body = await bookmark.read()
    standing = _Standing(job.changes.new_id()) if body is None else _standing(body)
    await bookmark.put(standing.body())
    await job.changes.note(job.actor, "usage.reprice.begin", target, None, asked, standing.audit)
    total = await job.count(wanted.which)
    job.progress(standing.seen, total)
    async for page in job.pages(wanted.which, standing.cursor):
        standing = await job.step(_repriced(job.store, bookmark, standing, page, _priced(page, prices, wanted)))
        job.progress(standing.seen, total)
    while standing.days:
        standing = await job.step(_resummed(job.store, bookmark, standing))
        job.progress(standing.seen, total)
        await job.rest()
    tally = asdict(standing.tally)
    before = {"cost_micro_usd": tally.pop("before")}
    after = {"cost_micro_usd": tally.pop("after"), **tally}
    await job.changes.note(job.actor, "usage.reprice", target, before, after, f"{standing.audit}.end")
    await bookmark.remove()
    return standing.tally


async def _repriced(
    store: Store, bookmark: Bookmark, standing: _Standing, page: Sequence[UsageRow], priced: _Page
) -> _Standing:
    """A page is priced; its days are noted first, so that no change is left without its sums."""
    behind = replace(standing, days=tuple(sorted({*standing.days, *priced.days})))
    if behind.days != standing.days:
        await bookmark.put(behind.body())
    if priced.changes:
        await store.reprice(priced.changes)
    behind = replace(
        behind,
        seen=standing.seen + len(page),
        cursor=position(page[-1]),
        tally=_added(standing.tally, priced.tally),
    )
    await bookmark.put(behind.body())
    return behind


async def _resummed(store: Store, bookmark: Bookmark, standing: _Standing) -> _Standing:
    day, *later = standing.days
    await store.resum(day, day)
    left = replace(standing, days=tuple(later))
    await bookmark.put(left.body())
    return left


def _priced(page: Iterable[UsageRow], prices: Prices, wanted: Repricing) -> _Page:
    rows = [row for row in page if wanted.takes(row)]
    found = [(row, price) for row in rows if (price := prices.of(row.model_asked, row.started_at)) is not None]
    costs = [(row, prices.bill(row, price).cost(row.usage), price.id) for row, price in found]
    changed = [each for each in costs if (each[0].cost_micro_usd, each[0].price_id) != each[1:]]
    tally = RepricedTally(
        rows=len(rows),
        changed=len(changed),
        unpriced=len(rows) - len(found),
        before=sum(row.cost_micro_usd for row, _, _ in costs),
        after=sum(cost for _, cost, _ in costs),
    )
    changes = tuple((row.request_id, cost, price_id) for row, cost, price_id in changed)
    return _Page(changes, frozenset(row.day for row, _, _ in changed), tally)


def _added(one: RepricedTally, other: RepricedTally) -> RepricedTally:
    return RepricedTally(**{name: amount + getattr(other, name) for name, amount in asdict(one).items()})


def _standing(body: Any) -> _Standing:
    cursor = body["cursor"]
    at = None if cursor is None else (int(cursor[0]), str(cursor[1]))
    return _Standing(body["audit"], body["seen"], at, tuple(body["days"]), RepricedTally(**body["tally"]))
