"""What is taken of a minute at one gateway counts at all, once, however their records come."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.cluster.rates import MOST, UNHEARD_SECONDS, SharedRates, digester
from server.ledger.holds import HoldEntry
from server.ledger.limits import Limit, LimitWindow, Scope, Unit
from server.ledger.ratelimit import RateLimits, Taken, Wait
from server.store.base import GatewayRecord

PLENTY = 10**9


def entry(most: int, needs: int = 1, unit: Unit = Unit.TOKENS, who: str = "ada") -> HoldEntry:
    limit = Limit("x", Scope.EVERYONE, "", unit, LimitWindow.MINUTE, most)
    return HoldEntry(f"person:{who}/{unit}/*/minute", limit, most, needs, None)


class Time:
    """The time that all of a test's gateways live in, though their clocks begin anywhere."""

    def __init__(self) -> None:
        self.now = 1_000.3


class One:
    """A gateway's windows, and its records, of which the last one is in the store."""

    def __init__(self, name: str, time: Time, ahead: float) -> None:
        self.name, self.time, self.ahead, self.limits = name, time, ahead, RateLimits()
        self.shared = SharedRates(name, self.note, self.clock)
        self.limits.name, self.limits.say, self.limits.spare = digester(b"secret"), self.shared.took, self.shared.wait
        self.records: list[GatewayRecord] = []
        self.taken: list[Taken] = []

    def clock(self) -> float:
        return self.time.now + self.ahead

    def note(self, counter: str, amount: int, at: float) -> None:
        self.limits.note(counter, amount, at, self.clock())

    def take(self, wanted: HoldEntry) -> bool:
        taken = self.limits.take([wanted], self.clock())
        if isinstance(taken, Taken):
            self.taken.append(taken)
        return isinstance(taken, Taken)

    def write(self) -> None:
        said = json.loads(json.dumps(self.shared.said()))
        self.records.append(GatewayRecord(self.name, len(self.records) + 1, said))

    def read(self, records: list[GatewayRecord]) -> None:
        asyncio.run(self.shared.heard(records, self.clock()))

    def counted(self, wanted: HoldEntry) -> int:
        left = self.limits.left([wanted], wanted.limit.unit, self.clock())
        return 0 if left is None else left.limit - left.remaining


def gateways(many: int) -> tuple[Time, list[One]]:
    time = Time()
    return time, [One(f"g{number}", time, 777.77 * number) for number in range(many)]


def last_records(all_of_them: list[One]) -> list[GatewayRecord]:
    return [each.records[-1] for each in all_of_them if each.records]


GATEWAY, WHO = st.integers(0, 2), st.sampled_from(["ada", "bob"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), GATEWAY, st.integers(0, 5_000), WHO),
        st.tuples(st.just("correct"), GATEWAY, st.integers(0, 5_000), st.integers(0, 20)),
        st.tuples(st.just("write"), GATEWAY),
        st.tuples(st.just("read"), GATEWAY, GATEWAY, st.integers(0, 3)),
        st.tuples(st.just("pass"), st.floats(0.0, 2.0)),
    ),
    max_size=25,
)


@given(STEPS)
def test_records_that_come_late_twice_or_never_are_counted_exactly_once(steps: list[tuple[object, ...]]) -> None:
    time, found = gateways(3)
    amounts: dict[tuple[int, int], tuple[str, int]] = {}  # what each request really took
    for step in steps:
        match step:
            case "take", int(at), int(amount), str(who):
                if found[at].take(entry(PLENTY, amount, who=who)):
                    amounts[at, len(found[at].taken) - 1] = who, amount
            case "correct", int(at), int(amount), int(which) if found[at].taken:
                which %= len(found[at].taken)
                found[at].limits.correct(found[at].taken[which], amount)
                amounts[at, which] = amounts[at, which][0], amount
            case "write", int(at):
                found[at].write()
            case "read", int(at), int(other), int(ago) if found[other].records:
                found[at].read([found[other].records[max(0, len(found[other].records) - 1 - ago)]])
            case "pass", float(seconds):
                time.now += seconds
    for each in found:
        each.write()
    for each in (*found, *found):
        each.read(last_records(found))
    for who in ("ada", "bob"):
        total = sum(amount for whose, amount in amounts.values() if whose == who)
        assert [each.counted(entry(PLENTY, who=who)) for each in found] == [total] * 3


def busiest_minute(instants: list[float]) -> int:
    return max(sum(begin <= each < begin + 60 for each in instants) for begin in instants)


def test_six_a_minute_stay_near_six_at_three_gateways_that_are_asked_all_the_time() -> None:
    time, found = gateways(3)
    wanted, let_in = entry(6, unit=Unit.REQUESTS), []
    for tick in range(10 * 600):
        time.now += 0.1
        for number, each in enumerate(found):
            if each.take(wanted):
                let_in.append(time.now)
            if tick % 10 == 3 * number:
                each.write()
                each.read(last_records(found))
    begun = let_in[0] + 60  # before that none of them could know that others are asked, too
    assert busiest_minute([each for each in let_in if each < begun]) < 18
    later = [each for each in let_in if each >= begun]
    assert busiest_minute(later) <= 7
    assert len(later) >= 9 * 5


def test_whose_requests_come_to_one_gateway_has_the_whole_limit_there_at_once() -> None:
    _, found = gateways(3)
    for each in found:
        each.write()
        each.read(last_records(found))
    assert [found[0].take(entry(6, unit=Unit.REQUESTS)) for _ in range(8)] == [True] * 6 + [False] * 2


def test_a_gateway_that_is_cut_off_keeps_to_its_part_of_what_was_left() -> None:
    time, found = gateways(2)
    wanted = entry(60, unit=Unit.REQUESTS)
    for each in found:
        assert each.take(wanted)
        each.write()
    for each in found:
        each.read(last_records(found))
    let_in = 0
    for _ in range(500):
        time.now += 0.1
        let_in += found[0].take(wanted)
    assert let_in <= 30


def test_who_is_to_wait_for_the_others_sake_may_come_when_the_refusal_says() -> None:
    time, found = gateways(2)
    wanted = entry(6, unit=Unit.REQUESTS)

    def meet() -> None:
        for each in found:
            each.write()
        for each in found:
            each.read(last_records(found))

    assert all(each.take(wanted) for each in found)
    meet()
    assert [found[0].take(wanted) for _ in range(2)] == [True, True]
    refused = found[0].limits.take([wanted], found[0].clock())
    assert isinstance(refused, Wait)
    assert refused.seconds is not None
    assert 1 <= refused.seconds <= UNHEARD_SECONDS + 1
    time.now += refused.seconds
    meet()
    assert found[0].take(wanted)


def test_a_newcomer_hears_what_was_taken_in_the_minute_before_and_it_counts_until_that_is_over() -> None:
    time, (one, other) = gateways(2)
    assert one.take(entry(PLENTY, 500))
    one.write()
    time.now += 30
    one.write()
    other.read(one.records[-1:])
    assert other.counted(entry(PLENTY)) == 500
    time.now += 29
    assert other.counted(entry(PLENTY)) == 500
    time.now += 3
    assert other.counted(entry(PLENTY)) == 0


def test_a_record_is_bounded_names_no_person_and_says_the_newest_first() -> None:
    time, (one, _) = gateways(2)
    for number in range(MOST + 5):
        one.shared.took(f"c{number}", 1, one.clock())
    assert one.take(entry(6))
    one.write()
    taken = one.records[-1].body["rates"]["taken"]
    assert len(taken) == MOST
    assert [counter for _, counter, _, _ in taken[1:3]] == [f"c{MOST + 4}", f"c{MOST + 3}"]
    assert "ada" not in json.dumps(taken)
    time.now += 62
    one.write()
    assert not one.records[-1].body["rates"]["taken"]


@pytest.mark.parametrize("said", [7, {"at": 1}, {"at": 1, "taken": [["c"]]}, {"at": 1, "taken": [[1, "c", "x", {}]]}])
def test_rates_of_another_version_are_left_out_and_said_once(said: object, caplog: pytest.LogCaptureFixture) -> None:
    _, (one, other) = gateways(2)
    assert one.take(entry(6))
    one.write()
    with caplog.at_level(logging.WARNING, "fairgate"):
        for beats in range(3):
            other.read([GatewayRecord("z", beats, {"rates": said}), *one.records])
    assert len(caplog.records) == 1
    assert other.counted(entry(6)) == 1
