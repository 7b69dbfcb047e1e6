"""One request through the pipeline: whatever ends it, it is settled once or was never sent, and nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import pytest

from keypool.keys import Key
from server.ledger.limits import LimitWindow, Scope, Unit
from server.ledger.prices import Price, Rates
from server.ledger.usage import OWN, Outcome, UsageRow
from server.relay.admission import Bounds
from server.relay.context import Call, ClientLeft
from server.store.base import Caller
from server.wire.errors import (
    AccountingUnavailable,
    BadAnswer,
    Cancelled,
    Disconnected,
    Draining,
    InsufficientQuota,
    ModelNotPriced,
    NoKey,
    RateLimited,
    Refusal,
    UnknownModel,
    UpstreamTimeout,
)
from server.wire.own_keys import OwnKey
from tests.accounting.books import budget
from tests.accounting.till import DOLLAR_A_MILLION
from tests.fakes.fates import (
    Fate,
    context_too_long,
    cut_stream,
    held,
    insufficient_quota,
    mid_stream_error,
    ok,
    revoked,
    server_error,
)
from tests.relay.calls import ADA, MODEL, a_call, a_key
from tests.relay.stations import Station, open_station

BOB = Caller("usr_bob", "bob", "tok_2")
MONEY = budget(Scope.PERSON, ADA.person_id, Unit.USD, 1_000_000)
POOR = budget(Scope.PERSON, ADA.person_id, Unit.USD, 1)
ONE_A_MINUTE = budget(Scope.PERSON, ADA.person_id, Unit.REQUESTS, 1, window=LimitWindow.MINUTE)
LARGE_CAP = budget(Scope.UPSTREAM, "fake", Unit.USD, 1_000_000)
SPENT_CAP = budget(Scope.UPSTREAM, "fake", Unit.USD, 1)
WORDS = 6


def stream(request_id: str = "r1", **more: Any) -> Call:
    return a_call(request_id, stream=True, max_tokens=50, **more)


def plain(request_id: str = "r1", **more: Any) -> Call:
    return a_call(request_id, max_tokens=50, **more)


def one_slot() -> Key:
    key = a_key()
    key.slots = 1
    return key


def own(station: Station, request_id: str = "r1", **more: Any) -> Call:
    url = f"{station.fake.base_url}/chat/completions"
    headers = {"Authorization": "Bearer sk-mine", "Content-Type": "application/json"}
    return a_call(request_id, own_key=OwnKey("fake", "POST", url, headers), **more)


def settled(rows: list[UsageRow]) -> list[Outcome]:
    """How requests ended; attempts that failed have rows of their own."""
    return [row.status for row in rows if not row.is_attempt]


# What the upstream does, whether a stream is asked for, and at which piece the client leaves; what the caller of the
# pipeline hears, and how the row says that it ended.
ENDS: dict[str, tuple[tuple[Fate, ...], bool, int | None, type[BaseException] | None, Outcome]] = {
    "a stream that is completed": ((), True, None, None, Outcome.COMPLETED),
    "a plain answer": ((), False, None, None, Outcome.COMPLETED),
    "the request's own fault": ((context_too_long(),), True, None, None, Outcome.REJECTED),
    "one key fails, the next one serves": ((server_error(),), True, None, None, Outcome.COMPLETED),
    "one key is revoked, the next one serves": ((revoked(),), False, None, None, Outcome.COMPLETED),
    "all keys fail": ((server_error().repeat(2),), True, None, BadAnswer, Outcome.FAILED),
    "all keys have no money": ((insufficient_quota().repeat(2),), False, None, NoKey, Outcome.FAILED),
    "it breaks off behind its first byte": ((cut_stream(3),), True, None, Disconnected, Outcome.CUT),
    "an error in the midst of it": ((mid_stream_error(3),), True, None, None, Outcome.CUT),
    "half of a plain answer, twice": ((cut_stream(1).repeat(2),), False, None, BadAnswer, Outcome.FAILED),
    "the client leaves at its first piece": ((), True, 1, ClientLeft, Outcome.CANCELLED),
    "the client of a plain answer has gone": ((), False, 1, ClientLeft, Outcome.COMPLETED),
}

# The provider's own codes, where its error went through to the client.
WORDS_AT_THE_END = {
    "the request's own fault": "context_length_exceeded",
    "an error in the midst of it": "server_error",
}


def code_of(error: type[BaseException] | None) -> str:
    """The code that a client reads; none reaches one that has left."""
    return error.code if error is not None and issubclass(error, Refusal) else ""


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.gen_test
async def test_whatever_ends_a_request_settles_it_once(tmp_path: Path, name: str) -> None:
    fates, streams, leaves_at, error, outcome = ENDS[name]
    async with open_station(tmp_path, DOLLAR_A_MILLION, MONEY, keys=(a_key(), a_key("k2"))) as station:
        station.fake.script(None, *fates)
        call, sink = (stream() if streams else plain()), station.listener(leaves_at)
        if error is None:
            assert (await station.serve(call, sink)).status is outcome
            assert sink.ended
        else:
            with pytest.raises(error):
                await station.serve(call, sink)
        assert settled(station.rows) == [outcome]
        assert [row.error for row in station.rows if not row.is_attempt] == [
            WORDS_AT_THE_END.get(name) or code_of(error)
        ]
        await station.assert_empty()
        assert station.till.ledger.rows.keys() == {row.request_id for row in station.rows}
        assert sum(station.till.used().values()) == sum(row.cost_micro_usd for row in station.rows)


@pytest.mark.parametrize("kind", ["stream", "plain", "own stream", "own plain", "rejected"])
@pytest.mark.gen_test
async def test_the_row_is_on_the_ledger_before_the_last_piece_goes_out(tmp_path: Path, kind: str) -> None:
    async with open_station(tmp_path, DOLLAR_A_MILLION, keys=(a_key(),)) as station:
        station.fake.script(None, context_too_long() if kind == "rejected" else ok(words=WORDS))
        streams, sink = "stream" in kind, station.listener()
        call = own(station, stream=streams) if "own" in kind else a_call(stream=streams)
        await station.serve(call, sink)
        assert sink.pieces[-1][1] == 1
        assert len(station.rows) == 1


# Who ends a request from outside


async def by_its_client(station: Station, serving: asyncio.Task[UsageRow]) -> None:
    serving.cancel()


async def by_an_administrator(station: Station, serving: asyncio.Task[UsageRow]) -> None:
    assert station.pipeline.cancel("r1")


async def by_the_drain(station: Station, serving: asyncio.Task[UsageRow]) -> None:
    station.pipeline.stop()


async def while_it_is_held(station: Station, gate: asyncio.Event) -> asyncio.Task[UsageRow]:
    """The store is asked for its hold and has not answered."""
    station.till.ledger.faults = ["slow"]
    serving = station.serve(stream())
    while not station.till.ledger.asked["reserve"]:
        await asyncio.sleep(0)
    return serving


async def while_it_waits(station: Station, gate: asyncio.Event) -> asyncio.Task[UsageRow]:
    """Another request has the only slot."""
    station.fake.script(None, held(gate))
    other = station.serve(stream("other", caller=BOB))
    await station.fake.wait_for(lambda: station.fake.running == 1)
    serving = station.serve(stream())
    while (ticket := station.dispatcher.pool.tickets.get("r1")) is None or not ticket.waiting:
        await asyncio.sleep(0)
    gate.set()
    other.add_done_callback(lambda task: task.cancelled() or task.exception())  # the drain ends it, too
    return serving


async def before_the_head(station: Station, gate: asyncio.Event) -> asyncio.Task[UsageRow]:
    station.fake.script(None, held(gate))
    serving = station.serve(stream())
    await station.fake.wait_for(lambda: station.fake.running == 1)
    return serving


async def within_the_stream(station: Station, gate: asyncio.Event) -> asyncio.Task[UsageRow]:
    station.fake.script(None, held(gate, after=3, words=WORDS))
    sink = station.listener()
    serving = station.serve(stream(), sink)
    while not sink.pieces:
        await asyncio.sleep(0)
    return serving


NOT_SENT, SENT = (while_it_is_held, while_it_waits), (before_the_head, within_the_stream)
ENDERS: dict[str, tuple[Callable[..., Any], type[BaseException]]] = {
    "its client": (by_its_client, asyncio.CancelledError),
    "an administrator": (by_an_administrator, Cancelled),
    "the drain": (by_the_drain, Draining),
}


@pytest.mark.gen_test
async def test_a_prompt_that_was_only_guessed_is_counted_where_the_count_is_billed(tmp_path: Path) -> None:
    async with open_station(tmp_path, DOLLAR_A_MILLION, keys=(a_key(),)) as station:
        station.fake.script(None, cut_stream(3))
        call = stream(messages=[{"role": "user", "content": "word " * 500}])
        with pytest.raises(Disconnected):
            await station.serve(call)
        (row,) = station.rows
        assert (row.usage.input, row.usage.estimated) == (500, True)
        await station.assert_empty()


@pytest.mark.parametrize("ender", ENDERS)
@pytest.mark.parametrize("phase", [*NOT_SENT, *SENT], ids=lambda phase: phase.__name__)
@pytest.mark.gen_test
async def test_who_ends_a_request_from_outside_ends_it_in_every_phase(
    tmp_path: Path, phase: Callable[..., Any], ender: str
) -> None:
    end, error = ENDERS[ender]
    async with open_station(tmp_path, DOLLAR_A_MILLION, MONEY, keys=(one_slot(),)) as station:
        serving = await phase(station, asyncio.Event())
        await end(station, serving)
        with pytest.raises(error):
            await serving
        await station.pipeline.quiet(5)
        mine = [row for row in station.rows if row.request_id == "r1"]
        assert [row.status for row in mine] == ([Outcome.CANCELLED] if phase in SENT else [])
        assert [row.client_aborted for row in mine] == ([ender == "its client"] if phase in SENT else [])
        assert [row.error for row in mine] == ([code_of(error)] if phase in SENT else [])
        await station.assert_empty()
        trace = await station.pipeline.explain(ADA, "r1")
        assert trace is not None
        assert trace.state == "cancelled"


@pytest.mark.gen_test
async def test_only_what_runs_can_be_ended(tmp_path: Path) -> None:
    async with open_station(tmp_path, DOLLAR_A_MILLION, keys=(a_key(),)) as station:
        assert not station.pipeline.cancel("r1")
        await station.serve(plain())
        assert not station.pipeline.cancel("r1")
        assert not station.pipeline.reads_on("r1")


@pytest.mark.parametrize("with_own_key", [False, True])
@pytest.mark.gen_test
async def test_what_takes_longer_than_all_may_take_is_settled_and_hears_so(tmp_path: Path, with_own_key: bool) -> None:
    async with open_station(
        tmp_path, DOLLAR_A_MILLION, MONEY, keys=(a_key(),), bounds=Bounds(total_seconds=0.0)
    ) as station:
        with pytest.raises(UpstreamTimeout):
            await station.serve(own(station) if with_own_key else stream())
        (row,) = station.rows
        assert (row.status, row.client_aborted) == (Outcome.CANCELLED, False), "its client has waited"
        assert row.error == "upstream_timeout"
        await station.assert_empty()


# What never goes out


async def nothing(station: Station) -> None:
    """The station stays as it is."""


async def the_minute_is_taken(station: Station) -> None:
    station.till.reservations.knock(ADA, "openai")


async def the_store_is_away(station: Station) -> None:
    station.till.ledger.faults = ["away"]


async def the_answer_is_lost(station: Station) -> None:
    station.till.ledger.faults = ["lost"]


async def the_disk_is_full(station: Station) -> None:
    station.till.disk.room = 0


# What is decided, how the station is, what is asked for, and what its caller hears.
NOT_SERVED: dict[str, tuple[tuple[Any, ...], Callable[..., Any], Call, type[Exception]]] = {
    "an unknown model": ((), nothing, stream(model="o1"), UnknownModel),
    "no price": ((Price("p", "o*", 0, Rates()),), nothing, stream(), ModelNotPriced),
    "no money": ((DOLLAR_A_MILLION, POOR), nothing, stream(), InsufficientQuota),
    "too fast": ((DOLLAR_A_MILLION, ONE_A_MINUTE), the_minute_is_taken, stream(), RateLimited),
    "no store": ((DOLLAR_A_MILLION, MONEY), the_store_is_away, stream(), AccountingUnavailable),
    "no answer of the store's": ((DOLLAR_A_MILLION, MONEY), the_answer_is_lost, stream(), AccountingUnavailable),
    "no journal": ((DOLLAR_A_MILLION, MONEY), the_disk_is_full, stream(), AccountingUnavailable),
    "the upstream's money is used up": ((DOLLAR_A_MILLION, SPENT_CAP), nothing, stream(), NoKey),
}


@pytest.mark.parametrize("name", NOT_SERVED)
@pytest.mark.gen_test
async def test_what_is_refused_before_it_goes_out_has_no_row_and_holds_nothing(tmp_path: Path, name: str) -> None:
    decisions, prepare, call, error = NOT_SERVED[name]
    async with open_station(tmp_path, *decisions, keys=(a_key(),)) as station:
        await prepare(station)
        with pytest.raises(error):
            await station.serve(call)
        await station.assert_empty()
        assert (station.rows, station.till.used(), station.fake.records) == ([], {}, [])
        trace = await station.pipeline.explain(ADA, "r1")
        assert trace is not None
        assert trace.refused is not None
        assert trace.refused["code"] == error.code  # type: ignore[attr-defined]


# What is decided, for how many lines the journal has room, and what becomes of the store's next calls, the last first.
NOT_AGAIN: dict[str, tuple[tuple[Any, ...], float, list[str]]] = {
    "no journal": ((MONEY, ONE_A_MINUTE), 1, []),
    "no store, for the upstream's cap": ((LARGE_CAP, ONE_A_MINUTE), inf, ["away", ""]),
}


@pytest.mark.parametrize("name", NOT_AGAIN)
@pytest.mark.gen_test
async def test_what_failed_and_cannot_be_accounted_for_again_has_failed(tmp_path: Path, name: str) -> None:
    """It is no request that its client has cancelled, so its place in the minute is given back."""
    decisions, room, faults = NOT_AGAIN[name]
    async with open_station(tmp_path, DOLLAR_A_MILLION, *decisions, keys=(a_key(), a_key("k2"))) as station:
        station.fake.script(None, server_error())
        station.till.disk.room, station.till.ledger.faults = room, faults
        with pytest.raises(AccountingUnavailable):
            await station.serve(stream())
        assert (settled(station.rows), len(station.fake.records)) == ([Outcome.FAILED], 1)
        await station.assert_empty()
        station.till.disk.room = inf
        assert (await station.serve(stream("r2"))).status is Outcome.COMPLETED


@pytest.mark.gen_test
async def test_a_large_body_that_waits_lies_in_a_file_and_goes_out_whole(tmp_path: Path) -> None:
    async with open_station(tmp_path, DOLLAR_A_MILLION, keys=(one_slot(),), spooled_from=1_000) as station:
        gate, text = asyncio.Event(), "long " * 400
        station.fake.script(None, held(gate))
        first = station.serve(stream("other", caller=BOB))
        await station.fake.wait_for(lambda: station.fake.running == 1)
        second = station.serve(plain(messages=[{"role": "user", "content": text}]))
        while not station.spool.files:
            await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, second)
        assert text.encode() in station.fake.records[-1].request.body
        await station.assert_empty()


# With a key of one's own


@pytest.mark.gen_test
async def test_a_call_with_its_own_key_takes_no_lease_and_costs_nothing(tmp_path: Path) -> None:
    async with open_station(tmp_path, DOLLAR_A_MILLION, POOR, keys=(one_slot(),)) as station:
        gate = asyncio.Event()
        station.fake.script("sk-k1", held(gate))
        waiting = station.serve(stream("other", caller=BOB))
        await station.fake.wait_for(lambda: station.fake.running == 1)
        row = await station.serve(own(station), sink := station.listener())
        assert list(station.dispatcher.pool.tickets) == ["other"]
        assert (row.key, row.cost_micro_usd, row.queue_ms, row.status) == (OWN, 0, 0, Outcome.COMPLETED)
        assert (row.model_asked, sink.status, len(station.fake.of("sk-mine"))) == (MODEL, 200, 1)
        gate.set()
        await waiting
        await station.assert_empty()


@pytest.mark.parametrize(
    ("fate", "outcome", "status"),
    [
        (server_error(), Outcome.FAILED, 500),
        (context_too_long(), Outcome.REJECTED, 400),
        (ok(), Outcome.COMPLETED, 200),
    ],
)
@pytest.mark.gen_test
async def test_a_call_with_its_own_key_has_one_attempt_and_hears_whatever_comes_of_it(
    tmp_path: Path, fate: Fate, outcome: Outcome, status: int
) -> None:
    async with open_station(tmp_path, keys=()) as station:
        station.fake.script("sk-mine", fate)
        sink = station.listener()
        row = await station.serve(own(station), sink)
        assert (row.status, sink.status, len(station.fake.records)) == (outcome, status, 1)
        await station.assert_empty()


# What its owner may read


@pytest.mark.gen_test
async def test_explain_knows_the_attempts_and_tells_only_their_owner(tmp_path: Path) -> None:
    async with open_station(tmp_path, DOLLAR_A_MILLION, keys=(a_key(), a_key("k2"))) as station:
        station.fake.script(None, server_error())
        await station.serve(stream())
        first, second = [record.key.removeprefix("sk-") for record in station.fake.records if record.key]
        trace = await station.pipeline.explain(ADA, "r1")
        assert trace is not None
        assert trace.attempts == [{"key": first, "failed": "upstream_bad_response"}, {"key": second, "answered": "200"}]
        assert [row.error for row in station.rows] in ([""], ["upstream_bad_response", ""])
        assert (trace.state, trace.refused, trace.queue_ms) == ("completed", None, 0)
        assert trace.settled is not None
        assert trace.settled["output"] > 0
        assert await station.pipeline.explain(BOB, "r1") is None
        assert await station.pipeline.explain(ADA, "r2") is None


@pytest.mark.gen_test
async def test_explain_tells_where_a_request_stands_that_waits(tmp_path: Path) -> None:
    async with open_station(tmp_path, DOLLAR_A_MILLION, keys=(one_slot(),)) as station:
        serving = await while_it_waits(station, gate := asyncio.Event())
        trace = await station.pipeline.explain(ADA, "r1")
        assert trace is not None
        assert (trace.state, trace.position, trace.attempts) == ("queued", 1, [])
        gate.set()
        assert (await serving).status is Outcome.COMPLETED


@pytest.mark.gen_test
async def test_of_a_request_before_the_last_start_explain_knows_what_the_ledger_knows(tmp_path: Path) -> None:
    async with open_station(tmp_path, DOLLAR_A_MILLION, keys=(a_key(),)) as station:
        row = await station.serve(plain())
        await station.till.writer.quiet(5)
    async with open_station(tmp_path / "anew", DOLLAR_A_MILLION, keys=(a_key(),)) as anew:
        anew.till.ledger.rows = station.till.ledger.rows
        trace = await anew.pipeline.explain(ADA, "r1")
        assert trace is not None
        assert (trace.state, trace.attempts, trace.model) == (row.status, [{"key": "k1"}], MODEL)
        assert await anew.pipeline.explain(BOB, "r1") is None
