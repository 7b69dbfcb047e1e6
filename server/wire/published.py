"""The published facts about models: the longest answer, the context window, how a picture is counted.

A row holds for the names that its pattern matches from their beginning, behind an owner's name ("openai/gpt-4o"); the
first row that matches counts. The rows serve upper bounds, so where a provider's pages and its bills differ, the larger
figure stands here. What is not listed has the last row's figures, which are cautious: a short answer, because a server
refuses a bound above its model's, and a large window. As of November 2026; OpenAI: "Images and vision", "Models";
Anthropic: "Vision", "Models overview"; Google: "Token counting".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

# Tokens of a picture of this width and height, in pixels.
Rule = Callable[[int, int], int]

LARGEST = 8_192  # pixels of a side: what is taken for a picture whose size cannot be read


@dataclass(frozen=True, slots=True)
class Published:
    """Figures in tokens. `low` are those of a picture that is asked for with `detail: low`."""

    output: int
    window: int
    picture: Rule
    low: int | None = None


# Models that do not answer a chat: other kinds of models, and those that only other routes serve.
_NO_CHAT = re.compile(
    r"embed|whisper|tts|transcri|dall-e|image|sora|veo|imagen|moderation|realtime|audio|rerank|guard|ocr|"
    r"davinci|babbage|^gpt-3\.5-turbo-instruct|^(?:gpt|o\d)-?\S*-pro\b|codex|computer-use|deep-research|search",
    re.IGNORECASE,
)


def tiles(base: int, each: int) -> Rule:
    """OpenAI's tiles: scaled into 2,048 x 2,048, then the short side to 768, then counted in squares of 512."""

    def count(width: int, height: int) -> int:
        shrink = min(1.0, 2_048 / max(width, height))
        shrink = min(shrink, 768 / min(width, height)) if min(width, height) else shrink
        return base + each * _up(width * shrink, 512) * _up(height * shrink, 512)

    return count


def patches(each: float, most: int | None = None) -> Rule:
    """OpenAI's patches of 32 x 32 pixels, `most` of them at most, times what the model makes of one."""

    def count(width: int, height: int) -> int:
        found = _up(width, 32) * _up(height, 32)
        return _up(each * (found if most is None else min(found, most)), 1)

    return count


def area(pixels: int, most: int) -> Rule:
    """A token for so many pixels, `most` at most; what stands around a picture is less than a hundred tokens."""
    return lambda width, height: min(_up(width * height, pixels), most) + 100


def either(*rules: Rule) -> Rule:
    """The larger one, where a provider has changed its rule."""
    return lambda width, height: max(rule(width, height) for rule in rules)


def _up(amount: float, unit: int) -> int:
    return int(-(-amount // unit))


_M = 1_050_000
_ROWS: tuple[tuple[str, Published], ...] = (
    (r"gpt-3\.5|gpt-35", Published(4_096, 16_385, area(256, 16_384))),
    (r"gpt-4-32k", Published(4_096, 32_768, area(256, 16_384))),
    (r"gpt-4-(turbo|1106|0125|vision)", Published(4_096, 128_000, tiles(85, 170), 85)),
    (r"gpt-4(-0|$)", Published(4_096, 8_192, area(256, 16_384))),
    (r"gpt-4o-2024-05-13", Published(4_096, 128_000, tiles(85, 170), 85)),
    (r"gpt-4o-mini", Published(16_384, 128_000, tiles(2_833, 5_667), 2_833)),
    (r"gpt-4o|chatgpt-4o|gpt-4\.5|gpt-audio", Published(16_384, 128_000, tiles(85, 170), 85)),
    (r"gpt-4\.1-mini", Published(32_768, _M, patches(1.62, 1_536))),
    (r"gpt-4\.1-nano", Published(32_768, _M, patches(2.46, 1_536))),
    (r"gpt-4\.1", Published(32_768, _M, either(tiles(85, 170), patches(1.0, 1_536)))),
    (r"o1-(mini|preview)", Published(32_768, 128_000, tiles(75, 150), 75)),
    (r"o4-mini", Published(100_000, 200_000, patches(1.72, 1_536))),
    (r"o\d", Published(100_000, 200_000, tiles(75, 150), 75)),
    (r"gpt-5-chat", Published(16_384, 128_000, tiles(70, 140), 70)),
    (r"gpt-5-mini", Published(128_000, 400_000, patches(1.62, 1_536))),
    (r"gpt-5-nano", Published(128_000, 400_000, patches(2.46, 1_536))),
    (r"gpt-5(\.1)?(?![.\d])", Published(128_000, 400_000, either(tiles(70, 140), patches(1.2, 1_536)))),
    (r"gpt-5\.\d+-mini", Published(128_000, 400_000, patches(1.62))),
    (r"gpt-5\.\d+-nano", Published(128_000, 400_000, patches(2.46))),
    (r"gpt-[5-9]|gpt-\d\d|codex", Published(128_000, _M, patches(1.2))),
    (r"claude-3-5|claude-3\.5", Published(8_192, 200_000, area(750, 1_600))),
    (r"claude-3-7|claude-3\.7", Published(64_000, 200_000, area(750, 1_600))),
    (r"claude-3|claude-2|claude-v", Published(4_096, 200_000, area(750, 1_600))),
    (r"claude-opus-4-[01]|claude-opus-4-20", Published(32_000, 200_000, area(750, 1_600))),
    (r"claude-(sonnet|haiku)-4-[05]|claude-sonnet-4-20", Published(64_000, _M, area(750, 1_600))),
    (r"claude", Published(64_000, _M, area(750, 4_784))),
    (r"gemini-(1|2\.0)", Published(8_192, 2 * _M, area(250, 65_536))),
    (r"gemini", Published(65_536, 2 * _M, area(250, 65_536))),
    (r"deepseek", Published(8_192, 131_072, area(256, 16_384))),
    (r"", Published(4_096, 2 * _M, area(256, 16_384))),
)
_COMPILED = tuple((re.compile(pattern), row) for pattern, row in _ROWS)

_OPENAI = re.compile(r"gpt-|chatgpt|o\d|codex|computer-use|ft:")
_OTHERS = re.compile(
    r"claude|mistral|mixtral|ministral|minimax|codestral|devstral|magistral|pixtral|gemini|gemma|llama|qwen|qwq|deepseek|grok|command"
    r"|phi-|glm|kimi|sonar|nova|yi-|olmo|smollm|granite|nemotron|jamba"
)
_THINKS = re.compile(
    r"o\d|gpt-5(?!(?:\.\d)?-chat)|gpt-[6-9]|gpt-\d\d|gpt-oss|codex|deepseek-(r|v[4-9])|deepseek-reasoner|qwq|qwen3"
    r"|claude-(fable|mythos|[a-z]+-[5-9])|gemini-(2\.5|[3-9])|grok-(3-mini|[4-9])|magistral|glm-[4-9]|kimi-k2|minimax-m|sonar-(reasoning|deep)"
)
# Of these it is known that they answer at once, unless they are asked to reason.
_ANSWERS = re.compile(
    r"gpt-3|gpt-4|chatgpt-4|gpt-5(\.\d)?-chat|claude-(\d|[a-z]+-[1-4])|llama|gemma|mistral-|mixtral|codestral"
)

# These bill a cache only if the request asks for it; OpenAI's models bill any cache from 5.6 on.
_WRITES_ASKED = re.compile(
    r"gpt-3|gpt-4|gpt-5(?!\.[6-9]|\.\d\d)|gpt-oss|chatgpt-4|o\d|claude|gemini|gemma|llama|mistral|mixtral|codestral|deepseek"
    r"|grok|command|phi-"
)


@lru_cache(maxsize=4_096)
def published(model: str) -> Published:
    """The published facts about a model of this name."""
    name = _bare(model)
    return next(row for pattern, row in _COMPILED if pattern.match(name))


def is_openai(model: str) -> bool:
    """Whether the name is one of OpenAI's, whose tokenizers are known here."""
    return _OPENAI.match(_bare(model)) is not None


def is_of_others(model: str) -> bool:
    """Whether the name is one of another maker's, whose servers bound a chat by `max_tokens`.

    An unknown name may be a deployment of an OpenAI model, and those that reason refuse that field.
    """
    return _OTHERS.match(_bare(model)) is not None


def may_think(model: str) -> bool:
    """Whether models of this name reason in silence without being asked to."""
    return _THINKS.match(_bare(model)) is not None


def answers_at_once(model: str) -> bool:
    """Whether models of this name do not reason unless they are asked to."""
    return _ANSWERS.match(_bare(model)) is not None


def chats(model: str) -> bool:
    """Whether a model of this name is expected to answer a chat."""
    return _NO_CHAT.search(model) is None


def writes_unasked(model: str) -> bool:
    """Whether models of this name may write to a cache, and bill it, though the request names none."""
    return _WRITES_ASKED.match(_bare(model)) is None


def _bare(model: str) -> str:
    return model.rsplit("/", 1)[-1].lower()
