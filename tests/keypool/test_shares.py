"""The document that divides a capacity, and what each gateway should have."""

from __future__ import annotations

import pytest

from keypool.limits import LimitMeasure
from keypool.shares import WHOLE, Capacity, Entry, Shares, WholeLimit, leave, refilled, resized, without
from keypool.targets import Claim, parts, slots, whole
from keypool.ticket import Spread

RPM, TPM, RPD = LimitMeasure.REQUESTS.value, LimitMeasure.TOKENS.value, LimitMeasure.DAILY.value
CAPACITY = Capacity({RPM: WholeLimit(60, 60.0), RPD: WholeLimit(1000, 86_400.0)})


def held(shares: Shares, measure: str) -> float:
    """All that there is of a limit: what the entries say, and the pot."""
    return shares.pot[measure] + sum(each.levels[measure] for each in shares.entries.values())


def grown(shares: Shares, name: str, part: int, wall: int = 0) -> Shares:
    entry = shares.entries.get(name, Entry())
    return resized(refilled(shares, CAPACITY, wall), name, Entry(part, 0, entry.levels, wall), CAPACITY)[0]


def test_a_part_takes_its_level_with_it_and_nothing_is_lost_or_doubled() -> None:
    shares = grown(Shares(), "a", WHOLE)
    assert shares.entries["a"].levels == {RPM: 1.0, RPD: 1.0}
    spent = Entry(WHOLE // 4, 0, {RPM: 0.2, RPD: 0.8})
    shares, moved = resized(shares, "a", spent, CAPACITY)
    assert moved == pytest.approx({RPM: -0.15, RPD: -0.6})
    shares, moved = resized(shares, "b", Entry(WHOLE // 2, 0, {}), CAPACITY)
    assert moved == pytest.approx({RPM: 0.1, RPD: 0.4})
    assert held(shares, RPM) == pytest.approx(0.2)
    assert held(shares, RPD) == pytest.approx(0.8)


def test_a_debt_goes_with_the_part_too() -> None:
    shares, moved = resized(grown(Shares(), "a", WHOLE), "a", Entry(WHOLE // 2, 0, {RPM: -0.2, RPD: 0.5}), CAPACITY)
    assert moved[RPM] == pytest.approx(0.1)
    assert shares.pot[RPM] == pytest.approx(-0.1)


def test_the_pot_is_refilled_as_far_as_the_free_part_goes_and_no_clock_that_goes_back_fills_it_twice() -> None:
    shares = resized(grown(Shares(), "a", WHOLE), "a", Entry(WHOLE // 2, 0, {RPM: 0.0, RPD: 0.0}), CAPACITY)[0]
    later = refilled(shares, CAPACITY, 30_000)
    assert later.pot[RPM] == pytest.approx(0.25)
    assert refilled(later, CAPACITY, 20_000) == later
    assert refilled(refilled(later, CAPACITY, 20_000), CAPACITY, 30_000).pot == later.pot
    assert refilled(later, CAPACITY, 10_000_000).pot[RPM] == pytest.approx(0.5)


def test_the_levels_of_the_dead_count_as_spent_but_a_day_is_not_spent_in_a_minute() -> None:
    shares = Shares({"a": Entry(WHOLE // 2, 0, {RPM: 0.25, RPD: 0.5}, 0)}, {RPM: 0.0, RPD: 0.0}, 0)
    after = without(shares, "a", CAPACITY, 6000)
    assert after.entries == {}
    assert after.pot[RPM] == pytest.approx(0.5 * 6 / 60)  # the free half was refilled
    # 15 requests of the minute's bucket and 3 of its refill may have been sent: 18 of a thousand
    assert after.pot[RPD] == pytest.approx(0.5 - 0.018 + 0.5 * 6 / 86_400)


def test_the_debts_of_the_dead_stay() -> None:
    shares = Shares({"a": Entry(WHOLE, 0, {RPM: -0.25, RPD: 0.5}, 0)}, {RPM: 0.0, RPD: 0.0}, 0)
    assert without(shares, "a", CAPACITY, 0).pot == {RPM: -0.25, RPD: 0.5}


def test_who_leaves_gives_back_all_that_is_left() -> None:
    shares = grown(Shares(), "a", WHOLE)
    assert leave(shares, "a", {RPM: 0.5, RPD: 0.9}, CAPACITY, 0) == Shares({}, {RPM: 0.5, RPD: 0.9}, 0)


def test_a_document_comes_back_from_json_as_it_was() -> None:
    shares = grown(grown(Shares(), "a", 300_000, 1000), "b", 400_000, 2000)
    assert Shares.of_json(shares.as_json()) == shares


@pytest.mark.parametrize(
    ("claims", "right"),
    [
        ({"a": Claim(1.0)}, {"a": WHOLE}),
        ({"a": Claim()}, {"a": WHOLE}),
        ({"a": Claim(1.0), "b": Claim(3.0)}, {"a": 250_000, "b": 750_000}),
        ({"a": Claim(1.0), "b": Claim()}, {"a": 980_000, "b": 20_000}),
        ({"a": Claim(), "b": Claim()}, {"a": 500_000, "b": 500_000}),
        ({"a": Claim(1.0, 100_000), "b": Claim(1.0)}, {"a": 100_000, "b": 900_000}),
        ({"a": Claim(1.0, 100_000), "b": Claim(1.0, 300_000)}, {"a": 400_000, "b": 600_000}),
    ],
)
def test_parts_go_by_weight_to_those_who_want_them(claims: dict[str, Claim], right: dict[str, int]) -> None:
    assert parts(claims) == right


def test_slots_that_do_not_divide_evenly_take_turns() -> None:
    claims = {name: Claim(1.0) for name in "abc"}
    turns = [slots(claims, 1, turn) for turn in range(300)]
    assert all(sum(each.values()) == 1 for each in turns)
    assert all(99 <= sum(each[name] for each in turns) <= 101 for name in "abc")
    assert {sum(slots(claims, 8, turn).values()) for turn in range(50)} == {8}
    assert {each for turn in range(50) for each in slots(claims, 8, turn).values()} == {2, 3}


def test_an_idle_gateway_keeps_a_slot_where_there_are_enough() -> None:
    assert slots({"a": Claim(1.0), "b": Claim()}, 8, 0) == {"a": 7, "b": 1}
    assert slots({"a": Claim(1.0), "b": Claim()}, 3, 0) == {"a": 3, "b": 0}
    assert slots({"a": Claim(1.0, slots=2), "b": Claim(1.0)}, 8, 0) == {"a": 2, "b": 6}


@pytest.mark.parametrize("ideal", [{"a": 0.5, "b": 0.25, "c": 0.25}, {"a": 10 / 3, "b": 10 / 3, "c": 10 / 3}])
def test_over_many_turns_each_gets_its_ideal_number(ideal: dict[str, float]) -> None:
    sums = dict.fromkeys(ideal, 0)
    for turn in range(1000):
        for name, number in whole(ideal, turn).items():
            sums[name] += number
    assert sums == pytest.approx({name: 1000 * number for name, number in ideal.items()}, abs=2)


@pytest.mark.parametrize(("cap", "gateways"), [(1, 3), (4, 3), (5, 2), (7, 7)])
def test_a_cap_is_divided_wholly_and_the_rest_goes_round(cap: int, gateways: int) -> None:
    turns = [[Spread(gateways, rank, turn).of(cap) for rank in range(gateways)] for turn in range(gateways)]
    assert all(sum(each) == cap for each in turns)
    assert {sum(each) for each in zip(*turns, strict=True)} == {cap}
