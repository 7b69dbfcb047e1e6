"""What the public page promises: it tells the truth, it escapes everything, it needs no inline code."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.web.examples import BROKEN, BUSY, CHECKING, IDLE, Page, a_model, a_view
from tests.web.samples import busy_status, empty_status, young_status
from web import live_updates as live
from web import render
from web.view import Frame, StatusView

EVERY_SITUATION = {
    "up": a_view(),
    "demo": a_view(demo=True, models=(a_model("smollm2"),)),
    "no models": a_view(models=()),
    "checking": a_view(models=(CHECKING,)),
    "degraded": a_view(state="degraded", models=(BROKEN, IDLE)),
    "not answering": a_view(state="degraded", models=(BROKEN,)),
    "draining": a_view(state="draining"),
    "maintenance": a_view(state="maintenance"),
    "young": young_status(),
    "empty": empty_status(),
    "usual": busy_status(),
}
every_situation = pytest.mark.parametrize("view", EVERY_SITUATION.values(), ids=EVERY_SITUATION.keys())


def page_of(view: StatusView) -> Page:
    return Page(render.status_html(view))


@every_situation
def test_the_page_is_well_formed_in_every_situation(view: StatusView) -> None:
    assert page_of(view).faults == []


@every_situation
def test_what_moves_has_an_id_and_the_page_knows_its_shape(view: StatusView) -> None:
    tags = [attributes for _, attributes in page_of(view).tags]
    ids = {attributes["id"] for attributes in tags if "id" in attributes}
    assert all("id" in attributes for attributes in tags if "data-live" in attributes)
    assert live.texts(view).keys() | live.widths(view).keys() <= ids
    assert [attributes["data-shape"] for attributes in tags if "data-shape" in attributes] == [live.shape(view)]


@settings(deadline=None, max_examples=30)
@given(name=st.text(max_size=60), title=st.text(max_size=60), address=st.text(max_size=60))
def test_no_text_whatever_changes_the_shape_of_the_page(name: str, title: str, address: str) -> None:
    view = a_view(title=title, base_url=address, models=(a_model(name),))
    assert shape(page_of(view)) == shape(page_of(a_view(models=(a_model("harmless"),))))


def shape(page: Page) -> list[tuple[str, tuple[str, ...]]]:
    return [(tag, tuple(attributes)) for tag, attributes in page.tags]


def test_a_model_shows_its_wait_its_queue_its_slots_and_its_keys_by_state() -> None:
    text = page_of(a_view(models=(replace(BUSY, wait_seconds=12.4, demand="high"),))).text
    assert "gpt-5.2 busy Wait now ≈ 12 s Running 14 of 16 Waiting 4 Demand high" in text
    assert "Keys 5 ready, 1 cooling, 2 exhausted" in text


def test_the_page_says_how_even_the_waiting_is_and_how_far_the_first_check_has_come() -> None:
    text = page_of(a_view(models=(BUSY,), checking=(3, 12))).text
    assert "more than 1.2 large requests apart; the queue’s rule allows 33." in text
    assert "Checking 3 of 12 keys." in text
    assert "Checking" not in page_of(a_view()).text


def test_the_page_says_how_to_point_each_sdk_here() -> None:
    text = page_of(a_view()).text
    assert "OPENAI_BASE_URL=https://llm.example.edu/v1" in text
    assert "ANTHROPIC_BASE_URL=https://llm.example.edu ANTHROPIC_API_KEY" in text


def test_the_page_tells_todays_requests_and_tokens_and_the_uptime() -> None:
    text = page_of(a_view()).text
    assert "Requests Tokens in Tokens out Today 4,821 12.3 M 988 k" in text
    assert "Up for 3 d 4 h." in text


def test_the_exact_numbers_stay_readable_for_machines() -> None:
    values = [attributes["value"] for tag, attributes in page_of(a_view()).tags if tag == "data"]
    assert values == ["4821", "12345678", "987654"]


def test_without_models_there_is_an_invitation() -> None:
    assert "Once the settings name a key, its models appear here." in page_of(a_view(models=())).text


def test_demo_mode_is_said_only_in_demo_mode() -> None:
    assert "Demo" in page_of(a_view(demo=True)).text
    assert "Demo" not in page_of(a_view()).text


def test_a_young_record_is_shown_as_far_as_it_goes_and_said_to_be_young() -> None:
    text = page_of(young_status()).text
    assert "The record is 2 hours old; the rest of the day fills up by itself." in text
    assert "1 day, today on the right" in text
    assert "Over 7 days" not in text
    assert "On record since 21 Sep 2026, 12:13." in text


def test_before_there_is_a_record_each_part_says_when_it_will_have_something_to_show() -> None:
    text = page_of(empty_status()).text
    for sentence in (
        "Nothing is on record yet.",
        "Percentiles appear here with the first requests.",
        "None on record.",
    ):
        assert sentence in text


def test_percentiles_are_shown_for_each_model_and_period() -> None:
    text = page_of(busy_status()).text
    assert "gpt-5.2 20 ms 3.1 s 14 s 0.6 s 4.2 s 18 s 99.93 % 1,204" in text
    assert "Over 7 days" in text
    assert "Over 30 days" in text


def test_keys_are_shown_without_any_name() -> None:
    text = page_of(busy_status()).text
    assert "exhausted openai for 1 d 7 h, 3 models" in text


def test_incidents_announcements_and_maintenance_come_with_their_times() -> None:
    text = page_of(busy_status()).text
    assert "Announcement New in October: gpt-5-mini for all." in text
    assert "Maintenance We move to the new machine. from 23 Sep 2026, 16:13" in text
    assert "does not answer ongoing The provider refuses its only key. 21 Sep 2026, 11:13, for 5 h 0 min now" in text
    assert "The store was away Requests went on and were booked afterwards. 12 Sep 2026, 19:13, over after" in text


def test_times_are_the_operators() -> None:
    assert "As of 16:13:20 CEST" in page_of(busy_status()).text
    assert "As of 14:13:20 UTC" in page_of(a_view()).text


def test_the_state_is_announced_politely_and_the_moving_numbers_are_not() -> None:
    live = [attributes for _, attributes in page_of(a_view()).tags if "aria-live" in attributes]
    assert [attributes["aria-live"] for attributes in live] == ["polite"]


def test_an_error_page_names_status_and_reason_and_escapes_the_message() -> None:
    page = Page(render.error_page(Frame("fairgate", 0), 404, "There is no <b>page</b> here."))
    assert page.faults == []
    assert "404 Not Found There is no <b>page</b> here." in page.text
    assert "b" not in page.names()


def test_an_unregistered_status_still_has_an_error_page() -> None:
    assert "529 Error Too much to do." in Page(render.error_page(Frame("fairgate", 0), 529, "Too much to do.")).text
