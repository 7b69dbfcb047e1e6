"""Every snippet that people are shown works as it stands, against a gateway in front of the fake upstream."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import yaml
from tornado.ioloop import IOLoop

from tests.fakes.upstream import FakeUpstream
from tests.fetched import by_npm, by_pip
from tests.gateways import Running, gateway
from tests.loops import one_loop
from web.snippets import BASE_URL, MODEL, SNIPPETS, TOKEN, Snippet, filled, markdown

ROOT = Path(__file__).parent.parent.parent
BY_SLUG = {snippet.slug: snippet for snippet in SNIPPETS}
MODELS = {"openai": "gpt-5", "anthropic": "claude-sonnet-4-5"}
ECHO = "You said: Hello"
CURL = ("curl", "curl-anthropic")
PYTHON = ("openai-python", "openai-python-stream", "anthropic-python")
LANGCHAIN = ("langchain-openai", "langchain-anthropic")
NODE = ("openai-node", "anthropic-node", "vercel-ai", "vercel-ai-anthropic")


io_loop = pytest.fixture(one_loop, scope="module", name="io_loop")


@pytest.fixture(scope="module")
def running(io_loop: IOLoop) -> Iterator[Running]:
    stack = AsyncExitStack()

    async def start() -> Running:
        fake = await stack.enter_async_context(FakeUpstream())
        return await stack.enter_async_context(gateway(fake))

    yield io_loop.run_sync(start, timeout=30)
    io_loop.run_sync(stack.aclose, timeout=10)


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the snippets' packages are installed as the snippets say."""
    folder = tmp_path_factory.mktemp("node")
    names = sorted({name for slug in NODE for name in BY_SLUG[slug].install.split()[2:]})
    (folder / "node_modules").symlink_to(by_npm(*names) / "node_modules")
    return folder


@pytest.fixture(scope="module")
def python_folder() -> Path:
    """The same for packages of Python that nothing else here needs."""
    return by_pip(*(BY_SLUG[slug].install.split()[2] for slug in (*LANGCHAIN, "llm")))


def ready(slug: str, running: Running) -> Snippet:
    snippet = BY_SLUG[slug]
    return filled(snippet, running.url, running.token, MODELS[snippet.dialect])


async def printed(*command: str, cwd: Path | None = None, **environ: str) -> str:
    """What a program prints that runs with nothing in its environment but a path."""
    child = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd or "/nonexistent"), **environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await child.communicate()
    assert child.returncode == 0, errors.decode()
    return output.decode()


@pytest.mark.gen_test
@pytest.mark.parametrize("slug", CURL)
async def test_curl_gets_an_answer(running: Running, slug: str) -> None:
    answer = json.loads(await printed("sh", "-c", ready(slug, running).code))
    said = answer["choices"][0]["message"]["content"] if slug == "curl" else answer["content"][0]["text"]
    assert said == ECHO


@pytest.mark.gen_test
async def test_curl_gets_a_stream(running: Running) -> None:
    said = await printed("sh", "-c", ready("curl-stream", running).code)
    assert said.startswith("data: {")
    assert said.endswith("data: [DONE]\n\n")


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("slug", PYTHON)
async def test_the_providers_own_sdks_work(running: Running, slug: str) -> None:
    assert (await printed(sys.executable, "-c", ready(slug, running).code)).strip() == ECHO


@pytest.mark.slow
@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("client", ["from openai import OpenAI as C", "from anthropic import Anthropic as C"])
async def test_an_sdk_takes_its_address_and_token_from_the_environment(running: Running, client: str) -> None:
    exports = ready("environment", running).code
    program = f"{client}\nprint(len(list(C().models.list())))"
    said = await printed("sh", "-c", f'{exports}exec "$0" -c "$1"', sys.executable, program)
    assert said.strip() == "4"


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.gen_test(timeout=60)
@pytest.mark.parametrize("slug", NODE)
async def test_node_gets_an_answer(running: Running, node_folder: Path, slug: str) -> None:
    program = node_folder / f"{slug}.mjs"
    program.write_text(ready(slug, running).code)
    assert (await printed("node", program.name, cwd=node_folder)).strip() == ECHO


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.gen_test(timeout=60)
@pytest.mark.parametrize("slug", LANGCHAIN)
async def test_langchain_streams(running: Running, python_folder: Path, slug: str) -> None:
    said = await printed(sys.executable, "-c", ready(slug, running).code, PYTHONPATH=str(python_folder))
    assert said.strip() == ECHO


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.gen_test(timeout=60)
async def test_llm_finds_its_model_in_the_file(running: Running, python_folder: Path, tmp_path: Path) -> None:
    snippet = ready("llm", running)
    (tmp_path / snippet.file).write_text(snippet.code)
    # No plugins: the package with the demo's model is one, and its own requirements are not installed here.
    environ = {"PYTHONPATH": str(python_folder), "LLM_USER_PATH": str(tmp_path), "LLM_LOAD_PLUGINS": ""}
    llm = (sys.executable, "-m", "llm")
    await printed(*llm, "keys", "set", "fairgate", "--value", running.token, cwd=tmp_path, **environ)
    assert (await printed(*llm, "-m", "fairgate", "Hello", cwd=tmp_path, **environ)).strip() == ECHO


def test_codex_finds_its_provider_in_the_file() -> None:
    document = tomllib.loads(filled(BY_SLUG["codex"], "http://127.0.0.1:8080", TOKEN, "gpt-5").code)
    provider: Mapping[str, str] = document["model_providers"][document["model_provider"]]
    assert (provider["base_url"], provider["wire_api"]) == ("http://127.0.0.1:8080/v1", "responses")


def test_the_page_of_the_clients_is_made_of_the_table() -> None:
    assert (ROOT / "docs" / "clients.md").read_text(encoding="utf-8") == markdown(), "run `make docs`"


def test_every_snippet_has_its_own_slug_and_its_own_title() -> None:
    assert len(BY_SLUG) == len({snippet.title for snippet in SNIPPETS}) == len(SNIPPETS)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=BY_SLUG)
def test_nothing_is_left_to_be_filled(snippet: Snippet) -> None:
    full = filled(snippet, "http://127.0.0.1:8080/", "fg_abc", "gpt-5")
    for place in ("{base_url}", "{token}", "{model}", BASE_URL, TOKEN, "8080//"):
        assert place not in full.code + full.note
    assert "127.0.0.1:8080" in full.code


@pytest.mark.parametrize("value", ['x"; rm -rf ~ #', "x' y", "$(id)", "`id`", "</script>", "a\nb", "{token}", "", "-x"])
def test_what_might_end_a_string_is_not_put_in(value: str) -> None:
    placeholders = filled(BY_SLUG["curl"], BASE_URL, TOKEN, MODEL)
    assert filled(BY_SLUG["curl"], value, value, value) == placeholders


def test_the_model_of_a_file_in_yaml_is_a_text() -> None:
    (model,) = yaml.safe_load(filled(BY_SLUG["llm"], BASE_URL, TOKEN, "1.0").code)
    assert model["model_name"] == "1.0"
