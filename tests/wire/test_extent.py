"""The most that a request can make its provider read and generate, by the rules that providers publish."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.wire.endpoints import ENDPOINTS
from server.wire.extent import HIDDEN, HOSTED, NOTHING, Ceiling, Extent, extent_of, most
from server.wire.media import media_in
from server.wire.published import answers_at_once, is_openai, may_think, published
from server.wire.request import read_request
from server.wire.sound import Sound
from server.wire.tokens import PER_MEDIUM, Prompt, prompt_of
from server.wire.usage import Usage
from tests.wire.sounds import wav


def png(width: int, height: int) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(20)


def jpeg(width: int, height: int, notes: int = 0) -> bytes:
    exif = b"\xff\xe1" + struct.pack(">H", notes + 2) + bytes(notes) if notes else b""
    size = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8" + b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0" + bytes(9) + exif + size


def packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


def image_url(data: bytes, detail: str = "auto") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{packed(data)}", "detail": detail}}


def source(data: bytes) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": packed(data)}}


def turns(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def picture_tokens(model: str, width: int, height: int, detail: str = "auto") -> int:
    (medium,) = media_in(turns(image_url(png(width, height), detail)))
    return medium.most_tokens(published(model))


@pytest.mark.parametrize(
    ("model", "width", "height", "tokens"),
    [  # from the providers' own examples and from bills that were published
        ("gpt-4o", 1024, 1024, 765),
        ("gpt-4o", 2048, 4096, 1105),
        ("gpt-4o-mini", 512, 512, 8500),
        ("o3", 512, 512, 225),
        ("o4-mini", 1024, 1024, 1762),
        ("gpt-4.1-mini", 4000, 1474, 2489),
        ("gpt-6-astra", 1024, 1024, 1229),
        ("gpt-6-astra", 3840, 2160, 9792),
        ("gpt-6-astra", 4032, 3024, 14364),
        ("gpt-5.5", 1920, 1080, 2448),
    ],
)
def test_a_picture_has_at_least_the_tokens_that_were_billed(model: str, width: int, height: int, tokens: int) -> None:
    assert tokens <= picture_tokens(model, width, height) <= 1.05 * tokens + 10


@pytest.mark.parametrize(
    ("model", "width", "height", "tokens"),
    [
        ("claude-opus-5-5", 1920, 1080, 2_768),
        ("claude-opus-5-5", 4032, 3024, 4_005),
        ("claude-haiku-4-5", 256, 256, 165),
        ("claude-haiku-4-5", 4032, 3024, 1_661),
        ("gemini-3-pro", 1024, 1024, 1_090),
        ("openai/gpt-4o", 1024, 1024, 765),
        ("pixtral-12b", 1024, 1024, 4_096),
    ],
)
def test_a_picture_is_never_taken_for_less(model: str, width: int, height: int, tokens: int) -> None:
    assert picture_tokens(model, width, height) >= tokens


def test_low_detail_is_cheap_only_where_the_model_knows_it() -> None:
    assert picture_tokens("gpt-4o", 4000, 4000, "low") == 85
    assert picture_tokens("claude-opus-5", 4000, 4000, "low") > 4_000


@pytest.mark.parametrize("make", [png, gif, jpeg])
@pytest.mark.parametrize("wrap", [image_url, source])
def test_a_size_is_read_from_the_head(make: Any, wrap: Any) -> None:
    (medium,) = media_in(turns(wrap(make(640, 480))))
    assert (medium.kind, medium.width, medium.height) == ("picture", 640, 480)


def test_a_size_behind_long_notes_is_read_too() -> None:
    (medium,) = media_in(turns(image_url(jpeg(640, 480, notes=40_000))))
    assert (medium.width, medium.height) == (640, 480)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "input_image", "image_url": "https://example.org/a.png"},
        {"type": "input_image", "file_id": "file-1"},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        image_url(b"no picture"),
        image_url(png(640, 480)[:12]),
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}},
        {"type": "image_url", "image_url": 5},
        {"type": "image"},
    ],
)
def test_a_picture_of_unknown_size_is_a_large_one(part: dict[str, Any]) -> None:
    (medium,) = media_in(turns(part))
    assert (medium.width, medium.height) == (0, 0)
    assert medium.most_tokens(published("gpt-4o")) >= 765
    assert medium.most_tokens(published("claude-opus-5")) >= 4_784


@pytest.mark.parametrize(
    "part",
    [
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}},
        {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg=="}},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "video_url", "video_url": {"url": "https://example.org/a.mp4"}},
    ],
)
def test_a_file_may_fill_the_context_window(part: dict[str, Any]) -> None:
    (medium,) = media_in(turns(part))
    assert medium.most_tokens(published("gpt-4o")) == 128_000


def test_a_document_whose_text_stands_in_the_request_is_text() -> None:
    assert media_in(turns({"type": "document", "source": {"type": "text", "data": "hello"}})) == ()


def test_a_recording_in_a_prompt_is_measured() -> None:
    (medium,) = media_in(turns({"type": "input_audio", "input_audio": {"data": packed(wav(10)), "format": "wav"}}))
    assert medium.sound == Sound(10_000, 10_000, 10_000)
    assert medium.most_tokens(published("gpt-audio")) >= 100


def test_media_are_found_in_the_results_of_tools() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [source(png(1, 1)), source(png(2, 2))]}
    assert [(each.width, each.height) for each in media_in(turns(result))] == [(1, 1), (2, 2)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["image", "image_url", "file"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "source", "data", "image_url", "content", "audio"]), inner, max_size=4
        )
    ),
)


@pytest.mark.slow
@given(JSON, st.sampled_from(["chat", "messages", "responses", "images", "speech", "transcriptions"]))
def test_no_document_makes_it_fail(value: Any, kind: str) -> None:
    names = ("messages", "input", "tools", "n", "size", "quality", "speed", "prompt", "partial_images")
    extent = extent_of(kind, dict.fromkeys(names, value))
    assert most(Prompt(), extent, "gpt-4o", 0, 10, 1).tokens >= 0


# --- texts


def text_ceiling(text: str, model: str, counted: int) -> int:
    return most(Prompt((text,)), NOTHING, model, counted, 0, 1).input


def test_a_text_of_openai_is_held_as_it_was_counted_and_a_little_more() -> None:
    assert text_ceiling("x" * 4_000, "gpt-4o", 1_000) == 1_051


def test_a_text_of_others_may_have_twice_the_tokens_but_none_without_a_byte() -> None:
    assert text_ceiling("x" * 4_000, "claude-opus-5", 1_000) == 2_001
    assert text_ceiling("x" * 1_500, "claude-opus-5", 1_000) == 1_500
    assert text_ceiling("ü" * 600, "mistral-large", 1_000) == 1_200


def test_what_was_not_counted_has_a_token_for_each_byte() -> None:
    """Words first and noise afterwards: the tokenizer takes the noise to be as dense as the words."""
    assert text_ceiling("x" * 1_000_001, "gpt-6-sol", 200_000) == 1_000_001


def test_media_are_counted_once_and_by_their_rule() -> None:
    document = {"messages": turns(image_url(png(1024, 1024)), image_url(png(1024, 1024)))}
    prompt = prompt_of("chat", document)
    assert (prompt.media, prompt.fixed) == (2, 2 * PER_MEDIUM + 7)
    extent = extent_of("chat", document)
    assert most(prompt, extent, "gpt-4o", prompt.fixed, 0, 1).input == 7 + 2 * 765 + HIDDEN


def test_what_the_provider_has_kept_may_fill_the_context_window() -> None:
    extent = extent_of("responses", {"input": "go on", "previous_response_id": "resp_1"})
    assert most(Prompt(), extent, "gpt-4o", 10, 0, 1).input == 128_000


@pytest.mark.parametrize(
    ("path", "more", "whole"),
    [
        ("responses", {"input": [{"type": "item_reference", "id": "msg_1"}]}, True),
        ("responses", {"input": [{"id": "msg_1"}]}, True),
        ("responses", {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, True),
        ("chat/completions", {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, True),
        ("chat/completions", {"messages": [{"role": "user", "content": "x"}], "cached_content": "c/1"}, True),
        ("responses", {"input": "x", "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, False),
        ("responses", {"input": "x"}, False),
    ],
)
def test_a_few_bytes_that_name_a_kept_item_are_held_as_all_that_it_may_hold(
    path: str, more: dict[str, Any], whole: bool
) -> None:
    request = read_request(ENDPOINTS[f"/v1/{path}"], orjson.dumps({"model": "gpt-4o", **more}), "application/json")
    assert (most(Prompt(), request.extent, "gpt-4o", 10, 0, 1).input == 128_000) is whole


def test_a_conversation_that_may_be_compacted_is_read_and_answered_twice() -> None:
    """Anthropic bills the compaction, and then the answer: 248,000 micro-USD were billed here as 33,000."""
    kinds = ("clear_tool_uses_20250919", "compact_20260112")
    plain, compacting = (extent_of("messages", {"context_management": {"edits": [{"type": kind}]}}) for kind in kinds)
    held, twice = (most(Prompt((), 500), each, "claude-opus-5", 500, 100, 1) for each in (plain, compacting))
    assert (twice.input, twice.generated) == (2 * held.input, 2 * held.generated)


@pytest.mark.parametrize(("tools", "more"), [("", 0), ("web_search=3", HOSTED)])
def test_tools_of_the_provider_read_what_is_not_in_the_request(tools: str, more: int) -> None:
    ceiling = most(Prompt((), 10), NOTHING, "gpt-6-sol", 10, 0, 1, Usage(tools=tools))
    assert ceiling.input == 10 + more
    assert ceiling.beside.tools == tools


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("responses", {"input": [{"type": "reasoning", "encrypted_content": "x" * 300, "summary": []}]}),
        ("messages", {"messages": [{"content": [{"type": "thinking", "thinking": "", "signature": "x" * 300}]}]}),
    ],
)
def test_reasoning_that_is_sent_again_is_read(kind: str, document: dict[str, Any]) -> None:
    assert most(Prompt(), extent_of(kind, document), "gpt-5", 0, 0, 1).input == 100


# --- what is generated


def test_what_a_prediction_foretells_wrongly_is_generated_too() -> None:
    extent = extent_of("chat", {"messages": [], "prediction": {"type": "content", "content": "x" * 1_000}})
    ceiling = most(Prompt(), extent, "gpt-4o", 0, 100, 2)
    assert ceiling.output == 100
    assert ceiling.generated >= 2 * 1_100


@pytest.mark.parametrize(
    ("field", "value", "thinks"),
    [
        ("thinking", {"type": "enabled", "budget_tokens": 1_024}, True),
        ("thinking", {"type": "adaptive"}, True),
        ("thinking", {"type": "disabled"}, False),
        ("reasoning_effort", "low", True),
        ("reasoning_effort", "none", False),
        ("reasoning", {"effort": "high"}, True),
        ("reasoning", {"effort": "none"}, False),
        ("reasoning", {"summary": "auto"}, False),
        ("reasoning", None, False),
    ],
)
def test_who_asks_a_model_to_reason(field: str, value: object, thinks: bool) -> None:
    assert extent_of("chat", {"messages": [], field: value}).thinks is thinks


@pytest.mark.parametrize(
    ("document", "each"),
    [
        ({"model": "gpt-image-1", "size": "1024x1024", "quality": "high"}, 4_160),
        ({"model": "gpt-image-1", "size": "1024x1536", "quality": "high"}, 6_240),
        ({"model": "gpt-image-1", "size": "1024x1024", "quality": "medium"}, 1_056),
        ({"model": "gpt-image-1", "size": "1024x1024", "quality": "low"}, 272),
        ({"model": "gpt-image-1", "size": "1024x1536", "quality": "low"}, 408),
        ({"model": "gpt-image-1"}, 6_240),
        ({"model": "gpt-image-1", "size": "auto", "quality": "auto"}, 6_240),
    ],
)
def test_pictures_are_held_by_size_and_quality(document: dict[str, Any], each: int) -> None:
    extent = extent_of("images", {**document, "prompt": "a cat", "n": 3})
    ceiling = most(Prompt(("a cat",)), extent, "gpt-image-1", 3, 0, 3)
    assert (ceiling.choices, ceiling.images) == (3, 3)
    assert each <= ceiling.output <= 1.03 * each + 10


def test_a_model_that_chooses_the_size_may_choose_its_largest() -> None:
    extent = extent_of("images", {"model": "gpt-image-2", "prompt": "a cat"})
    assert extent.picture_tokens > 30_000


def test_pictures_that_are_shown_early_cost_extra() -> None:
    plain, partial = (
        extent_of("images", {"model": "gpt-image-1", "prompt": "x", "partial_images": count}) for count in (0, 3)
    )
    assert partial.picture_tokens - plain.picture_tokens == 300


def test_all_choices_are_held() -> None:
    assert most(Prompt((), 10), NOTHING, "gpt-4o", 10, 500, 8) == Ceiling(10, 500, 8, writes=False, writes_hour=False)
    assert Ceiling(10, 500, 8).tokens == 4_010


def test_a_recording_is_held_in_time_and_in_tokens() -> None:
    ceiling = most(Prompt(), Extent(sound=Sound(60_000, 60_000, 60_000)), "whisper-1", 0, 0, 1)
    assert ceiling.audio_ms == 60_000
    assert ceiling.input >= 1_000  # 0.006 USD at 6 USD a million


def test_speech_is_held_for_the_slowest_voice() -> None:
    extent = extent_of("speech", {"input": "x" * 900, "speed": 0.5})
    ceiling = most(Prompt(("x" * 900,)), extent, "gpt-4o-mini-tts", 113, 0, 1)
    assert ceiling.input >= 225
    assert ceiling.audio_ms == 360_000
    assert ceiling.output >= 6 * 1_250
    for characters, tokens in ((900, 225), (901, 226), (904, 226), (4, 1)):
        read = most(Prompt(), extent_of("speech", {"input": "x" * characters}), "gpt-4o-mini-tts", 113, 0, 1).input
        assert (read, type(read)) == (tokens, int)


# --- names


@pytest.mark.parametrize(
    ("model", "output"),
    [
        ("gpt-4o", 16_384),
        ("gpt-4o-2024-05-13", 4_096),
        ("gpt-4", 4_096),
        ("gpt-4-turbo-2024-04-09", 4_096),
        ("gpt-4.1-mini", 32_768),
        ("o3", 100_000),
        ("gpt-5", 128_000),
        ("openai/gpt-5-mini", 128_000),
        ("gpt-5-chat-latest", 16_384),
        ("claude-3-5-sonnet-20241022", 8_192),
        ("claude-sonnet-4-5", 64_000),
        ("some-model-of-ours", 4_096),
    ],
)
def test_the_longest_answer_of_a_model_is_known_by_its_name(model: str, output: int) -> None:
    assert published(model).output == output


@pytest.mark.parametrize("model", ["gpt-4o", "o3", "chatgpt-4o-latest", "openai/gpt-5", "ft:gpt-4o:x", "codex-mini"])
def test_names_of_openai(model: str) -> None:
    assert is_openai(model)


@pytest.mark.parametrize("model", ["claude-opus-5", "mistral-large", "m", "llama-3.1-8b", "opus", "olmo-2"])
def test_names_of_others(model: str) -> None:
    assert not is_openai(model)


@pytest.mark.parametrize(
    "model",
    [
        *("o3", "gpt-5", "gpt-5-mini", "gpt-6-sol", "openai/o4-mini", "deepseek-reasoner"),
        # Since Opus 5 Anthropic's think unless the request forbids it, and show thoughts only if it asks for them.
        *("claude-opus-5", "claude-opus-5-5", "claude-haiku-5-5", "anthropic/claude-fable-5.1", "claude-mythos-5"),
    ],
)
def test_models_that_reason_in_silence(model: str) -> None:
    assert may_think(model)


@pytest.mark.parametrize(
    "model", ["gpt-4o", "gpt-5-chat-latest", "gpt-5.1-chat-latest", "claude-haiku-4-5", "llama-3", "claude-3-haiku"]
)
def test_models_that_do_not_unless_asked(model: str) -> None:
    assert not may_think(model)
    assert answers_at_once(model)


@pytest.mark.parametrize(
    ("kind", "model", "body", "writes", "hour"),
    [
        ("chat", "gpt-4o", b'{"messages":[]}', False, False),
        ("chat", "gpt-4o", b'{"messages":["caf\\u00e9 \\"cache_control\\""]}', False, False),
        ("chat", "gpt-5.6-sol", b'{"messages":[]}', True, False),
        ("chat", "gpt-6-sol", b"{}", True, False),
        ("chat", "gpt-5.1", b"{}", False, False),
        ("chat", "anthropic/claude-opus-5", b"{}", False, False),
        ("chat", "a-deployment", b"{}", True, False),
        ("chat", "claude-opus-5", b'{"messages":[{"content":[{"cache_control":{"type":"ephemeral"}}]}]}', True, False),
        ("chat", "claude-opus-5", b'{"cache_control": {"ttl" : "1h"}}', True, True),
        ("chat", "claude-opus-5", b'{"\\u0063ache_control": {}}', True, True),
        ("responses", "gpt-6-sol", b'{"prompt_cache_options":{"ttl":"24h"}}', True, True),
        ("messages", "claude-opus-5", b"{}", True, False),
        ("messages", "claude-opus-5", b'{"system":[{"cache_control":{"type":"ephemeral","ttl":"5m"}}]}', True, False),
        ("messages", "claude-opus-5", b'{"system":[{"cache_control":{"type":"ephemeral","ttl":"1h"}}]}', True, True),
    ],
)
def test_a_cache_is_foreseen_where_it_can_be_billed(
    kind: str, model: str, body: bytes, writes: bool, hour: bool
) -> None:
    ceiling = most(Prompt(), extent_of(kind, {}, None, body), model, 10, 10, 1)
    assert (ceiling.writes, ceiling.writes_hour) == (writes, hour)
