"""The extent of a request beside text: media to read, pictures to make, sound to write down or to speak.

`Extent` is read once, with the body, and says nothing about money. `most` turns it into the most that the provider can
bill for the request, before it has answered: an upper bound for each kind of usage, by the rules that the providers
publish (`published.py`, `media.py`). What remains uncertain:

* Only OpenAI's tokenizers are known here. Texts for other models are taken to have at most twice the tokens that were
  counted, and never more than one token a byte, which holds for every tokenizer that works on bytes.
* What a hosted tool reads in its turns (pages, files) is not in the request: a fixed amount stands for it.
* A conversation that the provider may compact is taken to be compacted once: read twice, and answered twice.
* Reasoning that is sent again, sealed, has about a token for four bytes: one for three characters is held.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from server.wire.media import Medium, media_in
from server.wire.published import is_openai, published, writes_unasked
from server.wire.records import made_quickly
from server.wire.sound import Sound
from server.wire.tokens import PER_MEDIUM, PLAIN_TURN, Prompt
from server.wire.usage import Usage

COUNTED = 1_000_000  # characters; beyond, `Tokenizer` takes the rest to be as dense, and so a byte stands for a token
OWN_MARGIN, OTHER_MARGIN = 1.05, 2.0  # over what was counted, for OpenAI's tokenizers and for others
HIDDEN = 1_000  # tokens that a provider adds to a prompt by itself, where it has tools or pictures
HOSTED = 50_000  # tokens that a provider's own tools read: half a dozen searches, or a long page
SEALED = 3  # characters of sealed reasoning for a token
HEARD = 17  # tokens a second that transcription bills for sound, rounded up from 6 USD a million and 0.006 a minute
WRITTEN = 5  # tokens a second that people speak
SPOKEN = 21  # tokens a second of spoken answers: 12 USD a million and 0.015 a minute
CHARACTERS_A_TOKEN = 4  # where speech is billed by the character (`accounting/provider_prices.py`)
SLOWEST = 5  # characters a second that a voice speaks at the least; 15 is usual
USUAL = 15

# A picture that is made has up to 6,240 tokens at 1024 x 1536 in high quality: one for 252 pixels.
PICTURE_PIXELS = {"low": 3_840, "medium": 992, "standard": 992}
DEAREST_PIXELS = 248
LARGEST_PICTURE = 3_840 * 2_160
USUAL_PICTURE = 1_024 * 1_536
PARTIAL = 100  # tokens of a picture that is shown before it is ready
USUAL_FRAMES, MOST_FRAMES = 9, 16  # of a moving picture; each is taken for a whole one
SVG_AUTHORED = (
    32_768  # tokens that a model writes to draw in SVG: no page gives a bound, so a long answer stands for it
)
# The fields beside the turns of a conversation that are looked at.
BESIDE_TURNS = frozenset(
    {"tools", "functions", "prediction", "thinking", "reasoning", "reasoning_effort", "context_management"}
)
_THINKING = ("thinking", "reasoning", "reasoning_effort")
_KEPT = ("previous_response_id", "conversation", "prompt")
# The objects that the model reads, by the fields that name them (`stored.Reference`). Files stand among the media.
_READ_WHOLE = frozenset({"item_reference", "input[].id", "audio", "cached_content", "cachedContent", "preset"})
_SIZE = re.compile(r"(\d{2,5})x(\d{2,5})")
# How a body names a cache, at any depth; an escape might spell any of these words.
_CACHE = re.compile(rb'"(?:cache_control|cachePoint|prompt_cache_(?:breakpoint|options|retention))"|\\u00[2-7]')
_LONG = re.compile(rb'"(?:ttl|prompt_cache_retention)"\s*:\s*"(?!5m")|\\u00[2-7]')


NO_USAGE = Usage()


@made_quickly
@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most of each kind that a provider can bill for one request.

    `output` is the bound of one choice, and `foretold` what is billed beyond it; all of the `choices` are generated.
    """

    input: int
    output: int
    choices: int = 1
    foretold: int = 0
    images: int = 0
    audio_ms: int = 0
    beside: Usage = NO_USAGE  # hosted tools, each as often as it may be called, and the service that was asked for
    writes: bool = True  # what is read may be billed as written to a cache, also where the price names none
    writes_hour: bool = True  # and to one that keeps it for an hour

    @property
    def generated(self) -> int:
        """Tokens of all choices."""
        return (self.output + self.foretold) * self.choices

    @property
    def tokens(self) -> int:
        return self.input + self.generated


@dataclass(frozen=True, slots=True)
class Extent:
    """The media of a request. `pictures` are to be made, of `picture_tokens` each."""

    media: tuple[Medium, ...] = ()
    tools: bool = False
    sealed: int = 0  # characters of reasoning that is sent again
    predicted: int = 0  # bytes of an answer that is foretold: what is wrong with it is billed as output
    thinks: bool = False  # it asks the model to reason
    pictures: int = 0
    picture_tokens: int = 0
    sound: Sound | None = None  # to be written down
    characters: int = 0  # to be spoken
    speed: float = 1.0
    compacts: bool = False  # it lets the provider sum up the conversation and go on, and bill both turns
    writes: bool = False  # it names a cache to which its prompt is written, or its API has one of its own accord
    writes_hour: bool = False  # for longer than the usual five minutes

    def spoken_ms(self, characters_a_second: int) -> int:
        return round(self.characters / (characters_a_second * self.speed) * 1000)


NOTHING = Extent()


def extent_of(
    kind: str, document: Mapping[str, Any], sound: Sound | None = None, body: bytes = b"", uploads: int = 0
) -> Extent:
    """The extent of a request of this kind (`Endpoint.kind`). `sound`: its uploaded recording. Never raises.

    `uploads`: its uploaded pictures. Providers scale them before they read them, so each is taken for the largest.
    """
    found = _asked(kind, document, sound)
    found = replace(found, media=(Medium("picture"),) * uploads) if uploads else found
    writes = kind == "messages" or _CACHE.search(body) is not None
    return replace(found, writes=writes, writes_hour=_LONG.search(body) is not None) if writes else found


def with_kept(extent: Extent, fields: Iterable[str]) -> Extent:
    """The same for a request whose `fields` name kept objects: their length is not known here."""
    return extent if _READ_WHOLE.isdisjoint(fields) else replace(extent, media=(*extent.media, Medium("file")))


def _asked(kind: str, document: Mapping[str, Any], sound: Sound | None) -> Extent:
    if kind in ("chat", "messages", "count_tokens"):
        return _conversation(document, "messages", "system")
    if kind in ("responses", "compact", "input_tokens"):
        return _continuing(document, _conversation(document, "input"))
    if kind in ("images", "edits", "variations"):
        return Extent(pictures=_whole(document.get("n")) or 1, picture_tokens=_picture_tokens(document))
    if kind == "speech":
        return _speech(document)
    return Extent(sound=sound) if sound is not None else NOTHING


def most(
    prompt: Prompt, extent: Extent, model: str, counted: int | None, output: int, choices: int, beside: Usage = NO_USAGE
) -> Ceiling:
    """The ceiling of a request whose prompt has `counted` tokens, and whose choices are bounded by `output` each.

    Where nothing is counted (None), a text has a token for each byte, and a picture its most.
    `beside` are the hosted tools and the service that it asks for.
    """
    rules = published(model)
    media = sum(medium.most_tokens(rules) for medium in extent.media)
    hidden = (HIDDEN if extent.tools or extent.media else 0) + (HOSTED if beside.tools else 0)
    read = _text(prompt, model, counted) + media + hidden + extent.sealed // SEALED
    read = min(read, max(rules.window, counted or 0))
    if extent.pictures:
        return Ceiling(read, extent.picture_tokens, extent.pictures, images=extent.pictures)
    if extent.sound is not None:
        ms = extent.sound.most_ms
        return Ceiling(read + _tokens(ms, HEARD), _tokens(ms, WRITTEN), audio_ms=ms)
    if extent.characters:
        ms = extent.spoken_ms(SLOWEST)
        return Ceiling(max(read, -(-extent.characters // CHARACTERS_A_TOKEN)), _tokens(ms, SPOKEN), audio_ms=ms)
    writes, turns = extent.writes or writes_unasked(model), 2 if extent.compacts else 1
    return Ceiling(turns * read, output, turns * choices, extent.predicted, 0, 0, beside, writes, extent.writes_hour)


def _text(prompt: Prompt, model: str, counted: int | None) -> int:
    """The most tokens of its texts. `counted` includes a fixed amount for each medium, which is taken off again."""
    fixed = prompt.fixed - PER_MEDIUM * prompt.media
    in_bytes = prompt.text_bytes
    if counted is None or sum(map(len, prompt.texts)) > COUNTED:
        return fixed + in_bytes
    margin = OWN_MARGIN if is_openai(model) else OTHER_MARGIN
    return fixed + min(in_bytes, round((counted - prompt.fixed) * margin + 1))


def _conversation(document: Mapping[str, Any], *turns: str) -> Extent:
    if BESIDE_TURNS.isdisjoint(document) and all(map(is_plain, map(document.get, turns))):
        return NOTHING
    found = Extent(
        media=tuple(medium for name in turns for medium in media_in(document.get(name))),
        tools=bool(document.get("tools") or document.get("functions")),
        sealed=sum(map(_sealed, map(document.get, turns))),
        predicted=_predicted(document.get("prediction")),
        thinks=any(_asks_for(document.get(name)) for name in _THINKING),
        compacts=_compacts(document.get("context_management")),
    )
    return NOTHING if found == NOTHING else found


def is_plain(turns: Any) -> bool:
    """Whether the turns of a conversation are texts, without parts, calls, media or anything sealed."""
    if type(turns) is list:
        for turn in turns:
            if type(turn) is not dict or type(turn.get("content")) is not str or not turn.keys() <= PLAIN_TURN:
                return False
        return True
    return turns is None or type(turns) is str


def _compacts(management: Any) -> bool:
    """Other kinds of it only leave something out."""
    return type(management) in (dict, list) and b"compact" in orjson.dumps(management)


def _sealed(turns: Any) -> int:
    """Characters of sealed reasoning: in the items of a conversation, or in the blocks of its turns."""
    items = [item for item in turns if type(item) is dict] if type(turns) is list else []
    blocks = [block for item in items if type(item.get("content")) is list for block in item["content"]]
    parts = [*items, *(block for block in blocks if type(block) is dict)]
    found = (part.get(name) for part in parts for name in ("encrypted_content", "signature"))
    return sum(len(text) for text in found if type(text) is str)


def _predicted(prediction: Any) -> int:
    return len(orjson.dumps(prediction)) if type(prediction) is dict else 0


def _asks_for(value: Any) -> bool:
    """Whether a field that may ask for reasoning does."""
    if type(value) is dict:
        return value.get("type", "disabled") != "disabled" or value.get("effort", "none") not in ("none", None)
    return value not in (None, "none")


def _continuing(document: Mapping[str, Any], found: Extent) -> Extent:
    """The model also reads what the provider has kept; its length is not known, so it counts as a whole file."""
    if not any(document.get(name) for name in _KEPT):
        return found
    return replace(found, media=(*found.media, Medium("file")))


def _speech(document: Mapping[str, Any]) -> Extent:
    text, speed = document.get("input"), document.get("speed")
    characters = len(text) if type(text) is str else 0
    slowed = float(speed) if isinstance(speed, int | float) and 0.25 <= speed <= 4 else 1.0
    return Extent(characters=max(1, characters), speed=slowed)


def _picture_tokens(document: Mapping[str, Any]) -> int:
    size, quality, partial = document.get("size"), document.get("quality"), _whole(document.get("partial_images"))
    found = _SIZE.fullmatch(size) if type(size) is str else None
    pixels = int(found[1]) * int(found[2]) if found else _unsized(document.get("model"))
    each = PICTURE_PIXELS.get(quality, DEAREST_PIXELS) if type(quality) is str else DEAREST_PIXELS
    authored = SVG_AUTHORED if document.get("output_format") == "svg" else 0
    return -(-pixels // each) * _frames(document) + PARTIAL * partial + authored


def _frames(document: Mapping[str, Any]) -> int:
    """Pictures of a moving one."""
    if document.get("output_format") != "gif":
        return 1
    return min(_whole(document.get("frame_count")) or USUAL_FRAMES, MOST_FRAMES)


def _unsized(model: Any) -> int:
    """A model that chooses the size itself may choose the largest that it knows."""
    fixed = type(model) is str and re.search(r"gpt-image-1|chatgpt-image|dall-e", model)
    return USUAL_PICTURE if fixed else LARGEST_PICTURE


def _whole(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


def _tokens(ms: int, a_second: int) -> int:
    return -(-ms * a_second // 1000)
