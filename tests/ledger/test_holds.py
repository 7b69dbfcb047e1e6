"""What a request holds and what it is charged: by which limits, on which counters, and never two on one."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.calendar import Calendar
from server.ledger.holds import (
    NOTHING,
    BudgetStanding,
    Claim,
    Estimate,
    Who,
    applying,
    applying_to_upstream,
    claim,
    tightest,
)
from server.ledger.limits import Limit, LimitSet, LimitWindow, Scope, Unit
from server.ledger.quota import Charge, Exceeded, Hold
from server.ledger.usage import Outcome, UsageRow
from server.wire.usage import Usage
from tests.store.samples import usage_row

BERLIN = Calendar(ZoneInfo("Europe/Berlin"))
NOW = BERLIN.starts("2026-11-21") + 6 * 3_600_000
ADA = Who("usr_ada", "tok_1", ("physics", "staff"))
NEEDS = Estimate(cost_micro_usd=2_000, tokens=300)


def limit(scope: Scope, subject: str, unit: Unit, window: LimitWindow, amount: int, family: str = "*") -> Limit:
    return Limit(f"{scope}-{subject}-{unit}-{window}-{amount}", scope, subject, unit, window, amount, family)


def everyone(
    amount: int = 5_000, unit: Unit = Unit.USD, window: LimitWindow = LimitWindow.DAY, family: str = "*"
) -> Limit:
    return limit(Scope.EVERYONE, "", unit, window, amount, family)


def person(amount: int, unit: Unit = Unit.USD, window: LimitWindow = LimitWindow.DAY, family: str = "*") -> Limit:
    return limit(Scope.PERSON, "usr_ada", unit, window, amount, family)


def claimed(*limits: Limit, who: Who = ADA, needs: Estimate = NEEDS, model: str = "gpt-5", now: int = NOW) -> Claim:
    return claim(applying(LimitSet(limits), who, model, now), who, needs, BERLIN, now)


def ended(status: Outcome = Outcome.COMPLETED, cost: int = 1_500, tokens: tuple[int, int] = (200, 50)) -> UsageRow:
    usage = Usage(input=tokens[0], cached=20, output=tokens[1])
    return usage_row("r", status=status, cost_micro_usd=cost, usage=usage, day="2026-11-21")


# --- which limits apply


def test_a_persons_own_limit_replaces_everyones_of_the_same_kind_only() -> None:
    own, default, monthly = person(9_000), everyone(), everyone(window=LimitWindow.MONTH)
    assert applying(LimitSet([default, own, monthly]), ADA, "gpt-5", NOW) == [own, monthly]
    assert applying(LimitSet([default, own, monthly]), Who("usr_bob"), "gpt-5", NOW) == [default, monthly]


def test_everyones_limit_holds_again_when_a_persons_own_has_ended() -> None:
    own, default = replace(person(9_000), until=NOW), everyone()
    assert applying(LimitSet([default, own]), ADA, "gpt-5", NOW - 1) == [own]
    assert applying(LimitSet([default, own]), ADA, "gpt-5", NOW) == [default]


@pytest.mark.parametrize(
    ("scope", "subject"),
    [
        (Scope.PERSON, "usr_ada"),
        (Scope.EVERYONE, ""),
        (Scope.TOKEN, "tok_1"),
        (Scope.GROUP, "staff"),
        (Scope.MEMBER, "physics"),
    ],
)
def test_a_limit_of_any_scope_applies_in_its_time_only(scope: Scope, subject: str) -> None:
    timed = replace(limit(scope, subject, Unit.USD, LimitWindow.DAY, 1), since=NOW, until=NOW + 10)
    applied = [applying(LimitSet([timed]), ADA, "gpt-5", now) for now in (NOW - 1, NOW, NOW + 9, NOW + 10)]
    assert applied == [[], [timed], [timed], []]


def test_a_family_has_limits_of_its_own_beside_those_of_all_models() -> None:
    every, dear = everyone(), everyone(amount=1, family="o1*")
    assert applying(LimitSet([every, dear]), ADA, "o1-pro", NOW) == [every, dear]
    assert applying(LimitSet([every, dear]), ADA, "gpt-5", NOW) == [every]
    assert applying(LimitSet([every, dear]), ADA, None, NOW) == [every, dear]


def test_others_tokens_groups_and_upstreams_do_not_matter() -> None:
    limits = [
        limit(scope, subject, Unit.USD, LimitWindow.DAY, 5)
        for scope, subject in [
            (Scope.PERSON, "usr_bob"),
            (Scope.TOKEN, "tok_2"),
            (Scope.GROUP, "chemistry"),
            (Scope.MEMBER, "chemistry"),
            (Scope.UPSTREAM, "openai"),
        ]
    ]
    assert applying(LimitSet(limits), ADA, "gpt-5", NOW) == []
    assert applying(LimitSet(limits), Who("usr_ada"), "gpt-5", NOW) == []


def test_an_upstreams_cap_is_asked_for_by_its_name() -> None:
    cap = limit(Scope.UPSTREAM, "openai", Unit.USD, LimitWindow.MONTH, 5)
    assert applying_to_upstream(LimitSet([cap]), "openai", "gpt-5", NOW) == [cap]
    assert applying_to_upstream(LimitSet([cap]), "other", "gpt-5", NOW) == []


# --- which counters that makes


def test_each_scope_has_counters_of_its_own() -> None:
    scopes = [(Scope.EVERYONE, ""), (Scope.TOKEN, "tok_1"), (Scope.GROUP, "physics"), (Scope.MEMBER, "physics")]
    upstream = claim([limit(Scope.UPSTREAM, "openai", Unit.USD, LimitWindow.MONTH, 5)], ADA, NEEDS, BERLIN, NOW)
    made = claimed(*(limit(scope, subject, Unit.USD, LimitWindow.MONTH, 5) for scope, subject in scopes)).also(upstream)
    assert made.counters == (
        "person:usr_ada/usd/*/month/2026-11",
        "token:tok_1/usd/*/month/2026-11",
        "group:physics/usd/*/month/2026-11",
        "member:physics/usr_ada/usd/*/month/2026-11",
        "upstream:openai/usd/*/month/2026-11",
    )


def test_each_window_has_counters_of_its_own_and_a_minute_is_not_kept_by_the_store() -> None:
    windows = [LimitWindow.MINUTE, LimitWindow.DAY, LimitWindow.WEEK, LimitWindow.MONTH, LimitWindow.EVER]
    made = claimed(*(everyone(unit=Unit.REQUESTS, window=window) for window in windows))
    assert [counter.removeprefix("person:usr_ada/requests/*/") for counter in made.counters] == [
        "day/2026-11-21",
        "week/2026-W47",
        "month/2026-11",
        "ever/ever",
    ]
    assert [entry.counter for entry in made.rates] == ["person:usr_ada/requests/*/minute"]
    assert not {entry.counter for entry in made.rates} & {hold.counter for hold in made.holds}


def test_a_term_is_part_of_its_counters_name() -> None:
    since, until = BERLIN.starts("2026-10-01"), BERLIN.ends("2027-03-31")
    term = Limit("t", Scope.GROUP, "physics", Unit.USD, LimitWindow.TERM, 5, since=since, until=until)
    (entry,) = claimed(term).budgets
    assert entry.counter == "group:physics/usd/*/term/2026-10-01..2027-03-31"
    assert entry.resets_at == until


def test_members_of_a_group_share_its_pot_and_nothing_else() -> None:
    pot, head = (
        limit(Scope.GROUP, "g", Unit.USD, LimitWindow.DAY, 5),
        limit(Scope.MEMBER, "g", Unit.USD, LimitWindow.DAY, 5),
    )
    ada, bob = (set(claimed(pot, head, who=Who(name, None, ("g",))).counters) for name in ("ada", "bob"))
    assert ada & bob == {"group:g/usd/*/day/2026-11-21"}


def test_a_new_personal_limit_knows_what_was_used_under_everyones() -> None:
    assert claimed(everyone()).counters == claimed(everyone(), person(9_000)).counters


def test_of_two_limits_on_one_counter_the_tightest_counts() -> None:
    made = claimed(everyone(7_000), everyone(5_000), everyone(6_000))
    assert made.holds == (Hold("person:usr_ada/usd/*/day/2026-11-21", 2_000, 5_000),)


def test_slashes_in_names_cannot_make_one_counter_out_of_two() -> None:
    group = limit(Scope.GROUP, "g/usd/x", Unit.USD, LimitWindow.DAY, 5, "y")
    other = limit(Scope.GROUP, "g", Unit.USD, LimitWindow.DAY, 5, "x/usd/y")
    third = limit(Scope.GROUP, "g%2Fusd%2Fx", Unit.USD, LimitWindow.DAY, 5, "y")
    who = Who("usr_ada", None, ("g", "g/usd/x", "g%2Fusd%2Fx"))
    assert len(claim([group, other, third], who, NEEDS, BERLIN, NOW).counters) == 3


# --- what is held


def test_held_is_the_estimate_in_each_unit_under_the_limit_as_it_is_now() -> None:
    raised = replace(everyone(1_000, Unit.TOKENS), extra=50, extra_until=NOW + 1)
    made = claimed(everyone(5_000), raised, everyone(9, Unit.REQUESTS))
    assert [(hold.amount, hold.limit) for hold in made.holds] == [(2_000, 5_000), (300, 1_050), (1, 9)]


def test_what_costs_nothing_holds_no_money_so_that_it_works_when_the_money_is_gone() -> None:
    made = claimed(everyone(0), everyone(0, Unit.TOKENS), everyone(3, Unit.REQUESTS), needs=Estimate(0, 0))
    assert [hold.amount for hold in made.holds] == [1]
    assert len(made.counters) == 3


# --- what is charged


def test_charged_is_what_the_row_says() -> None:
    made = claimed(everyone(5_000), everyone(1_000, Unit.TOKENS), everyone(9, Unit.REQUESTS))
    assert [charge.amount for charge in made.charges(ended())] == [1_500, 250, 1]


@pytest.mark.parametrize("status", list(Outcome))
def test_a_request_that_nobody_served_does_not_count_as_one(status: Outcome) -> None:
    charges = claimed(everyone(9, Unit.REQUESTS)).charges(ended(status))
    served = status not in (Outcome.FAILED, Outcome.REJECTED)
    assert charges == ((Charge("person:usr_ada/requests/*/day/2026-11-21", 1),) if served else ())


def test_what_a_failed_request_cost_is_charged_all_the_same() -> None:
    assert [charge.amount for charge in claimed(everyone()).charges(ended(Outcome.FAILED, cost=70))] == [70]


def test_what_was_estimated_as_nothing_is_charged_if_it_was_something() -> None:
    made = claimed(everyone(1_000, Unit.TOKENS), needs=Estimate(0, 0))
    assert made.holds == ()
    assert [charge.amount for charge in made.charges(ended())] == [250]


def test_what_was_held_in_one_month_is_charged_in_that_month_however_late() -> None:
    last_moment = BERLIN.ends("2026-11-30") - 1
    made = claimed(everyone(window=LimitWindow.MONTH), now=last_moment)
    late = replace(ended(), started_at=last_moment, duration_ms=900_000)
    assert [charge.counter for charge in made.charges(late)] == ["person:usr_ada/usd/*/month/2026-11"]


def test_another_upstreams_cap_is_not_charged() -> None:
    caps = LimitSet(limit(Scope.UPSTREAM, name, Unit.USD, LimitWindow.MONTH, 9_000) for name in ("first", "second"))
    mine = claimed(everyone())
    first, second = (
        mine.also(claim(applying_to_upstream(caps, name, "gpt-5", NOW), ADA, NEEDS, BERLIN, NOW))
        for name in ("first", "second")
    )
    assert set(first.counters) & set(second.counters) == set(mine.counters)
    assert [charge.counter for charge in second.charges(ended())][1:] == ["upstream:second/usd/*/month/2026-11"]


# --- how it stands


def test_the_tightest_budget_is_the_one_with_the_least_left() -> None:
    made = claimed(everyone(5_000), everyone(90_000, window=LimitWindow.MONTH), everyone(2, Unit.REQUESTS))
    standing = tightest(made.reserved([2_500, 88_000, 1]), Unit.USD)
    assert standing is not None
    assert (standing.entry.limit.window, standing.remaining) == (LimitWindow.MONTH, 2_000)
    assert standing.entry.resets_at == BERLIN.starts("2026-12-01")


def test_without_a_limit_of_a_unit_there_is_no_tightest() -> None:
    assert tightest(claimed(everyone()).reserved([2_000]), Unit.TOKENS) is None


def test_a_counter_over_its_limit_has_nothing_left() -> None:
    (standing,) = claimed(everyone(5_000)).standings({"person:usr_ada/usd/*/day/2026-11-21": 7_000})
    assert standing.remaining == 0


def test_a_page_sees_all_counters_without_a_request() -> None:
    made = claimed(everyone(5_000), everyone(9, Unit.REQUESTS), needs=NOTHING)
    assert made.holds == ()
    assert [it.remaining for it in made.standings(dict(zip(made.counters, (1_000, 4), strict=True)))] == [4_000, 5]


def test_a_refusal_names_its_limit_and_when_it_ends() -> None:
    own = person(5_000)
    standing = claimed(own).refused(Exceeded("person:usr_ada/usd/*/day/2026-11-21", 4_000))
    assert standing.entry.limit == own
    assert standing.retry_after(NOW) == 18 * 3_600
    assert standing.retry_after(NOW + 1) == 18 * 3_600
    assert standing.retry_after(NOW + 10**9) == 1


def test_waiting_does_not_help_where_nothing_resets_or_where_it_never_fits() -> None:
    ever = claimed(everyone(5_000, window=LimitWindow.EVER)).refused(Exceeded("person:usr_ada/usd/*/ever/ever", 4_000))
    small = claimed(everyone(1_999)).refused(Exceeded("person:usr_ada/usd/*/day/2026-11-21", 0))
    assert [ever.retry_after(NOW), small.retry_after(NOW)] == [None, None]


def test_a_refusal_of_somebody_elses_counter_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="person:usr_bob"):
        claimed(everyone()).refused(Exceeded("person:usr_bob/usd/*/day/2026-11-21", 1))


# --- conservation

SUBJECTS = {
    Scope.EVERYONE: "",
    Scope.PERSON: "usr_ada",
    Scope.TOKEN: "tok_1",
    Scope.GROUP: "physics",
    Scope.MEMBER: "staff",
}
KINDS = st.tuples(
    st.sampled_from(list(SUBJECTS)),
    st.sampled_from([Unit.TOKENS, Unit.REQUESTS, Unit.USD]),
    st.sampled_from([LimitWindow.DAY, LimitWindow.WEEK, LimitWindow.MONTH, LimitWindow.EVER]),
    st.integers(0, 10_000),
    st.sampled_from(["*", "gpt-*", "o1"]),
)
ESTIMATES = st.builds(Estimate, st.integers(0, 5_000), st.integers(0, 5_000))


def limits_of(kinds: list[tuple[Scope, Unit, LimitWindow, int, str]]) -> list[Limit]:
    return [limit(scope, SUBJECTS[scope], *rest) for scope, *rest in kinds]  # type: ignore[arg-type]


@given(st.lists(KINDS, max_size=12), ESTIMATES)
@settings(deadline=None, max_examples=30)
def test_no_counter_is_held_twice_and_each_hold_is_the_tightest_of_its_limits(
    kinds: list[tuple[Scope, Unit, LimitWindow, int, str]], needs: Estimate
) -> None:
    limits = limits_of(kinds)
    made = claimed(*limits, needs=needs)
    counters = [hold.counter for hold in made.holds]
    assert len(counters) == len(set(counters))
    for entry in made.budgets:
        same = [it for it in applying(LimitSet(limits), ADA, "gpt-5", NOW) if claimed(it).counters == (entry.counter,)]
        assert entry.most == min(it.amount for it in same)


@given(
    st.lists(KINDS, max_size=8),
    st.lists(st.tuples(ESTIMATES, ESTIMATES, st.sampled_from(Outcome), st.booleans()), max_size=12),
)
@settings(deadline=None, max_examples=30)
def test_when_all_is_settled_the_counters_hold_what_the_rows_say_and_no_more(
    kinds: list[tuple[Scope, Unit, LimitWindow, int, str]],
    requests: list[tuple[Estimate, Estimate, Outcome, bool]],
) -> None:
    taken: dict[str, int] = {}
    pending: list[tuple[Claim, UsageRow]] = []
    settled: list[UsageRow] = []
    for needs, used, status, early in requests:
        made = claimed(*limits_of(kinds), needs=needs)
        if any(taken.get(hold.counter, 0) + hold.amount > hold.limit for hold in made.holds):
            continue
        for hold in made.holds:
            taken[hold.counter] = taken.get(hold.counter, 0) + hold.amount
        pending.append((made, ended(status, used.cost_micro_usd, (used.tokens, 0))))
        if early:
            settled += settle(pending, taken)
    settled += settle(pending, taken)
    served = [row for row in settled if row.status not in (Outcome.FAILED, Outcome.REJECTED)]
    sums = {
        Unit.USD: sum(row.cost_micro_usd for row in settled),
        Unit.TOKENS: sum(row.usage.input + row.usage.output for row in settled),
        Unit.REQUESTS: len(served),
    }
    for entry in claimed(*limits_of(kinds)).budgets:
        assert taken.get(entry.counter, 0) == sums[entry.limit.unit]


def settle(pending: list[tuple[Claim, UsageRow]], taken: dict[str, int]) -> list[UsageRow]:
    """As a store does it: give the holds back, take the charges."""
    rows = []
    while pending:
        made, row = pending.pop()
        for hold in made.holds:
            taken[hold.counter] -= hold.amount
        for charge in made.charges(row):
            taken[charge.counter] = taken.get(charge.counter, 0) + charge.amount
        rows.append(row)
    return rows


@given(st.integers(0, 10**6), st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_what_remains_is_never_negative(most: int, taken: int) -> None:
    (entry,) = claimed(everyone(most)).budgets
    assert BudgetStanding(entry, taken).remaining == max(0, most - taken)
