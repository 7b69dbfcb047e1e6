"""What a form's fields mean, and what a page tells afterwards."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.admin.changes import no_such
from server.auth.sessions import Sessions
from server.http.pages.forms import SENTENCES, Form, FormError, flash_cookie, flash_of, sentence
from server.ledger.calendar import Calendar
from server.ledger.when import instant
from server.store.sqlite.store import SqliteStore

BERLIN = Calendar(ZoneInfo("Europe/Berlin"))


def form(**fields: str) -> Form:
    return Form(fields, BERLIN)


def test_days_are_the_operators_and_the_last_one_is_part_of_it() -> None:
    read = form(since="2026-11-21", until="2026-11-21")
    assert read.begins("since") == instant("2026-11-20T23:00:00Z")
    assert read.ends("until") == instant("2026-11-21T23:00:00Z")


def test_a_moment_is_told_by_the_operators_clock() -> None:
    assert form(since="2026-07-01T06:05").moment("since") == instant("2026-07-01T04:05:00Z")


def test_what_is_left_empty_says_nothing() -> None:
    read = form(day="", usd=" ", count="", names=" , ")
    assert (read.begins("day"), read.money("usd"), read.moment("day"), read.whole("count", 7)) == (None, None, None, 7)
    assert (read.words("names"), read.names("names"), read.ticked("box")) == ((), (), False)


def test_lists_have_blanks_or_commas_between_and_names_only_commas() -> None:
    read = form(models="gpt-4*, o1  o3", groups="Physics 101, choir,Physics 101")
    assert read.words("models") == ("gpt-4*", "o1", "o3")
    assert read.names("groups") == ("Physics 101", "choir")


@given(st.text(max_size=40))
@settings(deadline=None, max_examples=300)
def test_whatever_is_typed_is_read_or_refused_by_the_fields_name(text: str) -> None:
    read = form(field=text)
    for verb in (
        read.money, read.begins, read.ends, read.moment, read.whole, read.needed, read.words, read.names,
        lambda name: read.number(name, 1.0),
    ):  # fmt: skip
        try:
            verb("field")
        except FormError as error:
            assert "“field”" in str(error)
            assert len(str(error)) < 80


@pytest.mark.parametrize("text", ["9999-12-31", "0001-01-01", "2026-02-30", "2026-2-3", "20261121"])
def test_a_day_that_is_none_is_refused_and_not_an_error(text: str) -> None:
    try:
        form(day=text).ends("day")
    except FormError as error:
        assert "day such as" in str(error)


def test_a_sentence_of_a_desk_loses_the_verbs_of_the_command_line() -> None:
    assert sentence(no_such("person")) == "There is no such person."
    assert sentence(no_such("token")) == "There is no such token."
    assert sentence(FormError("As it is.")) == "As it is."


def test_a_flash_is_one_of_our_sentences_and_of_this_session() -> None:
    sessions = Sessions(SqliteStore("sqlite:///never-opened.db"), b"a pepper", lambda: 0, 12)
    cookie = flash_cookie(sessions, "mine", "joined")
    told = flash_of(sessions, "mine", cookie)
    assert told is not None
    assert told.text == SENTENCES["joined"]
    for session, text in (
        ("another", cookie),
        ("mine", cookie.replace("joined", "left")),
        ("mine", "joined."),
        ("mine", "x.y"),
        ("mine", None),
    ):
        assert flash_of(sessions, session, text) is None
