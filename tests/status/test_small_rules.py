"""Nicknames, what an operator's page may load, families of models, and the order of news."""

from __future__ import annotations

import unicodedata

import pytest

from server.policy.incidents import Incident, IncidentKind
from server.policy.nicknames import nickname_of
from server.policy.notices import Notice
from server.policy.notices import NoticeKind as NoticeKind
from server.policy.page_policy import missing, needed_by, page_csp, policy_words, widened
from server.status.families import family_of
from server.status.feed import feed_view
from server.status.leaderboard import first_day, watt_hours

OURS = "default-src 'none'; img-src 'self' data:; frame-ancestors 'none'"


@pytest.mark.parametrize("text", ["ada", "Ada Lovelace", "a.b-c_d", "Zoë", "李雷", "  ada ", "7", "Жанна"])
def test_a_nickname_is_letters_of_any_script(text: str) -> None:
    assert nickname_of(text) == text.strip()


def test_a_nickname_is_kept_composed() -> None:
    assert nickname_of(unicodedata.normalize("NFD", "Zoë")) == "Zoë"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "...", "-_-", "a" * 33, "<b>", "ada\u202egnp", "a\u200bb", "a\u2066b\u2069", "a\u0000b",
        "a\nb", "a\tb", "a@b.example", "a/b", "a&b", "'a'", "{{a}}", "a\u00a0b", "\ud800", "a\u0301\u0301\u0301",
        "\u2028a",
    ],
)  # fmt: skip
def test_nothing_else_is_one_and_the_refusal_does_not_repeat_it(text: str) -> None:
    with pytest.raises(ValueError, match="a nickname has 1 to 32") as refused:
        nickname_of(text)
    assert str(refused.value) == "a nickname has 1 to 32 letters, digits, blanks and . - _"


def test_a_policy_is_widened_by_what_is_named_and_by_nothing_else() -> None:
    assert widened(OURS, "") == OURS
    more = "img-src https://example.org; script-src 'unsafe-inline'; default-src 'self'"
    assert policy_words(widened(OURS, more)) == {
        "default-src": ("'self'",),
        "img-src": ("'self'", "data:", "https://example.org"),
        "frame-ancestors": ("'none'",),
        "script-src": ("'unsafe-inline'",),
    }


@pytest.mark.parametrize(
    "text", ["img-src a,b", "Img-src x", "img-src x; img-src y", "img src\x00", "é-src x", "a" * 5000]
)
def test_what_is_no_policy_is_a_mistake(text: str) -> None:  # fmt: skip
    with pytest.raises(ValueError, match="expected directives"):
        page_csp(text)


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-3.5-turbo-16k", "turbo"),
        ("gpt-4", "gpt4"),
        ("gpt-4-0613", "gpt4"),
        ("gpt-4-32k-0613", "gpt432k"),
        ("gpt-4-turbo", "gpt4_turbo"),
        ("gpt-4-1106-preview", "gpt4_turbo"),
        ("gpt-4o-mini", "gpt4_turbo"),
        ("claude-sonnet-4-5", "anthropic"),
        ("gpt-5.2", None),
    ],
)
def test_a_model_has_the_family_that_older_pages_expect(model: str, family: str | None) -> None:
    assert family_of(model) == family


def test_windows_begin_where_a_calendar_has_it() -> None:
    found = {window: first_day(window, "2026-11-21") for window in ("day", "week", "month", "ever")}  # type: ignore[arg-type]
    assert found == {"day": "2026-11-21", "week": "2026-11-16", "month": "2026-11-01", "ever": None}


def test_energy_grows_with_both_kinds_of_tokens() -> None:
    assert watt_hours(1_000, 1_000) == pytest.approx(0.63)


def test_news_are_the_newest_first_and_name_no_person() -> None:
    incidents = [
        Incident("b", IncidentKind.MODEL, "gpt-5", 1_000, 9_000, 9_000),
        Incident("a", IncidentKind.KEY, "openai", 5_000, 5_000, 5_000, "exhausted"),
    ]
    notices = [
        Notice("n1", NoticeKind.ANNOUNCEMENT, "Hello", 6_000),
        Notice("n2", NoticeKind.MAINTENANCE, "Later", 99_000),
    ]
    view = feed_view("fairgate", "http://127.0.0.1", incidents, notices, 10_000)
    assert [(entry.id, entry.kind) for entry in view.entries] == [
        ("notice-n2", "maintenance"),  # announced before it begins
        ("incident-b", "incident"),
        ("notice-n1", "announcement"),
        ("incident-a", "key"),
    ]
    assert view.updated_ms == 9_000
    assert view.entries[1].title == "gpt-5 did not answer (over)"


@pytest.mark.parametrize(
    ("page", "needs"),
    [
        ("<p>{title}</p>", ""),
        ('<script src="/static/app.js"></script><img src="logo.png">', ""),
        ("<style>p {}</style>", "style-src 'unsafe-inline'"),
        ('<p style="color: red" onclick="go()">', "script-src 'unsafe-inline'; style-src 'unsafe-inline'"),
        ("<script>let a = 1</script>", "script-src 'unsafe-inline'"),
        ('<script type="application/json">{JSON}</script>', ""),
        ('<script src=//cdn.example.org/a.js></script>', "script-src https://cdn.example.org"),
        ('<link rel="stylesheet" href="https://fonts.example.org/css?a=b">', "style-src https://fonts.example.org"),
        ("<style>a { background: url('https://i.example.org/x.png') }</style>",
         "img-src https://i.example.org; style-src 'unsafe-inline'"),
    ],
)  # fmt: skip
def test_what_a_page_seems_to_need_is_said_and_legacy_gives_all_of_it(page: str, needs: str) -> None:
    assert needed_by(page) == missing("", page) == needs
    assert missing(page_csp("Legacy"), page) == missing(needs, page) == ""


def test_a_page_that_is_no_html_is_looked_at_in_linear_time() -> None:
    for text in ("<" * 200_000, "<a " + " on" * 60_000, "<script " * 30_000, "style=" * 40_000):
        needed_by(text)
