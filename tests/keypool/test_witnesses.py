"""Who counts as a second witness against a key, and what is shown of a key that only one has met."""

from __future__ import annotations

import pytest

from keypool.blame import FLAKY_COUNT, LATELY, TOGETHER, Blame, Witness
from keypool.estimates import Tokens
from keypool.health import KeyEvent, KeyState
from keypool.pool import Grant, Pool
from keypool.verdict import DROPPED, NO_MONEY, PERHAPS_NO_MONEY, REFUSED, Verdict
from tests.keypool.making import MODEL, a_key, an_ask


def fail(pool: Pool, name: str, person: str, party: str, now: float, verdict: Verdict = DROPPED) -> None:
    """One request that fails until it is given up."""
    ticket, decisions = pool.submit(an_ask(name, person)._replace(party=party), now)
    assert [type(each) for each in decisions] == [Grant]
    while ticket.id in pool.tickets:
        pool.failed(ticket, verdict, now)


def serve(pool: Pool, person: str, now: float) -> None:
    ticket, _ = pool.submit(an_ask(f"good {now}", person), now)
    pool.answered(ticket, now)
    pool.finish(ticket, Tokens(10, 0, 10), now)


@pytest.mark.parametrize("verdict", [DROPPED, REFUSED, PERHAPS_NO_MONEY], ids=repr)
def test_many_names_of_one_party_are_one_witness(verdict: Verdict) -> None:
    pool = Pool([a_key("k1", 4), a_key("k2", 4)])
    for number in range(50):
        fail(pool, f"t{number}", f"name {number}", "address:192.0.2.1", float(number), verdict)
    assert {key.state(MODEL) for key in pool.keys.values()} == {KeyState.UNCHECKED}


def test_one_person_who_comes_from_two_parties_is_one_witness() -> None:
    pool = Pool([a_key("k1", 4), a_key("k2", 4)])
    for number in range(50):
        fail(pool, f"t{number}", "eve", f"group:{number % 5}", float(number))
    assert {key.state(MODEL) for key in pool.keys.values()} == {KeyState.UNCHECKED}


def test_two_persons_of_two_parties_are_two_witnesses() -> None:
    pool = Pool([a_key("k1", 4)])
    fail(pool, "a", "ann", "group:a", 0.0)
    ticket, _ = pool.submit(an_ask("b", "bob")._replace(party="group:b"), 1.0)
    pool.failed(ticket, DROPPED, 1.0)
    assert pool.keys["k1"].state(MODEL) is KeyState.COOLING


def test_by_share_no_party_and_no_person_is_enough_alone() -> None:
    """The many names of one party and one name in many parties fail much; a third one fails once."""
    blame, found = Blame(), []
    for number in range(40):
        one, other = Witness(f"name {number}", "g"), Witness("eve", f"g {number}")
        found.append(blame.failed("k", MODEL, "failed", one if number % 2 else other, float(number)))
        blame.served("k", MODEL, Witness("ann", "ann"), float(number))
    assert any(rest is not None for rest in found), "two that are independent of each other"
    for number in range(40):
        assert blame.failed("l", MODEL, "failed", Witness(f"name {number}", "g"), float(number)) is None
        blame.served("l", MODEL, Witness("ann", "ann"), float(number))


# What only one has met


@pytest.mark.parametrize("verdict", [DROPPED, PERHAPS_NO_MONEY, REFUSED], ids=repr)
def test_a_key_that_always_fails_its_only_user_is_shown_as_suspected_comes_last_and_stays_open(
    verdict: Verdict,
) -> None:
    pool = Pool([a_key("bad", 4), a_key("good", 4)])
    for number in range(FLAKY_COUNT):
        ticket, _ = pool.submit(an_ask(f"t{number}", "ann")._replace(bound_to=frozenset(("bad",))), 60.0 * number)
        while ticket.id in pool.tickets:
            pool.failed(ticket, verdict, 60.0 * number)
    now = 60.0 * FLAKY_COUNT
    snapshot = pool.snapshot(now)
    assert {key.id: key.suspected for key in snapshot.keys} == {"bad": True, "good": False}
    assert [model.suspected for model in snapshot.models] == [1]
    assert pool.keys["bad"].state(MODEL) is KeyState.UNCHECKED
    for number in range(4):
        ticket, _ = pool.submit(an_ask(f"later {number}", "ann"), now)
        assert ticket.key is pool.keys["good"]


def test_one_good_end_or_time_clears_a_suspected_key() -> None:
    blame, ann = Blame(), Witness("ann", "ann")
    for number in range(FLAKY_COUNT):
        blame.failed("k", MODEL, "failed", ann, float(number))
    assert blame.suspected(10.0) == {("k", MODEL)}
    assert blame.suspected(LATELY + 10.0) == set()
    blame.forget("k")
    assert blame.suspected(10.0) == set()


def test_one_failure_suspects_nothing_that_is_shown() -> None:
    pool = Pool([a_key("k1", 4)])
    serve(pool, "ann", 0.0)
    fail(pool, "a", "eve", "", 1.0)
    assert not pool.snapshot(1.0).keys[0].suspected


def test_a_free_check_without_an_answer_rests_no_key_that_serves() -> None:
    """One caller's failures bring checks, and at some providers only the list of models is out of order."""
    pool = Pool([a_key("k1", 4)])
    serve(pool, "ann", 0.0)
    pool.learn("k1", KeyEvent.UNREACHED, 1.0)
    assert pool.keys["k1"].state(MODEL) is KeyState.READY
    pool.learn("k1", KeyEvent.UNREACHED, TOGETHER + 1.0)
    assert pool.keys["k1"].state(MODEL) is KeyState.COOLING


# Money


def without_money(pool: Pool, model: str, person: str, now: float) -> None:
    ticket, _ = pool.submit(an_ask(f"{person} {model} {now}", person, model), now)
    pool.failed(ticket, NO_MONEY, now)


def test_who_asks_for_what_an_account_cannot_pay_closes_nothing_that_is_free_there() -> None:
    """An account of OpenRouter without credit answers 402 for most models, and serves the free ones."""
    pool = Pool([a_key("k1", 4, models=(MODEL, "dear", "dearer"))])
    serve(pool, "ann", 0.0)
    without_money(pool, "dear", "eve", 1.0)
    without_money(pool, "dearer", "eve", 2.0)
    assert pool.keys["k1"].state("dear") is KeyState.EXHAUSTED
    assert pool.keys["k1"].state(MODEL) is KeyState.READY
    serve(pool, "ann", 3.0)


def test_a_key_whose_money_is_gone_is_exhausted_as_soon_as_each_model_in_use_has_said_so() -> None:
    pool = Pool([a_key("k1", 4, models=(MODEL, "other", "idle"))])
    serve(pool, "ann", 0.0)
    ticket, _ = pool.submit(an_ask("other", "ann", "other"), 1.0)
    pool.answered(ticket, 1.0)
    pool.finish(ticket, Tokens(10, 0, 10), 1.0)
    without_money(pool, "other", "ann", 2.0)
    assert pool.keys["k1"].whole.state is not KeyState.EXHAUSTED
    without_money(pool, MODEL, "ann", 3.0)
    assert pool.keys["k1"].whole.state is KeyState.EXHAUSTED
    assert pool.keys["k1"].state("idle") is KeyState.EXHAUSTED
