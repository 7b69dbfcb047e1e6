"""The ledger against a bill: what is compared with what, and what is drift."""

from __future__ import annotations

from decimal import Decimal

from server.ledger.provider_report import ReportLine
from server.ledger.reconcile import OTHER_KEYS, Comparison, canonical, compare
from server.ledger.reports import Sum

DAY = "2026-08-05"
OURS = {"openai": "openai", "claude": "anthropic"}


def billed(model: str, key: str = "1a2b3c4d", upstream: str = "openai", day: str = DAY, **figures: int) -> Sum:
    return Sum(key=(day, upstream, key, model), **figures)


def used(model: str | None, key: str | None, input: int, output: int = 0) -> ReportLine:
    return ReportLine("openai", DAY, model, key, input, output)


def test_names_are_compared_without_what_a_bill_writes_otherwise() -> None:
    assert canonical("gpt-4o-2024-08-06") == canonical("gpt-4o") != canonical("gpt-4o-mini")
    assert canonical("Claude Sonnet 4.5") == canonical("claude-sonnet-4-5-20250929")
    assert canonical("Claude Sonnet 3.7") == canonical("claude-3-7-sonnet-latest")


def test_what_agrees_is_within_and_what_is_missing_on_either_side_drifts() -> None:
    lines = [used("gpt-4o-2024-08-06", None, 10_000), used("gpt-5", None, 9_000)]
    ours = [billed("gpt-4o", input=10_100), billed("o3", input=5_000), billed("gpt-4o", day="2026-08-04", input=9)]
    found = {each.model: each for each in compare(lines, ours, Comparison(OURS, {}))}
    assert {name: each.within for name, each in found.items()} == {"gpt-4o": True, "gpt-5": False, "o3": False}
    assert [found[name].off("input") for name in ("gpt-4o", "gpt-5", "o3")] == [100, -9_000, 5_000]
    assert found["gpt-5"].off("cost_micro_usd") is None


def test_tokens_and_costs_are_one_line_where_both_are_told_as_finely() -> None:
    lines = [used("gpt-5", None, 1_000, 10), ReportLine("openai", DAY, "gpt-5", dollars=Decimal("0.0000004"))]
    ours = [billed("gpt-5", input=1_000, output=10, cost_micro_usd=1)]
    (one,) = compare(lines * 2, [*ours, *ours], Comparison(OURS, {}))
    assert (one.ours, one.theirs, one.within) == (
        {"input": 2_000, "output": 20, "cost_micro_usd": 2},
        {"input": 2_000, "output": 20, "cost_micro_usd": 1},  # rounded once, after it is added up
        True,
    )


def test_keys_are_compared_one_by_one_as_far_as_they_are_known() -> None:
    lines = [used("gpt-5", "key_lab", 1_000), used("gpt-5", "key_shop", 50_000)]
    ours = [billed("gpt-5", "1a2b3c4d", input=1_000), billed("gpt-5", "99999999", input=300)]
    (together,) = compare(lines, ours, Comparison(OURS, {}))
    assert (together.key, together.ours["input"], together.theirs["input"]) == ("", 1_300, 51_000)
    apart = compare(lines, ours, Comparison(OURS, {"key_lab": "1a2b3c4d"}))
    assert [(each.key, each.off("input"), each.within) for each in apart] == [
        ("1a2b3c4d", 0, True),
        (OTHER_KEYS, -49_700, False),
    ]


def test_costs_without_a_model_are_compared_for_all_models_and_another_provider_for_itself() -> None:
    lines = [ReportLine("openai", DAY, dollars=Decimal(3)), ReportLine("openai", "2026-08-07")]
    ours = [
        billed("gpt-5", cost_micro_usd=1_000_000),
        billed("o3", cost_micro_usd=2_000_000),
        billed("o3", day="2026-08-06", cost_micro_usd=70_000),  # a day between: the bill says nothing was used
        billed("claude-opus-5", upstream="claude", cost_micro_usd=9),
        billed("gpt-5", upstream="gone", cost_micro_usd=9),
    ]
    found = compare(lines, ours, Comparison(OURS, {}))
    assert [(each.day, each.model, each.off("cost_micro_usd"), each.within) for each in found] == [
        (DAY, "", 0, True),
        ("2026-08-06", "", 70_000, False),
    ]
