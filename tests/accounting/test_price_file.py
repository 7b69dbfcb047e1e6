"""The operator's price file is read exactly and strictly, and its mistakes say where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.accounting.price_file import read_prices
from server.ledger.prices import Price, PriceTable, PriceTier, Rates
from server.ledger.when import instant


def read(tmp_path: Path, text: str) -> tuple[list[Price], list[str]]:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    return read_prices(file)


def mistakes(tmp_path: Path, row: str) -> list[str]:
    prices, wrong = read(tmp_path, f"prices: [{{{row}}}]")
    assert prices == []
    return wrong


def test_a_price_with_every_field(tmp_path: Path) -> None:
    text = """
prices:
  - model: gpt-5*
    valid_from: 2025-08-07
    input: 1.25
    cached: 0.125
    cache_write: 1.5625
    output: 10
    reasoning: 12
    request: 0.001
    image: 0.04
    audio_minute: 0.006
    tiers:
      - above: 272000
        input: 2.50
        output: 15
"""
    plain = {"request": 1_000, "image": 40_000, "audio_hour": 360_000}
    tier = Rates(input=2_500_000, output=15_000_000, **plain)  # type: ignore[arg-type]
    rates = Rates(
        input=1_250_000,
        cached=125_000,
        cache_write=1_562_500,
        output=10_000_000,
        reasoning=12_000_000,
        tiers=(PriceTier(272_000, tier),),
        **plain,
    )
    start = instant("2025-08-07T00:00:00Z")
    assert read(tmp_path, text) == ([Price("file:gpt-5*@2025-08-07T00:00:00.000Z", "gpt-5*", start, rates)], [])


def test_a_price_that_says_no_date_holds_always(tmp_path: Path) -> None:
    prices, _ = read(tmp_path, "prices: [{model: llama-3, input: 0, output: 0}]")
    assert prices == [Price("file:llama-3", "llama-3", 0, Rates())]


def test_a_time_with_a_zone_is_meant_to_the_second(tmp_path: Path) -> None:
    prices, wrong = read(tmp_path, "prices: [{model: m, valid_from: '2026-01-01T00:00:00+01:00', image: 1}]")
    assert (wrong, [price.valid_from for price in prices]) == ([], [instant("2025-12-31T23:00:00Z")])


def test_prices_of_one_model_follow_each_other(tmp_path: Path) -> None:
    text = """
prices:
  - {model: m, valid_from: 2026-02-01, input: 2, output: 2}
  - {model: m, input: 1, output: 1}
"""
    table = PriceTable(read(tmp_path, text)[0], lambda model, at_ms: None, "refuse")
    change = instant("2026-02-01T00:00:00Z")
    found = [table.of("m", at_ms) for at_ms in (change - 1, change)]
    assert [price and price.rates.input for price in found] == [1_000_000, 2_000_000]


@pytest.mark.parametrize(("text", "micro"), [("0.1", 100_000), ("0.000001", 1), ("3", 3_000_000), ("0.30", 300_000)])
def test_amounts_are_read_digit_by_digit(tmp_path: Path, text: str, micro: int) -> None:
    prices, _ = read(tmp_path, f"prices: [{{model: m, input: {text}, output: 0}}]")
    assert prices[0].rates.input == micro


def test_models_of_which_only_pictures_or_sound_cost_say_nothing_about_tokens(tmp_path: Path) -> None:
    prices, wrong = read(tmp_path, "prices: [{model: whisper-1, audio_minute: 0.006}, {model: dall-e-3, image: 0.04}]")
    assert wrong == []
    assert [price.rates for price in prices] == [Rates(audio_hour=360_000), Rates(image=40_000)]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("input: 1, output: 1", ["prices[0].model: expected, but missing"]),
        ("model: m, input: 1", ["prices[0].output: expected, but missing"]),
        ("model: m, output: 1", ["prices[0].input: expected, but missing"]),
        (
            "model: m, cached: 1, image: 1",
            ["prices[0].input: expected, but missing", "prices[0].output: expected, but missing"],
        ),
        ("model: m", ["prices[0].input: expected, but missing", "prices[0].output: expected, but missing"]),
        ("model: g*t, image: 1", ["prices[0].model: expected a model's name, or its beginning and a *"]),
        ("model: [m], image: 1", ["prices[0].model: expected a model's name, or its beginning and a *"]),
        (
            "model: m, valid_from: '2026-01-01T00:00:00', image: 1",
            ["prices[0].valid_from: expected a date such as 2025-08-07, or a time with its zone"],
        ),
        (
            "model: m, valid_from: 2026-02-30, image: 1",
            ["prices[0].valid_from: expected a date such as 2025-08-07, or a time with its zone"],
        ),
        ("model: m, image: 1, tiers: 5", ["prices[0].tiers: expected a list"]),
        (
            "model: m, image: 1, tiers: [{above: 0.5, input: 1, output: 1}]",
            ["prices[0].tiers[0].above: expected a number of tokens"],
        ),
        (
            "model: m, image: 1, tiers: [{above: 9, input: 1, output: 1}, {above: 8, input: 1, output: 1}]",
            ["prices[0].tiers: expected tiers that ascend and hold no others"],
        ),
        (
            "model: m, image: 1, tiers: [7]",
            ["prices[0].tiers[0]: expected fields such as above, input, cached, cache_write"],
        ),
    ],
)
def test_a_mistake_says_where_it_is_and_what_was_expected(tmp_path: Path, row: str, expected: list[str]) -> None:
    assert mistakes(tmp_path, row) == expected


@pytest.mark.parametrize("amount", ["-1", "0.0000001", "much", ".nan", "[1]", "''", "2000000000"])
def test_what_is_no_amount_is_a_mistake_and_never_zero(tmp_path: Path, amount: str) -> None:
    (mistake,) = mistakes(tmp_path, f"model: m, input: {amount}, output: 1")
    assert mistake.startswith("prices[0].input: expected an amount of dollars")


def test_an_unknown_field_is_a_mistake_that_does_not_repeat_it(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "model: m, image: 1, inputt: 1")
    assert mistake.startswith("prices[0]: unknown field; the fields are model, valid_from, input")
    assert "inputt" not in mistake


def test_two_prices_of_a_model_from_the_same_time_are_a_mistake(tmp_path: Path) -> None:
    day, hour = "2026-01-01", "'2026-01-01T01:00:00+01:00'"
    text = f"prices: [{{model: m, valid_from: {day}, image: 1}}, {{model: m, valid_from: {hour}, image: 2}}]"
    assert read(tmp_path, text)[1] == ["prices[1]: the model has another price from the same time"]


def test_all_mistakes_are_told_at_once_and_what_is_right_is_read(tmp_path: Path) -> None:
    prices, wrong = read(tmp_path, "prices: [{model: m, input: x, output: y}, 5, {model: n, image: 1}]")
    assert [price.model for price in prices] == ["n"]
    assert [line.partition(":")[0] for line in wrong] == ["prices[0].input", "prices[0].output", "prices[1]"]


@pytest.mark.parametrize("text", ["", "[]", "prices: 5", "price: []", "{prices: [], more: 1}"])
def test_the_file_is_one_list_of_prices(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == ([], ["PRICES_FILE: expected one field `prices` with a list"])


def test_a_file_that_is_no_yaml_says_the_line(tmp_path: Path) -> None:
    assert read(tmp_path, "prices:\n  - {model: m\n")[1] == ["PRICES_FILE line 3: expected YAML, and no field twice"]
    assert read(tmp_path, "prices:\n  - {model: m,\n    model: n}")[1] == [
        "PRICES_FILE line 2: expected YAML, and no field twice"
    ]


def test_a_file_that_is_not_there_or_no_text_is_a_mistake(tmp_path: Path) -> None:
    missing = ["PRICES_FILE: expected a readable text file in UTF-8"]
    assert read_prices(tmp_path / "none.yaml") == ([], missing)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    assert read_prices(tmp_path / "bytes.yaml") == ([], missing)
