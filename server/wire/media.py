"""Pictures, recordings and files inside a prompt: what can be read of them without looking at more than their head.

A picture that is sent as base64 tells its size in its first bytes. One that is named by an address is fetched by the
provider, so nothing is known of it. A file's pages hold packed text and pictures of any number: only the model's
context window bounds what is read of it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import imagesize

from server.wire.published import LARGEST, Published
from server.wire.sound import Sound, sound_of

Kind = Literal["picture", "sound", "file"]

HEAD = 64 << 10  # characters of base64 that are unpacked: a photograph's notes stand before its size
TOKENS_A_SECOND = 32  # Google's; OpenAI makes 10 of a second that it is given
DEEPEST = 32  # parts inside parts; more is no prompt

_KINDS: dict[str, Kind] = {
    "image_url": "picture", "image": "picture", "input_image": "picture",
    "input_audio": "sound", "audio": "sound",
    "file": "file", "input_file": "file", "document": "file", "video_url": "file",
}  # fmt: skip
# What imagesize takes by its first bytes for a picture of a kind that providers read.
_HEADS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF8", b"RIFF")
_WRITTEN = ("text", "content")  # sources of a document that are no file


@dataclass(frozen=True, slots=True)
class Medium:
    """One of them. Sizes are pixels, 0 where they are unknown; `sound` is None where nothing is known of it."""

    kind: Kind
    width: int = 0
    height: int = 0
    low: bool = False
    sound: Sound | None = None

    def most_tokens(self, model: Published) -> int:
        """The most tokens that the model reads of it."""
        if self.kind == "picture":
            return self._picture(model)
        if self.sound is None:
            return model.window
        return min(model.window, self.sound.most_ms * TOKENS_A_SECOND // 1000 + TOKENS_A_SECOND)

    def _picture(self, model: Published) -> int:
        if self.low and model.low is not None:
            return model.low
        return model.picture(self.width or LARGEST, self.height or LARGEST)


def media_in(value: Any) -> tuple[Medium, ...]:
    """The media in the turns of a conversation. Never raises on odd values."""
    return tuple(_found(value, DEEPEST))


def _found(value: Any, depth: int) -> Iterator[Medium]:
    if type(value) is list and depth:
        for each in value:
            yield from _found(each, depth - 1)
    elif type(value) is dict and depth:
        name = value.get("type")
        kind = _KINDS.get(name) if type(name) is str else None
        if kind is not None and not _is_written(value):
            yield _medium(kind, value)
            return
        for each in value.values():
            if type(each) is list or type(each) is dict:
                yield from _found(each, depth - 1)


def _is_written(part: dict[str, Any]) -> bool:
    """Anthropic's documents whose text stands in the request itself are counted as text."""
    source = part.get("source")
    return part.get("type") == "document" and type(source) is dict and source.get("type") in _WRITTEN


def _medium(kind: Kind, part: dict[str, Any]) -> Medium:
    if kind == "picture":
        width, height = _size(_base64_of(part))
        return Medium(kind, width, height, low=_detail(part) == "low")
    if kind == "sound" and (data := _base64_of(part)):
        return Medium(kind, sound=sound_of(_unpacked(data)))
    return Medium(kind)


def _base64_of(part: dict[str, Any]) -> str:
    """The bytes as they were sent, in base64; empty where the request only names them."""
    for name in ("source", "image_url", "input_audio", "audio", "image"):
        inside = part.get(name)
        if type(inside) is dict:
            inside = inside.get("data") if "data" in inside else inside.get("url")
            return _payload(inside) if type(inside) is str else ""
        if type(inside) is str:
            return _payload(inside)
    return ""


def _payload(text: str) -> str:
    """Of a data URL what it carries; of another address nothing; of anything else all."""
    if text.startswith("data:"):
        return text.partition(",")[2]
    return "" if "://" in text[:16] else text


def _detail(part: dict[str, Any]) -> Any:
    inside = part.get("image_url")
    return inside.get("detail") if type(inside) is dict else part.get("detail")


def _size(data: str) -> tuple[int, int]:
    """Width and height of a picture, 0 and 0 if its head does not tell them."""
    head = _unpacked(data[:HEAD])
    if not head.startswith(_HEADS):
        return 0, 0
    try:
        width, height = imagesize.get(BytesIO(head))
    except Exception:  # whatever a foreign parser makes of foreign bytes: then the size is unknown
        return 0, 0
    return (int(width), int(height)) if width > 0 and height > 0 else (0, 0)


def _unpacked(data: str) -> bytes:
    try:
        return base64.b64decode(data[: len(data) // 4 * 4])
    except (binascii.Error, ValueError):
        return b""
