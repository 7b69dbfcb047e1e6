"""Which of the provider's own tools a request asks for, how often they may be called, what answers do not report."""

from __future__ import annotations

from typing import Any

import pytest

from server.ledger.tariff import LISTED, LISTED_FACTORS, LISTED_TOOLS, Tariff
from server.wire.calls import called, calls_of
from server.wire.hosted import NOTHING, Hosted, hosted_of
from server.wire.usage import Usage


@pytest.mark.parametrize(
    ("document", "calls"),
    [
        # Anthropic
        ({"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 5}]}, "web_search=5"),
        ({"tools": [{"type": "web_search_20260209", "name": "web_search"}]}, "web_search=10"),
        ({"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}, "code_execution=1"),
        ({"tools": [{"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": 2}]}, "web_fetch=2"),
        ({"tools": [{"type": "tool_search_tool_bm25_20251119", "name": "t"}]}, "tool_search=10"),
        ({"mcp_servers": [{"type": "url", "url": "https://m.example.org"}]}, "mcp=10"),
        # OpenAI, responses
        ({"tools": [{"type": "web_search"}], "max_tool_calls": 3}, "web_search=3"),
        ({"tools": [{"type": "web_search_2025_08_26"}]}, "web_search=10"),
        ({"tools": [{"type": "web_search_preview_2025_03_11"}]}, "web_search_preview=10"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, "file_search=10"),
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "code_interpreter=1"),
        (
            {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g"}}]},
            "code_interpreter_4g=1",
        ),
        ({"tools": [{"type": "image_generation", "model": "gpt-image-2"}]}, "image_generation=10"),
        ({"tools": [{"type": "computer_use_preview", "display_width": 1}]}, "computer=10"),
        ({"tools": [{"type": "mcp", "server_url": "u"}, {"type": "web_search"}]}, "mcp=10 web_search=10"),
        # chat completions
        ({"web_search_options": {}}, "web_search_preview=1"),
        ({"search_parameters": {"mode": "auto", "max_search_results": 7}}, "live_search_source=7"),
        ({"search_parameters": {"mode": "on"}}, "live_search_source=20"),
        ({"plugins": [{"id": "web", "max_results": 3}]}, "web_plugin=1"),
        ({"plugins": [{"id": "web", "max_results": 50}]}, "web_plugin=10"),
        ({"plugins": [{"id": "web", "max_results": 6}]}, "web_plugin=2"),
        ({"plugins": [{"id": "web", "max_results": "7"}]}, "web_plugin=1"),
        ({"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]}, "shell=1"),
        ({"tools": [{"type": "shell", "environment": {"memory_limit": "64g"}}]}, "shell_64g=1"),
        ({"plugins": [{"id": "file-parser"}]}, "plugin:file-parser=1"),
        ({"enable_search": True}, "enable_search=1"),
        ({"tools": [{"type": "builtin_function", "function": {"name": "$web_search"}}]}, "web_search=10"),
        ({"tools": [{"type": "browser_search"}]}, "web_search=10"),
        ({"tools": [{"google_search": {}}]}, "google_search=10"),
        # unknown tools
        ({"tools": [{"type": "telepathy_20270101"}]}, "telepathy=10"),
    ],
)
def test_a_hosted_tool_is_called_by_the_name_that_has_the_price(document: dict[str, Any], calls: str) -> None:
    assert hosted_of(document, "m").calls == calls


@pytest.mark.parametrize(
    ("kind", "document", "calls", "unbounded"),
    [
        ("responses", {"tools": [{"type": "web_search", "max_uses": 0}]}, "web_search=10", ("web_search",)),
        (
            "messages",
            {"tools": [{"type": "web_search_20250305"}], "max_tool_calls": 0},
            "web_search=10",
            ("web_search",),
        ),
        (
            "chat",
            {"tools": [{"type": "web_search", "max_uses": 0}], "max_tool_calls": 0},
            "web_search=10",
            ("web_search",),
        ),
        ("responses", {"tools": [{"type": "web_search"}], "max_tool_calls": 2}, "web_search=2", ()),
        ("responses", {"tools": [{"type": "web_search"}], "max_tool_calls": None}, "web_search=10", ("web_search",)),
        ("messages", {"tools": [{"type": "web_search_20250305", "max_uses": 2}]}, "web_search=2", ()),
        ("messages", {"tools": [{"type": "code_execution_20250825"}]}, "code_execution=1", ()),
    ],
)
def test_a_bound_counts_only_in_the_api_that_knows_its_word(
    kind: str, document: dict[str, Any], calls: str, unbounded: tuple[str, ...]
) -> None:
    """Another server passes over it, and calls the tool as often as it likes."""
    hosted = hosted_of(document, "m", kind)
    assert (hosted.calls, hosted.unbounded) == (calls, unbounded)


GROK = "grok-4.5"
SEARCHING = {"tools": [{"type": "web_search"}]}


@pytest.mark.parametrize(
    ("kind", "model", "document", "endless"),
    [
        ("responses", "gpt-5", SEARCHING, ()),
        ("responses", GROK, SEARCHING, ("web_search",)),
        ("responses", f"x-ai/{GROK}", {**SEARCHING, "max_tool_calls": 3, "max_turns": 2}, ("web_search",)),
        ("responses", GROK, {"tools": [{"type": "x_search"}, {"type": "web_search"}]}, ("web_search", "x_search")),
        ("responses", GROK, {"tools": [{"type": "code_interpreter"}]}, ()),
        ("responses", GROK, {"tools": [{"type": "function", "name": "web_search"}]}, ()),
        ("messages", "claude-opus-5", {"tools": [{"type": "web_search_20250305"}]}, ()),
        ("chat", GROK, {"search_parameters": {"mode": "on", "max_search_results": 5}}, ()),
        ("chat", "openai/gpt-oss-120b", {"tools": [{"type": "browser_search"}]}, ("web_search",)),
        ("chat", "gemini-3-pro", {"tools": [{"google_search": {}}]}, ("google_search",)),
        ("chat", "kimi-k2", {"tools": [{"type": "builtin_function", "function": {"name": "$web_search"}}]}, ()),
        ("chat", "gpt-4o-search-preview", {"web_search_options": {}}, ()),
        ("chat", "gpt-5-search-api", {}, ()),
        ("chat", "perplexity/sonar-pro", {"web_search_options": {}}, ()),
        ("chat", "anthropic/claude-opus-5", {"web_search_options": {}}, ("web_search_preview",)),
        ("chat", "grok-4.5:online", {}, ()),
    ],
)
def test_a_tool_is_endless_where_no_field_bounds_it_and_no_provider_says_how_often(
    kind: str, model: str, document: dict[str, Any], endless: tuple[str, ...]
) -> None:
    assert hosted_of(document, model, kind).endless == endless


def test_research_searches_at_an_unknown_price() -> None:
    assert hosted_of({}, "sonar-deep-research", "chat").fields == (("deep_research", "model"),)
    assert hosted_of({}, "sonar-pro", "chat").fields == ()


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"tools": None},
        {"tools": [{"type": "function", "function": {"name": "web_search"}}]},
        {"tools": [{"type": "custom", "name": "x"}, {"name": "own", "input_schema": {}}, {"type": 5}, 7, {}]},
        {"tools": [{"type": "bash_20250124", "name": "bash"}, {"type": "text_editor_20250728", "name": "e"}]},
        {"tools": [{"type": "computer_20250124", "name": "c"}, {"type": "memory_20250818", "name": "memory"}]},
        {"search_parameters": {"mode": "off"}},
        {"web_search_options": None, "plugins": None, "enable_search": False},
        {"tools": [{"type": "web_search"}], "max_tool_calls": 0},
    ],
)
def test_a_callers_own_tools_are_none(document: dict[str, Any]) -> None:
    assert hosted_of(document, "m").calls == ""


@pytest.mark.parametrize(
    ("model", "calls"),
    [
        ("gpt-4o-search-preview", "web_search_preview=1"),
        ("gpt-4o-mini-search-preview-2025-03-11", "web_search_preview=1"),
        ("gpt-5-search-api", "web_search_preview=1"),
        ("openai/gpt-5:online", "web_plugin=1"),
        ("my-research-model", ""),
    ],
)
def test_a_model_that_searches_is_asked_by_its_name(model: str, calls: str) -> None:
    hosted = hosted_of({}, model)
    assert (hosted.calls, hosted.certain) == (calls, calls)


@pytest.mark.parametrize(
    ("document", "served"),
    [
        ({"service_tier": "priority"}, ("priority", "")),
        ({"service_tier": "flex"}, ("", "")),  # what is not reported is not cheaper
        ({"speed": "fast", "inference_geo": "us"}, ("fast", "us")),
        ({"service_tier": ["x"], "inference_geo": 5}, ("", "")),
    ],
)
def test_what_is_asked_for_is_what_served_where_an_answer_is_silent(
    document: dict[str, Any], served: tuple[str, str]
) -> None:
    used = hosted_of(document, "m").billed(Usage(1))
    assert (used.tier, used.geo) == served


def test_what_an_answer_reports_counts_before_what_was_asked_for() -> None:
    hosted = Hosted(calls="web_search_preview=1", certain="web_search_preview=1", tier="priority", geo="us")
    assert hosted.billed(Usage(1, tools="web_search=2", tier="default", geo="global")) == Usage(
        1, tools="web_search=2", tier="default", geo="global"
    )
    assert hosted.billed(Usage(1)) == Usage(1, tools="web_search_preview=1", tier="priority", geo="us")


def test_a_container_is_as_large_as_the_largest_that_was_asked_for() -> None:
    boxes = [{"type": "code_interpreter", "container": {"memory_limit": size}} for size in ("16g", "4g")]
    used = hosted_of({"tools": boxes}, "m").billed(Usage(1, tools="code_interpreter=2 web_search=1"))
    assert used.tools == "code_interpreter_16g=2 web_search=1"
    shell = hosted_of({"tools": [{"type": "shell", "environment": {"memory_limit": "64g"}}]}, "m")
    assert shell.billed(Usage(1, tools="shell=1")).tools == "shell_64g=1"
    plain = hosted_of({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, "m")
    assert plain.billed(Usage(1, tools="code_interpreter=1")).tools == "code_interpreter=1"


def test_what_used_nothing_called_nothing() -> None:
    assert Hosted(certain="web_plugin=1", tier="priority").billed(Usage()) == Usage()
    assert NOTHING.billed(Usage(5)) == Usage(5)


def test_calls_are_written_and_read_back() -> None:
    calls = {"web_search": 3, "file_search": 1}
    assert called({**calls, "uncalled": 0, "BAD NAME": 4, "": 1}) == "file_search=1 web_search=3"
    assert calls_of(called(calls)) == calls
    assert calls_of("x =1 y=z =3 a=b=2") == {"a=b": 2}


def test_calls_cost_their_prices_and_a_picture_by_its_tokens_nothing_else() -> None:
    assert LISTED.calls("web_search=3 unknown=9") == 30_000
    assert LISTED.calls("image_generation=2 image_output_token=1000") == 40_000
    assert LISTED.calls("") == 0


def test_the_operators_word_counts_before_the_lists() -> None:
    tariff = Tariff.of([("web_search", 1), ("telepathy", 5)], [("priority", 100), ("eu", 120)])
    assert tariff.calls("web_search=2 telepathy=1 file_search=1") == 2 + 5 + LISTED_TOOLS["file_search"]
    assert [tariff.percent(word) for word in ("priority", "eu", "us", "")] == [100, 120, LISTED_FACTORS["us"], 100]
    assert "priority" in tariff.own
