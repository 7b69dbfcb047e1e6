"""A table's address says its filters, its order and its page; the macros of tables.html draw it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.web.examples import Page
from web.environment import template
from web.listing import Listing, arranged

SHOWN = Listing("/admin/requests", {"q": "Ängström & Søn", "status": ""}, "-cost", {"by": "tokens"})
TABLE = """{% import "tables.html" as tables %}<!doctype html><html lang="en"><title>a</title><main><h1>a</h1>
{% call tables.filters(listing) %}{{ tables.search(listing, "q", "Name") }}{{ tables.date(listing, "first", "From") }}
{{ tables.pick(listing, "status", "Status", [("ok", "completed"), ("no", "<rejected>")]) }}{% endcall %}
{% call tables.table("Requests") %}
{{ tables.head(listing, [("who", "Who", ""), ("cost", "Cost", "n first"), ("", "Buttons", "unseen")]) }}
<tbody><tr><td>1</td></tr></tbody>{% endcall %}{{ tables.pages(listing, cursor) }}</main></html>"""


def drawn(listing: Listing, cursor: str = "") -> str:
    return template(TABLE).render(listing=listing, cursor=cursor)


def test_an_address_holds_what_is_in_force_and_nothing_that_is_not() -> None:
    assert SHOWN.address() == "/admin/requests?by=tokens&q=%C3%84ngstr%C3%B6m+%26+S%C3%B8n&sort=-cost"
    assert Listing("/admin/requests").address() == "/admin/requests"
    assert SHOWN.plain() == "/admin/requests?by=tokens&sort=-cost"


def test_a_heading_sorts_the_way_that_is_read_best_and_turns_round_when_it_is_pressed_again() -> None:
    assert SHOWN.by("who").endswith("&sort=who")
    assert SHOWN.by("tokens", falling=True).endswith("&sort=-tokens")
    assert SHOWN.by("cost", falling=True).endswith("&sort=cost")
    assert replace(SHOWN, sort="who").by("who").endswith("&sort=-who")


def test_the_next_page_keeps_the_filters_and_another_order_begins_at_the_first() -> None:
    assert SHOWN.after("r 7").endswith("&sort=-cost&after=r+7")
    assert "after" not in SHOWN.by("who")


@pytest.mark.parametrize(
    ("sort", "found"), [("", "cab"), ("-", "cab"), ("size", "acb"), ("-size", "cab"), ("-nonsense", "cab")]
)
def test_rows_are_arranged_by_a_column_and_those_without_a_figure_come_last(sort: str, found: str) -> None:
    rows = [("c", 2), ("a", 1), ("b", None)]
    assert "".join(name for name, _ in arranged(rows, sort, {"size": lambda row: row[1]})) == found


def test_a_table_says_how_it_is_sorted_and_its_headings_are_links() -> None:
    page = Page(drawn(SHOWN, "r7").encode())
    assert page.faults == []
    headings = [attributes.get("aria-sort") for tag, attributes in page.tags if tag == "th"]
    assert headings == [None, "descending", None]
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert [each.rpartition("&")[2] for each in links if each] == ["sort=-cost", "sort=who", "sort=cost", "after=r7"]


def test_a_filter_form_keeps_the_order_and_what_the_page_shows_besides() -> None:
    fields = [a for tag, a in Page(drawn(SHOWN).encode()).tags if tag in ("input", "select")]
    assert [(each["name"], each.get("value")) for each in fields] == [
        ("q", "Ängström & Søn"), ("first", ""), ("status", None), ("by", "tokens"), ("sort", "-cost"),
    ]  # fmt: skip
    assert "&lt;rejected&gt;" in drawn(SHOWN)


def test_without_a_filter_there_is_nothing_to_clear_and_without_more_no_next_page() -> None:
    shown = drawn(Listing("/admin/requests"))
    assert "Clear" not in shown
    assert "pager" not in shown
