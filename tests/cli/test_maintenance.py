"""Purging, summing anew and replaying, beside a running gateway and through interruptions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.accounting.journal import Journal
from server.admin.long_work import WorkError
from server.cli.maintenance import Replayed, purge, replay, resum
from server.ledger.reports import Days
from server.ledger.usage import Outcome
from server.store.base import Store, StoreError
from tests.store.samples import reservation, settlement
from tests.usage.rows import BERLIN
from tests.workbench import NOVEMBER, Delegate, Interrupting, actions, all_rows, job, ledger, rows, sums_by_day

SIXTH = BERLIN.starts("2026-11-06")


@pytest.mark.gen_test
async def test_a_purge_deletes_the_rows_before_a_day_and_leaves_their_sums(tmp_path: Path) -> None:
    async with ledger(tmp_path / "a.db", rows()) as store:
        before = await sums_by_day(store)
        progress = Interrupting()
        assert await purge(job(store, progress), SIXTH, "2026-11-06") == 20
        assert progress.told == [(0, 20), (7, 20), (14, 20), (20, 20)]
        assert min(each.day for each in await all_rows(store)) == "2026-11-06"
        assert await sums_by_day(store) == before
        end, _ = await store.audits(None, 10)
        assert (end.action, end.target, end.after) == ("usage.purge", "2026-11-06", {"rows": 20})


@pytest.mark.gen_test
@pytest.mark.parametrize("at", [1, 2, 3, 4])
async def test_an_interrupted_purge_goes_on_and_counts_all(tmp_path: Path, at: int) -> None:
    async with ledger(tmp_path / "a.db", rows()) as store:
        with pytest.raises(KeyboardInterrupt):
            await purge(job(store, Interrupting(at)), SIXTH, "2026-11-06")
        assert await purge(job(store), SIXTH, "2026-11-06") == 20
        assert len(await all_rows(store)) == 20
        assert await store.records("work") == []
        assert await actions(store) == ["usage.purge.begin", "usage.purge"]


@pytest.mark.gen_test
async def test_sums_are_computed_anew_from_the_rows(tmp_path: Path) -> None:
    async with ledger(tmp_path / "a.db", rows()) as store:
        await store.reprice([(each.request_id, 1, "p") for each in await all_rows(store)])
        assert await resum(job(store), NOVEMBER) == 40
        (total,) = await store.sums(Days(), ())
        assert (total.requests, total.cost_micro_usd) == (40, 40)
        assert await actions(store) == ["usage.resum"]


@pytest.mark.gen_test
async def test_sums_of_purged_rows_are_not_computed_anew(tmp_path: Path) -> None:
    async with ledger(tmp_path / "a.db", rows()) as store:
        await store.purge_usage(SIXTH, 1)
        before = await sums_by_day(store)
        with pytest.raises(WorkError, match="purged"):
            await resum(job(store), NOVEMBER)
        assert await sums_by_day(store) == before


def dead_journal(folder: Path, number: int = 20) -> None:
    """What a gateway leaves that dies: one request was on its way, the others are settled and not written."""
    journal = Journal(folder, "dead")
    journal.open()
    journal.opened(settlement("open", status=Outcome.INTERRUPTED))
    for each in range(number):
        journal.settled(settlement(f"settled-{each}"))
    journal.close()


def adopted(folder: Path) -> Journal:
    journal = Journal(folder, "replay")
    journal.open()
    return journal


@pytest.mark.gen_test
async def test_a_replay_writes_what_the_dead_have_left_and_gives_back_what_they_held(tmp_path: Path) -> None:
    dead_journal(tmp_path / "journal")
    async with ledger(tmp_path / "a.db", []) as store:
        await store.settle(settlement("settled-3"))
        await store.reserve(reservation("waiting", ("counter", 5, 10), holder="dead"))
        journal = adopted(tmp_path / "journal")
        assert await replay(job(store), journal) == Replayed(21, 20, 0)
        journal.close()
        assert len(await all_rows(store)) == 21
        assert (await store.reserved(), await store.taken(["counter"])) == (0, [0])
    assert list((tmp_path / "journal").iterdir()) == []


@pytest.mark.gen_test
@pytest.mark.parametrize("at", [1, 2, 3])
async def test_an_interrupted_replay_forgets_nothing_and_can_be_repeated(tmp_path: Path, at: int) -> None:
    dead_journal(tmp_path / "journal")
    async with ledger(tmp_path / "a.db", []) as store:
        journal = adopted(tmp_path / "journal")
        with pytest.raises(KeyboardInterrupt):
            await replay(job(store, Interrupting(at)), journal)
        journal.close()
        journal = adopted(tmp_path / "journal")
        assert await replay(job(store), journal) == Replayed(21, 21 - 7 * at, 0)
        journal.close()
        assert len(await all_rows(store)) == 21


class Away(Delegate):
    """A store that gives nothing back."""

    async def release_holder(self, holder: str) -> int:
        raise StoreError("away")


@pytest.mark.gen_test
async def test_while_the_store_is_away_the_journal_stays(tmp_path: Path) -> None:
    dead_journal(tmp_path / "journal")
    async with ledger(tmp_path / "a.db", []) as store:
        away: Any = Away(store)
        journal = adopted(tmp_path / "journal")
        with pytest.raises(StoreError):
            await replay(job(_as_store(away)), journal)
        assert len(journal.orphans()) == 21
        journal.close()


def _as_store(store: Any) -> Store:
    found: Store = store
    return found
