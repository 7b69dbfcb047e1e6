"""Refused requests are summed up, and bounded."""

from __future__ import annotations

from dataclasses import replace

from server.ledger.refused import HOUR_MS, MOST, MOST_EACH, RefusedRequest, RefusedTally

ONE = RefusedRequest(
    request_id="req_1",
    person_id="ada",
    token_id="t1",
    model="gpt-5",
    endpoint="/v1/chat/completions",
    code="rate_limit_exceeded",
    status=429,
    detail="60 requests per minute",
    first_at=10 * HOUR_MS,
    last_at=10 * HOUR_MS,
)


def noted(tally: RefusedTally, number: int, **changes: object) -> None:
    at = ONE.first_at + number
    tally.note(replace(ONE, request_id=f"req_{number}", **{"first_at": at, "last_at": at, **changes}))  # type: ignore[arg-type]


def test_alike_ones_of_an_hour_are_one_record_under_the_first_ones_id() -> None:
    tally = RefusedTally()
    for number in range(10_000):
        noted(tally, number)
    (one,) = tally.taken()
    assert (one.request_id, one.count, one.first_at, one.last_at) == (
        "req_0",
        10_000,
        ONE.first_at,
        ONE.first_at + 9_999,
    )
    assert tally.taken() == []


def test_what_is_written_goes_on_being_counted() -> None:
    tally = RefusedTally()
    noted(tally, 1)
    tally.taken()
    noted(tally, 2)
    (again,) = tally.taken()
    assert (again.request_id, again.count) == ("req_1", 2)


def test_the_next_hour_begins_anew() -> None:
    tally = RefusedTally()
    noted(tally, 1)
    noted(tally, 2, first_at=11 * HOUR_MS, last_at=11 * HOUR_MS)
    assert [each.count for each in tally.taken()] == [1, 1]


def test_who_varies_the_model_has_a_bounded_number_of_records_and_takes_none_from_others() -> None:
    tally = RefusedTally()
    for number in range(5_000):
        noted(tally, number, model=f"model {number}", code="model_not_found", detail="")
    noted(tally, 6_000, person_id="bob")
    found = tally.taken()
    assert len([each for each in found if each.person_id == "ada"]) == MOST_EACH + 1
    assert sum(each.count for each in found if each.person_id == "ada") == 5_000
    assert [each.model for each in found if each.person_id == "bob"] == ["gpt-5"]


def test_all_together_are_bounded() -> None:
    tally = RefusedTally()
    for number in range(2 * MOST + 10):
        noted(tally, number, person_id=f"p{number}")
    assert len(tally.taken()) == 2 * MOST


def test_many_who_vary_what_they_ask_for_leave_room_for_the_first_one_of_another() -> None:
    tally = RefusedTally()
    for number in range(MOST + 10):
        noted(tally, number, person_id=f"p{number % 300}", model=f"model {number}")
    noted(tally, MOST + 20, person_id="ada")
    found = tally.taken()
    assert len(found) == MOST + 1
    assert found[-1].person_id == "ada"


def test_what_could_not_be_written_waits_and_the_newer_count_wins() -> None:
    tally = RefusedTally()
    noted(tally, 1)
    unwritten = tally.taken()
    noted(tally, 2)
    tally.put_back(unwritten)
    (one,) = tally.taken()
    assert one.count == 2


def test_a_name_that_a_caller_made_up_is_cut() -> None:
    tally = RefusedTally()
    noted(tally, 1, model="x" * 10_000)
    assert len(tally.taken()[0].model) == 128
