"""The prompt of a request: the texts that the model reads, and the tokenizer that counts them.

Counting serves admission, fairness and reservations, and bills only what an upstream did not report; so it must be
close, not exact. Texts are counted with OpenAI's own encodings by `server/tokenizer.py`; here is what to count.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

# OpenAI's cookbook: three tokens around a message, one for its role, three that open the answer.
PER_MESSAGE = 4
PER_ANSWER = 3
# One picture, recording or file, whatever its size: a megapixel is 765 tokens at OpenAI and about 1,600 at Anthropic.
PER_MEDIUM = 1_500

_MEDIA = frozenset(
    {"image_url", "image", "input_image", "input_audio", "audio", "file", "input_file", "document", "video_url"}
)
_WRITTEN = ("text", "content")  # sources of a document that are no file
# Parts of a message which name or sign something and cost the model little or nothing.
_NOT_READ = frozenset(
    {
        "type", "role", "id", "call_id", "tool_call_id", "tool_use_id", "status", "index", "cache_control",
        "signature", "encrypted_content", "annotations", "logprobs",
    }
)  # fmt: skip
# Parts which the model reads as JSON, with their names and braces.
_READ_AS_JSON = frozenset({"input", "arguments", "parameters", "input_schema", "action"})
_SCHEMAS = ("tools", "functions", "response_format", "text", "output_config")
SCHEMAS = frozenset(_SCHEMAS)
PLAIN_TURN = frozenset({"role", "content"})  # the fields of a turn that is nothing but text

_OLD_ALPHABET = re.compile(r"(?:gpt-4(?![o.])|gpt-3|gpt-35|text-embedding-|davinci-002|babbage-002)")


@dataclass(frozen=True, slots=True)
class Prompt:
    """The prompt: texts yet to be counted, and `fixed` tokens that are known without counting.

    `fixed` has `PER_MEDIUM` for each of the `media`.
    """

    texts: tuple[str, ...] = ()
    fixed: int = 0
    media: int = 0
    text_bytes: int = field(init=False, repr=False, compare=False)  # in UTF-8: no tokenizer makes more tokens of them

    def __post_init__(self) -> None:
        in_bytes = [len(text) if text.isascii() else len(text.encode(errors="surrogatepass")) for text in self.texts]
        object.__setattr__(self, "text_bytes", sum(in_bytes))

    @property
    def most(self) -> int:
        """An upper bound of the tokens, but for media that are larger than `PER_MEDIUM`."""
        return self.fixed + self.text_bytes


def prompt_of(kind: str, document: dict[str, Any]) -> Prompt:
    """Return what a model reads of a request of this kind (`Endpoint.kind`). Never raises on odd values."""
    reader = _Reader()
    _READERS.get(kind, _read_prompt)(reader, document)
    return Prompt(tuple(reader.texts), reader.fixed, reader.media)


def with_pictures(prompt: Prompt, number: int) -> Prompt:
    """The same prompt, with so many pictures that are uploaded beside it."""
    more = prompt.fixed + PER_MEDIUM * number
    return replace(prompt, fixed=more, media=prompt.media + number) if number else prompt


def encoding_for(model: str) -> str:
    """Return the name of the encoding, "o200k_base" or "cl100k_base", that counts for this model.

    Models of other makers have encodings of their own; o200k_base is the better guess for them.
    """
    name = model.rsplit("/", 1)[-1].removeprefix("ft:")
    return "cl100k_base" if _OLD_ALPHABET.match(name) else "o200k_base"


def claude_factor(text: str) -> float:
    """Return how many tokens Claude makes of one o200k token. An upper guess: no current tokenizer of theirs is public.

    o200k makes 0.86 to 0.92 of the tokens that the published Claude 2 tokenizer makes of English and code, and 0.61 to
    0.67 of German and Chinese.
    """
    return 1.2 if text.isascii() else 1.6


def is_claude(model: str) -> bool:
    return "claude" in model.lower()


class _Reader:
    """Walks through content and collects."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.fixed = 0
        self.media = 0

    def read(self, value: Any) -> None:
        if type(value) is str:
            if value:
                self.texts.append(value)
        elif type(value) is list:
            self._read_list(value)
        elif type(value) is dict:
            self._read_part(value)

    def read_json(self, value: Any) -> None:
        if type(value) is str:
            self.texts.append(value)
        elif value:
            self.texts.append(orjson.dumps(value).decode())

    def _read_list(self, values: list[Any]) -> None:
        if set(map(type, values)) == {int}:  # a prompt that the client has encoded already
            self.fixed += len(values)
            return
        for value in values:
            if type(value) is dict and type(text := value.get("content")) is str and value.keys() <= PLAIN_TURN:
                if text:
                    self.texts.append(text)
            else:
                self.read(value)

    def _read_part(self, part: dict[str, Any]) -> None:
        kind = part.get("type")
        if kind == "document" and type(part.get("source")) is dict and part["source"].get("type") in _WRITTEN:
            self._read_document(part)
            return
        if type(kind) is str and kind in _MEDIA:
            self.fixed += PER_MEDIUM
            self.media += 1
            return
        for name, value in part.items():
            if name in _READ_AS_JSON:
                self.read_json(value)
            elif name not in _NOT_READ:
                self.read(value)

    def _read_document(self, part: dict[str, Any]) -> None:
        """Anthropic's documents whose text stands in the request itself, with what is said about them."""
        source = part["source"]
        for value in (part.get("title"), part.get("context"), source.get("data"), source.get("content")):
            self.read(value)


def _read_conversation(reader: _Reader, document: dict[str, Any]) -> None:
    _read_turns(reader, document.get("messages"))
    reader.read(document.get("system"))
    _read_schemas(reader, document)


def _read_response(reader: _Reader, document: dict[str, Any]) -> None:
    _read_turns(reader, document.get("input"))
    reader.read(document.get("instructions"))
    _read_schemas(reader, document)


def _read_turns(reader: _Reader, turns: Any) -> None:
    reader.read(turns)
    count = len(turns) if type(turns) is list else 1
    reader.fixed += PER_MESSAGE * count + PER_ANSWER


def _read_schemas(reader: _Reader, document: dict[str, Any]) -> None:
    if SCHEMAS.isdisjoint(document):
        return
    for name in _SCHEMAS:
        reader.read_json(document.get(name))


def _read_fields(*names: str) -> Callable[[_Reader, dict[str, Any]], None]:
    def read(reader: _Reader, document: dict[str, Any]) -> None:
        for name in names:
            reader.read(document.get(name))

    return read


def _read_pairs(reader: _Reader, document: dict[str, Any]) -> None:
    """A reranker reads the query once more with each document. Those further times have a token a byte."""
    documents, query = document.get("documents"), document.get("query")
    reader.read(query)
    reader.read(documents)
    pairs = len(documents) if type(documents) is list else 1
    again = len(query.encode(errors="surrogatepass")) if type(query) is str else 0
    reader.fixed += PER_MESSAGE * pairs + again * max(0, pairs - 1)


_read_prompt = _read_fields("prompt", "suffix")
_READERS: dict[str, Callable[[_Reader, dict[str, Any]], None]] = {
    "chat": _read_conversation,
    "messages": _read_conversation,
    "count_tokens": _read_conversation,
    "responses": _read_response,
    "compact": _read_response,
    "input_tokens": _read_response,
    "embeddings": _read_fields("input"),
    "moderations": _read_fields("input"),
    "speech": _read_fields("input", "instructions"),
    "rerank": _read_pairs,
}
