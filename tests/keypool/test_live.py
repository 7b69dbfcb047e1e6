"""What an administrator sees of the requests of this moment."""

from __future__ import annotations

from dataclasses import replace

from keypool.live import LiveRequest, live
from keypool.pool import Pool
from tests.keypool.making import a_key, an_ask, limited


def test_each_request_tells_where_it_stands() -> None:
    pool = Pool([a_key("k1", slots=1)])
    pool.submit(an_ask("r1", "ann"), 0.0)
    pool.submit(an_ask("r2", "bob", batch=True), 1.0)
    pool.submit(an_ask("r3", "eve"), 2.0)
    first, second, third = live(pool, 5.0)
    assert first == LiveRequest("r1", "ann", "m", False, 0, 0.0, 0.0, 5.0, "k1", 1, "acme", 100)
    assert replace(second, expected=0.0) == LiveRequest("r2", "bob", "m", True, 1, 4.0, 0.0, 0.0, None, 0, "", 100)
    assert replace(third, expected=0.0) == LiveRequest(
        "r3", "eve", "m", False, third.position, 3.0, 0.0, 0.0, None, 0, "", 100
    )
    assert [each.state for each in (first, second)] == ["running", "queued"]
    assert second.position <= third.position
    assert 0.0 <= second.expected <= third.expected


def test_what_runs_comes_first_and_then_the_oldest() -> None:
    pool = Pool([a_key("k1", slots=2)])
    for number in range(6):
        pool.submit(an_ask(f"r{number}", f"p{number}"), float(number))
    assert [each.id for each in live(pool, 9.0)] == ["r0", "r1", "r2", "r3", "r4", "r5"]
    assert [each.id for each in live(pool, 9.0, most=3)] == ["r0", "r1", "r2"]


def test_a_request_that_waits_for_another_try_is_queued_again() -> None:
    pool = Pool([a_key("k1")])
    ticket, _ = pool.submit(an_ask("r1", "ann"), 0.0)
    pool.failed(ticket, limited(30.0), 1.0)
    (seen,) = live(pool, 2.0)
    assert (seen.state, seen.key, seen.attempts, seen.waited) == ("queued", None, 1, 2.0)


def test_nothing_that_is_over_is_seen() -> None:
    pool = Pool([a_key("k1")])
    ticket, _ = pool.submit(an_ask("r1", "ann"), 0.0)
    assert [each.id for each in live(pool, 0.0)] == ["r1"]
    pool.cancel(ticket, 1.0)
    assert live(pool, 1.0) == []
