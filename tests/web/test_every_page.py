"""What all pages promise, whatever they show: well-formed, escaped, without inline code, usable by all people."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache

import pytest

from tests.web.examples import Page
from tests.web.samples import empty_pages, pages
from web import environment as press
from web.forms import FORMS, XSRF

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "{title}{JSON}",
    "</title></textarea></script></style></table></main>",
    "<!--",
    "]]><!DOCTYPE a [<!ENTITY b 'c'>]>",
    "&lt;b&gt;&amp;",
    "model\u202ereversed\u2066",
    "\ud800",
    "\x00\x1b[31m",
    "` onload=`alert(1)",
    "a\r\nSet-Cookie: b=c",
    "../../etc/passwd?a=b#c",
    "%3Cscript%3E",
    "𝒳" * 50,
    "\u2028\u2029",
    "x" * 3000,
]
FRESH = dict(empty_pages())
USUAL = dict(pages())
HUGE = dict(pages(many=8))
EVERY = {**FRESH, **USUAL, **{f"{name}-huge": make for name, make in HUGE.items()}}
every_page = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY.keys())

Make = Callable[[], bytes]


@cache
def read(make: Make) -> Page:
    return Page(make())


@cache
def harmless_shapes() -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    return {name: shape(make()) for name, make in pages(lambda _: "harmless")}


@every_page
def test_it_is_well_formed_and_says_what_it_is(make: Make) -> None:
    page = read(make)
    assert page.faults == []
    names = [tag for tag, _ in page.tags]
    assert names.count("h1") == names.count("title") - _titles_in_charts(page) == names.count("main") == 1


def _titles_in_charts(page: Page) -> int:
    return sum(tag == "title" for tag, _ in page.tags) - 1


@every_page
def test_it_has_no_inline_script_style_or_handler_and_loads_nothing_from_elsewhere(make: Make) -> None:
    for tag, attributes in read(make).tags:
        assert tag not in ("style", "iframe", "object", "embed", "base")
        assert tag != "script" or str(attributes.get("src")).startswith("/static/")
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        for name in ("src", "href", "action", "formaction"):
            address = attributes.get(name)
            assert address is None or re.match(r"/(?!/)|#", address), address
            if address and address.startswith("/static/"):
                assert press.static(address.removeprefix("/static/")) is not None


@every_page
def test_ids_are_unique_and_whatever_refers_to_one_finds_it(make: Make) -> None:
    tags = [attributes for _, attributes in read(make).tags]
    ids = [attributes["id"] for attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for name in ("aria-labelledby", "aria-describedby", "for", "data-copy"):
        for attributes in tags:
            assert set((attributes.get(name) or "").split()) <= set(ids)


@every_page
def test_every_field_has_a_label_and_every_button_and_link_a_word(make: Make) -> None:
    html = make().decode()
    tags = read(make).tags
    labelled = {attributes["for"] for tag, attributes in tags if tag == "label"}
    for tag, attributes in tags:
        if tag in ("input", "select", "textarea") and attributes.get("type") != "hidden":
            assert attributes["id"] in labelled
    for inner in re.findall(r"<(?:a|button)\b[^>]*>(.*?)</(?:a|button)>", html, re.DOTALL):
        assert re.sub(r"<[^>]*>", "", inner).strip()


@every_page
def test_what_scrolls_by_itself_can_be_reached_by_keyboard_and_has_a_name(make: Make) -> None:
    for _, attributes in read(make).tags:
        if attributes.get("class") == "scroll":
            assert (attributes["role"], attributes["tabindex"]) == ("region", "0")
            assert attributes["aria-label"]


@every_page
def test_every_chart_has_a_title_and_a_description(make: Make) -> None:
    page = read(make)
    for _, attributes in page.tags:
        if attributes.get("role") == "group" and attributes.get("class") == "columns":
            assert len((attributes["aria-labelledby"] or "").split()) == 2


@every_page
def test_every_form_that_changes_something_is_in_the_table_and_holds_its_token(make: Make) -> None:
    for action, fields in _forms(read(make)):
        wanted = [
            pattern for pattern in FORMS if fnmatchcase(action, pattern) and pattern.count("/") == action.count("/")
        ]
        assert wanted, action
        assert XSRF in fields
        assert any(fields - {XSRF} <= set(FORMS[pattern]) for pattern in wanted), (action, fields)


def test_every_form_of_the_table_stands_on_some_page_with_all_its_fields() -> None:
    found = [form for make in {**FRESH, **USUAL}.values() for form in _forms(read(make))]
    for pattern, fields in FORMS.items():
        shown = [
            seen for action, seen in found if fnmatchcase(action, pattern) and action.count("/") == pattern.count("/")
        ]
        assert any({*fields, XSRF} <= seen for seen in shown), pattern


def _forms(page: Page) -> list[tuple[str, set[str]]]:
    """(action, names of fields) of the forms that are posted."""
    forms: list[tuple[str, set[str]]] = []
    posting = False
    for tag, attributes in page.tags:
        if tag == "form":
            posting = attributes["method"] == "post"
            if posting:
                forms.append((attributes["action"] or "", set()))
        elif posting and attributes.get("name") and tag in ("input", "select", "textarea"):
            forms[-1][1].add(attributes["name"] or "")
    return forms


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_whatever_changes_the_shape_of_any_page(text: str) -> None:
    for name, make in pages(lambda _: text):
        assert shape(make()) == harmless_shapes()[name], name


def shape(html: bytes) -> list[tuple[str, tuple[str, ...]]]:
    return [(tag, tuple(attributes)) for tag, attributes in Page(html).tags]


@pytest.mark.parametrize("name", FRESH)
def test_where_nothing_has_happened_yet_the_page_says_so_instead_of_showing_an_empty_table(name: str) -> None:
    html = FRESH[name]().decode()
    assert "<tbody>\n    </tbody>" not in html
    assert "None" not in Page(html.encode()).text.replace("None on record.", "").replace("None yet", "").replace(
        "None.", ""
    ).replace("None: only", "")


def test_a_visit_to_the_status_page_costs_less_than_100_kilobytes() -> None:
    files = [
        found[0]
        for name in ("style.css", "live.js", "theme.js", "charts.js", "icon.svg")
        if (found := press.static(name))
    ]
    assert len(files) == 5
    assert len(USUAL["status"]()) + sum(map(len, files)) < 100_000
