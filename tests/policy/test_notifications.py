"""Messages: to whom each goes, that the same event makes the same ones, and how often each is tried."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.policy.notifications import (
    DAY_MS,
    KEPT_MS,
    LEASE_MS,
    MOST_TRIES,
    NOWHERE,
    OPERATOR,
    PAUSES_MS,
    Cause,
    Channel,
    DeliveryState,
    Event,
    EventKind,
    Failure,
    Ways,
    after,
    begun,
    deliveries_of,
    in_words,
)

EVENT = Event("budget/ada/50", EventKind.BUDGET, 1_000, {"threshold": 50}, until=5_000)
ALL = Ways(mail=True, operator=True, webhook=True)
DELIVERY = deliveries_of(EVENT, ["usr_ada"], False, Ways(mail=True))[0]


@pytest.mark.parametrize(
    ("ways", "operator", "expected"),
    [
        (ALL, True, [(Channel.WEBHOOK, OPERATOR), (Channel.MAIL, "ada"), (Channel.MAIL, OPERATOR)]),
        (ALL, False, [(Channel.WEBHOOK, OPERATOR), (Channel.MAIL, "ada")]),
        (Ways(mail=True), True, [(Channel.MAIL, "ada")]),
        (Ways(webhook=True), True, [(Channel.WEBHOOK, OPERATOR)]),
        (Ways(), True, []),
    ],
)
def test_an_event_goes_wherever_there_is_a_way(ways: Ways, operator: bool, expected: list[tuple[Channel, str]]) -> None:
    found = deliveries_of(EVENT, ["ada", "ada"], operator, ways)
    assert [(each.channel, each.receiver) for each in found] == expected
    assert ways.any == bool(expected)


def test_the_same_event_makes_the_same_messages_and_another_one_others() -> None:
    first = deliveries_of(EVENT, ["ada", "bob"], True, ALL)
    again = deliveries_of(replace(EVENT, at=9_000), ["ada", "bob"], True, ALL)
    other = deliveries_of(replace(EVENT, id="budget/ada/80"), ["ada", "bob"], True, ALL)
    assert [each.id for each in first] == [each.id for each in again]
    assert len({each.id for each in (*first, *other)}) == 2 * len(first)


def test_a_message_is_kept_until_its_period_is_over() -> None:
    far = replace(EVENT, until=1_000 * DAY_MS)
    (short,), (long,), (ever,) = (
        deliveries_of(each, ["ada"], False, Ways(mail=True)) for each in (EVENT, far, replace(EVENT, until=None))
    )
    assert short.kept_until == 1_000 + KEPT_MS
    assert long.kept_until == 1_001 * DAY_MS
    assert ever.kept_until is None


def test_a_try_is_counted_before_it_is_made_and_leaves_time_for_it() -> None:
    taken = begun(DELIVERY, 7_000)
    assert (taken.tries, taken.due_at, taken.state) == (1, 7_000 + LEASE_MS, DeliveryState.WAITING)


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (None, DeliveryState.SENT),
        (Failure(Cause.ADDRESS_REFUSED, 550, final=True), DeliveryState.FAILED),
        *((Failure(cause), DeliveryState.SKIPPED) for cause in sorted(NOWHERE)),
    ],
)
def test_it_ends_when_it_is_sent_or_no_other_try_can_help(failure: Failure | None, state: DeliveryState) -> None:
    ended = after(begun(DELIVERY, 7_000), failure, 8_000)
    assert (ended.state, ended.ended_at) == (state, 8_000)
    assert ended.failure == ("" if failure is None else str(failure))


def test_it_is_tried_so_often_later_each_time_and_no_more() -> None:
    delivery, now, pauses = DELIVERY, 0, list[int]()
    while delivery.state is DeliveryState.WAITING:
        delivery = after(begun(delivery, now), Failure(Cause.UNREACHED), now)
        pauses.append(delivery.due_at - now)
        now = delivery.due_at
    assert (delivery.state, delivery.tries, delivery.failure) == (DeliveryState.FAILED, MOST_TRIES, "unreached")
    assert pauses[:-1] == list(PAUSES_MS)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([None, *(Failure(cause, 0, final) for cause in Cause for final in (True, False))])))
def test_whatever_answers_come_it_ends_once_and_stays_so(answers: list[Failure | None]) -> None:
    delivery, sent = DELIVERY, 0
    for number, answer in enumerate(answers):
        if delivery.state is not DeliveryState.WAITING:
            break
        delivery = after(begun(delivery, number), answer, number)
        sent += answer is None
    assert sent <= 1
    assert delivery.tries <= MOST_TRIES
    assert (delivery.ended_at is None) == (delivery.state is DeliveryState.WAITING)


def test_a_failure_is_kept_short_and_read_in_words() -> None:
    assert str(Failure(Cause.STATUS, 503)) == "status 503"
    assert in_words("status 503") == "the receiver answered with an error (503)"
    assert all(in_words(str(Failure(cause))) != str(cause) for cause in Cause)
    assert (in_words(""), in_words("of a newer fairgate 5"), in_words("5")) == ("", "of a newer fairgate 5", "5")
