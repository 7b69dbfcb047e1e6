"""Counting tokens with OpenAI's own encodings, from rank files that ship with fairgate. Nothing is ever downloaded.

Short prompts are counted at once. Long ones go to two threads of their own: tiktoken releases the interpreter lock
while it works, so that a megabyte of text does not hold up the streams. They go there in slices, and persons take turns
(`fair_threads.py`), so that it does not hold up another person's few kilobytes either.

An encoding weighs 40 MiB (o200k) or 20 MiB (cl100k) in memory and is built when a count first needs it, in one of these
threads. The last quarter of a second of that is one step of tiktoken that holds the interpreter lock.
"""

from __future__ import annotations

import base64
import hashlib
import lzma
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from pathlib import Path
from threading import Lock

import tiktoken

from server.fair_threads import FairThreads
from server.wire.tokens import Prompt, claude_factor, encoding_for, is_claude

INLINE = 4_096  # characters that are counted on the event loop, in about a millisecond
INLINE_TEXTS = 256  # texts that are
COUNTED = 1_000_000  # characters that are counted, in at most half a second; the rest is taken to be as dense
# tiktoken 0.14 panics, with an exception that is no `Exception`, on about a million spaces in a row.
PIECE = 100_000  # characters that it is given at once
SLICE = 50_000  # characters that are counted in one turn of a person, in some 25 ms; a text is never cut for it
THREADS = 2

_RANKS = Path(__file__).parent / "wire" / "ranks"


@dataclass(frozen=True, slots=True)
class PublishedEncoding:
    """An encoding as OpenAI published it: the sha256 of the unpacked rank file, the pattern and the special tokens.

    All three are as in tiktoken's own `tiktoken_ext/openai_public.py` (MIT).
    """

    sha256: str
    pattern: str
    special: dict[str, int]


PUBLISHED = {
    "o200k_base": PublishedEncoding(
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        "|".join(
            [
                r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
                r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
                r"""\p{N}{1,3}""",
                r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
                r"""\s*[\r\n]+""",
                r"""\s+(?!\S)""",
                r"""\s+""",
            ]
        ),
        {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
    ),
    "cl100k_base": PublishedEncoding(
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
        r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
}


class DamagedRanks(Exception):
    """A rank file is not the one that was published."""


class Tokenizer:
    """Counts what `tokens.prompt_of` found. Close it to end its threads."""

    def __init__(self, ranks: Path = _RANKS) -> None:
        """`ranks`: the folder of the rank files. Raises DamagedRanks if one is not the one that was published."""
        for name in PUBLISHED:
            _content(ranks, name)
        self._ranks = ranks
        self._built: dict[str, tiktoken.Encoding] = {}
        self._building = Lock()  # the other thread may need the same one
        self._threads = FairThreads(THREADS, "tokenizer")

    @property
    def built(self) -> frozenset[str]:
        """The names of the encodings that are in memory."""
        return frozenset(self._built)

    async def count(self, prompt: Prompt, model: str, person: str = "") -> int:
        """Return how many tokens this model reads. Close for OpenAI, an upper guess for Claude.

        `person` is the caller: persons take turns.
        """
        if encoding_for(model) not in self._built:
            await self._threads.run(person, 1, partial(self.encoding, encoding_for(model)))
        if len(prompt.texts) <= INLINE_TEXTS and sum(map(len, prompt.texts)) <= INLINE:
            return self._count_all(prompt, model)
        tokens, counted = 0.0, 0
        for some in _slices(prompt.texts):
            length = sum(map(len, some))
            tokens += await self._threads.run(person, length, partial(self._count_some, some, model))
            counted += length
        return prompt.fixed + round(_as_dense(tokens, counted, prompt.texts))

    def count_text(self, text: str, model: str) -> int:
        """Return how many tokens this text has for this model, in this thread."""
        return self._count_all(Prompt((text,)), model)

    def encoding(self, name: str) -> tiktoken.Encoding:
        """Return an encoding; the first call takes most of a second."""
        if name not in self._built:
            with self._building:
                self._built[name] = _encoding(self._ranks, name)
        return self._built[name]

    def close(self) -> None:
        """End the threads; a count that is under way is not waited for."""
        self._threads.close()

    def _count_all(self, prompt: Prompt, model: str) -> int:
        counted = list(chain.from_iterable(_slices(prompt.texts)))
        tokens = self._count_some(counted, model)
        return prompt.fixed + round(_as_dense(tokens, sum(map(len, counted)), prompt.texts))

    def _count_some(self, pieces: Iterable[str], model: str) -> float:
        # encode_ordinary: a user who writes "<|endoftext|>" has written thirteen characters and no special token.
        encode = self.encoding(encoding_for(model)).encode_ordinary
        if not is_claude(model):
            return sum(len(encode(piece)) for piece in pieces)
        return sum(len(encode(piece)) * claude_factor(piece) for piece in pieces)


def _as_dense(tokens: float, counted: int, texts: Iterable[str]) -> float:
    """The tokens of all texts: the part that was not counted is taken to be as dense as the part that was."""
    return tokens * sum(map(len, texts)) / counted if counted > COUNTED else tokens


def _slices(texts: Iterable[str]) -> Iterator[list[str]]:
    """The pieces of the texts as far as they are counted, those together that are counted in one turn."""
    some, length, counted = list[str](), 0, 0
    for piece in _pieces(texts):
        if counted > COUNTED:
            break
        some.append(piece)
        length, counted = length + len(piece), counted + len(piece)
        if length >= SLICE:
            yield some
            some, length = [], 0
    if some:
        yield some


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        if len(text) <= PIECE:
            yield text
        else:
            yield from (text[start : start + PIECE] for start in range(0, len(text), PIECE))


@cache  # it never changes, and weighs tens of megabytes: all tokenizers of a process share it
def _encoding(ranks: Path, name: str) -> tiktoken.Encoding:
    rank_of = dict[bytes, int]()
    for line in _content(ranks, name).splitlines():  # a loop of Python's: other threads get their turns between lines
        word, rank = line.split()
        rank_of[base64.b64decode(word)] = int(rank)
    published = PUBLISHED[name]
    encoding = tiktoken.Encoding(
        name, pat_str=published.pattern, mergeable_ranks=rank_of, special_tokens=published.special
    )
    rank_of.clear()  # tiktoken has made its own table of it, and needs this only to be pickled: 20 MiB
    return encoding


def _content(ranks: Path, name: str) -> bytes:
    """A rank file, unpacked: lines of a token in base64 and its rank. Raises DamagedRanks."""
    content = lzma.decompress((ranks / f"{name}.tiktoken.xz").read_bytes())
    if hashlib.sha256(content).hexdigest() != PUBLISHED[name].sha256:
        raise DamagedRanks(name)
    return content
