"""The history of a gateway whose clock the test turns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC

import pytest

from keypool.health import KeyEvent
from server.ledger.history import HOUR_MS, HOUSE
from server.policy.incidents import IncidentKind, title
from server.status.history import ONLINE_MS, History
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway
from tests.store.samples import usage_row

NOON = 1_795_262_400_000  # 2026-11-21T12:00Z


class Wall:
    """UTC milliseconds, as the test has it."""

    now = NOON

    def __call__(self) -> int:
        return self.now

    def pass_(self, seconds: int) -> None:
        self.now += 1000 * seconds


class Well:
    yes = True

    def __call__(self) -> bool:
        return self.yes


@asynccontextmanager
async def watched() -> AsyncIterator[tuple[Running, History, Wall, Well]]:
    async with FakeUpstream() as fake, gateway(fake) as running:
        wall, well = Wall(), Well()
        yield running, History(running.services.store, running.services.dispatcher, UTC, well, wall), wall, well


def look(history: History, wall: Wall, times: int) -> None:
    for _ in range(times):
        wall.pass_(5)
        history.look()


@pytest.mark.gen_test
async def test_a_model_without_a_key_for_a_minute_is_away_until_one_is_back() -> None:
    async with watched() as (running, history, wall, _):
        keys = list(running.services.dispatcher.pool.keys)
        look(history, wall, 2)
        for key in keys:
            running.services.dispatcher.learn(key, KeyEvent.PAUSE)
        look(history, wall, 12)
        assert {each.kind for each in history.incidents()} == {IncidentKind.KEY}
        look(history, wall, 1)
        begun = [each for each in history.incidents() if each.subject == "gpt-5"]
        assert [title(each) for each in begun] == ["gpt-5 did not answer"]
        assert [each.ended_at for each in begun] == [None]
        running.services.dispatcher.learn(keys[0], KeyEvent.RESUME)
        look(history, wall, 1)
        (over,) = [each for each in history.incidents() if each.subject == "gpt-5"]
        assert (over.began_at, over.ended_at) == (NOON + 15_000, wall.now)
        await history.exchange()
        uptime = history.summary.uptime_days["gpt-5"][-1]
        assert uptime is not None
        assert 0.0 < uptime < 0.3
        assert all(key not in repr(history.incidents()) for key in keys)


@pytest.mark.gen_test
async def test_an_hour_that_could_not_be_written_is_written_when_the_store_is_back() -> None:
    async with watched() as (running, history, wall, _):
        store = running.services.store
        await store.close()
        history.observe(usage_row("r1"))
        await history.exchange()
        wall.pass_(3600)
        look(history, wall, 14)
        assert [each.kind for each in history.incidents()] == [IncidentKind.STORE]
        await store.open()
        history.observe(usage_row("r2"))
        await history.exchange()
        look(history, wall, 1)
        await history.exchange()
        requests = {row.hour: row.requests for row in await store.hours(NOON, wall.now) if row.model == HOUSE}
        assert requests == {NOON: 1, NOON + HOUR_MS: 1}
        assert [each.kind for each in await store.incidents(0)] == [IncidentKind.STORE]
        assert history.incidents()[0].ended_at == wall.now


@pytest.mark.gen_test
async def test_what_requests_notice_of_the_store_counts_too() -> None:
    async with watched() as (_, history, wall, well):
        well.yes = False
        look(history, wall, 14)
        assert [each.kind for each in history.incidents()] == [IncidentKind.STORE]


@pytest.mark.gen_test
async def test_several_gateways_add_up_and_writing_twice_changes_nothing() -> None:
    async with watched() as (running, history, wall, well):
        other = History(running.services.store, running.services.dispatcher, UTC, well, wall)
        for number, each in enumerate((history, other, other)):
            each.observe(usage_row(f"r{number}", model_asked="gpt-5"))
        for each in (history, other, history, other, history):
            await each.exchange()
        assert history.summary == other.summary
        assert history.summary.periods["gpt-5"]["24h"].requests == 3


@pytest.mark.gen_test
async def test_the_record_goes_on_over_hours_and_is_read_whole_when_one_begins() -> None:
    async with watched() as (_, history, wall, _well):
        for number in range(3):
            history.observe(usage_row(f"r{number}", model_asked="gpt-5"))
            await history.exchange()
            wall.pass_(3600)
        await history.exchange()
        assert [row.requests for row in history.summary.hours] == [1, 1, 1]
        assert history.summary.periods["gpt-5"]["7d"].requests == 3


@pytest.mark.gen_test
async def test_people_are_here_for_some_minutes_after_their_last_answer() -> None:
    async with watched() as (_, history, wall, _well):
        for person in ("usr_a", "usr_b", "usr_a"):
            history.observe(usage_row("r", person_id=person))
        assert history.online() == 2
        wall.now += ONLINE_MS + 1
        history.look()
        assert history.online() == 0
