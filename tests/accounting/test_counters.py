"""What is worked out once for a caller is never older than what was decided, and never truer than the clock."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from server.accounting.counters import MOST, Counters, who_counts
from server.auth.token_terms import SPECIAL
from server.ledger.calendar import Calendar
from server.ledger.holds import NOTHING, applying, claim
from server.ledger.limits import Limit, LimitSet, LimitWindow, Scope, Unit
from server.store.base import Caller, TokenTerms

BERLIN = Calendar(ZoneInfo("Europe/Berlin"))
NOON = BERLIN.starts("2026-11-21") + 12 * 3_600_000
ADA = Caller("usr_ada", "ada", "tok_1")
DAILY = Limit("d", Scope.EVERYONE, "", Unit.USD, LimitWindow.DAY, 5_000)
MINUTE = Limit("m", Scope.EVERYONE, "", Unit.REQUESTS, LimitWindow.MINUTE, 20)


class Town:
    """Counters over limits that can be decided anew."""

    def __init__(self, *limits: Limit) -> None:
        self.limits = LimitSet(limits)
        self.counters = Counters(lambda: self.limits, BERLIN)

    def most(self, at: int = NOON, caller: Caller = ADA, *groups: str) -> list[int]:
        return [entry.most for entry in self.counters.of(caller, groups, "gpt-5", at).claim.budgets]


def test_what_was_worked_out_is_kept() -> None:
    town = Town(DAILY)
    assert town.counters.of(ADA, (), "gpt-5", NOON) is town.counters.of(ADA, (), "gpt-5", NOON + 1)


def test_a_limit_that_is_lowered_counts_at_the_next_request() -> None:
    town = Town(DAILY)
    assert town.most() == [5_000]
    town.limits = LimitSet([replace(DAILY, amount=10)])
    assert town.most() == [10]


def test_another_group_token_or_pass_is_another_caller() -> None:
    pot = Limit("g", Scope.GROUP, "physics", Unit.USD, LimitWindow.DAY, 70)
    own = Limit("t", Scope.TOKEN, "tok_2", Unit.USD, LimitWindow.DAY, 80)
    town = Town(DAILY, pot, own)
    assert town.most() == [5_000]
    assert town.most(NOON, ADA, "physics") == [5_000, 70]
    assert town.most(NOON, replace(ADA, token_id="tok_2")) == [5_000, 80]
    assert town.most(NOON, replace(ADA, spend=90)) == [5_000, 90]
    assert town.most(NOON, replace(ADA, spend=95)) == [5_000, 95]
    assert town.most() == [5_000]


def test_a_special_token_has_no_rates_of_the_minute_and_the_others_knock_at_them() -> None:
    counters = Town(DAILY, MINUTE).counters
    special = replace(ADA, terms=TokenTerms(kind=SPECIAL))
    assert [entry.needs for entry in counters.of(ADA, (), None, NOON).knocks] == [1]
    assert counters.of(special, (), None, NOON).knocks == () == counters.of(special, (), None, NOON).claim.rates


def test_a_new_day_has_a_new_counter() -> None:
    counters = Town(DAILY).counters
    names = [counters.of(ADA, (), "gpt-5", NOON + hours * 3_600_000).claim.counters for hours in (0, 12, 0)]
    assert [name.rpartition("/")[2] for (name,) in names] == ["2026-11-21", "2026-11-22", "2026-11-21"]


def test_not_everything_is_kept_for_ever() -> None:
    counters = Town(DAILY).counters
    for number in range(MOST + 10):
        counters.of(replace(ADA, token_id=str(number)), (), "gpt-5", NOON)
    assert len(counters) == 10


HOUR = 3_600_000
INSTANTS = st.none() | st.integers(-40, 40).map(lambda hours: NOON + hours * HOUR)
LIMITS = st.builds(
    Limit,
    st.uuids().map(str),
    st.sampled_from([Scope.PERSON, Scope.TOKEN]),
    st.sampled_from(["usr_ada", "tok_1"]),
    st.sampled_from([Unit.USD, Unit.TOKENS]),
    st.sampled_from([LimitWindow.DAY, LimitWindow.WEEK, LimitWindow.EVER]),
    st.integers(1, 100),
    extra=st.integers(0, 9),
    extra_until=INSTANTS,
)


@settings(deadline=None, max_examples=60)
@given(st.lists(LIMITS, max_size=4), INSTANTS, st.lists(st.integers(-50, 50), min_size=1, max_size=12))
def test_at_every_moment_it_is_what_would_be_worked_out_then(
    limits: list[Limit], since: int | None, hours: list[int]
) -> None:
    """The clock may go forth and back."""
    town = Town(*(replace(limit, since=since) for limit in limits), replace(DAILY, until=since))
    for at in (NOON + hour * HOUR for hour in hours):
        drawn, who = town.counters.of(ADA, (), "gpt-5", at), who_counts(ADA, ())
        found = applying(town.limits, who, "gpt-5", at)
        assert (list(drawn.limits), drawn.claim) == (found, claim(found, who, NOTHING, BERLIN, at))
