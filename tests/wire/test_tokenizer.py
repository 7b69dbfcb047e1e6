"""The tokenizer against tiktoken itself, which reads the same rank files through its own loader."""

from __future__ import annotations

import asyncio
import hashlib
import lzma
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiktoken
from tiktoken_ext import openai_public

from server import tokenizer
from server.tokenizer import COUNTED, DamagedRanks, Tokenizer
from server.wire.tokens import Prompt

pytestmark = pytest.mark.slow  # loading takes most of a second

RANKS = Path(tokenizer.__file__).parent / "wire" / "ranks"
MODELS = pytest.mark.parametrize(
    ("model", "encoding"), [("gpt-4o", "o200k_base"), ("gpt-4", "cl100k_base")], ids=["o200k", "cl100k"]
)
SAMPLE = (
    "The quick brown fox doesn't jump, I'LL say 12345 3.14 times.\n\n  def f(x):\n\treturn {'a': [x + 1, //*]} # größer"
    "\r\n Straße 你好，世界。 こんにちは 안녕 привет مرحبا नमस्ते e\u0301 ÅÉ ... --- <|endoftext|> \u2028 \u00a0 "
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 https://example.org/?q=%20&x=1 aGVsbG8gd29ybGQ= snake_case"
)


def slice_of_sample(dice: random.Random) -> str:
    start = dice.randrange(len(SAMPLE))
    return SAMPLE[start : start + dice.randrange(12)]


@pytest.fixture(scope="module")
def counter() -> Iterator[Tokenizer]:
    loaded = Tokenizer()
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay our rank files out as tiktoken's own cache: the name of a file is the sha1 of where it was published."""
    folder = tmp_path_factory.mktemp("tiktoken")
    for name in ("o200k_base", "cl100k_base"):
        address = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
        file = folder / hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()
        file.write_bytes(lzma.decompress((RANKS / f"{name}.tiktoken.xz").read_bytes()))
    return folder


@pytest.fixture
def original(cache: Path, monkeypatch: pytest.MonkeyPatch, encoding: str) -> tiktoken.Encoding:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
    return tiktoken.Encoding(**getattr(openai_public, encoding)())


@MODELS
def test_counts_are_those_of_tiktoken(counter: Tokenizer, model: str, original: tiktoken.Encoding) -> None:
    dice = random.Random(1)
    texts = ["", " ", "\n\n", "a" * 3000, " " * 3000, "字" * 1000, "<|endoftext|>"]
    texts += ["".join(slice_of_sample(dice) for _ in range(40)) for _ in range(400)]
    texts += ["".join(chr(dice.randrange(32, 0xD800)) for _ in range(60)) for _ in range(200)]
    for text in texts:
        assert counter.count_text(text, model) == len(original.encode_ordinary(text))


@MODELS
def test_the_pattern_and_the_special_tokens_are_tiktokens(
    counter: Tokenizer, model: str, encoding: str, original: tiktoken.Encoding
) -> None:
    ours = counter.encoding(encoding)
    assert (ours._pat_str, ours._special_tokens) == (original._pat_str, original._special_tokens)
    assert ours.n_vocab == original.n_vocab


def test_a_damaged_rank_file_is_found(tmp_path: Path) -> None:
    with pytest.raises(DamagedRanks):
        Tokenizer(_damaged(tmp_path))


@pytest.mark.gen_test
async def test_an_encoding_is_built_when_a_count_needs_it() -> None:
    fresh = Tokenizer()
    try:
        assert not fresh.built
        await asyncio.gather(*(fresh.count(Prompt(("some words",)), "gpt-4o") for _ in range(8)))
        assert fresh.built == {"o200k_base"}
        await fresh.count(Prompt(("some words",)), "gpt-4")
        assert fresh.built == {"o200k_base", "cl100k_base"}
    finally:
        fresh.close()


def _damaged(folder: Path) -> Path:
    shutil.copytree(RANKS, folder, dirs_exist_ok=True)
    (folder / "o200k_base.tiktoken.xz").write_bytes(lzma.compress(b"YQ== 0\n"))
    return folder


@pytest.mark.gen_test
async def test_a_short_and_a_long_prompt_are_counted_alike(counter: Tokenizer) -> None:
    words = "many words of a text " * 30
    short = await counter.count(Prompt((words,), 7), "gpt-4o")
    long = await counter.count(Prompt((words,) * 20, 140), "gpt-4o")
    assert long == 20 * short
    assert short == 7 + counter.count_text(words, "gpt-4o")


@pytest.mark.gen_test
async def test_nothing_costs_nothing(counter: Tokenizer) -> None:
    assert await counter.count(Prompt(), "gpt-4o") == 0
    assert await counter.count(Prompt(("",) * 1000, 3), "gpt-4o") == 3


def test_claude_is_counted_upwards(counter: Tokenizer) -> None:
    for text in ("plain English text, and code: x = 1;" * 10, "Größe und Straße " * 10):
        assert counter.count_text(text, "claude-sonnet-4-5") > counter.count_text(text, "gpt-4o")


@pytest.mark.parametrize("character", [" ", "\t", "\u2028", "a", "^", "字"])
def test_a_flood_of_one_character_is_counted(counter: Tokenizer, character: str) -> None:
    """tiktoken alone panics on a million spaces."""
    flood = character * 1_200_000
    whole = counter.count_text(flood, "gpt-4o")
    tenth = counter.count_text(flood[:120_000], "gpt-4o")
    assert whole == pytest.approx(10 * tenth, rel=0.01)


def test_beyond_the_limit_a_text_is_taken_to_be_as_dense_as_before(counter: Tokenizer) -> None:
    text = "some words " * (2 * COUNTED // 11)
    assert counter.count_text(text, "gpt-4o") == pytest.approx(len(text) * 2 / 11, rel=0.01)


def test_the_readme_names_the_hashes_that_are_checked() -> None:
    readme = (RANKS / "README.md").read_text()
    for file in RANKS.glob("*.xz"):
        assert hashlib.sha256(lzma.decompress(file.read_bytes())).hexdigest() in readme
