"""What a request costs, which price counts when, and that a price survives the store."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.prices import (
    TOKENS,
    UNPRICED,
    Price,
    PriceTable,
    PriceTier,
    Rates,
    cost,
    dearest,
    dearest_services,
    price_body,
    price_of,
)
from server.wire.usage import Usage

MILLION = 1_000_000

amounts = st.integers(0, 10**8)
plain_rates = st.builds(
    Rates,
    **{kind: amounts if kind in ("input", "output") else st.none() | amounts for kind in TOKENS},
    request=amounts,
    image=amounts,
    audio_hour=amounts,
)


@st.composite
def any_rates(draw: st.DrawFn) -> Rates:
    starts = sorted(draw(st.sets(st.integers(0, 300_000), max_size=2)))
    tiers = tuple(PriceTier(start, draw(plain_rates)) for start in starts)
    base = draw(plain_rates)
    return Rates(**{**{name: getattr(base, name) for name in Rates.__slots__}, "tiers": tiers})


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    read = draw(st.integers(0, 400_000))
    cached = draw(st.integers(0, read))
    written = draw(st.integers(0, read - cached))
    output = draw(st.integers(0, 100_000))
    generated = st.integers(0, output)
    return Usage(
        input=read,
        cached=cached,
        cache_write=written,
        output=output,
        reasoning=draw(generated),
        images=draw(st.integers(0, 10)),
        audio_ms=draw(st.integers(0, 10**7)),
        cache_write_1h=draw(st.integers(0, written)),
        input_audio=draw(st.integers(0, read)),
        input_image=draw(st.integers(0, read)),
        output_text=draw(generated),
        output_audio=draw(generated),
        output_image=draw(generated),
    )


def priced(rates: Rates, model: str = "m", valid_from: int = 0, name: str = "p") -> Price:
    return Price(name, model, valid_from, rates)


def nothing(model: str, at_ms: int) -> Price | None:
    return None


# ---- what a request costs ----


def test_each_kind_of_token_costs_its_own_rate() -> None:
    rates = Rates(
        input=2 * MILLION, cached=1 * MILLION, cache_write=3 * MILLION, output=10 * MILLION, reasoning=7 * MILLION
    )
    usage = Usage(input=100, cached=30, cache_write=20, output=50, reasoning=10)
    assert cost(priced(rates), usage) == 50 * 2 + 30 * 1 + 20 * 3 + 40 * 10 + 10 * 7


def test_a_kind_without_a_rate_costs_what_the_kind_costs_that_includes_it() -> None:
    usage = Usage(input=100, cached=30, output=50, reasoning=10, input_audio=9, output_image=9, output_text=9)
    assert cost(priced(Rates(input=2 * MILLION, output=10 * MILLION)), usage) == 100 * 2 + 50 * 10


def test_writing_to_a_cache_costs_a_quarter_more_than_reading_and_twice_as_much_for_an_hour() -> None:
    rates = Rates(input=2 * MILLION)
    assert cost(priced(rates), Usage(input=100, cache_write=20)) == 80 * 2 + 50
    assert (
        cost(priced(rates), Usage(input=100, cache_write=20, cache_write_1h=15)) == 80 * 2 + 12 + 15 * 4
    )  # of 12.5, to even
    dear = Rates(input=2 * MILLION, cache_write=5 * MILLION)
    assert cost(priced(dear), Usage(input=100, cache_write=20, cache_write_1h=15)) == 80 * 2 + 20 * 5


def test_a_rate_of_nothing_is_not_a_missing_rate() -> None:
    assert cost(priced(Rates(input=2 * MILLION, cached=0)), Usage(input=100, cached=30)) == 70 * 2


def test_requests_pictures_and_sound_cost_beside_the_tokens() -> None:
    rates = Rates(request=12_000, image=40_000, audio_hour=360_000)
    assert cost(priced(rates), Usage(images=2, audio_ms=90_000)) == 12_000 + 80_000 + 9_000


def test_everything_is_rounded_once_at_the_end() -> None:
    rates = Rates(input=300_000, output=300_000, audio_hour=360_000)
    assert cost(priced(rates), Usage(input=1)) == 0  # 0.3
    assert cost(priced(rates), Usage(input=1, output=1, audio_ms=9)) == 2  # 0.3 + 0.3 + 0.9


def test_parts_that_are_larger_than_their_whole_count_and_nothing_is_paid_back() -> None:
    rates = Rates(input=MILLION, output=MILLION)
    assert cost(priced(rates), Usage(input=10, cached=8, cache_write=8, output=5, reasoning=9)) == 8 + 10 + 9


@pytest.mark.parametrize(("tokens", "micro"), [(199_999, 199_999), (200_000, 200_000), (200_001, 400_002)])
def test_a_long_prompt_is_billed_by_its_tier_as_a_whole(tokens: int, micro: int) -> None:
    rates = Rates(input=MILLION, tiers=(PriceTier(200_000, Rates(input=2 * MILLION)),))
    assert cost(priced(rates), Usage(input=tokens)) == micro


def test_of_several_tiers_the_highest_that_is_passed_counts() -> None:
    tiers = (PriceTier(10, Rates(output=2 * MILLION)), PriceTier(20, Rates(output=3 * MILLION)))
    rates = Rates(output=MILLION, tiers=tiers)
    assert [cost(priced(rates), Usage(input=read, output=1)) for read in (10, 11, 20, 21)] == [1, 2, 2, 3]


@pytest.mark.parametrize(
    "tiers",
    [
        (PriceTier(20, Rates()), PriceTier(10, Rates())),
        (PriceTier(10, Rates()), PriceTier(10, Rates())),
        (PriceTier(10, Rates(tiers=(PriceTier(20, Rates()),))),),
    ],
)
def test_tiers_that_do_not_ascend_or_hold_others_cannot_be_written(tiers: tuple[PriceTier, ...]) -> None:
    with pytest.raises(ValueError, match="expected tiers"):
        Rates(tiers=tiers)


def exactly(rates: Rates, usage: Usage) -> Fraction:
    """The cost, reckoned from the kinds one by one: what is taken as one kind is none of the next."""
    said = {kind: getattr(rates, kind) for kind in TOKENS}
    five = -(-rates.input * 5 // 4) if rates.cache_write is None else rates.cache_write
    hour = max(2 * rates.input, five) if rates.cache_write_1h is None else rates.cache_write_1h
    new = usage.input - usage.cached - usage.cache_write
    sound = min(new, usage.input_audio)
    pictures = min(new - sound, usage.input_image)
    spoken = min(usage.output - usage.reasoning, usage.output_audio)
    painted = min(usage.output - usage.reasoning - spoken, usage.output_image)
    text = min(usage.output - usage.reasoning - spoken - painted, usage.output_text)
    kinds = {
        "input": new - sound - pictures,
        "cached": usage.cached,
        "input_audio": sound,
        "input_image": pictures,
        "output": usage.output - usage.reasoning - spoken - painted - text,
        "reasoning": usage.reasoning,
        "output_audio": spoken,
        "output_image": painted,
        "output_text": text,
    }
    cache = (usage.cache_write - usage.cache_write_1h) * five + usage.cache_write_1h * hour
    whole = {
        kind: rates.output if kind in kinds and kind.startswith(("out", "rea")) else rates.input for kind in TOKENS
    }
    tokens = sum(number * (whole[kind] if said[kind] is None else said[kind]) for kind, number in kinds.items())
    others = rates.request + usage.images * rates.image + Fraction(usage.audio_ms * rates.audio_hour, 3_600_000)
    return Fraction(tokens + cache, MILLION) + others


@given(plain_rates, usages())
@settings(max_examples=100, deadline=None)
def test_a_cost_is_the_exact_sum_of_its_parts_rounded_half_to_even(rates: Rates, usage: Usage) -> None:
    assert cost(priced(rates), usage) == round(exactly(rates, usage))


@given(plain_rates, usages(), st.sampled_from([("priority", 250), ("fast", 600), ("flex", 100), ("new", 100)]))
@settings(max_examples=50, deadline=None)
def test_a_service_without_rates_of_its_own_costs_its_factor_and_so_does_a_place(
    rates: Rates, usage: Usage, service: tuple[str, int]
) -> None:
    tier, percent = service
    served = replace(usage, tier=tier, geo="us")
    assert cost(priced(rates), served) == round(exactly(rates, usage) * percent * 110 / 10_000)


# A part grows with its whole: another cached token is another token, and costs what it costs.
WHOLE = {
    **dict.fromkeys(("cached", "cache_write", "input_audio", "input_image"), "input"),
    **dict.fromkeys(("reasoning", "output_text", "output_audio", "output_image"), "output"),
}


@given(
    plain_rates,
    usages(),
    st.sampled_from(["input", "output", *WHOLE, "cache_write_1h", "images", "audio_ms"]),
    st.integers(1, 10**6),
)
@settings(max_examples=200, deadline=None)
def test_a_cost_never_falls_when_a_figure_grows(rates: Rates, usage: Usage, kind: str, more: int) -> None:
    names = ("cache_write_1h", "cache_write", "input") if kind == "cache_write_1h" else (kind, WHOLE.get(kind, kind))
    grown = replace(usage, **{name: getattr(usage, name) + more for name in dict.fromkeys(names)})
    assert cost(priced(rates), grown) >= cost(priced(rates), usage)


@given(any_rates(), any_rates(), usages())
@settings(max_examples=60, deadline=None)
def test_nothing_costs_less_by_the_dearest_of_two(one: Rates, other: Rates, usage: Usage) -> None:
    both = cost(priced(dearest(one, other)), usage)
    assert both >= max(cost(priced(one), usage), cost(priced(other), usage))


@given(any_rates(), usages())
@settings(max_examples=50, deadline=None)
def test_the_dearest_of_one_and_the_same_costs_the_same(rates: Rates, usage: Usage) -> None:
    assert cost(priced(dearest(rates, rates)), usage) == cost(priced(rates), usage)


# ---- which price counts ----


def test_a_price_holds_from_its_millisecond_on_and_its_predecessor_until_then() -> None:
    old, new = priced(Rates(input=5), name="old"), priced(Rates(input=4), valid_from=1_000_000, name="new")
    table = PriceTable([new, old], nothing, "refuse")
    assert [table.of("m", at) for at in (0, 999_999, 1_000_000, 1_000_001)] == [old, old, new, new]


def test_before_the_operators_first_price_the_base_counts() -> None:
    own, base = priced(Rates(), valid_from=10, name="own"), priced(Rates(input=1), name="base")
    table = PriceTable([own], lambda model, at_ms: base, "refuse")
    assert [table.of("m", at) for at in (9, 10)] == [base, own]


def test_the_base_is_asked_for_the_model_and_the_time() -> None:
    asked = []

    def base(model: str, at_ms: int) -> Price | None:
        asked.append((model, at_ms))
        return None

    assert PriceTable([], base, "refuse").of("gpt-5", 77) is None
    assert asked == [("gpt-5", 77)]


def test_an_exact_name_counts_before_the_longest_beginning() -> None:
    names = ["*", "gpt-*", "gpt-5*", "gpt-5"]
    table = PriceTable([priced(Rates(), model=name, name=name) for name in names], nothing, "refuse")
    found = [table.of(model, 0) for model in ("gpt-5", "gpt-5-mini", "gpt-4", "o3")]
    assert [price and price.id for price in found] == ["gpt-5", "gpt-5*", "gpt-*", "*"]


def test_a_beginning_counts_until_the_exact_price_holds() -> None:
    wide, exact = priced(Rates(), "gpt-*", name="wide"), priced(Rates(), "gpt-5", 10, "exact")
    table = PriceTable([wide, exact], nothing, "refuse")
    assert [table.of("gpt-5", at) for at in (9, 10)] == [wide, exact]


def test_of_two_prices_from_the_same_time_the_one_given_last_counts() -> None:
    first, last = priced(Rates(), name="first"), priced(Rates(), name="last")
    assert PriceTable([first, last], nothing, "refuse").of("m", 0) == last


def test_a_model_without_a_price_is_refused_or_free_as_the_operator_wants() -> None:
    assert PriceTable([], nothing, "refuse").of("m", 0) is None
    free = PriceTable([], nothing, "free").of("m", 0)
    assert free is UNPRICED
    assert cost(free, Usage(input=10**6, output=10**6, images=3, audio_ms=10**6)) == 0


def test_a_free_price_is_a_price_with_an_id_and_hides_the_base() -> None:
    free = priced(Rates(), name="ours")
    assert PriceTable([free], lambda model, at_ms: priced(Rates(input=1)), "refuse").of("m", 0) is free


# ---- as a record's body ----


@given(any_rates(), st.integers(0, 10**14))
@settings(max_examples=100, deadline=None)
def test_a_price_comes_back_from_json_as_it_was(rates: Rates, valid_from: int) -> None:
    price = Price("prc_1", "gpt-5*", valid_from, rates)
    assert price_of("prc_1", json.loads(json.dumps(price_body(price)))) == price


def test_a_body_need_not_name_what_costs_nothing() -> None:
    body = {"model": "m", "valid_from": 5, "output": 7}
    assert price_of("p", body) == Price("p", "m", 5, Rates(output=7))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model": "", "valid_from": 0},
        {"model": "m"},
        {"model": "m", "valid_from": "today"},
        {"model": "m", "valid_from": 0, "input": 1.5},
        {"model": "m", "valid_from": 0, "input": True},
        {"model": "m", "valid_from": 0, "input": -1},
        {"model": "m", "valid_from": 0, "input": None},
        {"model": "m", "valid_from": 0, "inputs": 1},
        {"model": "m", "valid_from": 0, "tiers": "none"},
        {"model": "m", "valid_from": 0, "tiers": [3]},
        {"model": "m", "valid_from": 0, "tiers": [{"input": 3}]},
        {"model": "m", "valid_from": 0, "tiers": [{"above": 9}, {"above": 8}]},
    ],
)
def test_a_body_that_is_no_price_is_a_value_error(body: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        price_of("p", body)


def test_of_two_lists_the_services_that_both_know_have_the_dearer_rates() -> None:
    one = Price("p", "m", 0, Rates(input=1), (("priority", Rates(input=5, output=1)), ("flex", Rates(input=1))))
    other = Price("q", "m", 0, Rates(input=1), (("priority", Rates(input=2, output=9)), ("batch", Rates(input=1))))
    ((name, rates),) = dearest_services(one, other)
    assert (name, rates.input, rates.output) == ("priority", 5, 9)
    assert dearest_services(one, Price("r", "m", 0, Rates(input=1))) == ()
