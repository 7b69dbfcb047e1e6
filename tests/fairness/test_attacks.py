"""A person who tries to get more than a share does not get it: on the real core, in virtual time, each way once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.fairness import attacks, defences, measures
from bench.fairness.figures import Figure
from bench.fairness.schedulers import Fifo, RoundRobin, Simple, VirtualTokens
from bench.fairness.world import bound_by_slots

pytestmark = pytest.mark.slow


def hold(figures: list[Figure]) -> None:
    for figure in figures:
        print(figure.name, figure.value, figure.unit, figure.bar)
        assert figure.kept, f"{figure.name}: {figure.value} {figure.unit}, promised {figure.bar}"


def test_staff_on_a_key_of_their_own_do_not_keep_newcomers_from_the_shared_ones() -> None:
    hold(defences.own_key(400.0))


def test_prompts_that_turn_out_to_be_cached_do_not_carry_the_time_ahead_of_the_polite() -> None:
    hold(defences.cached(600.0))


def test_the_dated_name_of_a_model_has_no_share_of_its_own() -> None:
    hold(defences.dated(400.0))


def test_who_is_alone_with_a_model_has_one_share() -> None:
    hold(defences.alone(400.0))


def test_who_asks_for_eight_models_has_one_share() -> None:
    hold(defences.many(400.0))


def test_a_plain_answer_that_is_given_up_before_its_end_is_paid_for() -> None:
    hold(defences.given_up(400.0))


def test_what_a_provider_takes_beforehand_is_paid_by_who_asked_for_it() -> None:
    hold(defences.reserved(600.0))


def test_a_lower_weight_counts_at_once() -> None:
    hold(defences.weight(500.0))


def test_new_identities_at_one_address_share_what_the_address_has() -> None:
    hold(defences.identities(300.0))


def test_an_owner_whose_key_is_taken_away_is_served_from_the_others_within_seconds() -> None:
    hold(defences.taken_away(600.0))


def test_short_answers_do_not_make_long_ones_cheap() -> None:
    hold(defences.long_after(600.0))


def test_forecasts_know_which_keys_rest_and_refuse_no_request_for_an_outage() -> None:
    hold(defences.forecasts(600.0))


@pytest.mark.soak
@pytest.mark.parametrize("defence", defences.DEFENCES, ids=[each.__name__ for each in defences.DEFENCES])
def test_each_defence_holds_for_longer(defence: Callable[[], list[Figure]]) -> None:
    hold(defence())


# Bars that nothing could miss would promise nothing.


def test_turns_by_request_give_a_new_identity_all_that_it_asks_for() -> None:
    record = attacks.identities(Simple(bound_by_slots(), RoundRobin()), False, 300.0, 1)
    eve = sum(cost for person, cost in record.samples[-1].served.items() if person.startswith(attacks.EVE))
    assert 8 * eve / sum(record.samples[-1].served.values()) > 3.0


def test_first_come_first_served_gives_eight_models_eight_shares() -> None:
    record = attacks.many(Simple(attacks.many_models(), Fifo()), 300.0, 1)
    assert attacks.share(record, attacks.EVE, 8, 60.0, 300.0) > 3.0


def test_who_gives_up_pays_next_to_nothing_where_only_what_was_delivered_is_charged() -> None:
    record = attacks.given_up(Simple(bound_by_slots(), VirtualTokens()), 0.97, 300.0, 1)
    assert attacks.share(record, attacks.EVE, 8, 60.0, 300.0) > 2.0
    assert measures.at(record.samples, 300.0).served[attacks.EVE] > 0.0
