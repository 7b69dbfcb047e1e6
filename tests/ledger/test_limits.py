"""What a limit may say, how it is kept and how it is told."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.calendar import Calendar
from server.ledger.limits import (
    Limit,
    LimitSet,
    LimitWindow,
    Scope,
    Unit,
    family_of,
    limit_body,
    limit_of,
    parse_limits,
    words,
)
from server.ledger.money import MOST

DOCS = (Path(__file__).parents[2] / "docs" / "limits.md").read_text()
DAILY = Limit("l", Scope.EVERYONE, "", Unit.USD, LimitWindow.DAY, 5_000_000)
BODY: dict[str, Any] = {"scope": "person", "subject": "usr_ada", "unit": "usd", "window": "day", "amount": 5_000_000}


@st.composite
def limits(draw: st.DrawFn) -> Limit:
    scope = draw(st.sampled_from(Scope))
    window = draw(
        st.sampled_from([w for w in LimitWindow if w is not LimitWindow.MINUTE or scope is not Scope.UPSTREAM])
    )
    unit = draw(st.sampled_from([u for u in Unit if u is not Unit.USD or window is not LimitWindow.MINUTE]))
    bounds = sorted(draw(st.sets(st.integers(0, 10**13), min_size=2, max_size=2)))
    since, until = bounds if window is LimitWindow.TERM or draw(st.booleans()) else (None, None)
    patterns = draw(st.lists(st.from_regex(r"[a-z0-9.:/*-]{1,8}", fullmatch=True), max_size=3))
    subject = "" if scope is Scope.EVERYONE else draw(st.text(min_size=1, max_size=10))
    amount, extra = draw(st.integers(0, MOST)), draw(st.integers(0, MOST))
    extra_until = draw(st.none() | st.integers(0, 10**13))
    family = family_of(patterns)
    return Limit("l", scope, subject, unit, window, amount, family, since, until, extra, extra_until)


@given(limits())
@settings(deadline=None, max_examples=30)
def test_a_limit_comes_back_from_its_record_as_it_was(limit: Limit) -> None:
    assert limit_of(limit.id, json.loads(json.dumps(limit_body(limit)))) == limit


def test_a_record_leaves_out_what_goes_without_saying() -> None:
    assert limit_body(DAILY) == {"scope": "everyone", "unit": "usd", "window": "day", "amount": 5_000_000}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scope", "planet"),
        ("scope", None),
        ("subject", ""),
        ("subject", 7),
        ("subject", "x" * 1001),
        ("unit", "euro"),
        ("window", ["day"]),
        ("window", "minute"),
        ("amount", -1),
        ("amount", True),
        ("amount", 5.0),
        ("amount", "5"),
        ("amount", MOST + 1),
        ("family", "gpt 4?"),
        ("family", ["gpt-4"]),
        ("since", "2026-10-01"),
        ("since", -1),
        ("until", 10**18),
        ("extra", None),
        ("extra", -1),
        ("extra_until", 1.5),
    ],
)
def test_a_wrong_field_is_named_and_its_value_is_not_repeated(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field}: expected|^{field}: a minute") as caught:
        limit_of("l", BODY | {field: value})
    if isinstance(value, str) and value not in ("", "minute"):
        assert value not in str(caught.value)


@pytest.mark.parametrize("field", ["scope", "subject", "unit", "window", "amount"])
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: expected"):
        limit_of("l", {name: value for name, value in BODY.items() if name != field})


def test_an_unknown_field_is_refused_without_being_repeated() -> None:
    with pytest.raises(ValueError, match=r"^expected no other fields than scope, ") as caught:
        limit_of("l", BODY | {"secret-thing": 1})
    assert "secret-thing" not in str(caught.value)


def test_a_limit_has_a_name() -> None:
    with pytest.raises(ValueError, match=r"^id: "):
        replace(DAILY, id="")


def test_everyones_limit_has_no_subject() -> None:
    with pytest.raises(ValueError, match=r"^subject: "):
        replace(DAILY, subject="usr_ada")


def test_a_minute_is_not_for_money_and_not_for_an_upstream() -> None:
    with pytest.raises(ValueError, match=r"^window: a minute"):
        replace(DAILY, window=LimitWindow.MINUTE)
    with pytest.raises(ValueError, match=r"^window: a minute"):
        Limit("l", Scope.UPSTREAM, "openai", Unit.REQUESTS, LimitWindow.MINUTE, 5)


def test_a_term_needs_both_of_its_ends_in_their_order() -> None:
    with pytest.raises(ValueError, match=r"^since: a term"):
        replace(DAILY, window=LimitWindow.TERM, since=1)
    with pytest.raises(ValueError, match=r"^until: expected a time later"):
        replace(DAILY, window=LimitWindow.TERM, since=2, until=2)


@pytest.mark.parametrize("field", ["since", "until", "extra_until"])
def test_a_time_lies_between_1970_and_where_calendars_end(field: str) -> None:
    last = 253_000_000_000_000 - 1
    assert getattr(replace(DAILY, **{field: last}), field) == last
    assert getattr(replace(DAILY, **{field: 0}), field) == 0
    for beyond in (-1, last + 1):
        with pytest.raises(ValueError, match=f"^{field}: expected milliseconds since 1970$"):
            replace(DAILY, **{field: beyond})


def test_a_limit_applies_from_since_on_and_no_longer_at_until() -> None:
    limit = replace(DAILY, since=10, until=20)
    assert [limit.applies("gpt-5", now) for now in (9, 10, 19, 20)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("family", "model", "applies"),
    [
        ("*", "anything", True),
        ("gpt-4*", "gpt-4o-mini", True),
        ("gpt-4*", "gpt-5", False),
        ("gpt-4*", "my-gpt-4", False),
        ("gpt-4 o1", "o1", True),
        ("gpt-4 o1", "o1-pro", False),
        ("*-mini", "gpt-5-mini", True),
        ("gpt-4*", "GPT-4", False),
        ("gpt-4*", None, True),
    ],
)
def test_a_family_is_names_with_stars(family: str, model: str | None, applies: bool) -> None:
    assert replace(DAILY, family=family).applies(model, 0) is applies


def test_the_same_family_is_the_same_however_it_was_written() -> None:
    assert limit_of("l", BODY | {"family": " o1  gpt-4* o1"}).family == "gpt-4* o1"
    assert limit_of("l", BODY | {"family": ""}).family == "*"


def test_a_temporary_increase_ends() -> None:
    limit = replace(DAILY, extra=7, extra_until=100)
    assert [limit.amount_at(99) - limit.amount, limit.amount_at(100) - limit.amount] == [7, 0]


def test_an_increase_without_an_end_stays() -> None:
    assert replace(DAILY, extra=7).amount_at(10**13) == DAILY.amount + 7


def test_limits_are_found_by_whom_they_are_for() -> None:
    ada, bob = limit_of("a", BODY), limit_of("b", BODY | {"subject": "usr_bob"})
    found = LimitSet([DAILY, ada, bob])
    assert found.of(Scope.PERSON, "usr_ada") == [ada]
    assert found.of(Scope.EVERYONE) == [DAILY]
    assert found.of(Scope.TOKEN, "usr_ada") == []
    assert set(found) == {DAILY, ada, bob}


# --- the setting


def test_the_setting_reads_as_it_is_spoken() -> None:
    parsed = parse_limits("20 requests/minute, 5 usd/day, 200000 tokens/month gpt-4*")
    assert [(it.scope, it.amount, it.unit, it.window, it.family) for it in parsed] == [
        (Scope.EVERYONE, 20, Unit.REQUESTS, LimitWindow.MINUTE, "*"),
        (Scope.EVERYONE, 5_000_000, Unit.USD, LimitWindow.DAY, "*"),
        (Scope.EVERYONE, 200_000, Unit.TOKENS, LimitWindow.MONTH, "gpt-4*"),
    ]
    assert len({limit.id for limit in parsed}) == 3


def test_no_text_is_no_limits() -> None:
    assert parse_limits("  ") == ()


def test_case_of_words_blanks_and_plurals_do_not_matter_but_that_of_models_does() -> None:
    (limit,) = parse_limits("1  Request / Day  Llama-3")
    assert (limit.amount, limit.unit, limit.window, limit.family) == (1, Unit.REQUESTS, LimitWindow.DAY, "Llama-3")


@pytest.mark.parametrize(
    "text",
    [
        "plenty",
        "5 usd",
        "5 usd/fortnight",
        "5 usd/term",
        "5 gold/day",
        "-5 usd/day",
        "5.0000001 usd/day",
        "1.5 requests/day",
        "7 usd/day,",
        "5 usd/minute",
        "5 usd/day gpt?",
        "1e9 usd/day",
        "9999999999999999999 tokens/day",
        "5 usd/day, 6 usd/day",
        "5 usd/day a b, 6 usd/day b a",
    ],
)
def test_what_makes_no_sense_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|a minute is") as caught:
        parse_limits(text)
    assert f"{text} " not in f"{caught.value} "


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("5 usd/day", "5.00 USD a day"),
        ("1 request/minute", "1 request a minute"),
        ("2 tokens/week o1 gpt-4*", "2 tokens a week for gpt-4*, o1"),
        ("20 usd/ever", "20.00 USD in all"),
    ],
)
def test_limits_are_told_in_words(written: str, told: str) -> None:
    assert words(parse_limits(written)[0]) == told


def test_a_term_is_told_in_words() -> None:
    assert words(replace(DAILY, window=LimitWindow.TERM, since=1, until=2)) == "5.00 USD in its term"


@given(limits(), limits())
@settings(deadline=None, max_examples=25)
def test_words_tell_limits_apart(one: Limit, other: Limit) -> None:
    assert (words(one) == words(other)) == (one.kind == other.kind and one.amount == other.amount)


# --- the documentation


def test_the_documented_setting_and_its_rows_are_true() -> None:
    (line,) = re.findall(r"LIMITS=(.*)", DOCS)
    rows = re.findall(r"^\| `(\d[^`]*)` \| (.*) \|$", DOCS, re.MULTILINE)
    assert len(rows) == 6
    for written, told in rows:
        assert [words(limit) for limit in parse_limits(written)] == [told]
    assert {words(limit) for limit in parse_limits(line)} <= {told for _, told in rows}


def test_the_documented_records_are_limits_of_each_scope() -> None:
    bodies = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", DOCS, re.DOTALL)]
    found = [limit_of("documented", body) for body in bodies]
    assert {limit.scope for limit in found} == set(Scope) - {Scope.EVERYONE}
    assert [limit_body(limit) for limit in found] == bodies


def test_the_documented_times_are_the_days_that_the_text_names() -> None:
    berlin = Calendar(ZoneInfo("Europe/Berlin"))
    times = {name: int(ms) for name, ms in re.findall(r'"(since|until|extra_until)": (\d+)', DOCS)}
    assert times == {
        "extra_until": berlin.starts("2027-01-01"),
        "since": berlin.starts("2026-10-01"),
        "until": berlin.ends("2027-03-31"),
    }


def test_the_documented_words_are_all_there_are() -> None:
    for row, kinds in (("unit", Unit), ("window", LimitWindow), ("scope", Scope)):
        (line,) = re.findall(rf"^\| {row} \| (.*) \|$", DOCS, re.MULTILINE)
        assert re.findall(r"`(\w+)`", line) == [str(kind) for kind in kinds]


def test_a_limit_in_words_is_everyones_and_names_no_subject() -> None:
    (limit,) = parse_limits("5 usd/day")
    assert (limit.scope, limit.subject) == (Scope.EVERYONE, "")
