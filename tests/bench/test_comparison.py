"""How figures of several gateways stand side by side: bench/comparison.py, bench/bars.py, bench/page.py."""

from __future__ import annotations

import pytest

from bench import bars, page
from bench.comparison import ROWS, Comparison
from bench.report import Line, markdown, number, table


@pytest.fixture
def found() -> Comparison:
    """Two rounds of ours, one of Portkey's and of nginx's."""
    found = Comparison([bars.OURS, bars.PORTKEY, bars.NGINX])
    found.add(bars.OURS, {"per_second": 4_000, "per_core": 4_100, "added_ms": 0.3, "chunk_us": 21})
    found.add(bars.OURS, {"per_second": 5_000, "per_core": 5_100, "added_ms": 0.4, "chunk_us": 25})
    found.add(bars.PORTKEY, {"per_second": 1_200, "per_core": 1_250})
    found.add(bars.NGINX, {"per_second": 30_000, "per_core": 60_000})
    return found


def test_each_row_has_a_name_of_its_own_key() -> None:
    assert len({row.key for row in ROWS}) == len(ROWS)


def test_a_figure_is_the_median_with_its_range_and_its_ratio_to_a_peer(found: Comparison) -> None:
    head, rule, *rows = found.table(bars.PORTKEY, bars.NGINX)
    assert head == "| | all on | Portkey | nginx | all on ÷ Portkey | all on ÷ nginx |"
    assert rule == "|---|---:|---:|---:|---:|---:|"
    assert rows[0] == "| Requests/s, 32 connections, /s | 4,500 (4,000–5,000) | 1,200 | 30,000 | 3.75 | 0.15 |"


def test_what_was_not_measured_is_no_figure_and_a_row_without_any_is_left_out(found: Comparison) -> None:
    rows = {row.split(" | ")[0]: row for row in found.table(bars.PORTKEY)[2:]}
    assert len(rows) == 4
    assert rows["| Added at 1 connection, median, ms"].endswith("| 0.35 (0.3–0.4) | — | — | — |")


def test_a_peer_that_is_missing_has_no_column_and_a_reason(found: Comparison) -> None:
    found.missing["LiteLLM"] = "pip failed"
    assert "LiteLLM" not in found.table("LiteLLM")[0]
    assert found.reasons() == ["* LiteLLM: pip failed"]


def test_a_bar_takes_ours_as_they_were_answered_and_the_peers_by_its_cpu(found: Comparison) -> None:
    portkey, nginx = bars.beside_peers(found)
    assert (portkey.figure, portkey.kept) == (3.6, True)
    assert (nginx.figure, nginx.kept) == (0.075, True)


def test_bars_that_are_missed_say_so_and_those_that_were_not_measured_are_silent(found: Comparison) -> None:
    added, chunk = bars.of_the_gateway(found)
    assert added.kept
    assert not chunk.kept
    assert "MISSED" in chunk.cells


def test_mongodb_is_compared_with_sqlite() -> None:
    found = Comparison([bars.OURS, bars.MONGODB])
    found.add(bars.OURS, {"per_second": 1_000})
    found.add(bars.MONGODB, {"per_second": 700})
    (line,) = bars.of_the_gateway(found)
    assert (line.figure, line.kept) == (0.7, False)


def test_lines_for_the_terminal_and_for_the_page() -> None:
    lines = [Line("one", 1.0, "ms", 2.0), Line("another", 1234.5, "/s", 2000.0, at_least=True), Line("third", 0.5, "")]
    assert table(lines).splitlines()[1:] == [
        "one          1 ms      ≤ 2  kept",
        "another  1,234 /s  ≥ 2,000  MISSED",
        "third         0.5",
    ]
    assert markdown(lines)[2] == "| one | 1 ms | ≤ 2 | kept |"


@pytest.mark.parametrize(("value", "text"), [(0.0123, "0.0123"), (12.34, "12.3"), (123.4, "123"), (84_000, "84,000")])
def test_a_number_has_three_digits_that_say_something(value: float, text: str) -> None:
    assert number(value) == text


def test_a_section_is_rewritten_and_the_others_stay() -> None:
    first = page.rewritten("# Another page", "peers", ["| a |"])
    both = page.rewritten(first, "gateway", ["| b |"])
    again = page.rewritten(both, "peers", ["| c |"])
    assert first.startswith(page.INTRODUCTION)
    assert "Another" not in first
    assert both.index("| b |") < both.index("| a |")  # in the order of the page
    assert again == both.replace("| a |", "| c |")
