"""What is known of models by their names: each row of the table, by the figures of the providers' pages."""

from __future__ import annotations

import pytest

from server.wire.published import (
    answers_at_once,
    area,
    either,
    is_of_others,
    is_openai,
    may_think,
    patches,
    published,
    tiles,
    writes_unasked,
)

# A name; its longest answer, its window, pictures of 1024 x 1024 and 4000 x 3000, one in low detail: tokens.
ROWS = [
    ("gpt-3.5-turbo", 4_096, 16_385, 4_196, 16_484, None),
    ("gpt-35-turbo", 4_096, 16_385, 4_196, 16_484, None),
    ("gpt-4-32k", 4_096, 32_768, 4_196, 16_484, None),
    ("gpt-4-turbo", 4_096, 128_000, 765, 765, 85),
    ("gpt-4-1106-preview", 4_096, 128_000, 765, 765, 85),
    ("gpt-4-0125-preview", 4_096, 128_000, 765, 765, 85),
    ("gpt-4-vision-preview", 4_096, 128_000, 765, 765, 85),
    ("gpt-4", 4_096, 8_192, 4_196, 16_484, None),
    ("gpt-4-0613", 4_096, 8_192, 4_196, 16_484, None),
    ("gpt-4o-2024-05-13", 4_096, 128_000, 765, 765, 85),
    ("gpt-4o-mini", 16_384, 128_000, 25_501, 25_501, 2_833),
    ("gpt-4o", 16_384, 128_000, 765, 765, 85),
    ("chatgpt-4o-latest", 16_384, 128_000, 765, 765, 85),
    ("gpt-4.5-preview", 16_384, 128_000, 765, 765, 85),
    ("gpt-audio", 16_384, 128_000, 765, 765, 85),
    ("gpt-4.1-mini", 32_768, 1_050_000, 1_659, 2_489, None),
    ("gpt-4.1-nano", 32_768, 1_050_000, 2_520, 3_779, None),
    ("gpt-4.1", 32_768, 1_050_000, 1_024, 1_536, None),
    ("o1-mini", 32_768, 128_000, 675, 675, 75),
    ("o1-preview", 32_768, 128_000, 675, 675, 75),
    ("o4-mini", 100_000, 200_000, 1_762, 2_642, None),
    ("o1", 100_000, 200_000, 675, 675, 75),
    ("o3-mini", 100_000, 200_000, 675, 675, 75),
    ("gpt-5-chat-latest", 16_384, 128_000, 630, 630, 70),
    ("gpt-5-mini", 128_000, 400_000, 1_659, 2_489, None),
    ("gpt-5-nano", 128_000, 400_000, 2_520, 3_779, None),
    ("gpt-5", 128_000, 400_000, 1_229, 1_844, None),
    ("gpt-5.1", 128_000, 400_000, 1_229, 1_844, None),
    ("gpt-5.4-mini", 128_000, 400_000, 1_659, 19_035, None),
    ("gpt-5.4-nano", 128_000, 400_000, 2_520, 28_905, None),
    ("gpt-5.4", 128_000, 1_050_000, 1_229, 14_100, None),
    ("gpt-6", 128_000, 1_050_000, 1_229, 14_100, None),
    ("gpt-12", 128_000, 1_050_000, 1_229, 14_100, None),
    ("codex-mini-latest", 128_000, 1_050_000, 1_229, 14_100, None),
    ("claude-3-5-sonnet-20241022", 8_192, 200_000, 1_499, 1_700, None),
    ("claude-3.5-haiku", 8_192, 200_000, 1_499, 1_700, None),
    ("claude-3-7-sonnet", 64_000, 200_000, 1_499, 1_700, None),
    ("claude-3.7-sonnet", 64_000, 200_000, 1_499, 1_700, None),
    ("claude-3-opus", 4_096, 200_000, 1_499, 1_700, None),
    ("claude-2.1", 4_096, 200_000, 1_499, 1_700, None),
    ("claude-v1", 4_096, 200_000, 1_499, 1_700, None),
    ("claude-opus-4-1", 32_000, 200_000, 1_499, 1_700, None),
    ("claude-opus-4-20250514", 32_000, 200_000, 1_499, 1_700, None),
    ("claude-sonnet-4-5", 64_000, 1_050_000, 1_499, 1_700, None),
    ("claude-haiku-4-5", 64_000, 1_050_000, 1_499, 1_700, None),
    ("claude-sonnet-4-20250514", 64_000, 1_050_000, 1_499, 1_700, None),
    ("claude-opus-4-5", 64_000, 1_050_000, 1_499, 4_884, None),
    ("claude-sonnet-5", 64_000, 1_050_000, 1_499, 4_884, None),
    ("gemini-1.5-pro", 8_192, 2_100_000, 4_295, 48_100, None),
    ("gemini-2.0-flash", 8_192, 2_100_000, 4_295, 48_100, None),
    ("gemini-2.5-pro", 65_536, 2_100_000, 4_295, 48_100, None),
    ("gemini-3-pro", 65_536, 2_100_000, 4_295, 48_100, None),
    ("deepseek-chat", 8_192, 131_072, 4_196, 16_484, None),
    ("some-model", 4_096, 2_100_000, 4_196, 16_484, None),
]


@pytest.mark.parametrize(("model", "output", "window", "square", "photo", "low"), ROWS)
def test_a_name_has_the_figures_of_its_row(
    model: str, output: int, window: int, square: int, photo: int, low: int | None
) -> None:
    for name in (model, model.upper(), f"owner/{model}"):
        row = published(name)
        assert (row.output, row.window, row.low) == (output, window, low)
        assert (row.picture(1024, 1024), row.picture(4000, 3000), row.picture(3000, 4000)) == (square, photo, photo)


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [
        (512, 512, 100 + 1 * 10),
        (513, 512, 100 + 2 * 10),
        (768, 768, 100 + 4 * 10),
        (4096, 512, 100 + 4 * 10),  # 2048 x 256
        (2048, 4096, 100 + 6 * 10),  # 768 x 1536
        (100, 100, 100 + 1 * 10),  # nothing is made larger
        (5000, 0, 100),
    ],
)
def test_a_picture_is_fitted_twice_and_counted_in_tiles(width: int, height: int, tokens: int) -> None:
    assert tiles(100, 10)(width, height) == tokens


@pytest.mark.parametrize(
    ("width", "height", "all_of_them", "most"),
    [(32, 32, 2, 2), (33, 32, 3, 3), (320, 320, 150, 60), (1, 1, 2, 2)],
)
def test_a_picture_is_counted_in_patches_up_to_a_bound(width: int, height: int, all_of_them: int, most: int) -> None:
    assert patches(1.5)(width, height) == all_of_them
    assert patches(1.5, 40)(width, height) == most


def test_a_picture_is_counted_by_its_area_up_to_a_bound_and_by_the_dearer_of_two_rules() -> None:
    assert [area(100, 50)(width, 10) for width in (10, 11, 500, 600)] == [101, 102, 150, 150]
    assert either(area(100, 50), tiles(101, 0))(10, 10) == 101
    assert either(area(100, 50), tiles(101, 0))(30, 10) == 103


OTHERS = (
    "claude-opus-5 mistral-large mixtral-8x7b codestral-latest gemini-3-pro gemma-3 meta/llama-3.1 qwen3-32b grok-4"
    " deepseek-chat command-r phi-4 glm-4.6 kimi-k2 sonar-pro nova-pro yi-34b granite-3 nemotron-70b jamba-large"
    " ministral-8b minimax-m1 devstral-small magistral-medium pixtral-12b olmo-2 smollm2 qwq-32b"
)


@pytest.mark.parametrize("model", OTHERS.split())
def test_names_of_other_makers(model: str) -> None:
    assert is_of_others(model) and not is_openai(model)


@pytest.mark.parametrize("model", ["gpt-4o", "o3", "openai/gpt-5", "a-deployment", "my-claude", "", "codex-mini"])
def test_a_name_that_may_be_a_deployment_of_openais_is_none_of_others(model: str) -> None:
    assert not is_of_others(model)


@pytest.mark.parametrize(
    ("models", "thinks", "at_once"),
    [
        ("o1 o3-mini gpt-5 gpt-5.4 gpt-6 gpt-12 gpt-oss-120b codex-mini deepseek-r1 deepseek-v4 qwq-32b", True, False),
        ("qwen3-32b claude-sonnet-5 claude-opus-9 gemini-2.5-pro gemini-3 grok-3-mini grok-4 magistral", True, False),
        ("glm-4.6 kimi-k2 minimax-m1 sonar-reasoning sonar-deep-research claude-fable-5", True, False),
        ("gpt-3.5-turbo gpt-4 gpt-4o gpt-4.1 chatgpt-4o-latest gpt-5-chat gpt-5.2-chat claude-3-opus", False, True),
        ("claude-opus-4-5 llama-3 gemma-3 mistral-large mixtral-8x7b codestral", False, True),
        ("grok-3 gemini-2.0-flash deepseek-chat sonar-pro a-deployment qwen2.5", False, False),
    ],
)
def test_who_may_reason_in_silence_and_who_answers_at_once(models: str, thinks: bool, at_once: bool) -> None:
    assert {each: (may_think(each), answers_at_once(each)) for each in models.split()} == dict.fromkeys(
        models.split(), (thinks, at_once)
    )


@pytest.mark.parametrize(
    ("models", "unasked"),
    [
        ("gpt-5.6 gpt-5.9-mini gpt-5.10 gpt-6 gpt-6-sol qwen3-max a-deployment", True),
        ("gpt-3.5 gpt-4o gpt-5 gpt-5-mini gpt-5.5 gpt-oss-20b chatgpt-4o-latest o3 claude-opus-5 gemini-3", False),
        ("gemma-3 llama-3 mistral-large mixtral-8x7b codestral deepseek-chat grok-4 command-r phi-4", False),
    ],
)
def test_whose_cache_is_billed_though_no_request_names_it(models: str, unasked: bool) -> None:
    assert {each: writes_unasked(each) for each in models.split()} == dict.fromkeys(models.split(), unasked)
