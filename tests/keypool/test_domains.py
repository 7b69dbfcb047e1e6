"""Capacity domains: a bucket's arithmetic, what headers teach it, and how a domain does against a provider with limits.

The provider of the last part keeps true token buckets, answers after random times, and has another customer of the
same organisation whom the domain cannot see.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import count
from math import ceil, inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keypool.domains import DAY, HAIR, MINUTE, RESERVE, Bucket, Domain, Need, Quota, group_of
from keypool.health import KeyState
from keypool.keyring import Keyring
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow, windows
from tests.fakes.limits import Limits
from tests.keypool.making import a_key, a_ticket

REQUESTS, TOKENS, DAILY = LimitMeasure.REQUESTS, LimitMeasure.TOKENS, LimitMeasure.DAILY
WALL = 1_700_000_000.0
ONE = Need(100, 100)
EXACT = 1e-3


def a_bucket(capacity: float = 600.0, period: float = MINUTE, level: float | None = None) -> Bucket:
    return Bucket(capacity, capacity / period, capacity if level is None else level)


def a_domain(slots: int = 10, **quota: int) -> Domain:
    return Domain("acme/m", Quota(**quota).buckets(0.0), members={"k1": slots})


def answer(domain: Domain, sent: dict[LimitMeasure, float], now: float, **left: tuple[float, float]) -> None:
    """An answer whose headers tell `left`: limit and remaining, by the name of the measure."""
    sent_windows = {
        LimitMeasure[name.upper()]: RateWindow(limit, remaining, None) for name, (limit, remaining) in left.items()
    }
    domain.learn(sent_windows, sent, now)


@pytest.mark.parametrize(
    ("measures", "reserves"),
    [((), False), ((LimitMeasure.TOKENS,), True), ((LimitMeasure.INPUT, LimitMeasure.OUTPUT), False),
     ((LimitMeasure.TOKENS, LimitMeasure.INPUT), False), ((LimitMeasure.REQUESTS, LimitMeasure.TOKENS), True)],
)  # fmt: skip
def test_the_callers_bound_is_taken_beforehand_only_where_prompts_have_no_limit_of_their_own(
    measures: tuple[LimitMeasure, ...], reserves: bool
) -> None:
    domain = Domain("acme/m", {each: a_bucket() for each in measures})
    assert domain.asks(Need(100, 30, 4_000)) == (Need(100, 30, 4_000) if reserves else Need(100, 30))
    assert domain.asks(Need(100, 30)) == Need(100, 30)


# A bucket

buckets = st.builds(
    lambda capacity, period, full: Bucket(capacity, capacity / period, capacity * full),
    st.floats(1.0, 1e7),
    st.sampled_from([MINUTE, 3600.0, DAY]),
    st.floats(-2.0, 1.0),
)
instants = st.floats(0.0, 1e6)
shares = st.floats(0.0, 2.0)


def copy(bucket: Bucket) -> Bucket:
    return Bucket(bucket.capacity, bucket.rate, bucket.level, bucket.at)


@settings(deadline=None)
@given(buckets, shares, instants)
def test_a_wait_is_never_negative_and_exact_to_a_hundredth_of_a_second(
    bucket: Bucket, share: float, now: float
) -> None:
    need = share * bucket.capacity
    wait = bucket.wait(need, now)
    assert 0.0 <= wait < inf
    assert copy(bucket).wait(need, now + wait) == 0.0
    if wait > 0.02:
        assert copy(bucket).wait(need, now + wait - 0.01) > 0.0


@settings(deadline=None)
@given(buckets, st.lists(st.tuples(st.floats(0.0, 2.0 * DAY), shares), max_size=30))
def test_a_bucket_never_overflows_and_owes_less_than_the_largest_request(
    bucket: Bucket, asks: list[tuple[float, float]]
) -> None:
    bucket.level, now = max(0.0, bucket.level), 0.0
    largest = max([share * bucket.capacity for _, share in asks], default=0.0)
    for pause, share in asks:
        now += pause
        need = share * bucket.capacity
        now += bucket.wait(need, now)
        bucket.take(need, now)
        assert -largest <= bucket.level <= bucket.capacity


@settings(deadline=None)
@given(buckets, st.lists(instants, max_size=10))
def test_time_that_runs_backwards_fills_nothing(bucket: Bucket, times: list[float]) -> None:
    bucket.refill(max(times, default=0.0))
    level = bucket.level
    for now in times:
        bucket.refill(now)
    assert bucket.level == level


def test_a_bucket_fills_in_its_period() -> None:
    bucket = a_bucket(600.0, level=0.0)
    bucket.refill(30.0)
    assert bucket.level == pytest.approx(300.0)
    bucket.refill(90.0)
    assert bucket.level == 600.0


def test_some_seconds_of_refill_stay_in_reserve_for_what_cannot_be_seen() -> None:
    bucket = a_bucket(600.0)
    bucket.take(500.0, 0.0)
    assert bucket.wait(100.0 - RESERVE * bucket.rate, 0.0) == 0.0
    assert bucket.wait(100.0, 0.0) == pytest.approx(RESERVE, abs=EXACT)


@pytest.mark.parametrize("need", [600.0, 601.0, 5000.0])
def test_what_is_larger_than_the_bucket_starts_on_a_full_one_and_only_then(need: float) -> None:
    bucket = a_bucket(600.0)
    bucket.take(1.0, 0.0)
    assert bucket.wait(need, 0.0) == pytest.approx(0.1, abs=EXACT)
    assert bucket.wait(need, 0.1) == 0.0


def test_what_was_larger_than_the_bucket_leaves_a_debt_that_is_waited_for() -> None:
    bucket = a_bucket(600.0)
    bucket.take(1800.0, 0.0)
    assert bucket.level == -1200.0
    assert bucket.wait(0.0, 0.0) == pytest.approx(120.0 + RESERVE, abs=EXACT)


def test_rounding_is_allowed_for_by_a_hair() -> None:
    bucket = a_bucket(600.0, level=600.0 * (1.0 - HAIR / 2))
    assert bucket.wait(600.0, 0.0) == 0.0


# What a header teaches a bucket


@settings(deadline=None)
@given(buckets, st.floats(0.0, 1.0), st.floats(0.0, 1e7), instants)
def test_the_own_count_stays_between_what_remains_and_that_less_what_was_sent_since(
    bucket: Bucket, share: float, sent_since: float, now: float
) -> None:
    bucket.refill(now)
    counted, remaining = bucket.level, share * bucket.capacity
    bucket.learn(RateWindow(bucket.capacity, remaining, None), sent_since, now)
    assert remaining - sent_since <= bucket.level <= remaining
    if remaining - sent_since <= counted <= remaining:
        assert bucket.level == counted


def test_a_header_that_tells_less_than_was_counted_is_believed() -> None:
    bucket = a_bucket(600.0)
    bucket.learn(RateWindow(600.0, 200.0, None), 0.0, 0.0)
    assert bucket.level == 200.0


def test_a_header_that_tells_more_is_believed_but_for_what_was_sent_since() -> None:
    bucket = a_bucket(600.0, level=10.0)
    bucket.learn(RateWindow(600.0, 400.0, None), 150.0, 0.0)
    assert bucket.level == 250.0


def test_a_new_limit_is_believed_and_fills_in_the_same_time() -> None:
    bucket = a_bucket(600.0)
    bucket.learn(RateWindow(6000.0, 6000.0, None), 0.0, 0.0)
    assert bucket.capacity == 6000.0
    assert bucket.rate == pytest.approx(100.0)


def test_a_lower_limit_takes_away_what_does_not_fit_any_more() -> None:
    bucket = a_bucket(6000.0)
    bucket.learn(RateWindow(600.0, 600.0, None), 0.0, 0.0)
    assert bucket.level == bucket.capacity == 600.0


@pytest.mark.parametrize(
    ("window", "period"),
    [
        (RateWindow(600.0, 300.0, 30.0), MINUTE),
        (RateWindow(600.0, 0.0, 60.0), MINUTE),
        (RateWindow(600.0, 0.0, 55.0), MINUTE),
        (RateWindow(50.0, 44.0, 8.0), MINUTE),  # 7.2 seconds, sent in whole ones
        (RateWindow(600.0, 300.0, 1800.0), 3600.0),
        (RateWindow(14_400.0, 7200.0, 43_200.0), DAY),
        (RateWindow(200.0, 100.0, 80_000.0), DAY),  # a day that ends at midnight
        (RateWindow(600.0, 0.0, 1e12), DAY),
    ],
)
def test_the_period_is_learnt_from_the_reset_be_it_a_minute_an_hour_or_a_day(window: RateWindow, period: float) -> None:
    bucket = a_bucket(window.limit)
    bucket.learn(window, 0.0, 0.0)
    assert bucket.rate == pytest.approx(window.limit / period)


@pytest.mark.parametrize(
    "window", [RateWindow(600.0, 599.0, 60.0), RateWindow(600.0, 600.0, 86_400.0), RateWindow(600.0, 0.0, 0.0)]
)
def test_a_reset_that_can_only_be_rounding_teaches_no_period(window: RateWindow) -> None:
    bucket = a_bucket(600.0)
    bucket.learn(window, 0.0, 0.0)
    assert bucket.rate == pytest.approx(10.0)


@settings(deadline=None)
@given(
    buckets,
    st.floats(1e-9, 1e12),
    st.floats(0.0, 1.0),
    st.one_of(st.none(), st.floats(0.0, 1e12)),
    shares,
    instants,
)
def test_after_any_header_a_wait_can_be_computed(
    bucket: Bucket, limit: float, left: float, refill: float | None, share: float, now: float
) -> None:
    bucket.learn(RateWindow(limit, limit * left, refill), 0.0, now)
    assert bucket.rate > 0.0
    assert 0.0 <= bucket.wait(share * limit, now) < inf


steps = st.lists(st.tuples(st.floats(0.0, 10.0), st.floats(0.0, 200.0), st.booleans(), st.integers(0, 99)), max_size=30)


@settings(deadline=None, max_examples=50)
@given(steps)
def test_headers_never_make_us_believe_in_more_than_there_is_in_whatever_order_they_come(
    steps: list[tuple[float, float, bool, int]],
) -> None:
    truth, bucket, now = a_bucket(600.0), a_bucket(600.0), 0.0
    unheard: list[tuple[float, float]] = []
    for pause, need, hears, which in steps:
        now += pause
        if unheard and hears:
            sent, remaining = unheard.pop(which % len(unheard))
            bucket.learn(RateWindow(600.0, remaining, None), bucket.sent - sent, now)
        else:
            now += bucket.wait(need, now)
            bucket.take(need, now)
            truth.take(need, now)
            unheard.append((bucket.sent, max(0.0, truth.level)))
        truth.refill(now)
        bucket.refill(now)
        assert bucket.level <= truth.level + EXACT


# A domain


def test_a_request_waits_for_the_slowest_of_its_limits() -> None:
    domain = a_domain(requests=60, tokens=6000)
    domain.take(Need(3000, 3000), 0.0)
    assert domain.wait(Need(100, 0), 0.0) == pytest.approx(1.0 + RESERVE, abs=EXACT)
    domain = a_domain(requests=2, tokens=6000)
    for _ in range(2):
        domain.take(Need(100, 0), 0.0)
    assert domain.wait(Need(100, 0), 0.0) == pytest.approx(30.0 + RESERVE, abs=EXACT)


@pytest.mark.parametrize(
    ("measure", "taken"),
    [
        (LimitMeasure.REQUESTS, 1.0),
        (LimitMeasure.TOKENS, 70.0),
        (LimitMeasure.INPUT, 50.0),
        (LimitMeasure.OUTPUT, 20.0),
        (LimitMeasure.HOURLY, 1.0),
        (LimitMeasure.HOURLY_TOKENS, 70.0),
        (LimitMeasure.DAILY, 1.0),
        (LimitMeasure.DAILY_TOKENS, 70.0),
    ],
)
def test_every_limit_counts_its_own_measure(measure: LimitMeasure, taken: float) -> None:
    domain = Domain("d", {each: Bucket(100.0, 1.0, 100.0) for each in LimitMeasure})
    sent = domain.take(Need(50, 20), 0.0)
    assert sent[measure] == taken
    assert domain.left(0.0)[measure].used == pytest.approx(taken / 100)


def test_a_quota_fills_in_a_minute_but_the_daily_one_in_a_day_and_what_is_unknown_limits_nothing() -> None:
    made = Quota(requests=60, daily=86_400).buckets(5.0)
    assert {measure: (each.rate, each.level, each.at) for measure, each in made.items()} == {
        REQUESTS: (1.0, 60.0, 5.0),
        DAILY: (1.0, 86_400.0, 5.0),
    }
    assert a_domain().wait(Need(10**9, 10**9), 0.0) == 0.0


def test_a_debt_shows_as_more_than_all() -> None:
    domain = a_domain(tokens=1000)
    domain.take(Need(1000, 500), 0.0)
    assert {each: left.used for each, left in domain.left(0.0).items()} == {TOKENS: pytest.approx(1.5)}


def test_what_a_request_did_not_use_is_given_back_where_the_provider_tells_nothing() -> None:
    domain = a_domain(tokens=1000)
    domain.take(Need(100, 500), 0.0)
    domain.give(Need(100, 500), Need(100, 50), 0.0)
    assert domain.buckets[TOKENS].level == pytest.approx(850.0)
    assert domain.running == 0


def test_what_a_request_used_beyond_its_estimate_is_taken_where_the_provider_tells_nothing() -> None:
    domain = a_domain(tokens=1000)
    domain.take(Need(100, 100), 0.0)
    domain.give(Need(100, 100), Need(100, 600), 0.0)
    assert domain.buckets[TOKENS].level == pytest.approx(300.0)


def test_nothing_is_given_back_where_the_provider_keeps_the_count() -> None:
    domain = a_domain(tokens=1000)
    answer(domain, domain.take(Need(100, 500), 0.0), 0.0, tokens=(1000, 400))
    domain.give(Need(100, 500), Need(100, 50), 0.0)
    assert domain.buckets[TOKENS].level == pytest.approx(400.0)


def test_nothing_is_given_back_when_the_usage_is_unknown() -> None:
    domain = a_domain(tokens=1000)
    domain.take(Need(100, 500), 0.0)
    domain.give(Need(100, 500), None, 0.0)
    assert domain.buckets[TOKENS].level == pytest.approx(400.0)


def test_giving_back_never_overfills() -> None:
    domain = a_domain(tokens=1000)
    domain.take(Need(100, 500), 0.0)
    domain.give(Need(100, 500), Need(0, 0), 50.0)
    assert domain.buckets[TOKENS].level == 1000.0


# What headers teach a domain


def test_a_limit_without_configuration_is_learnt_from_the_first_answer() -> None:
    domain = a_domain()
    answer(domain, domain.take(ONE, 0.0), 1.0, requests=(600, 599), tokens=(6000, 5800))
    assert {measure: (each.capacity, each.level) for measure, each in domain.buckets.items()} == {
        REQUESTS: (600.0, 599.0),
        TOKENS: (6000.0, 5800.0),
    }


def test_what_was_sent_since_a_limit_became_known_counts_also_for_answers_to_what_was_sent_before() -> None:
    domain = a_domain()
    first, second = domain.take(ONE, 0.0), domain.take(ONE, 0.0)
    answer(domain, first, 1.0, tokens=(6000, 5800))
    domain.take(Need(5000, 0), 1.0)
    answer(domain, second, 1.0, tokens=(6000, 5600))
    assert domain.buckets[TOKENS].level == pytest.approx(800.0)


def test_only_what_was_sent_after_a_request_is_missing_from_its_header() -> None:
    domain = a_domain(tokens=6000)
    domain.take(Need(1000, 0), 0.0)
    sent = domain.take(Need(1000, 0), 0.0)
    domain.take(Need(500, 0), 0.0)
    answer(domain, sent, 0.0, tokens=(10_000, 8000))
    assert domain.buckets[TOKENS].level == pytest.approx(7500.0)


def test_a_header_that_overtook_an_older_one_is_not_undone_by_it() -> None:
    domain = a_domain(tokens=6000)
    older, newer = domain.take(Need(1000, 0), 0.0), domain.take(Need(3000, 0), 0.0)
    answer(domain, newer, 0.0, tokens=(6000, 2000))
    answer(domain, older, 0.0, tokens=(6000, 5000))
    assert domain.buckets[TOKENS].level == pytest.approx(2000.0)


def test_headers_teach_nothing_about_limits_that_they_do_not_tell() -> None:
    domain = a_domain(requests=60, tokens=6000)
    answer(domain, domain.take(ONE, 0.0), 0.0, requests=(60, 10))
    assert domain.buckets[REQUESTS].level == 10.0
    assert domain.buckets[TOKENS].level == 5800.0


@pytest.mark.parametrize(
    ("limit", "remaining", "refill", "period"),
    [
        (20, 0, 60.0, 60.0),  # a fixed minute, at its begin
        (20, 2, 1.0, 60.0),  # and at its end
        (20, 18, 55.0, 60.0),  # of which little is gone
        (600, 300, 30.0, 60.0),  # a bucket of a minute
        (600, 300, 75.0, 60.0),  # by a clock that goes wrong
        (1000, 900, 3500.0, 3600.0),  # a fixed hour
        (1000, 500, 1800.0, 3600.0),  # a bucket of an hour
        (14_400, 12_000, 14_400.0, 86_400.0),  # a bucket of a day
        (50, 0, 50_000.0, 86_400.0),  # a fixed day
    ],
)
def test_the_period_of_a_limit_follows_from_its_refill_for_buckets_and_for_fixed_windows(
    limit: int, remaining: int, refill: float, period: float
) -> None:
    domain = a_domain()
    domain.learn({REQUESTS: RateWindow(limit, remaining, refill)}, domain.take(ONE, 0.0), 0.0)
    assert domain.buckets[REQUESTS].rate == pytest.approx(limit / period)


def test_a_period_in_a_header_is_believed() -> None:
    domain = a_domain()
    domain.learn({REQUESTS: RateWindow(10, 9, 1.0, 1.0), DAILY: RateWindow(1000, 1000, None, 86_400.0)}, {}, 0.0)
    rates = {measure: bucket.rate for measure, bucket in domain.buckets.items()}
    assert rates == {REQUESTS: 10.0, DAILY: pytest.approx(1000 / 86_400)}


# Slots, where a provider tells nothing


def wide(domain: Domain, now: float) -> int:
    """How many requests may run at once, once it does not rest any more."""
    now = max(now, domain.standing.until)
    running, domain.running = domain.running, 0
    while domain.running < 1000 and domain.wait(ONE, now) < inf:
        domain.running += 1
    found, domain.running = domain.running, running
    return found


def refusals(domain: Domain, times: int, rest: float = 1.0) -> float:
    """So many refusals, each after the rest that the one before asked for. Returns the instant of the last."""
    for step in range(times):
        domain.limited(step * rest, rest)
    return (times - 1) * rest


def test_before_a_refusal_only_the_keys_own_slots_count() -> None:
    assert wide(a_domain(slots=10), 0.0) == 1000


def test_a_refusal_narrows_the_domain_to_seven_tenths() -> None:
    domain = a_domain(slots=100)
    refusals(domain, 1)
    assert wide(domain, 0.0) == 70
    domain.limited(1.0, 1.0)
    assert wide(domain, 1.0) == 49  # what comes back within seconds makes no slot yet


def test_a_burst_of_refusals_narrows_it_once() -> None:
    domain = a_domain(slots=100)
    for step in range(8):
        domain.limited(0.01 * step, None)
    assert wide(domain, 0.1) == 70


def test_one_request_may_always_run_however_often_it_was_refused() -> None:
    domain = a_domain(slots=10)
    assert wide(domain, refusals(domain, 50)) == 1
    assert Domain("d", {}).wait(ONE, 0.0) == 0.0


def test_a_domain_that_was_down_to_one_slot_grows_again_from_there() -> None:
    domain = a_domain(slots=10)
    now = refusals(domain, 50)
    assert wide(domain, now + 2 * MINUTE) == 2
    assert wide(domain, now + 18 * MINUTE) == 10


def test_every_minute_without_a_refusal_gives_back_a_twentieth_of_the_slots_up_to_all() -> None:
    domain = a_domain(slots=100)
    domain.limited(0.0, 1.0)
    assert [wide(domain, minutes * MINUTE) for minutes in (0, 1, 2, 5)] == [70, 75, 80, 95]
    assert wide(domain, 7 * MINUTE) == wide(domain, 100 * MINUTE) == 100


def test_a_provider_that_tells_its_limits_is_never_narrowed() -> None:
    domain = a_domain(slots=10)
    answer(domain, {}, 0.0, requests=(10_000, 10_000))
    refusals(domain, 5)
    assert domain.hidden.width == 1.0
    assert wide(domain, 100.0) == 1000


def test_a_domain_that_was_narrow_is_wide_as_soon_as_headers_are_seen() -> None:
    domain = a_domain(slots=10)
    now = refusals(domain, 5)
    assert wide(domain, now) < 10
    answer(domain, {}, now, requests=(10_000, 10_000))
    assert wide(domain, now) == 1000


def test_an_answer_without_headers_is_no_sign_of_a_provider_that_tells() -> None:
    domain = a_domain(slots=10)
    domain.learn({}, {}, 0.0)
    refusals(domain, 1)
    assert wide(domain, 0.0) == 7


# Blocked


def test_a_domain_is_blocked_for_as_long_as_the_provider_asks() -> None:
    domain = a_domain(requests=60)
    domain.limited(10.0, 20.0)
    assert domain.wait(ONE, 10.0) == 20.0
    assert domain.wait(ONE, 29.0) == 1.0
    assert domain.wait(ONE, 30.0) == 0.0


def test_a_later_and_shorter_rest_does_not_shorten_the_block() -> None:
    domain = a_domain()
    domain.limited(0.0, 20.0)
    domain.limited(1.0, 2.0)
    assert domain.wait(ONE, 1.0) == 19.0


def test_without_a_word_from_the_provider_the_block_doubles_from_a_second() -> None:
    domain, now, blocks = a_domain(), 0.0, []
    for _ in range(4):
        domain.limited(now, None)
        blocks.append(domain.wait(ONE, now))
        now += blocks[-1]
    assert blocks == [1.0, 2.0, 4.0, 8.0]


def test_an_answer_after_the_block_lets_the_next_one_be_short() -> None:
    domain = a_domain()
    domain.limited(0.0, None)
    domain.limited(1.0, None)
    domain.answered(3.0)
    assert domain.standing.state is KeyState.READY
    domain.limited(4.0, None)
    assert domain.wait(ONE, 4.0) == 1.0


def test_an_answer_while_it_is_blocked_proves_nothing() -> None:
    domain = a_domain()
    domain.limited(0.0, 20.0)
    domain.answered(19.9)
    assert domain.wait(ONE, 19.9) == pytest.approx(0.1)
    assert domain.standing.state is KeyState.COOLING


# Who shares


def ring(*keys: Key, organisation: str = "physics", requests: int = 10) -> Keyring:
    for key in keys:
        key.organisation, key.quota = organisation, Quota(requests=requests)
    return Keyring(keys)


def send(keyring: Keyring, key: Key, model: str = "m") -> Domain:
    ticket = a_ticket("t", "ann")
    ticket.model, ticket.key = model, key
    keyring.take(ticket, key, 0.0)
    assert ticket.domain is not None
    return ticket.domain


def test_two_keys_of_one_organisation_share_their_limits() -> None:
    one, two = a_key("k1", slots=3), a_key("k2", slots=4)
    keyring = ring(one, two)
    assert send(keyring, one) is send(keyring, two)
    (domain,) = keyring.domains.values()
    assert domain.buckets[REQUESTS].level == 8.0
    assert (domain.slots, domain.running) == (7, 2)


def test_keys_without_an_organisation_have_limits_of_their_own() -> None:
    one, two = a_key("k1"), a_key("k2")
    keyring = ring(one, two, organisation="")
    assert send(keyring, one) is not send(keyring, two)


def test_a_dated_snapshot_shares_the_limits_of_its_model_and_another_model_does_not() -> None:
    key = a_key(models=("gpt-x", "gpt-x-2026-01-31", "gpt-x-mini"))
    keyring = ring(key)
    assert send(keyring, key, "gpt-x") is send(keyring, key, "gpt-x-2026-01-31")
    assert send(keyring, key, "gpt-x") is not send(keyring, key, "gpt-x-mini")


@pytest.mark.parametrize(
    ("model", "group"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("llama-3.1-405b", "llama-3.1-405b"),
        ("2024-08-06", "2024-08-06"),
        ("", ""),
    ],
)
def test_a_snapshot_is_known_by_its_date(model: str, group: str) -> None:
    assert group_of(model) == group


# Against a provider

Teller = Callable[[Limits, float], dict[str, str]]


def openai(limits: Limits, now: float) -> dict[str, str]:
    return dict(limits.headers("openai"))


def anthropic(limits: Limits, now: float) -> dict[str, str]:
    """Tokens are sent in thousands, and instants in whole seconds by a clock that goes two seconds slow."""
    headers: dict[str, str] = {}
    for name, bucket in limits.buckets.items():
        reset = datetime.fromtimestamp(WALL + now + bucket.seconds_until(bucket.size) - 2.0, UTC)
        remaining = bucket.level if name == "requests" else round(bucket.level, -3)
        headers |= {
            f"anthropic-ratelimit-{name}-limit": f"{bucket.size:.0f}",
            f"anthropic-ratelimit-{name}-remaining": f"{max(0, int(remaining))}",
            f"anthropic-ratelimit-{name}-reset": reset.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    return headers


class Bench:
    """A domain that always has something to send, its provider, and another customer who takes `others` of the limits.

    Figures are of what happened after the first minute, in which a full bucket flatters all figures.
    """

    def __init__(self, seed: int, rpm: int, tpm: int, tokens: int, tell: Teller, others: float = 0.2) -> None:
        self.random, self.tell, self.others = Random(seed), tell, others
        self.rpm, self.tpm, self.tokens = rpm, tpm, tokens  # `tokens`: mean of a request
        self.limits = Limits(rpm, tpm, 0.0)
        self.domain = a_domain(slots=1000, requests=rpm, tokens=tpm)
        self.sent = self.refused = self.served_requests = self.served_tokens = 0
        self.pump_at = 0.0
        self.head = self._need()
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = count()

    def run(self, minutes: int) -> None:
        self._at(0.0, self._other)
        self._at(0.0, self._pump)
        while self._events[0][0] <= minutes * MINUTE:
            now, _, happens = heappop(self._events)
            happens(now)
        self.seconds = (minutes - 1) * MINUTE

    @property
    def refusals(self) -> float:
        return self.refused / self.sent

    @property
    def utilisation(self) -> float:
        """Of the limit that binds."""
        used = self.served_requests / self.rpm, self.served_tokens / self.tpm
        return max(used) * MINUTE / self.seconds

    def _at(self, when: float, happens: Callable[[float], None]) -> None:
        heappush(self._events, (when, next(self._numbers), happens))

    def _need(self) -> Need:
        return Need(10 + int(self.random.expovariate(1.0 / self.tokens)), 0)

    def _other(self, now: float) -> None:
        self._take(self._need(), now)
        self._at(now + self.random.expovariate(self.others * self.tpm / MINUTE / self.tokens), self._other)

    def _take(self, need: Need, now: float) -> float:
        """The provider serves a request (0), or refuses it and says for how many seconds."""
        refused = self.limits.take(need.input, now)
        if refused is None and now > MINUTE:
            self.served_requests += 1
            self.served_tokens += need.input
        return 0.0 if refused is None else refused[1]

    def _pump(self, now: float) -> None:
        while (wait := self.domain.wait(self.head, now)) <= 0.0:
            self._send(self.head, now)
            self.head = self._need()
        if self.pump_at != now + wait:
            self.pump_at = now + wait
            self._at(self.pump_at, self._wake)

    def _wake(self, now: float) -> None:
        if now == self.pump_at:
            self._pump(now)

    def _send(self, need: Need, now: float) -> None:
        stamp = self.domain.take(need, now)

        def arrives(now: float) -> None:
            wait = self._take(need, now)
            self.sent += now > MINUTE
            self.refused += now > MINUTE and wait > 0.0
            headers = self.tell(self.limits, now)
            self._at(now + (0.05 if wait else self.random.uniform(0.1, 3.0)), lambda later: heard(wait, headers, later))

        def heard(wait: float, headers: dict[str, str], now: float) -> None:
            self.domain.learn(windows(headers, WALL + now), stamp, now)
            if wait:
                self.domain.limited(now, ceil(wait))
            else:
                self.domain.answered(now)
            self.domain.give(need, need, now)
            self._pump(now)

        self._at(now + self.random.uniform(0.02, 0.2), arrives)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("tell", [openai, anthropic])
@pytest.mark.parametrize(
    ("rpm", "tpm", "tokens"),
    [(500, 200_000, 1000), (50, 40_000, 400), (200, 600_000, 800)],
    ids=["tokens bind", "few requests", "requests bind"],
)
def test_ten_minutes_at_a_providers_limits_waste_nothing_and_are_hardly_ever_refused(
    rpm: int, tpm: int, tokens: int, tell: Teller, seed: int
) -> None:
    bench = Bench(seed, rpm, tpm, tokens, tell)
    bench.run(minutes=10)
    assert bench.refusals < 0.01
    assert bench.utilisation >= 0.95


def test_limits_that_the_operator_got_wrong_are_put_right_by_the_first_answers() -> None:
    bench = Bench(0, 500, 200_000, 1000, openai)
    bench.domain = a_domain(slots=1000, requests=5000, tokens=2_000_000)
    bench.run(minutes=3)
    assert bench.refusals < 0.01
    assert bench.utilisation >= 0.95
