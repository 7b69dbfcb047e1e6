"""What runs when a pool begins: it holds its slot, pays, and may be tried again, as if this pool had granted it."""

from __future__ import annotations

from keypool.estimates import Tokens
from keypool.pool import Grant, Pool
from tests.keypool.making import MODEL, a_key, an_ask, limited


def test_what_runs_already_holds_its_slot_and_gives_it_back() -> None:
    pool = Pool([a_key("k1", slots=1)])
    ticket = pool.resume(an_ask("r1", "ann"), "k1", 3.0, 10.0)
    assert ticket is not None
    waits, _ = pool.submit(an_ask("r2", "bob"), 11.0)
    snapshot = pool.snapshot(11.0).models[0]
    assert (snapshot.running, snapshot.waiting, waits.waiting, ticket.granted) == (1, 1, True, 3.0)
    assert pool.finish(ticket, Tokens(100, 0, 5), 12.0) == [Grant(waits, pool.keys["k1"])]
    assert (list(pool.tickets), pool.snapshot(12.0).models[0].running, pool.keys["k1"].running) == (["r2"], 1, 1)


def test_what_runs_already_counts_for_its_person() -> None:
    pool = Pool([a_key("k1", slots=2)])
    for number in range(2):
        pool.resume(an_ask(f"a{number}", "ann"), "k1", 0.0, 1.0)
    pool.submit(an_ask("a2", "ann"), 2.0)
    bobs, _ = pool.submit(an_ask("b1", "bob"), 3.0)
    (grant,) = pool.finish(pool.tickets["a0"], Tokens(100, 0, 5), 4.0)
    assert grant.ticket is bobs


def test_what_runs_already_may_be_tried_again_with_another_key() -> None:
    pool = Pool([a_key("k1"), a_key("k2")])
    ticket = pool.resume(an_ask("r1", "ann"), "k1", 0.0, 1.0)
    assert ticket is not None
    assert pool.failed(ticket, limited(30.0), 2.0) == [Grant(ticket, pool.keys["k2"])]
    assert (pool.keys["k1"].running, pool.keys["k2"].running) == (0, 1)


def test_what_runs_with_a_key_that_is_gone_is_not_known() -> None:
    pool = Pool([a_key("k1", models=(MODEL,))])
    assert pool.resume(an_ask("r1", "ann"), "gone", 0.0, 1.0) is None
    assert pool.tickets == {}
