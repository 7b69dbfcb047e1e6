"""What the public page promises: it tells the truth, it escapes everything, it needs no inline code."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.web.examples import BROKEN, BUSY, CHECKING, IDLE, Page, a_model, a_view
from web import render
from web.view import StatusView

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "</table></main>",
    "model\u202ereversed",
    "\ud800",
    "",
    "x" * 5000,
]
EVERY_SITUATION = {
    "up": a_view(),
    "demo": a_view(demo=True, models=(a_model("smollm2"),)),
    "no models": a_view(models=()),
    "checking": a_view(models=(CHECKING,)),
    "degraded": a_view(state="degraded", models=(BROKEN, IDLE)),
    "not answering": a_view(state="degraded", models=(BROKEN,)),
    "draining": a_view(state="draining"),
    "hostile": a_view(title=HOSTILE[0], base_url=HOSTILE[1], models=tuple(map(a_model, HOSTILE))),
}
every_situation = pytest.mark.parametrize("view", EVERY_SITUATION.values(), ids=EVERY_SITUATION.keys())


def page_of(view: StatusView) -> Page:
    return Page(render.status_html(view))


@every_situation
def test_the_page_is_well_formed_in_every_situation(view: StatusView) -> None:
    assert page_of(view).faults == []


@every_situation
def test_the_page_has_no_inline_script_style_or_handler(view: StatusView) -> None:
    for tag, attributes in page_of(view).tags:
        assert tag != "style"
        assert tag != "script" or attributes.get("src", "") == "/static/live.js"
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


@every_situation
def test_the_page_loads_nothing_from_elsewhere(view: StatusView) -> None:
    for _, attributes in page_of(view).tags:
        for address in (attributes.get("src"), attributes.get("href")):
            assert address is None or address == "/" or address.startswith(("/static/", "/status.json"))


@every_situation
def test_whatever_the_page_loads_is_a_static_file(view: StatusView) -> None:
    for _, attributes in page_of(view).tags:
        address = attributes.get("src") or attributes.get("href") or ""
        if address.startswith("/static/"):
            assert render.static(address.removeprefix("/static/")) is not None


@every_situation
def test_ids_are_unique_and_references_to_them_resolve(view: StatusView) -> None:
    tags = [attributes for _, attributes in page_of(view).tags]
    ids = [attributes["id"] for attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["aria-labelledby"] for attributes in tags if "aria-labelledby" in attributes} <= set(ids)
    assert all("id" in attributes for attributes in tags if "data-live" in attributes)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_model_name_adds_no_tag_and_no_attribute(name: str) -> None:
    harmless = page_of(a_view(models=(a_model("harmless"),)))
    hostile = page_of(a_view(models=(a_model(name),)))
    assert shape(hostile) == shape(harmless)


@settings(deadline=None, max_examples=30)
@given(name=st.text(max_size=60), title=st.text(max_size=60), address=st.text(max_size=60))
def test_no_text_whatever_changes_the_shape_of_the_page(name: str, title: str, address: str) -> None:
    view = a_view(title=title, base_url=address, models=(a_model(name),))
    assert shape(page_of(view)) == shape(page_of(a_view(models=(a_model("harmless"),))))


def shape(page: Page) -> list[tuple[str, tuple[str, ...]]]:
    return [(tag, tuple(attributes)) for tag, attributes in page.tags]


def test_a_model_shows_its_queue_its_slots_and_its_keys_by_state() -> None:
    text = page_of(a_view(models=(BUSY,))).text
    assert "gpt-5.2 busy Running 14 of 16 Waiting 4 Keys 5 ready, 1 cooling, 2 exhausted" in text


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
    assert "Requests 4,821 Tokens in 12.3 M Tokens out 988 k" in text
    assert "Up for 3 d 4 h." in text


def test_the_exact_numbers_stay_readable_for_machines() -> None:
    values = [attributes["value"] for tag, attributes in page_of(a_view()).tags if tag == "data"]
    assert values == ["4821", "12345678", "987654"]


def test_without_models_there_is_an_invitation_instead_of_an_empty_table() -> None:
    page = page_of(a_view(models=()))
    assert "table" not in page.names()
    assert "Once the settings name a key, its models appear here." in page.text


def test_demo_mode_is_said_only_in_demo_mode() -> None:
    assert "Demo" in page_of(a_view(demo=True)).text
    assert "Demo" not in page_of(a_view()).text


def test_every_figure_has_a_column_header_and_every_model_a_row_header() -> None:
    scopes = [attributes["scope"] for tag, attributes in page_of(a_view()).tags if tag == "th"]
    assert scopes == ["col"] * 4 + ["row"] * 2


def test_the_state_is_announced_politely_and_the_moving_numbers_are_not() -> None:
    live = [attributes for _, attributes in page_of(a_view()).tags if "aria-live" in attributes]
    assert [attributes["aria-live"] for attributes in live] == ["polite"]


def test_an_error_page_names_status_and_reason_and_escapes_the_message() -> None:
    page = Page(render.error_page(404, "There is no <b>page</b> here."))
    assert page.faults == []
    assert "404 Not Found There is no <b>page</b> here." in page.text
    assert "b" not in page.names()


def test_an_unregistered_status_still_has_an_error_page() -> None:
    assert "529 Error Too much to do." in Page(render.error_page(529, "Too much to do.")).text
