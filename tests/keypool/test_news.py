"""What one gateway learns, the others know: in any order, however often, and as of the right instant."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keypool.domains import Need
from keypool.health import FOREVER, KeyEvent, KeyState
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow
from keypool.news import Rest, Standing, Word
from keypool.pool import Ask, Pool
from keypool.ticket import Ticket
from keypool.verdict import Verdict

NEED = Need(5, 5)
LIMITED = Verdict(KeyEvent.RATE_LIMITED, rest=20.0)


def a_pool() -> Pool:
    keys = [Key(name, "u", frozenset({"openai"}), frozenset({"m"}), 4, organisation="o") for name in ("k", "l")]
    return Pool(keys)


def wall(now: float) -> int:
    return 1_000_000 + round(now * 1000)


def tell(one: Pool, other: Pool, now: float, after: int = 0) -> int:
    number, news = one.news.since(after, now, wall(now))
    other.hear(news, now, wall(now))
    return number


def started(pool: Pool, now: float, name: str = "1", person: str = "p") -> Ticket:
    ticket, _ = pool.submit(Ask(name, person, "m", "openai", 10, 10, FOREVER), now)
    assert ticket.key is not None
    return ticket


rests = st.builds(Rest, st.integers(0, 9), st.integers(0, 20), st.integers(0, 2))
standings = st.builds(
    lambda lift, rest: Standing(lift).merged(Standing(0, tuple(rest))), st.integers(0, 9), st.lists(rests)
)


@given(st.lists(standings, min_size=2, max_size=3))
def test_the_order_and_the_number_of_the_news_make_no_difference(some: list[Standing]) -> None:
    results = set()
    for ordered in permutations([*some, some[0]]):
        known = Standing()
        for each in ordered:
            known = known.merged(each)
        results.add(known)
    assert len(results) == 1


@given(st.lists(st.builds(Word, st.integers(0, 3), st.tuples(st.integers(0, 3))), min_size=1, max_size=4))
def test_of_two_words_the_later_one_counts(some: list[Word]) -> None:
    known = some[0]
    for each in [*some, *reversed(some)]:
        known = known.merged(each)
    assert known == max(some)


def test_the_later_end_of_a_rest_counts_and_a_lift_ends_what_began_before_it() -> None:
    one, other = Standing(0, (Rest(10, 100, 0),)), Standing(0, (Rest(20, 50, 1),))
    both = one.merged(other)
    assert (both.until, both.kind) == (100, 1)
    assert both.merged(Standing(15)) == Standing(15, (Rest(20, 50, 1),))
    assert both.merged(Standing(20)).rests == ()


def test_a_rest_of_a_domain_reaches_the_others_as_it_stands() -> None:
    one, other = a_pool(), a_pool()
    started(other, 0.0, "0")
    one.failed(started(one, 0.0), LIMITED, 0.0)
    tell(one, other, 3.0)
    assert other.keyring.domains["o/m"].standing.until == pytest.approx(20.0)
    ticket, _ = other.submit(Ask("2", "q", "m", "openai", 10, 10, FOREVER), 3.0)
    assert ticket.key is None
    assert other.next_wakeup() == pytest.approx(20.0)


def test_what_was_heard_is_no_news_and_does_not_grow_by_being_passed_on() -> None:
    pools = [a_pool() for _ in range(3)]
    pools[0].learn("k", KeyEvent.OUT_OF_QUOTA, 0.0)
    first = pools[0].keys["k"].whole.until
    for now in range(1, 30):
        for one, other in permutations(pools, 2):
            tell(one, other, float(now))
    assert [pool.keys["k"].whole.until for pool in pools] == pytest.approx([first] * 3)
    assert [pool.news.since(0, 30.0, wall(30.0))[0] for pool in pools] == [1, 0, 0]
    assert [pool.keys["k"].whole.state for pool in pools] == [KeyState.EXHAUSTED] * 3


def test_only_what_is_new_is_said_again() -> None:
    pool = a_pool()
    pool.learn("k", KeyEvent.OUT_OF_QUOTA, 0.0)
    number, news = pool.news.since(0, 0.0, wall(0.0))
    assert [place for place, _ in news] == [["key", "k", ""]]
    assert pool.news.since(number, 1.0, wall(1.0)) == (number, [])
    pool.learn("l", KeyEvent.KEY_REFUSED, 1.0)
    assert [place for place, _ in pool.news.since(number, 1.0, wall(1.0))[1]] == [["key", "l", ""]]


def test_an_answered_trial_at_one_gateway_opens_the_key_for_all() -> None:
    one, other = a_pool(), a_pool()
    one.learn("k", KeyEvent.NO_SUCH_MODEL, 0.0, "m")
    tell(one, other, 1.0)
    assert other.keys["k"].standing("m").state is KeyState.COOLING
    other.keys["k"].standing("m").until = 5.0  # its hour is over
    ticket = started(other, 6.0)
    while ticket.key is not other.keys["k"]:
        ticket = started(other, 6.0, f"{ticket.id}1", ticket.person + "1")
    other.answered(ticket, 7.0)
    assert other.keys["k"].standing("m").state is KeyState.READY
    tell(other, one, 8.0)
    assert one.keys["k"].standing("m").state is KeyState.READY


def test_a_refused_key_is_refused_everywhere_and_comes_back_everywhere() -> None:
    one, other = a_pool(), a_pool()
    one.learn("k", KeyEvent.KEY_REFUSED, 0.0)
    number = tell(one, other, 1.0)
    assert other.keys["k"].whole.state is KeyState.REVOKED
    other.learn("k", KeyEvent.RESUME, 9.0)
    tell(other, one, 10.0)
    assert one.keys["k"].whole.state is KeyState.UNCHECKED
    late = a_pool()
    tell(other, late, 11.0)
    one.hear([[["key", "k", ""], [0, [[wall(0.0), 1 << 53, 2]]]]], 11.0, wall(11.0))  # it comes a second time
    assert one.keys["k"].whole.state is KeyState.UNCHECKED
    assert late.keys["k"].whole.state is KeyState.UNCHECKED
    assert number == 1


def test_a_pause_is_no_news_and_no_news_ends_it() -> None:
    one, other = a_pool(), a_pool()
    one.learn("k", KeyEvent.PAUSE, 0.0)
    assert one.news.since(0, 1.0, wall(1.0)) == (0, [])
    other.learn("k", KeyEvent.KEY_REFUSED, 0.0)
    other.news.since(0, 0.0, wall(0.0))
    other.learn("k", KeyEvent.RESUME, 2.0)
    tell(other, one, 3.0)
    assert one.keys["k"].whole.state is KeyState.PAUSED


def test_who_waits_for_a_key_that_another_gateway_found_refused_hears_it_at_once() -> None:
    one, other = a_pool(), a_pool()
    for name in ("k", "l"):
        one.learn(name, KeyEvent.KEY_REFUSED, 0.0)
    for number in range(9):
        other.submit(Ask(str(number), f"p{number}", "m", "openai", 10, 10, 60.0), 0.0)
    _, news = one.news.since(0, 1.0, wall(1.0))
    assert [each.ticket.id for each in other.hear(news, 1.0, wall(1.0))] == ["8"]


def test_limits_that_headers_show_are_known_to_all_and_each_applies_its_part() -> None:
    one, other = a_pool(), a_pool()
    started(other, 0.0)
    windows = {LimitMeasure.REQUESTS: RateWindow(600.0, 500.0, None, 60.0)}
    ticket = started(one, 0.0)
    one.answered(ticket, 1.0, windows)
    tell(one, other, 2.0)
    bucket = other.keyring.domains["o/m"].buckets[LimitMeasure.REQUESTS]
    assert (bucket.capacity, bucket.rate) == (600.0, 10.0)
    assert other.news.since(0, 3.0, wall(3.0))[0] == 0
    one.answered(started(one, 3.0, "2"), 4.0, {LimitMeasure.REQUESTS: RateWindow(300.0, 300.0, None, 60.0)})
    tell(one, other, 5.0)
    assert (bucket.capacity, bucket.level) == (300.0, 300.0)


def test_a_hidden_rate_that_one_has_learnt_paces_the_others() -> None:
    one, other = a_pool(), a_pool()
    started(other, 0.0)
    domain, now = one.keyring.domain(one.keys["k"], "m"), 1.0
    for _ in range(2):  # a rate is believed when it refuses a second time
        for _ in range(20):
            now += 1.0
            domain.answered(now, domain.take(NEED, now))
            domain.give(NEED, NEED, now)
        domain.limited(now, 1.0, domain.take(NEED, now))
        domain.give(NEED, None, now)
        domain.hidden.settle(8, now)
    tell(one, other, now)
    mine, heard = (pool.keyring.domains["o/m"].hidden.pace for pool in (one, other))
    assert mine is not None
    assert heard is not None
    assert mine.span > 0.0
    assert heard.top == pytest.approx(mine.top)
