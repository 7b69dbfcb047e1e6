"""What providers list: the right list at the right time, agreeing with the library that keeps the lists."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random

import pytest
from genai_prices import Usage as ListedUsage
from genai_prices import calc_price
from genai_prices.data import providers
from genai_prices.types import ModelInfo

from server.accounting.price_catalogue import Catalogue
from server.accounting.provider_prices import CHARACTERS_A_TOKEN
from server.accounting.provider_prices import listed as prices_of
from server.config.specs import UpstreamSpec
from server.ledger.prices import Base, Price, PriceTier, Rates, Timeline, cost
from server.ledger.when import instant
from server.wire.usage import Usage

NOW = instant("2026-11-21T00:00Z")

OPENAI = "https://api.openai.com/v1"
ANTHROPIC = "https://api.anthropic.com/v1"
DEEPSEEK = "https://api.deepseek.com/v1"
ELSEWHERE = "https://llm.example.org/v1"


def upstream(base_url: str, *dialects: str, models: tuple[str, ...] = ()) -> UpstreamSpec:
    return UpstreamSpec(name="u", dialects=dialects or ("openai",), base_url=base_url, keys=(), models=models)


def listed(*upstreams: UpstreamSpec) -> Base:
    return Catalogue.load().base(upstreams)


def id_of(base: Base, model: str, at_ms: int = NOW) -> str | None:
    price = base(model, at_ms)
    return price.id if price else None


# ---- the same cost as by the library ----


def by_the_library(provider: str, model: ModelInfo, usage: Usage, at_ms: int) -> int:
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    said = vars(model.get_prices(moment))
    told = {"input_tokens": usage.input, "output_tokens": usage.output, "cache_read_tokens": usage.cached}
    told["cache_write_tokens"] = usage.cache_write
    told |= {f"output_{kind}_tokens": usage.output for kind in ("image", "audio") if f"output_{kind}_mtok" in said}
    told["input_characters"] = usage.input * CHARACTERS_A_TOKEN
    sound = {"audio_seconds": Decimal(usage.audio_ms) / 1000}
    usd = calc_price(
        ListedUsage(**told, **sound), name_of(model), provider_id=provider, genai_request_timestamp=moment
    ).total_price
    return int((usd * 1_000_000).to_integral_value(ROUND_HALF_EVEN))


def name_of(model: ModelInfo) -> str:
    """A name that callers use; a tuned model's list entry is only its beginning."""
    return f"{model.id}-2024-08-06:ours" if model.id.startswith("ft:gpt-4o") else model.id


def some_usage(dice: Random) -> Usage:
    read = dice.choice([dice.randrange(2_000), dice.randrange(400_000)])
    cached = dice.choice([0, dice.randrange(read + 1)])
    written = dice.choice([0, dice.randrange(read - cached + 1)])
    output = dice.randrange(20_000)
    return Usage(read, cached, written, output, dice.randrange(output + 1), audio_ms=dice.randrange(10**6))


MODELS = [(each.id, model) for each in providers if each.id in ("openai", "anthropic") for model in each.models]


@pytest.mark.slow
@pytest.mark.parametrize(("provider", "url"), [("openai", OPENAI), ("anthropic", ANTHROPIC)])
def test_every_model_of_openai_and_anthropic_costs_what_the_library_computes(provider: str, url: str) -> None:
    dice, base = Random(4), listed(upstream(url))
    for model in [model for owner, model in MODELS if owner == provider] * 8:
        usage, at_ms = some_usage(dice), NOW - dice.randrange(3 * 365 * 86_400) * 1000
        price = base(name_of(model), at_ms)
        assert price is not None, model.id
        assert cost(price, usage) == by_the_library(provider, model, usage, at_ms), (model.id, usage, at_ms)


@pytest.mark.parametrize("model", ["deepseek-chat", "deepseek-reasoner", "deepseek-v4-flash", "deepseek-v4-pro"])
def test_a_price_for_some_hours_holds_all_day_if_it_is_the_dearer(model: str) -> None:
    base, usage = listed(upstream(DEEPSEEK)), Usage(input=10**6, cached=10**5, output=10**6)
    by_hour = [
        calc_price(
            ListedUsage(input_tokens=usage.input, cache_read_tokens=usage.cached, output_tokens=usage.output),
            model,
            provider_id="deepseek",
            genai_request_timestamp=datetime(2026, 11, 21, tzinfo=UTC) + timedelta(hours=hour),
        ).total_price
        for hour in range(24)
    ]
    price = base(model, NOW)
    assert price
    assert cost(price, usage) == max(by_hour) * 1_000_000
    assert min(by_hour) < max(by_hour)


@pytest.mark.slow
def test_no_model_of_any_provider_costs_less_than_the_library_computes() -> None:
    """By more than what rounding a rate of somebody's division loses: a micro-USD for each kind."""
    dice = Random(5)
    everything = [(provider, model) for provider in providers for model in provider.models]
    unknown = 0
    for provider, model in dice.sample(everything, 400):
        prices = prices_of(provider, model.id)
        if not prices:
            unknown += 1
            continue
        usage, at_ms = some_usage(dice), NOW - dice.randrange(3 * 365 * 86_400) * 1000
        found = Timeline(prices).at(at_ms)
        assert found is not None
        assert cost(found, usage) >= by_the_library(provider.id, model, usage, at_ms) - 3, (provider.id, model.id)
    assert unknown < 20


# ---- which list ----


def test_an_address_leads_to_its_providers_list() -> None:
    assert id_of(listed(upstream("https://openrouter.ai/api/v1")), "openai/gpt-5") == "genai:openrouter/openai/gpt-5"


def test_an_address_that_no_provider_lives_at_leads_to_the_dialects_own_list() -> None:
    base = listed(upstream(ELSEWHERE, "openai"))
    assert id_of(base, "gpt-5") == "genai:openai/gpt-5"
    assert id_of(base, "claude-sonnet-4-5") is None
    assert id_of(listed(upstream(ELSEWHERE, "anthropic", "openai")), "claude-sonnet-4-5") is not None


def test_a_list_is_never_guessed_by_the_models_name() -> None:
    base = listed(upstream(OPENAI))
    assert [base(model, NOW) for model in ("gemini-2.5-pro", "claude-sonnet-4-5", "mistral-large", "")] == [None] * 4
    assert listed()("gpt-5", NOW) is None


def test_an_upstreams_list_counts_only_for_the_models_that_it_serves() -> None:
    base = listed(upstream(OPENAI, models=("gpt-5",)))
    assert (id_of(base, "gpt-5"), id_of(base, "gpt-4o")) == ("genai:openai/gpt-5", None)


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5-2025-08-07", "GPT-5"])
def test_a_dated_name_has_the_price_of_its_model(model: str) -> None:
    assert id_of(listed(upstream(OPENAI)), model) == "genai:openai/gpt-5"


# ---- when ----


def test_the_second_in_which_a_price_changes_has_the_new_one_and_the_second_before_the_old() -> None:
    base, usage = listed(upstream(OPENAI)), Usage(input=1_000_000, output=1_000_000)
    before, after = base("o3", instant("2025-06-09T23:59:59Z")), base("o3", instant("2025-06-10T00:00Z"))
    assert before and after
    assert (before.id, cost(before, usage)) == ("genai:openai/o3", 50_000_000)
    assert (after.id, cost(after, usage)) == ("genai:openai/o3@2025-06-10", 10_000_000)
    assert base("o3", instant("2025-06-10T00:00Z") - 1) == before


def test_tiers_come_along_and_go_with_the_price_that_has_them() -> None:
    base, usage = listed(upstream(ANTHROPIC)), Usage(input=200_001)
    tiered, flat = (
        base("claude-opus-4-6", instant("2026-03-12T12:00Z")),
        base("claude-opus-4-6", instant("2026-03-13T12:00Z")),
    )
    assert tiered and flat
    assert (cost(tiered, usage), cost(flat, usage)) == (2_000_010, 1_000_005)


# ---- other services ----


@pytest.mark.parametrize("tier", ["priority", "fast", "flex"])
@pytest.mark.parametrize("model", ["gpt-5", "gpt-5-mini", "gpt-4.1", "o3"])
def test_a_service_costs_what_the_library_computes_or_its_factor(model: str, tier: str) -> None:
    usage, at_ms = Usage(100_000, cached=40_000, output=20_000, tier=tier), instant("2026-11-21T00:00Z")
    price = listed(upstream(OPENAI))(model, at_ms)
    assert price
    by_library = calc_price(
        ListedUsage(input_tokens=usage.input, cache_read_tokens=usage.cached, output_tokens=usage.output),
        model,
        provider_id="openai",
        genai_request_timestamp=datetime(2026, 11, 21, tzinfo=UTC),
        price_context={"service_tier": tier},
    ).total_price
    plain = cost(price, replace(usage, tier=""))
    if price.service(tier) is None:
        assert cost(price, usage) == plain * {"flex": 1, "priority": 2.5, "fast": 6}[tier]
    else:
        assert cost(price, usage) == by_library * 1_000_000
        assert (cost(price, usage) < plain) == (tier == "flex")


def test_anthropics_faster_service_has_the_rates_of_its_list() -> None:
    price = listed(upstream(ANTHROPIC))("claude-opus-5", NOW)
    assert price
    assert cost(price, Usage(1000, output=100, tier="fast")) == 2 * cost(price, Usage(1000, output=100))


def test_of_two_lists_a_service_has_rates_only_if_both_know_it() -> None:
    one = replace(price("a/m", input=1), services=(("priority", Rates(input=7)), ("flex", Rates(input=0))))
    other = replace(price("b/m", input=2), services=(("priority", Rates(input=5)),))
    found, _ = catalogue(a=[one], b=[other])
    both = found.base([upstream("a"), upstream("b")])("m", 0)
    assert both
    assert [(name, rates.input) for name, rates in both.services] == [("priority", 7)]


# ---- what is measured otherwise than it is billed ----


def test_a_model_that_gives_pictures_or_sound_is_billed_by_its_dearest_output() -> None:
    base = listed(upstream(OPENAI))
    assert [base(model, NOW).rates.output for model in ("gpt-image-1.5", "gpt-audio")] == [32_000_000, 64_000_000]  # type: ignore[union-attr]


def test_speech_that_is_billed_by_the_character_has_four_of_them_in_a_token() -> None:
    assert listed(upstream(OPENAI))("tts-1", NOW).rates.input == 60_000_000  # type: ignore[union-attr]


def test_what_says_that_it_is_free_is_free_and_has_an_id() -> None:
    price = listed(upstream(OPENAI))("omni-moderation-latest", NOW)
    assert price
    assert (price.id, price.rates) == ("genai:openai/moderation", Rates())


def test_a_model_whose_list_says_nothing_has_no_price() -> None:
    assert listed(upstream("https://openrouter.ai/api/v1"))("google/lyria-3-pro-preview", NOW) is None
    assert listed(upstream("https://api.mistral.ai/v1"))("mistral-ocr-latest", NOW) is None


# ---- several upstreams; the lists here are made up ----


def catalogue(**lists: Sequence[Price]) -> tuple[Catalogue, list[str]]:
    """Lists by the host's name; and every model that a list was asked for."""
    asked: list[str] = []

    def ask(host: str) -> Callable[[str], Sequence[Price]]:
        def prices(model: str) -> Sequence[Price]:
            asked.append(model)
            return [price for price in lists[host] if price.model == model]

        return prices

    return Catalogue(lambda base_url, dialects: [ask(base_url)]), asked


def price(name: str, valid_from: int = 0, **rates: int) -> Price:
    return Price(f"genai:{name}", "m", valid_from, Rates(**rates))  # type: ignore[arg-type]


def test_where_two_upstreams_differ_the_dearer_counts() -> None:
    cheap, dear = price("a/m", input=1, output=1), price("b/m", input=2, output=1)
    for first, second in (("a", "b"), ("b", "a")):
        found, _ = catalogue(a=[cheap], b=[dear])
        assert found.base([upstream(first), upstream(second)])("m", 0) == dear


def test_where_each_of_two_upstreams_is_dearer_in_something_the_dearest_of_each_kind_counts() -> None:
    found, _ = catalogue(a=[price("a/m", input=3, output=1)], b=[price("b/m", input=1, output=3)])
    both = found.base([upstream("a"), upstream("b")])("m", 0)
    assert both
    assert both.id == "genai:a/m|b/m"
    assert (both.rates.input, both.rates.output, both.rates.cached) == (3, 3, 3)


def test_an_upstream_whose_list_does_not_have_the_model_changes_nothing() -> None:
    found, _ = catalogue(a=[price("a/m", input=3)], b=[])
    assert found.base([upstream("a"), upstream("b")])("m", 0) == price("a/m", input=3)


def test_the_dearer_of_two_lists_is_found_anew_whenever_one_of_them_changes() -> None:
    a, b = [price("a/m", input=2), price("a/m@10", 10, input=4)], [price("b/m", input=3), price("b/m@20", 20, input=5)]
    base = catalogue(a=a, b=b)[0].base([upstream("a"), upstream("b")])
    assert [id_of(base, "m", moment) for moment in (0, 9, 10, 19, 20)] == [
        "genai:b/m",
        "genai:b/m",
        "genai:a/m@10",
        "genai:a/m@10",
        "genai:b/m@20",
    ]


def test_tiers_of_one_list_and_none_of_the_other_keep_the_dearer_on_both_sides() -> None:
    tiered = Price("genai:a/m", "m", 0, Rates(input=1_000_000, tiers=(PriceTier(10, Rates(input=4_000_000)),)))
    base = catalogue(a=[tiered], b=[price("b/m", input=3_000_000)])[0].base([upstream("a"), upstream("b")])
    found = base("m", 0)
    assert found
    assert [cost(found, Usage(input=read)) for read in (10, 11)] == [30, 44]


def test_a_list_is_asked_once_for_a_model_however_many_keys_and_requests_there_are() -> None:
    found, asked = catalogue(a=[price("a/m", input=3)])
    base = found.base([upstream("a"), upstream("a")])
    assert {id_of(base, "m", moment) for moment in range(100)} == {"genai:a/m"}
    assert asked == ["m"]


@pytest.mark.slow
def test_no_price_is_ever_asked_for_over_the_network() -> None:
    """In a process of its own, because what watches over it cannot be taken away again."""
    program = f"""
import sys
def watch(event, arguments):
    if event.startswith("socket."):
        raise SystemExit("the network was used: " + event)
sys.addaudithook(watch)
from server.accounting.price_catalogue import Catalogue
from server.config.specs import UpstreamSpec
spec = UpstreamSpec(name="u", dialects=("openai",), base_url="{OPENAI}", keys=())
assert Catalogue.load().base([spec])("gpt-5", {NOW}).id == "genai:openai/gpt-5"
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
