"""Numbers and states in words."""

from __future__ import annotations

import pytest

from tests.web.examples import BROKEN, BUSY, CHECKING, IDLE, a_view
from web import formatting as words
from web.view import ModelView, StatusView, Tone


@pytest.mark.parametrize(
    ("view", "tone", "title", "sentence"),
    [
        (a_view(), "good", "Up", "All 2 models answer."),
        (a_view(models=(IDLE,)), "good", "Up", "The model answers."),
        (a_view(models=(IDLE, BROKEN)), "good", "Up", "1 of 2 models answers."),
        (a_view(models=(IDLE, BUSY, BROKEN)), "good", "Up", "2 of 3 models answer."),
        (a_view(state="degraded", models=(IDLE, BROKEN)), "warn", "Degraded", "1 of 2 models answers."),
        (a_view(models=()), "idle", "No models yet", "The gateway is up. It has not been given a key."),
        (a_view(models=(BROKEN,)), "bad", "Not answering", "The gateway is up, but no key works right now."),
    ],
)
def test_the_headline_says_whether_it_is_up(view: StatusView, tone: Tone, title: str, sentence: str) -> None:
    assert words.headline(view) == words.Headline(tone, title, sentence)


def test_keys_that_are_being_checked_are_no_failure() -> None:
    assert words.headline(a_view(state="degraded", models=(CHECKING,))).title == "Checking keys"


def test_shutting_down_outranks_everything_else() -> None:
    assert words.headline(a_view(state="draining", models=())).title == "Shutting down"


@pytest.mark.parametrize(
    ("keys", "waiting", "condition"),
    [
        ({"ready": 1}, 0, "available"),
        ({"ready": 1}, 3, "busy"),
        ({"unchecked": 1, "cooling": 1}, 0, "checking"),
        ({"cooling": 1, "revoked": 1}, 0, "recovering"),
        ({"exhausted": 1}, 0, "unavailable"),
        ({"ready": 0}, 0, "unavailable"),
        ({}, 0, "unavailable"),
    ],
)
def test_a_models_condition_follows_from_its_keys(keys: dict[str, int], waiting: int, condition: str) -> None:
    assert ModelView("m", waiting=waiting, running=0, slots=1, keys=keys).condition == condition


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        ((), "No request is running or waiting."),
        ((ModelView("m", 0, 1, 1),), "1 request running, none waiting."),
        ((BUSY, BROKEN), "14 requests running, 6 waiting."),
        ((ModelView("m", 1200, 0, 1),), "0 requests running, 1,200 waiting."),
    ],
)
def test_the_load_is_a_sentence(models: tuple[ModelView, ...], sentence: str) -> None:
    assert words.load(a_view(models=models)) == sentence


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h 0 min"),
        (86_399, "23 h 59 min"),
        (273_900, "3 d 4 h"),
    ],
)
def test_a_duration_has_the_two_largest_units(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (9_999, "9,999"),
        (10_000, "10.0 k"),
        (99_960, "100 k"),
        (999_499, "999 k"),
        (999_600, "1.00 M"),
        (12_345_678, "12.3 M"),
        (10**9, "1.00 B"),
        (10**15, "1000 T"),
    ],
)
def test_a_large_number_has_three_digits_and_a_unit(number: int, text: str) -> None:
    assert words.compact(number) == text


def test_instants_are_shown_in_utc() -> None:
    assert words.clock(1_790_000_000_000) == "14:13:20 UTC"
    assert words.iso(1_790_000_000_000) == "2026-09-21T14:13:20Z"


def test_fairness_is_shown_of_the_model_where_it_is_least_even() -> None:
    even, uneven = (ModelView("m", 3, 8, 8, gap=gap, gap_bound=17.0) for gap in (0.3, 1.25))
    idle = ModelView("m", 0, 8, 8, gap=9.0, gap_bound=17.0)
    assert words.fairness(a_view(models=(even, uneven, idle))) == (
        "Fairness: no two people who wait have been served more than 1.2 large requests apart;"
        " the queue’s rule allows 17."
    )


def test_nothing_is_claimed_about_fairness_where_no_request_waits() -> None:
    assert words.fairness(a_view(models=(ModelView("m", 0, 8, 8, gap_bound=17.0),))) == "No request has to wait."


@pytest.mark.parametrize(
    ("progress", "sentence"), [(None, ""), ((3, 12), "Checking 3 of 12 keys."), ((0, 1), "Checking 0 of 1 key.")]
)
def test_the_first_look_at_the_keys_is_a_sentence(progress: tuple[int, int] | None, sentence: str) -> None:
    assert words.checking(a_view(checking=progress)) == sentence


@pytest.mark.parametrize(
    ("micro_usd", "text"),
    [
        (0, "$0.00"),
        (1, "< $0.0001"),
        (99, "< $0.0001"),
        (4_200, "$0.0042"),
        (10_000, "$0.01"),
        (3_200_000, "$3.20"),
        (999_990_000, "$999.99"),
        (1_204_400_000, "$1,204"),
        (-3_200_000, "−$3.20"),
    ],
)
def test_money_is_short_and_never_rounds_something_to_nothing(micro_usd: int, text: str) -> None:
    assert words.money(micro_usd) == text


@pytest.mark.parametrize(("micro_usd", "text"), [(0, "0.00"), (12_500_000, "12.50"), (75, "0.000075")])
def test_a_form_is_filled_with_all_digits_of_an_amount(micro_usd: int, text: str) -> None:
    assert words.dollars(micro_usd) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0.0 %"), (0.5, "50.0 %"), (0.99931, "99.93 %"), (0.999999, "99.99 %"), (1.0, "100 %")]
)
def test_an_uptime_is_never_rounded_up_to_all_of_the_time(share: float, text: str) -> None:
    assert words.percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 ms"), (0.08, "80 ms"), (1.44, "1.4 s"), (12.4, "12 s"), (119, "119 s"), (200, "3 min")]
)
def test_a_wait_has_the_unit_that_people_think_in(seconds: float, text: str) -> None:
    assert words.seconds(seconds) == text


@pytest.mark.parametrize(
    ("keys", "waiting", "expected", "text"),
    [
        ({"ready": 1}, 0, 0.0, "none"),
        ({"ready": 1}, 4, 12.4, "≈ 12 s"),
        ({"ready": 1}, 4, None, "a queue"),
        ({"ready": 1}, 0, None, "none"),
        ({"revoked": 1}, 0, 0.0, "no answer"),
    ],
)
def test_the_wait_of_a_newcomer_is_said_in_a_word(
    keys: dict[str, int], waiting: int, expected: float | None, text: str
) -> None:
    assert words.wait(ModelView("m", waiting, 0, 1, keys, wait_seconds=expected)) == text


@pytest.mark.parametrize(
    ("people", "text"), [(None, ""), (0, "No people are here at the moment."), (1, "1 person is here.")]
)
def test_the_number_of_people_is_only_shown_where_it_is_counted(people: int | None, text: str) -> None:
    assert words.online(a_view(people_online=people)) == text


@pytest.mark.parametrize(("watt_hours", "text"), [(0.2, "≈ 0.2 Wh"), (912.0, "≈ 910 Wh"), (2345.0, "≈ 2.3 kWh")])
def test_energy_is_shown_as_the_estimate_that_it_is(watt_hours: float, text: str) -> None:
    assert words.energy(watt_hours) == text


def test_a_name_in_an_address_is_one_part_of_it_whatever_it_holds() -> None:
    assert words.quoted("a/b?c#d é\ud800") == "a%2Fb%3Fc%23d%20%C3%A9%3F"
