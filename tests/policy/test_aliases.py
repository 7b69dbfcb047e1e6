"""Names for models: what each stands for, what lists show, and how they are written."""

from __future__ import annotations

from typing import Any

import pytest

from server.policy.aliases import Alias, Aliases, alias_body, alias_of, parse_aliases
from server.wire.errors import InvalidValue
from server.wire.fallback import Fallback, fallback_of

KNOWN = Aliases(parse_aliases("main=gpt-5, -gpt-4=gpt-4o, -gpt-3=gpt-4, round=about, about=round"))


@pytest.mark.parametrize(
    ("name", "model"),
    [("main", "gpt-5"), ("gpt-4", "gpt-4o"), ("gpt-3", "gpt-4o"), ("gpt-5", "gpt-5"), ("round", "about")],
)
def test_a_name_stands_for_one_model(name: str, model: str) -> None:
    assert KNOWN.model(name) == model


def test_lists_show_aliases_of_their_models_and_no_retired_name() -> None:
    assert KNOWN.shown(["gpt-5", "gpt-4o", "gpt-4"]) == {"gpt-5", "gpt-4o", "main"}
    assert KNOWN.shown(["gpt-4o"]) == {"gpt-4o"}  # who may not use the model does not see its alias
    assert Aliases([Alias("a", "b"), Alias("a", "c")]).model("a") == "c"
    renamed = Aliases([Alias("gpt-5", "gpt-5.1")])
    assert renamed.shown(["gpt-5", "gpt-5.1"]) == {"gpt-5", "gpt-5.1"}


@pytest.mark.parametrize("text", ["main", "main=", "=gpt-5", "a b=c", "main=main", "main=a,main=b", "-=x", "a=b c"])
def test_what_is_no_alias_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_aliases(text)


def test_a_record_is_read_as_it_was_written() -> None:
    alias = Alias("coding", "claude-opus-4-8[1m]", listed=False)
    assert alias_of("coding", alias_body(alias)) == alias


@pytest.mark.parametrize(
    "body", [{}, {"model": 5}, {"model": "x", "listed": "no"}, {"model": "x", "more": 1}, {"model": ""}]
)
def test_a_record_that_is_none_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        alias_of("coding", body)


@pytest.mark.parametrize(
    ("text", "read"),
    [(None, None), ("gpt-5-mini; wait=20", Fallback("gpt-5-mini", 20.0)), (" a/b:c;wait=0.5 ", Fallback("a/b:c", 0.5))],
)
def test_a_fallback_names_a_model_and_a_wait(text: str | None, read: Fallback | None) -> None:
    assert fallback_of(text) == read


@pytest.mark.parametrize(
    "text", ["", "gpt-5-mini", "gpt-5-mini; wait=", "a; wait=-1", "a, b; wait=1", "a; wait=1e3", "../x; wait=1"]
)
def test_a_fallback_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        fallback_of(text)
    assert caught.value.param == "X-Fairgate-Fallback"
