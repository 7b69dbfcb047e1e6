"""Who is to blame for a failure: places, persons, and what becomes of the request that fails everywhere."""

from __future__ import annotations

import pytest

from keypool.blame import FLAKY_REST, LATELY, MOST_SHUNNED, SHUNNED, TOGETHER, Blame, FailurePlace, Witness
from keypool.estimates import Tokens
from keypool.health import FIRST_REST, SLOW_REST, KeyEvent, KeyState
from keypool.keys import Key
from keypool.limits import LimitMeasure, RateWindow
from keypool.pool import GiveUp, Grant, Pool
from keypool.ticket import Ticket
from keypool.verdict import (
    CALLERS_FAULT,
    DROPPED,
    FORBIDDEN,
    NO_MODEL,
    NONSENSE,
    OUR_BOUND,
    PERHAPS_NO_MONEY,
    REFUSED,
    TOO_MUCH,
    TOO_SLOW,
    UNREACHABLE,
    USED_UP,
    Verdict,
)
from tests.keypool.making import MODEL, a_key, an_ask

SUSPICIONS = {
    "an error": DROPPED,
    "no answer that is one": NONSENSE,
    "no answer in time": TOO_SLOW,
    "a 403": FORBIDDEN,
    "no such model": NO_MODEL,
    "a 401": REFUSED,
    "money, in prose": PERHAPS_NO_MONEY,
    "a cap without room": USED_UP,
}


def granted(pool: Pool, name: str, person: str, now: float) -> Ticket:
    """A request that runs."""
    ticket, decisions = pool.submit(an_ask(name, person), now)
    assert [type(each) for each in decisions] == [Grant]
    return ticket


def fail(pool: Pool, name: str, person: str, verdict: Verdict, now: float) -> None:
    """One request that fails until it is given up."""
    ticket = granted(pool, name, person, now)
    while ticket.id in pool.tickets:
        if pool.failed(ticket, verdict, now) == []:
            pool.cancel(ticket, now)


def serve(pool: Pool, name: str, person: str, now: float) -> None:
    ticket = granted(pool, name, person, now)
    pool.answered(ticket, now)
    pool.finish(ticket, Tokens(10, 0, 10), now)


def rests(key: Key) -> bool:
    return key.state(MODEL) not in (KeyState.READY, KeyState.UNCHECKED)


# A key


@pytest.mark.parametrize("verdict", SUSPICIONS.values(), ids=SUSPICIONS)
def test_however_often_one_persons_requests_fail_no_key_rests(verdict: Verdict) -> None:
    keys = [a_key("k1", 4), a_key("k2", 4)]
    pool = Pool(keys)
    for number in range(50):
        fail(pool, f"t{number}", "eve", verdict, float(number))
    assert not any(map(rests, keys))


@pytest.mark.parametrize("verdict", SUSPICIONS.values(), ids=SUSPICIONS)
def test_two_persons_whose_requests_fail_in_a_row_convict_a_key(verdict: Verdict) -> None:
    key = a_key(slots=4)
    pool = Pool([key])
    fail(pool, "a", "ann", verdict, 0.0)
    assert not rests(key)
    fail(pool, "b", "bob", verdict, 1.0)
    assert rests(key)


def test_a_model_that_two_persons_cannot_use_rests_for_an_hour_and_a_key_that_two_cannot_use_is_revoked() -> None:
    key = a_key(slots=4, models=(MODEL, "other"))
    pool = Pool([key])
    for person in ("ann", "bob"):
        fail(pool, person, person, NO_MODEL, 0.0)
    assert (key.standing(MODEL).until, key.state("other")) == (SLOW_REST, KeyState.UNCHECKED)
    key = a_key(slots=4)
    pool = Pool([key])
    for person in ("ann", "bob"):
        fail(pool, person, person, REFUSED, 0.0)
    assert key.whole.state is KeyState.REVOKED


def test_a_connection_that_is_not_there_needs_no_second_person() -> None:
    key = a_key()
    pool = Pool([key])
    pool.failed(granted(pool, "a", "ann", 0.0), UNREACHABLE, 0.0)
    assert rests(key)


@pytest.mark.parametrize(
    ("failures", "answers", "suspected"),
    [(2, 0, False), (3, 0, True), (3, 12, True), (3, 13, False), (8, 32, True), (7, 33, False)],
)
def test_a_fifth_and_three_at_least_are_too_many(failures: int, answers: int, suspected: bool) -> None:
    place = FailurePlace()
    for number in range(failures + answers):
        place.ended(Witness("eve", "eve"), well=number >= failures, now=0.0)
    assert place.suspected(0.0) is suspected
    assert not place.by_share(0.0), "of one person alone it proves nothing"


EVE, ANN, BOB = Witness("eve", "eve"), Witness("ann", "ann"), Witness("bob", "bob")


@pytest.mark.parametrize(("well", "pause"), [(True, 1.0), (False, TOGETHER)], ids=["an answer", "a long time"])
def test_two_who_fail_in_a_row_convict_a_place_whatever_lies_before_them(well: bool, pause: float) -> None:
    blame = Blame()
    assert blame.failed("k1", MODEL, "error", EVE, 0.0) is None
    if well:
        blame.served("k1", MODEL, BOB, 0.5)
    assert blame.failed("k1", MODEL, "error", ANN, pause) is None
    assert blame.failed("k1", MODEL, "error", BOB, pause) == 0.0


def test_what_ends_well_in_between_acquits() -> None:
    key = a_key(slots=4)
    pool = Pool([key])
    for number in range(2):
        fail(pool, f"a{number}", "ann", DROPPED, float(number))
        serve(pool, f"good{number}", "eve", float(number))
        fail(pool, f"b{number}", "bob", NO_MODEL, float(number))
    assert not rests(key)


def test_failures_that_are_long_apart_do_not_add_up() -> None:
    key = a_key(slots=4)
    pool = Pool([key])
    fail(pool, "a", "ann", DROPPED, 0.0)
    fail(pool, "b", "bob", DROPPED, TOGETHER)
    assert not rests(key)


def test_different_reasons_do_not_add_up() -> None:
    key = a_key(slots=4)
    pool = Pool([key])
    for person, verdict in (("ann", DROPPED), ("bob", NO_MODEL), ("eve", REFUSED), ("fay", PERHAPS_NO_MONEY)):
        fail(pool, person, person, verdict, 0.0)
    assert not rests(key)


@pytest.mark.parametrize("verdict", [CALLERS_FAULT, OUR_BOUND, TOO_MUCH])
def test_a_failure_that_is_not_the_keys_is_no_suspicion_however_many_people_meet_it(verdict: Verdict) -> None:
    key = a_key(slots=4)
    pool = Pool([key])
    for person in ("ann", "bob", "eve"):
        assert pool.failed(granted(pool, person, person, 0.0), verdict, 0.0)
    assert not rests(key)


# After the first byte


def broken_off(pool: Pool, name: str, person: str, now: float) -> None:
    ticket = granted(pool, name, person, now)
    pool.answered(ticket, now)
    pool.broke(ticket, now)
    pool.break_off(ticket, Tokens(10, 0, 10), now)


def test_streams_of_two_persons_that_break_off_rest_a_key_though_they_began_well() -> None:
    key = a_key(slots=4)
    pool = Pool([key])
    broken_off(pool, "a", "ann", 0.0)
    broken_off(pool, "b", "ann", 1.0)
    assert not rests(key)
    broken_off(pool, "c", "bob", 2.0)
    assert rests(key)


def test_a_key_that_cuts_every_stream_rests_longer_each_time() -> None:
    """The first byte of a trial opens the key; only a good end makes the next rest a short one."""
    key, now, seen = a_key(slots=4), 0.0, []
    pool = Pool([key])
    for round_ in range(4):
        for person in ("ann", "bob"):
            broken_off(pool, f"{person}{round_}", person, now)
        seen.append(key.standing(MODEL).until - now)
        now = key.standing(MODEL).until
    assert seen == [FIRST_REST, 2.0, 4.0, 8.0]
    serve(pool, "good", "ann", now)
    for person in ("ann", "bob"):
        broken_off(pool, f"{person} again", person, now)
    assert key.standing(MODEL).until - now == FIRST_REST


def test_a_key_that_cuts_every_fourth_stream_rests_too() -> None:
    key = a_key(slots=4)
    pool = Pool([key])
    for number in range(60):
        if rests(key):
            break
        end = broken_off if number % 4 == 3 else serve
        end(pool, f"t{number}", f"p{number % 7}", float(number))
    assert key.standing(MODEL).until == number - 1 + FLAKY_REST
    assert number < 25


def test_one_person_who_fails_much_and_others_who_fail_now_and_then_rest_no_key() -> None:
    """Left out the one, too little is left."""
    blame = Blame()
    for number in range(40):
        person = "eve" if number % 2 else f"p{number}"
        if number % 2 or number in (10, 30):
            found = blame.failed("k", MODEL, "failed", Witness(person, person), float(number))
            assert found is None or number in (10, 11, 30, 31)
        blame.served("k", MODEL, Witness("ann", "ann"), float(number))


def test_what_was_long_ago_does_not_count() -> None:
    blame = Blame()
    for number in range(10):
        assert blame.failed("k", MODEL, "failed", Witness(f"p{number}", f"p{number}"), number * LATELY) is None


# Trials


def rested(slots: int = 4) -> tuple[Pool, Key]:
    """A key that was convicted and whose rest is over at 1.0."""
    key = a_key(slots=slots)
    pool = Pool([key])
    for person in ("ann", "bob"):
        fail(pool, person, person, DROPPED, 0.0)
    assert key.standing(MODEL).until == FIRST_REST
    return pool, key


def test_a_poisonous_trial_neither_doubles_the_rest_nor_keeps_others_out() -> None:
    pool, key = rested()
    for number in range(5):
        fail(pool, f"poison{number}", "eve", DROPPED, 1.0 + number)
        assert key.admits(MODEL, 1.0 + number)
    serve(pool, "good", "ann", 7.0)
    assert key.state(MODEL) is KeyState.READY


def test_two_persons_whose_trials_fail_double_the_rest() -> None:
    pool, key = rested()
    for person in ("ann", "eve"):
        fail(pool, f"{person} again", person, DROPPED, 1.0)
    assert key.standing(MODEL).until == 1.0 + 2.0


def test_what_fails_during_a_rest_is_no_witness_of_the_trial() -> None:
    key = a_key(slots=9)
    pool = Pool([key])
    running = [granted(pool, name, name, 0.0) for name in ("ann", "bob", "cat", "dan")]
    for ticket in running:
        pool.failed(ticket, DROPPED, 0.5)
        pool.cancel(ticket, 0.5)
    over = key.standing(MODEL).until
    fail(pool, "poison", "eve", DROPPED, over)
    assert key.standing(MODEL).until == over


def test_a_request_that_is_rejected_by_its_own_fault_opens_no_key() -> None:
    pool, key = rested()
    ticket = granted(pool, "poison", "eve", 1.0)
    pool.rejected(ticket, CALLERS_FAULT, 1.0)
    pool.break_off(ticket, Tokens(), 1.0)
    assert key.standing(MODEL).state is KeyState.COOLING
    assert key.admits(MODEL, 1.0)


# A person and a request


def test_a_key_that_failed_a_person_comes_last_for_that_person_alone() -> None:
    pool = Pool([a_key("k1", 9), a_key("k2", 2)])
    pool.failed(granted(pool, "poison", "eve", 0.0), NONSENSE, 0.0)
    chosen = [granted(pool, f"eve{number}", "eve", 1.0).key for number in range(3)]
    assert [key.id for key in chosen if key is not None] == ["k2", "k2", "k1"]
    other = granted(pool, "ann", "ann", 1.0).key
    assert other is not None
    assert other.id == "k1"


def test_a_request_that_one_key_rejects_for_its_size_goes_to_another_next() -> None:
    pool = Pool([a_key("k1", 9), a_key("k2", 2)])
    ticket = granted(pool, "much", "eve", 0.0)
    pool.rejected(ticket, TOO_MUCH, 0.0)
    pool.break_off(ticket, Tokens(), 0.0)
    again = granted(pool, "again", "eve", 1.0).key
    assert again is not None
    assert again.id == "k2"


def test_what_is_shunned_is_forgotten_in_time_and_bounded() -> None:
    blame = Blame()
    blame.shun("k", MODEL, "eve", 0.0)
    assert blame.shuns("k", MODEL, "eve", SHUNNED - 1.0)
    assert not blame.shuns("k", MODEL, "eve", SHUNNED)
    for number in range(MOST_SHUNNED + 10):
        blame.shun("k", MODEL, f"p{number}", SHUNNED)
    assert not blame.shuns("k", MODEL, "p0", SHUNNED)
    assert blame.shuns("k", MODEL, f"p{MOST_SHUNNED}", SHUNNED)


def attempts(pool: Pool, verdict: Verdict) -> tuple[Ticket, list[str]]:
    ticket = granted(pool, "t", "eve", 0.0)
    tried: list[str] = []
    while ticket.id in pool.tickets:
        assert ticket.key is not None
        tried.append(ticket.key.id)
        pool.failed(ticket, verdict, 0.0)
    return ticket, tried


@pytest.mark.parametrize("verdict", [DROPPED, FORBIDDEN, NO_MODEL, REFUSED])
def test_a_request_that_fails_on_two_keys_is_convicted_and_pays_for_both(verdict: Verdict) -> None:
    pool = Pool([a_key(f"k{number}", 1) for number in range(9)])
    ticket, tried = attempts(pool, verdict)
    assert tried == ["k0", "k1"]
    assert ticket.charged == 2 * pool.pricing.costs.cost(Tokens(ticket.need.input))


@pytest.mark.parametrize("verdict", [USED_UP, PERHAPS_NO_MONEY])
def test_a_request_for_which_there_is_no_money_asks_every_key(verdict: Verdict) -> None:
    assert len(attempts(Pool([a_key(f"k{number}", 1) for number in range(9)]), verdict)[1]) == 9


@pytest.mark.parametrize("verdict", [FORBIDDEN, NO_MODEL, REFUSED])
def test_what_a_key_refuses_is_not_asked_of_it_again(verdict: Verdict) -> None:
    ticket, tried = attempts(Pool([a_key("k1", 1)]), verdict)
    assert tried == ["k1"]
    assert ticket.charged > 0.0


def test_where_there_is_one_key_an_error_is_tried_once_more() -> None:
    assert attempts(Pool([a_key("k1", 1)]), DROPPED)[1] == ["k1", "k1"]


def test_failing_is_no_way_to_stay_first() -> None:
    """A person who sends poison pays for it, so the others come before."""
    pool = Pool([a_key("k1", 1), a_key("k2", 1)])
    for number in range(3):
        fail(pool, f"poison{number}", "eve", DROPPED, 0.0)
    running = [granted(pool, name, "ann", 0.0) for name in ("r1", "r2")]
    late, _ = pool.submit(an_ask("eve late", "eve"), 0.0)
    bob, _ = pool.submit(an_ask("bob", "bob"), 0.0)
    decisions = pool.finish(running[0], Tokens(10, 0, 10), 1.0)
    assert [each.ticket for each in decisions if isinstance(each, Grant)] == [bob]
    assert late.waiting


def test_a_failure_that_others_confirm_costs_its_request_nothing() -> None:
    pool = Pool([a_key("k1", 4)])
    fail(pool, "a", "ann", DROPPED, 0.0)
    ticket = granted(pool, "b", "bob", 0.0)
    assert not any(isinstance(each, GiveUp) for each in pool.failed(ticket, DROPPED, 0.0))
    assert (ticket.waiting, ticket.doubts, ticket.charged) == (True, 0, 0.0)


# The operator


def test_the_operators_word_clears_the_key_its_models_its_domain_and_all_suspicion() -> None:
    key = a_key(slots=4, models=(MODEL, "other"))
    pool = Pool([key])
    for person in ("ann", "bob"):
        fail(pool, person, person, NO_MODEL, 0.0)
    key.apply(KeyEvent.FAILED, "other", 0.0, 500.0)
    pool.failed(pool.submit(an_ask("eve", "eve", model="other"), 500.0)[0], DROPPED, 500.0)
    for domain in pool.keyring.domains.values():
        domain.limited(500.0, 900.0)
        domain.hidden.settle(domain.slots, 500.0)
        assert domain.hidden.width < 1.0
        domain.learn({LimitMeasure.REQUESTS: RateWindow(1000, 0, 86_400.0)}, {}, 500.0)
    pool.learn(key.id, KeyEvent.KEY_REFUSED, 500.0)
    pool.learn(key.id, KeyEvent.RESUME, 501.0)
    assert [domain.hidden.width for domain in pool.keyring.domains.values()] == [1.0, 1.0]
    for model in (MODEL, "other"):
        ticket, decisions = pool.submit(an_ask(f"t {model}", "ann", model=model), 501.0)
        assert [type(each) for each in decisions] == [Grant]
        pool.failed(ticket, NONSENSE, 501.0)
        assert key.state(model) is KeyState.UNCHECKED


def test_a_key_that_is_removed_leaves_no_suspicion_to_one_of_the_same_name() -> None:
    pool = Pool([a_key(slots=4)])
    fail(pool, "a", "ann", DROPPED, 0.0)
    pool.remove("k1", 1.0)
    key = a_key(slots=4)
    pool.add(key, 1.0)
    fail(pool, "b", "bob", DROPPED, 1.0)
    assert not rests(key)
