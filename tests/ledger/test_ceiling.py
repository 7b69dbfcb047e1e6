"""What is held is an upper bound: no answer within the ceiling costs more, and no number of them at once does."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ledger.ceiling import GENERATED, READ, fitting, most_cost, most_taken, unmeasured
from server.ledger.holds import Estimate
from server.ledger.limits import Unit
from server.ledger.money import MICRO
from server.ledger.prices import Price, PriceTier, Rates, cost
from server.ledger.tariff import Tariff
from server.wire.extent import Ceiling
from server.wire.usage import Usage

RATE = st.integers(0, 200_000_000)
OPTIONAL = st.none() | RATE
FLAT = st.builds(
    Rates, input=RATE, output=RATE, cached=OPTIONAL, cache_write=OPTIONAL, cache_write_1h=OPTIONAL,
    reasoning=OPTIONAL, input_audio=OPTIONAL, input_image=OPTIONAL, output_text=OPTIONAL, output_audio=OPTIONAL,
    output_image=OPTIONAL, request=st.integers(0, 10_000), image=st.integers(0, 500_000), audio_hour=RATE,
)  # fmt: skip
TIERED = st.builds(
    lambda flat, above, rates: replace(flat, tiers=(PriceTier(above, rates),)), FLAT, st.integers(0, 300_000), FLAT
)
SERVICES = st.just(()) | st.tuples(st.tuples(st.just("priority"), FLAT | TIERED))
PRICES = st.builds(lambda rates, services: Price("p", "m", 0, rates, services), FLAT | TIERED, SERVICES)
BESIDE = st.builds(
    Usage,
    tools=st.sampled_from(["", "web_search=3", "file_search=1 web_search=2"]),
    tier=st.sampled_from(["", "priority", "flex"]),
)
TARIFF = Tariff.of({}, {"flex": 50})
TOKENS = st.integers(0, 500_000)
CEILINGS = st.builds(
    Ceiling,
    TOKENS,
    TOKENS,
    st.integers(1, 8),
    st.sampled_from([0, 0, 500]),
    images=st.integers(0, 8),
    audio_ms=st.integers(0, 10_000_000),
    beside=BESIDE,
    writes=st.booleans(),
    writes_hour=st.booleans(),
)


@st.composite
def parts(draw: st.DrawFn, whole: int, names: tuple[str, ...]) -> dict[str, int]:
    """A whole in parts that are no more than it."""
    found = {}
    for name in draw(st.permutations(names)):
        found[name] = draw(st.integers(0, whole))
        whole -= found[name]
    return found


def names_writes(price: Price) -> bool:
    tables = [price.rates, *(rates for _, rates in price.services)]
    return any(each.cache_write is not None for table in tables for each in (table, *(t.rates for t in table.tiers)))


@st.composite
def answers(draw: st.DrawFn, ceiling: Ceiling, price: Price) -> Usage:
    """Any usage within a ceiling, by whatever service. A cache is billed where the request or the price names one."""
    read, generated = draw(st.integers(0, ceiling.input)), draw(st.integers(0, ceiling.generated))
    kinds = draw(parts(read, READ)) | draw(parts(generated, GENERATED))
    if not ceiling.writes_hour:
        kinds["cache_write_1h"] = 0
        kinds["cache_write"] *= ceiling.writes or names_writes(price)
    kinds["cache_write"] += kinds["cache_write_1h"]
    return Usage(
        read,
        output=generated,
        images=draw(st.integers(0, ceiling.images)),
        audio_ms=draw(st.integers(0, ceiling.audio_ms)),
        tools=draw(st.sampled_from(["", ceiling.beside.tools])),
        tier=draw(st.sampled_from(["", ceiling.beside.tier])),
        **kinds,
    )


def test_every_kind_of_usage_has_its_place_in_the_bound() -> None:
    """Who adds a kind of usage says here whether it is a part of what is read, or of what is generated."""
    whole = {"input", "output", "images", "audio_ms", "estimated", "tools", "tier", "geo"}
    assert {field.name for field in fields(Usage)} == whole | set(READ) | set(GENERATED)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.data(), PRICES, CEILINGS)
def test_no_answer_within_the_ceiling_costs_more_than_was_held(
    data: st.DataObject, price: Price, ceiling: Ceiling
) -> None:
    usage = data.draw(answers(ceiling, price))
    assert cost(price, usage, TARIFF) <= most_cost(price, ceiling, TARIFF)
    assert usage.input + usage.output <= most_taken(price, ceiling).tokens


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(PRICES, CEILINGS, st.integers(0, 10**9), st.sampled_from([Unit.USD, Unit.TOKENS]))
def test_a_bound_that_is_lowered_to_a_budget_fits_into_it(
    price: Price, ceiling: Ceiling, left: int, unit: Unit
) -> None:
    output = fitting(price, ceiling, left, unit)
    assert 0 <= output <= ceiling.output
    if output:
        assert most_taken(price, replace(ceiling, output=output)).of(unit) <= left
        assert most_taken(price, replace(ceiling, output=output + ceiling.output // 100 + 2)).of(unit) > left


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.data(), PRICES, st.integers(0, 50_000_000), st.lists(CEILINGS, min_size=1, max_size=12))
def test_requests_at_once_never_settle_more_than_their_budget(
    data: st.DataObject, price: Price, budget: int, asked: list[Ceiling]
) -> None:
    """All are held before the first is settled, each with as long an answer as the budget still has."""
    held, admitted = 0, []
    for ceiling in asked:
        if held + most_cost(price, ceiling) > budget:
            ceiling = replace(ceiling, output=fitting(price, ceiling, budget - held, Unit.USD))
        if ceiling.output and held + most_cost(price, ceiling) <= budget:
            held += most_cost(price, ceiling)
            admitted.append(ceiling)
    assert sum(cost(price, data.draw(answers(ceiling, price))) for ceiling in admitted) <= held <= budget


BOTH = Price("p", "m", 0, Rates(input=2_000_000, output=10_000_000, cached=5_000_000))


@pytest.mark.parametrize(
    ("price", "ceiling", "micro_usd", "tokens"),
    [
        (BOTH, Ceiling(100, 20), 500 + 200, 120),
        (BOTH, Ceiling(100, 20, 3), 500 + 600, 160),
        (BOTH, Ceiling(0, 0), 0, 0),
        (None, Ceiling(100, 20, 3), 0, 160),
    ],
)
def test_what_is_held_counts_the_dearest_kinds_and_every_choice(
    price: Price | None, ceiling: Ceiling, micro_usd: int, tokens: int
) -> None:
    assert most_taken(price, ceiling) == Estimate(micro_usd, tokens)


@pytest.mark.parametrize(
    ("price", "left", "unit", "fits"),
    [
        (BOTH, 700, Unit.USD, 0),  # all of it fits: nothing is to be lowered
        (BOTH, 699, Unit.USD, 19),
        (BOTH, 510, Unit.USD, 1),
        (BOTH, 509, Unit.USD, 0),
        (BOTH, 499, Unit.USD, 0),
        (BOTH, 119, Unit.TOKENS, 19),
        (None, 101, Unit.TOKENS, 1),
        (None, 0, Unit.USD, 0),
    ],
)
def test_an_answer_is_lowered_to_what_is_left_and_not_by_a_token_more(
    price: Price | None, left: int, unit: Unit, fits: int
) -> None:
    assert fitting(price, Ceiling(100, 20), left, unit) == fits


PLAIN, NAMING = Price("p", "m", 0, Rates(input=MICRO)), Price("p", "m", 0, Rates(input=MICRO, cache_write=3 * MICRO))


@pytest.mark.parametrize(
    ("price", "writes", "hour", "held"),
    [
        (PLAIN, False, False, 100),
        (PLAIN, True, False, 125),
        (PLAIN, True, True, 200),
        (NAMING, False, False, 300),
        (NAMING, True, True, 300),
    ],
)
def test_writing_to_a_cache_is_held_only_where_it_can_be_billed(
    price: Price, writes: bool, hour: bool, held: int
) -> None:
    """So who is polite is not refused near the end of a budget for a cache that is not used."""
    assert most_cost(price, Ceiling(100, 0, writes=writes, writes_hour=hour)) == held


SOUND_ONLY = Price("p", "m", 0, Rates(audio_hour=360_000))
TOKENS_ONLY = Price("p", "m", 0, Rates(input=20_000))


@pytest.mark.parametrize(
    ("price", "ceiling", "expected"),
    [
        (SOUND_ONLY, Ceiling(1_000, 1_000), True),
        (SOUND_ONLY, Ceiling(1_000, 1_000, audio_ms=1), False),
        (TOKENS_ONLY, Ceiling(1, 0), False),
        (TOKENS_ONLY, Ceiling(0, 0), False),
        (Price("p", "m", 0, Rates(image=40_000)), Ceiling(1_000, 1_000), True),
        (Price("p", "m", 0, Rates(image=40_000)), Ceiling(10, 0, images=1), False),
        (Price("p", "m", 0, Rates(request=1)), Ceiling(10, 10), False),
        (Price("free", "m", 0, Rates()), Ceiling(1_000, 1_000), False),
        (None, Ceiling(1_000, 1_000), False),
    ],
)
def test_a_price_in_units_that_a_request_has_none_of_measures_nothing(
    price: Price | None, ceiling: Ceiling, expected: bool
) -> None:
    assert unmeasured(price, ceiling) is expected


@given(PRICES, CEILINGS)
@settings(max_examples=300, deadline=None)
def test_a_price_measures_a_request_if_a_million_times_as_much_of_it_costs_something(
    price: Price, ceiling: Ceiling
) -> None:
    many = replace(
        ceiling,
        input=max(1, ceiling.input) * 10**6,
        output=ceiling.output * 10**6,
        foretold=ceiling.foretold * 10**6,
        audio_ms=ceiling.audio_ms * 10**6,
        beside=Usage(),
    )
    assert unmeasured(price, ceiling) is (price.rates != Rates() and most_cost(price, many) == 0)


def test_what_is_found_in_a_price_is_kept_with_it_and_not_by_the_words_of_callers() -> None:
    price = Price("p", "m", 0, Rates(input=MICRO), services=(("turbo", Rates(input=2 * MICRO)),))
    read = Ceiling(100, 0, writes=False, writes_hour=False)
    served = [replace(read, beside=Usage(tier=f"word-{number}")) for number in range(50)]
    assert {most_cost(price, ceiling) for ceiling in served} == {100}
    assert len(price.worked_out) == 1
    assert most_cost(price, replace(read, beside=Usage(tier="turbo"))) == 200
    assert most_cost(replace(price, rates=Rates(input=3 * MICRO), services=()), read) == 300
