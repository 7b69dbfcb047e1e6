"""Nobody waits for a store that is slow or away, and it is found out soon when it is back."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.quota import Reserved
from server.store.base import NameTaken, Store
from server.store.breaker import FAILURES, REST, WITHIN, Breaker, BreakerState, Guarded
from server.store.records import StoreError
from tests.store.samples import reservation


def failing(breaker: Breaker, *times: float) -> Breaker:
    """One call after the other is admitted and fails."""
    for now in times:
        called_in = breaker.admit(now)
        assert called_in is not None
        breaker.failed(called_in, now)
    return breaker


def test_it_opens_after_some_failures_within_a_short_time() -> None:
    breaker = failing(Breaker(), 0.0, 0.1, 0.2, 0.3)
    assert breaker.state is BreakerState.CLOSED
    assert failing(breaker, 0.4).state is BreakerState.OPEN
    assert breaker.admit(0.5) is None


def test_failures_that_lie_far_apart_do_not_open_it() -> None:
    assert failing(Breaker(), *(0.6 * number for number in range(50))).state is BreakerState.CLOSED


def test_after_its_rest_one_call_may_try() -> None:
    breaker = failing(Breaker(), *[1.0] * FAILURES)
    assert breaker.admit(1.0 + REST - 0.01) is None
    assert breaker.admit(1.0 + REST) is not None
    assert breaker.state is BreakerState.TRIAL
    assert breaker.admit(1.0 + REST) is None


def test_a_trial_that_succeeds_closes_it() -> None:
    breaker = failing(Breaker(), *[1.0] * FAILURES)
    trial = breaker.admit(2.0)
    assert trial is not None
    breaker.succeeded(trial)
    assert breaker.state is BreakerState.CLOSED
    assert failing(breaker, *[2.1] * (FAILURES - 1)).state is BreakerState.CLOSED  # old failures are forgotten


def test_a_trial_that_fails_opens_it_for_another_rest() -> None:
    breaker = failing(Breaker(), *[1.0] * FAILURES)
    assert failing(breaker, 2.0).state is BreakerState.OPEN
    assert breaker.admit(2.0 + REST - 0.01) is None
    assert breaker.admit(2.0 + REST) is not None


def test_a_trial_whose_caller_leaves_is_followed_by_another_one() -> None:
    breaker = failing(Breaker(), *[1.0] * FAILURES)
    trial = breaker.admit(2.0)
    assert trial is not None
    breaker.abandoned(trial)
    assert breaker.admit(2.0) is not None


def test_how_a_call_of_an_earlier_round_ends_says_nothing() -> None:
    breaker = Breaker()
    early = breaker.admit(0.0)
    assert early is not None
    failing(breaker, *[1.0] * FAILURES)
    for state in (BreakerState.OPEN, BreakerState.TRIAL):
        assert breaker.state is state
        breaker.succeeded(early)
        breaker.abandoned(early)
        assert not breaker.failed(early, 1.5)
        assert breaker.state is state
        breaker.admit(1.0 + REST)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(["ask", "succeed", "fail", "leave"]), st.floats(0, 0.5)), max_size=60))
def test_whatever_happens_it_asks_again_after_its_rest_and_never_opens_for_less(steps: list[tuple[str, float]]) -> None:
    breaker, now, calls, failures = Breaker(), 0.0, list[int](), list[float]()
    for step, seconds in steps:
        now += seconds
        before = breaker.state
        if step == "ask":
            if (called_in := breaker.admit(now)) is not None:
                calls.append(called_in)
        elif calls:
            called_in = calls.pop(0)
            if step == "succeed":
                breaker.succeeded(called_in)
            elif step == "leave":
                breaker.abandoned(called_in)
            else:
                failures.append(now)
                breaker.failed(called_in, now)
        if before is BreakerState.CLOSED and breaker.state is BreakerState.OPEN:
            assert sum(now - each <= WITHIN for each in failures) >= FAILURES
    while calls:
        breaker.abandoned(calls.pop())
    assert breaker.admit(now + REST) is not None


class Slow:
    """A store that answers when it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate = asyncio.Event()
        self.error: Exception | None = None
        self.cancelled = 0

    async def reserve(self, _: object) -> Reserved:
        self.calls += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return Reserved((1,))


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Stage:
    def __init__(self, patience: float = 5.0) -> None:
        self.store, self.clock = Slow(), Clock()
        self.guarded = Guarded(cast(Store, self.store), patience, self.clock)

    async def ask(self) -> object:
        return await self.guarded.reserve(reservation("one", ("pot", 1, 10)))


@pytest.mark.gen_test
async def test_an_answer_in_time_is_passed_on() -> None:
    stage = Stage()
    stage.store.gate.set()
    assert await stage.ask() == Reserved((1,))
    assert stage.guarded.state is BreakerState.CLOSED


@pytest.mark.gen_test
async def test_a_slow_call_fails_and_is_stopped() -> None:
    stage = Stage(patience=0.01)
    with pytest.raises(StoreError):
        await stage.ask()
    counts = stage.guarded.counts
    assert (stage.store.cancelled, counts.slow, counts.failures) == (1, 1, 1)


@pytest.mark.gen_test
async def test_of_a_slow_store_a_few_calls_wait_and_the_others_fail_at_once() -> None:
    stage = Stage(patience=0.01)
    for _ in range(20):
        with pytest.raises(StoreError):
            await stage.ask()
    counts = stage.guarded.counts
    assert (stage.store.calls, counts.opened, counts.rejected) == (FAILURES, 1, 20 - FAILURES)
    stage.clock.now += REST
    stage.store.gate.set()
    assert await stage.ask() == Reserved((1,))
    assert stage.guarded.state is BreakerState.CLOSED


@pytest.mark.gen_test
async def test_of_those_who_come_after_the_rest_one_tries_for_all() -> None:
    stage = Stage()
    stage.store.error = StoreError("away")
    stage.store.gate.set()
    for _ in range(FAILURES):
        with pytest.raises(StoreError):
            await stage.ask()
    stage.clock.now += REST
    stage.store.gate.clear()
    stage.store.error = None
    asking = [asyncio.ensure_future(stage.ask()) for _ in range(10)]
    await asyncio.wait(asking, timeout=0.01)
    stage.store.gate.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(answer, StoreError) for answer in answers) == 9
    assert stage.store.calls == FAILURES + 1
    assert stage.guarded.state is BreakerState.CLOSED


@pytest.mark.gen_test
async def test_an_answer_that_is_a_refusal_is_no_failure() -> None:
    stage = Stage()
    stage.store.error = NameTaken()
    stage.store.gate.set()
    for _ in range(2 * FAILURES):
        with pytest.raises(NameTaken):
            await stage.ask()
    assert (stage.guarded.state, stage.guarded.counts.failures) == (BreakerState.CLOSED, 0)


@pytest.mark.gen_test
async def test_callers_who_leave_are_no_failures_either() -> None:
    stage = Stage()
    for _ in range(2 * FAILURES):
        asking = asyncio.ensure_future(stage.ask())
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert (stage.guarded.state, stage.guarded.counts.failures) == (BreakerState.CLOSED, 0)
    assert stage.store.cancelled == 2 * FAILURES
