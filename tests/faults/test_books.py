"""The books balance: what the upstream says that it has done is, request by request, what the ledger says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import aiohttp
import pytest

from server.ledger.usage import Outcome, UsageRow
from server.tokenizer import Tokenizer
from server.wire.endpoints import ENDPOINTS
from server.wire.tokens import prompt_of
from server.wire.unreported import SPEED
from server.wire.usage import Usage
from tests.fakes.ledger import Record
from tests.fakes.upstream import FakeUpstream
from tests.faults.asks import text_of
from tests.faults.crowd import (
    BROKEN_OFF,
    MODELS,
    PERHAPS_BROKEN_OFF,
    Manner,
    Visit,
    by_visit,
    crowd,
    mend_keys,
    script,
    without_attempts,
)
from tests.faults.stage import Stage
from tests.gateways import Running, gateway, spec

KEYS = [f"sk-upstream-{number}" for number in range(8)]
PERSONS = 5
VISITS = (500, pytest.param(2000, marks=pytest.mark.soak))
AT_A_TIME = 120  # more than the keys' slots: some wait
SEED = 20_240_229
# How long a day takes depends on what else the machine does, and five hundred new tokens are written before look-ups.
PATIENT = {"queue_seconds": 300.0, "store_seconds": 20.0}


@pytest.fixture(scope="module")
def tokenizer() -> Iterator[Tokenizer]:
    counting = Tokenizer()
    yield counting
    counting.close()


class Day:
    """A crowd at a gateway. Every request has a token of its own, by which its row is found."""

    def __init__(self, running: Running, visits: list[Visit]) -> None:
        self.running = running
        self.visits = visits
        self.visit_of: dict[str, Visit] = {}  # by the token's id

    async def happen(self) -> None:
        people = [f"person-{number}" for number in range(PERSONS)]
        for name in people:
            await self.running.services.accounts.create_person(name)
        door = asyncio.Semaphore(AT_A_TIME)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(
                *(self._one(visit, people[visit.number % PERSONS], session, door) for visit in self.visits)
            )

    async def _one(self, visit: Visit, person: str, session: aiohttp.ClientSession, door: asyncio.Semaphore) -> None:
        token, secret = await self.running.services.accounts.create_token(person, f"visit {visit.number}")
        self.visit_of[token.id] = visit
        async with door:
            await visit.happen(session, self.running, secret)
            mend_keys(self.running.services.dispatcher)


class Auditor:
    """Compares a visit, its row and its records."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    async def check(self, visit: Visit, row: UsageRow, records: list[Record]) -> None:
        unseen = row.attempts - len(records)
        assert unseen == 0 or (unseen == 1 and visit.manner is Manner.LEAVES_SOON), "sent as often as it was received"
        if row.status is Outcome.COMPLETED:
            assert row.usage == records[-1].usage
        elif row.status is Outcome.CUT:
            assert row.usage == await self._estimated(visit, records[-1])
        elif row.status is Outcome.CANCELLED:
            await self._check_cancelled(visit, row, records)
        elif records and (
            records[-1].fate in BROKEN_OFF or (records[-1].fate == PERHAPS_BROKEN_OFF and row.usage.estimated)
        ):
            assert (row.status, row.usage.estimated) == (Outcome.FAILED, True)
            assert row.usage.input in (await self._input(visit), records[-1].usage.input)
            assert row.usage.output <= row.duration_ms / 1000 * SPEED + 1
        else:
            assert row.usage == Usage(), "an upstream's error costs nothing"

    async def _check_cancelled(self, visit: Visit, row: UsageRow, records: list[Record]) -> None:
        assert row.client_aborted
        if visit.manner is Manner.LEAVES_AFTER_WORDS:
            assert row.usage == await self._estimated(visit, records[-1])
            return
        assert visit.manner is Manner.LEAVES_SOON
        if not row.usage.estimated:
            assert row.usage in (Usage(), records[-1].usage)
            return
        assert row.usage.input in (await self._input(visit), records[-1].usage.input if records else 0)
        if not visit.ask.stream:  # nothing came; it pays for what may have been generated in the time that it took
            assert row.usage.output <= row.duration_ms / 1000 * SPEED + 1

    async def _estimated(self, visit: Visit, record: Record) -> Usage:
        """What was delivered, counted as the gateway should: the upstream's input if it opened with that."""
        output = self._tokenizer.count_text(text_of(visit.body), visit.ask.model)
        if visit.ask.dialect == "anthropic":
            opened = record.usage
            return Usage(opened.input, opened.cached, opened.cache_write, output, estimated=True, tier=opened.tier)
        return Usage(await self._input(visit), output=output, estimated=True)

    async def _input(self, visit: Visit) -> int:
        prompt = prompt_of(ENDPOINTS[visit.ask.path].kind, visit.ask.document)
        return await self._tokenizer.count(prompt, visit.ask.model)


@pytest.mark.parametrize("visits", VISITS)
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.gen_test(timeout=220)
async def test_after_a_day_of_faults_and_departures_both_ledgers_agree(tokenizer: Tokenizer, visits: int) -> None:
    async with FakeUpstream() as fake:
        script(fake, visits, SEED)
        async with gateway(fake, spec(fake, KEYS, models=MODELS), **PATIENT) as running:
            stage, day = Stage(running), Day(running, crowd(visits, SEED))
            await day.happen()
            rows = await stage.rows()
            await hold_to_both_ledgers(day, rows, by_visit(fake.records), Auditor(tokenizer))


async def hold_to_both_ledgers(day: Day, rows: list[UsageRow], seen: dict[int, list[Record]], auditor: Auditor) -> None:
    rows = without_attempts(rows)
    row_of = {day.visit_of[row.token_id or ""].number: row for row in rows}
    assert len(row_of) == len(rows), "nobody has two rows"
    assert seen.keys() <= row_of.keys(), "whoever reached the upstream has a row"
    for visit in day.visits:
        if (row := row_of.get(visit.number)) is not None:
            await auditor.check(visit, row, seen.get(visit.number, []))
        elif visit.manner is Manner.STAYS:
            assert not visit.dispatched, "who was answered was dispatched"
    assert not any(visit.number in row_of for visit in day.visits if visit.manner is Manner.ERRS)
    outcomes = Counter(row.status for row in rows)
    assert set(outcomes) == set(Outcome) - {Outcome.INTERRUPTED}, "the day had something of everything"
    assert outcomes[Outcome.COMPLETED] > len(day.visits) / 2
    told_well = sum(visit.status == 200 and b'"error"' not in visit.body for visit in day.visits)
    assert told_well <= outcomes[Outcome.COMPLETED] + outcomes[Outcome.CANCELLED], "no silent success"
