"""Repricing: what rows of the past cost by the prices of now, whatever interrupts it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from server.admin.long_work import Span, WorkError
from server.admin.repricing import RepricedTally, Repricing, by_model, preview, reprice
from server.cli.price_table import price_table
from server.config.settings import load
from server.ledger.prices import Price, Rates
from server.ledger.quota import Charge, Settlement
from server.ledger.reports import Days
from server.relay.passthrough import OWN
from server.store.base import Record
from server.wire.usage import Usage
from tests.usage.rows import BERLIN, row
from tests.workbench import DOUBLED, NOVEMBER, Interrupting, actions, all_rows, job, ledger, prices, rows, sums_by_day

MINI = Price("p3", "gpt-5-mini", 0, Rates(input=1_000_000, output=0))
ALL = Repricing(NOVEMBER)
# 100 input tokens, 5 of which were written to a cache for a quarter more, and 20 output tokens
DOUBLED_COST, MINI_COST, OLD_COST = 100 * 2 + 2 + 20 * 20, 101, 1_250_075


@pytest.mark.gen_test
async def test_rows_get_their_cost_and_price_and_the_sums_follow(tmp_path: Path) -> None:
    async with ledger(tmp_path / "a.db", rows()) as store:
        tally = await reprice(job(store), prices(DOUBLED, MINI), ALL)
        costs = {(each.model_asked, each.cost_micro_usd, each.price_id) for each in await all_rows(store)}
        assert costs == {
            ("gpt-5", DOUBLED_COST, "p2"),
            ("gpt-5-mini", MINI_COST, "p3"),
            ("claude", OLD_COST, "genai:openai/gpt-5"),
        }
        after = 14 * DOUBLED_COST + 13 * MINI_COST
        assert tally == RepricedTally(rows=40, changed=27, unpriced=13, before=27 * OLD_COST, after=after)
        (total,) = await store.sums(Days(), ())
        assert total.cost_micro_usd == after + 13 * OLD_COST


@pytest.mark.gen_test
async def test_it_is_noted_before_it_begins_and_with_its_figures_when_it_is_done(tmp_path: Path) -> None:
    async with ledger(tmp_path / "a.db", rows()) as store:
        await reprice(job(store), prices(DOUBLED), ALL)
        end, begin = await store.audits(None, 10)
        assert (begin.action, begin.target) == ("usage.reprice.begin", "2026-11-01..2026-11-30 *")
        assert begin.actor == end.actor == "usr_boss"
        assert end.action == "usage.reprice"
        assert end.before == {"cost_micro_usd": 14 * OLD_COST}
        assert end.after == {"cost_micro_usd": 14 * DOUBLED_COST, "rows": 40, "changed": 14, "unpriced": 26}
        assert await store.records("work") == []


# 6 pages of 7 and 10 days follow the first word.
@pytest.mark.slow
@pytest.mark.gen_test
@pytest.mark.parametrize("at", [1, 2, 5, 7, 8, 12, 17])
async def test_interrupted_anywhere_and_gone_on_with_it_ends_as_if_undisturbed(tmp_path: Path, at: int) -> None:
    listed = prices(DOUBLED, MINI)
    async with ledger(tmp_path / "a.db", rows()) as store, ledger(tmp_path / "b.db", rows()) as undisturbed:
        with pytest.raises(KeyboardInterrupt):
            await reprice(job(store, Interrupting(at)), listed, ALL)
        again = Interrupting()
        assert await reprice(job(store, again), listed, ALL) == await reprice(job(undisturbed), listed, ALL)
        assert await all_rows(store) == await all_rows(undisturbed)
        assert await sums_by_day(store) == await sums_by_day(undisturbed)
        assert await actions(store) == ["usage.reprice.begin", "usage.reprice"]
        assert again.told[0] == (min(7 * (at - 1), 40), 40)
        assert await store.records("work") == []


@pytest.mark.gen_test
async def test_other_prices_or_other_arguments_do_not_go_on_with_what_was_interrupted(tmp_path: Path) -> None:
    async with ledger(tmp_path / "a.db", rows()) as store:
        with pytest.raises(KeyboardInterrupt):
            await reprice(job(store, Interrupting(4)), prices(DOUBLED), ALL)
        mended = Price("p4", "gpt-5", 0, Rates(input=1_000_000))
        other = Interrupting()
        await reprice(job(store, other), prices(mended, digest="mended"), ALL)
        assert other.told[0] == (0, 40)
        assert {each.price_id for each in await all_rows(store) if each.model_asked == "gpt-5"} == {"p4"}


@pytest.mark.gen_test
async def test_a_cancelled_step_is_finished_and_counted(tmp_path: Path) -> None:
    async with ledger(tmp_path / "a.db", rows()) as store:
        working = job(store)
        told = asyncio.Event()

        async def step() -> int:
            told.set()
            return await store.purge_usage(NOVEMBER.before, 3)

        task = asyncio.create_task(working.step(step()))
        await told.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(await all_rows(store)) == 37


@pytest.mark.gen_test
async def test_a_preview_tells_the_same_and_changes_nothing(tmp_path: Path) -> None:
    async with ledger(tmp_path / "a.db", rows()) as store:
        before = await all_rows(store)
        told = await preview(job(store), prices(DOUBLED, MINI), ALL)
        models = await by_model(job(store), prices(DOUBLED, MINI), ALL)
        for name in ("rows", "changed", "unpriced", "before", "after"):
            assert sum(getattr(each, name) for each in models.values()) == getattr(told, name)
        assert (await all_rows(store), await actions(store), await store.records("work")) == (before, [], [])
        assert told == await reprice(job(store), prices(DOUBLED, MINI), ALL)


@pytest.mark.gen_test
@pytest.mark.parametrize(("pattern", "meant"), [("gpt-5", 14), ("gpt-5*", 27), ("*mini", 13), ("nothing", 0)])
async def test_only_models_that_match_the_pattern_are_meant(tmp_path: Path, pattern: str, meant: int) -> None:
    async with ledger(tmp_path / "a.db", rows()) as store:
        tally = await reprice(job(store), prices(DOUBLED, MINI), Repricing(NOVEMBER, pattern))
        assert (tally.rows, tally.changed) == (meant, meant)


@pytest.mark.gen_test
async def test_only_these_days_where_the_operator_lives_are_meant(tmp_path: Path) -> None:
    edges = [
        row("2026-11-20T22:59:59.999Z", request_id="before"),
        row("2026-11-20T23:00:00Z", request_id="first"),
        row("2026-11-21T22:59:59.999Z", request_id="last"),
        row("2026-11-21T23:00:00Z", request_id="behind"),
    ]
    async with ledger(tmp_path / "a.db", edges) as store:
        await reprice(job(store), prices(DOUBLED), Repricing(Span.of(BERLIN, "2026-11-21", "2026-11-21")))
        assert [each.request_id for each in await all_rows(store) if each.price_id == "p2"] == ["first", "last"]


@pytest.mark.gen_test
async def test_what_a_provider_has_billed_itself_stays(tmp_path: Path) -> None:
    stated = row(request_id="stated", cost_micro_usd=42, price_id="stated")
    async with ledger(tmp_path / "a.db", [stated]) as store:
        assert await reprice(job(store), prices(DOUBLED), ALL) == RepricedTally()
        assert await all_rows(store) == [stated]


@pytest.mark.gen_test
async def test_own_keys_and_requests_that_used_nothing_cost_nothing(tmp_path: Path) -> None:
    per_request = Price("p5", "gpt-5", 0, Rates(request=7))
    nothing = [row(request_id="own", key=OWN, cost_micro_usd=0, price_id=None), row(request_id="none", usage=Usage())]
    async with ledger(tmp_path / "a.db", nothing) as store:
        await reprice(job(store), prices(per_request), ALL)
        found = {each.request_id: (each.cost_micro_usd, each.price_id) for each in await all_rows(store)}
        assert found == {"own": (0, None), "none": (0, "p5")}


@pytest.mark.gen_test
async def test_days_whose_rows_have_been_purged_are_refused_before_anything_changes(tmp_path: Path) -> None:
    async with ledger(tmp_path / "a.db", rows()) as store:
        await store.purge_usage(BERLIN.starts("2026-11-02"), 1)
        before = await sums_by_day(store)
        with pytest.raises(WorkError, match="2026-11-01"):
            await reprice(job(store), prices(DOUBLED), ALL)
        assert (await sums_by_day(store), await actions(store)) == (before, [])
        tally = await reprice(job(store), prices(DOUBLED), Repricing(Span.of(BERLIN, "2026-11-02", "2026-11-30")))
        assert tally.rows == 36


@pytest.mark.gen_test
async def test_budgets_of_the_past_stay_as_they_are(tmp_path: Path) -> None:
    async with ledger(tmp_path / "a.db", []) as store:
        await store.settle(Settlement(row(), (Charge("person:usr_ada/usd/*/day/2026-11-21", 1_250_075),)))
        await reprice(job(store), prices(DOUBLED), ALL)
        assert await store.taken(["person:usr_ada/usd/*/day/2026-11-21"]) == [1_250_075]


@pytest.mark.gen_test
async def test_prices_are_those_of_the_file_the_desk_and_the_lists_as_the_gateway_has_them(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("prices:\n  - {model: mine, input: 1, output: 2}\n")
    environ = {"PRICES_FILE": str(file), "OPENAI_KEY": "sk-0123456789abcdef", "OPENAI_MODELS": "mine,desk,gpt-5"}
    settings = load(environ=environ, dotenv=None)
    async with ledger(tmp_path / "a.db", []) as store:
        before = await price_table(settings, store)
        await store.put_record(Record("price", "desk:1", {"model": "desk", "valid_from": 100, "input": 5, "output": 5}))
        found = await price_table(settings, store)
        named = {model: found.of(model, 10**12) for model in ("mine", "desk", "gpt-5", "unknown")}
        ids = {model: price and price.id for model, price in named.items()}
        assert ids == {"mine": "file:mine", "desk": "desk:1", "gpt-5": "genai:openai/gpt-5", "unknown": None}
        assert found.of("desk", 99) is None
        assert found.digest != before.digest
        assert (await price_table(settings, store)).digest == found.digest


@pytest.mark.gen_test
async def test_a_price_that_cannot_be_read_is_a_reason_to_change_nothing(tmp_path: Path) -> None:
    wrong = tmp_path / "prices.yaml"
    wrong.write_text("prices: 5\n")
    async with ledger(tmp_path / "a.db", []) as store:
        with pytest.raises(WorkError, match="price file"):
            await price_table(load(environ={"PRICES_FILE": str(wrong)}, dotenv=None), store)
        await store.put_record(Record("price", "p", {"model": 5}))
        with pytest.raises(WorkError, match="cannot be read"):
            await price_table(load(environ={}, dotenv=None), store)


@pytest.mark.parametrize(("first", "last"), [("2026-11-31", "2026-12-01"), ("2026-11-02", "2026-11-01"), ("x", "y")])
def test_days_have_to_be_days_in_their_order(first: str, last: str) -> None:
    with pytest.raises(WorkError):
        Span.of(BERLIN, first, last)


@pytest.mark.gen_test
async def test_a_group_s_own_prices_for_tools_count_for_its_own_rows(tmp_path: Path) -> None:
    searched = Usage(input=1, tools="web_search=2")
    written = [row(usage=searched, group=group, price_id="p2") for group in (None, "lab", "choir")]
    async with ledger(tmp_path / "a.db", written) as store:
        body = {"tool_prices": [{"tool": "web_search", "micro_usd": 7}]}
        await store.put_record(Record("group", "lab", body))
        found = await price_table(load(environ={}, dotenv=None), store)
        await reprice(job(store), replace(prices(DOUBLED), of_groups=found.of_groups), ALL)
        costs = {each.group: each.cost_micro_usd for each in await all_rows(store)}
        assert costs == {None: 20_002, "lab": 16, "choir": 20_002}
        await store.put_record(Record("group", "choir", body))
        assert (await price_table(load(environ={}, dotenv=None), store)).digest != found.digest
        await store.put_record(Record("group", "choir", {"tool_prices": "?"}))
        with pytest.raises(WorkError, match="group"):
            await price_table(load(environ={}, dotenv=None), store)
