"""The books balance: what the upstream says that it did, what the rows say, and what the budgets say, is the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import pytest

from server.ledger.limits import Scope, Unit
from server.ledger.prices import Price, Rates
from server.ledger.reports import By, Days
from server.ledger.usage import Outcome, UsageRow
from server.store.base import Store
from server.wire.usage import Usage
from tests.accounting.books import (
    USD,
    Place,
    all_rows,
    assert_all_quiet,
    budget,
    counter,
    person_id,
    put_limits,
    put_prices,
    worth,
)
from tests.accounting.traffic import PEOPLE, POOR, Day, mixed
from tests.fakes.ledger import Record
from tests.fakes.upstream import FakeUpstream
from tests.faults.crowd import (
    BROKEN_OFF,
    MODELS,
    PERHAPS_BROKEN_OFF,
    Manner,
    Visit,
    by_visit,
    script,
    without_attempts,
)
from tests.faults.stage import Stage
from tests.gateways import gateway, spec

KEYS = [f"sk-upstream-{number}" for number in range(8)]
SEED = 20_261_121
PRICES = (
    Price("gpt", "gpt-4o*", 0, Rates(input=2_500_000, cached=1_250_000, output=10_000_000)),
    Price("claude", "claude*", 0, Rates(input=3_000_000, cached=300_000, output=15_000_000, request=7)),
    Price("embedding", "text-embedding-3-small", 0, Rates(input=20_000)),
)
PRICE_OF = {price.id: price for price in PRICES}
PLENTY = 10**6 * USD
EVES = 1_600_000  # micro-USD, hers alone: one long answer at a time can be kept for her
COURSE = "course"


@dataclass
class Books:
    """What is left of a day."""

    rows: dict[int, UsageRow]  # by visit
    seen: dict[int, list[Record]]  # by visit: what the upstream did
    visits: list[Visit]

    def check_each(self) -> None:
        assert self.seen.keys() <= self.rows.keys(), "whoever reached the upstream has a row"
        for visit in self.visits:
            row, records = self.rows.get(visit.number), self.seen.get(visit.number, [])
            if row is None:
                assert visit.manner is Manner.LEAVES_SOON or not visit.dispatched, "it has no row"
            else:
                _check(row, records)
                assert records or visit.manner is Manner.LEAVES_SOON, "no row for what was never dispatched"


def _check(row: UsageRow, records: list[Record]) -> None:
    assert row.price_id is not None
    assert row.cost_micro_usd == worth(PRICE_OF[row.price_id], row.usage)
    if row.status is Outcome.COMPLETED:
        assert row.usage == records[-1].usage
    elif row.status in (Outcome.FAILED, Outcome.REJECTED):
        broke_off = row.usage.estimated if records[-1].fate == PERHAPS_BROKEN_OFF else records[-1].fate in BROKEN_OFF
        assert row.usage.estimated == broke_off, "an answer that broke off may be billed"
        assert row.usage.estimated or row.usage == Usage(), "an upstream's error costs nothing"
    else:
        assert row.usage.estimated or row.usage in (Usage(), records[-1].usage), "what is not exact says so"


async def open_budgets(stage: Stage) -> None:
    """Everybody has a budget of money, of tokens and of requests; all are in one course that has a pot."""
    services = stage.running.services
    for name in (*PEOPLE, POOR):
        if name != "ada":
            await services.accounts.create_person(name)
        await services.store.update_person(await person_id(services.store, name), {"groups": (COURSE,)})
    eve = await person_id(services.store, POOR)
    everyone = [budget(Scope.EVERYONE, "", unit, PLENTY) for unit in Unit]
    pot, hers = budget(Scope.GROUP, COURSE, Unit.USD, PLENTY), budget(Scope.PERSON, eve, Unit.USD, EVES)
    await put_limits(services, *everyone, pot, hers)
    await put_prices(services, *PRICES)


async def a_day(place: Place, size: int) -> tuple[Day, list[Record]]:
    async with FakeUpstream() as fake:
        script(fake, size, SEED)
        settings = place.settings | {"unpriced_models": "refuse", "queue_seconds": 20.0, "store_seconds": 20.0}
        settings |= {"drain_usage_seconds": 3.0}  # the day is shorter than the usual 30 seconds
        async with gateway(fake, spec(fake, KEYS, models=MODELS), **settings) as running:
            stage, day = Stage(running), Day(running, mixed(size, SEED))
            await open_budgets(stage)
            await day.happen()
            await stage.quiet()
        return day, fake.records


async def hold_to_the_books(place: Place, day: Day, records: list[Record]) -> None:
    async with place.opened() as store:
        rows = await all_rows(store)
        whole = without_attempts(rows)
        of_visit = {day.visit_of[row.token_id or ""].number: row for row in whole}
        assert len(of_visit) == len(whole), "nobody has two rows"
        Books(of_visit, by_visit(records), day.visits).check_each()
        outcomes = Counter(row.status for row in rows)
        assert set(outcomes) == set(Outcome) - {Outcome.INTERRUPTED}, "the day had something of everything"
        assert any(visit.status in (402, 429) for visit in day.visits), "somebody's money was used up"
        await _check_counters(store, rows)
        await _check_sums(store, rows)
        await assert_all_quiet(store, place.journal)


async def _check_counters(store: Store, rows: list[UsageRow]) -> None:
    """What each budget has taken is what its rows cost, to the micro-USD; nobody's was overspent."""
    owners = {f"person:{await person_id(store, name)}" for name in (*PEOPLE, POOR)}
    wanted: dict[str, int] = defaultdict(int)
    for row in rows:
        person, served = f"person:{row.person_id}", row.status not in (Outcome.FAILED, Outcome.REJECTED)
        wanted[counter(person, Unit.USD)] += row.cost_micro_usd
        wanted[counter(person, Unit.TOKENS)] += row.usage.input + row.usage.output
        wanted[counter(person, Unit.REQUESTS)] += served
        wanted[counter(f"group:{COURSE}", Unit.USD)] += row.cost_micro_usd
    assert {name.partition("/")[0] for name in wanted} == owners | {f"group:{COURSE}"}
    assert await store.taken(list(wanted)) == list(wanted.values())
    assert wanted[counter(f"person:{await person_id(store, POOR)}", Unit.USD)] <= EVES


async def _check_sums(store: Store, rows: list[UsageRow]) -> None:
    days = sorted(row.day for row in rows)
    told = {each.key[0]: each for each in await store.sums(Days(first=days[0], last=days[-1]), [By.PERSON])}
    for person in {row.person_id for row in rows}:
        mine = [row for row in rows if row.person_id == person]
        assert (told[person].requests, told[person].cost_micro_usd) == (
            len(mine),
            sum(row.cost_micro_usd for row in mine),
        )


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.gen_test(timeout=170)
async def test_after_a_day_of_faults_rows_budgets_and_sums_agree_with_the_upstream(sqlite: Place) -> None:
    await hold_to_the_books(sqlite, *await a_day(sqlite, 500))


@pytest.mark.slow
@pytest.mark.gen_test(timeout=58)
async def test_the_same_on_mongodb(mongodb: Place) -> None:
    await hold_to_the_books(mongodb, *await a_day(mongodb, 200))


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.gen_test(timeout=1190)
async def test_ten_times_as_long_a_day(place: Place) -> None:
    await hold_to_the_books(place, *await a_day(place, 20_000))
