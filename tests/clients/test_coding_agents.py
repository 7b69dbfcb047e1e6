"""The real Claude Code and the real Codex, from npm, change a file with a model of the other family.

Their model is scripted: it asks for the tool by which each of them changes files, and then says that it is done. All
else (what they send before, how they understand the answer, what they send afterwards) is theirs.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from server.bootstrap.demo import Demo
from server.ledger.usage import Outcome
from tests.fakes.fates import Ending, Raw
from tests.fakes.upstream import FakeUpstream
from tests.gateways import Running, gateway, spec
from tests.needs import program
from tests.wire.translate.replies import Made, Reply, chat_stream, messages_stream

CLAUDE_CODE, CODEX = "@anthropic-ai/claude-code@2.1.332", "@openai/codex@0.171.0"
INSTALL_SECONDS, WORK_SECONDS = 180, 90
LONG_SECONDS = 600  # a model on a busy processor
GPT, CLAUDE, PLAIN = "gpt-5", "claude-opus-4-8", "qwen3-coder"
PATCHING = "gpt-5.5"  # Codex gives it `apply_patch`, a tool that takes free text
BEFORE, AFTER, DONE = "red\n", "green\n", "It is green now."
QUESTION = "Make a.txt say green."

pytestmark = [pytest.mark.slow, pytest.mark.timeout(INSTALL_SECONDS + 2 * WORK_SECONDS)]


def installed(package: str, command: str, folder: Path) -> str:
    """Where a program of npm's is, which is installed into this folder."""
    program("node"), program("npm")
    npm = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), package]
    subprocess.run(npm, check=True, timeout=INSTALL_SECONDS, capture_output=True)
    return str(folder / "node_modules" / ".bin" / command)


@pytest.fixture(scope="module")
def claude_code(tmp_path_factory: pytest.TempPathFactory) -> str:
    return installed(CLAUDE_CODE, "claude", tmp_path_factory.mktemp("claude-code"))


@pytest.fixture(scope="module")
def codex(tmp_path_factory: pytest.TempPathFactory) -> str:
    return installed(CODEX, "codex", tmp_path_factory.mktemp("codex"))


@dataclass
class Desk:
    """A gateway, and a folder with a file to change. `home` is the program's own."""

    running: Running
    work: Path
    home: Path

    def script(self, stream: Callable[[Reply], bytes], *calls: Made) -> None:
        """The model asks for these tools, one after the other, and then says that it is done."""
        said = [Reply("I do it.", (call,), stop="tool_use") for call in calls]
        self.running.fake.script(None, *(streamed(stream(reply)) for reply in (*said, Reply(DONE))))

    async def run(
        self, *command: str, ends: tuple[int, ...] = (0,), patience: float = WORK_SECONDS, **environ: str
    ) -> str:
        """What the program writes, when it has ended with one of these codes."""
        usual = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        child = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.work,
            env=usual | environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            said, complained = await asyncio.wait_for(child.communicate(), patience)
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        assert child.returncode in ends, (said + complained).decode()
        return said.decode()

    async def assert_done(self, requests: int, path: str) -> None:
        """The file is changed; each request went there once, and is on the ledger."""
        assert (self.work / "a.txt").read_text() == AFTER
        assert [record.path for record in self.running.fake.records] == [path] * requests
        await self.running.services.pipeline.quiet(5.0)
        rows = await self.running.services.store.usage_rows(0, 100)
        assert [row.status for row in rows] == [Outcome.COMPLETED] * requests
        self.running.assert_idle()


def streamed(events: bytes) -> Raw:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(events)
    return Raw(name="scripted", data=head + events, ending=Ending.COMPLETE, seen_by_probes=False)


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    """Models of both families, and one whose server has nothing but chats."""
    work, home = folder / "work", folder / "home"
    work.mkdir(), home.mkdir()
    (work / "a.txt").write_text(BEFORE)
    async with FakeUpstream() as fake:
        upstreams = (
            spec(fake, name="openai", dialects=("openai",), models=(GPT,)),
            spec(fake, keys=("sk-ant-one",), name="anthropic", dialects=("anthropic",), models=(CLAUDE,)),
            spec(
                fake, keys=("sk-plain",), name="plain", dialects=("openai",), models=(PLAIN, PATCHING), responses=False
            ),
        )
        async with gateway(fake, *upstreams) as running:
            yield Desk(running, work, home)


def call(number: int, tool: str, **arguments: Any) -> Made:
    return Made(f"call_{number}", tool, json.dumps(arguments))


@pytest.mark.gen_test(timeout=WORK_SECONDS + 30)
async def test_claude_code_changes_a_file_with_a_gpt(claude_code: str, tmp_path: Path) -> None:
    async with desk(tmp_path) as place:
        path = str(place.work / "a.txt")
        reads = call(1, "Read", file_path=path)
        edits = call(2, "Edit", file_path=path, old_string="red", new_string="green")
        place.script(chat_stream, reads, edits)
        options = ["--model", GPT, "--permission-mode", "acceptEdits"]
        said = await place.run(claude_code, "-p", *options, QUESTION, **claudes(place.running))
        assert said.strip() == DONE
        await place.assert_done(3, "/v1/chat/completions")


SHELL = call(1, "exec_command", cmd="sed -i s/red/green/ a.txt")
PATCH = call(1, "apply_patch", input="*** Begin Patch\n*** Update File: a.txt\n@@\n-red\n+green\n*** End Patch\n")


@pytest.mark.parametrize(
    ("model", "tool", "stream", "path"),
    [
        (CLAUDE, SHELL, messages_stream, "/v1/messages"),
        (PLAIN, SHELL, chat_stream, "/v1/chat/completions"),
        (PATCHING, PATCH, chat_stream, "/v1/chat/completions"),
    ],
    ids=["a Claude", "a plain chat", "a patch as free text"],
)
@pytest.mark.gen_test(timeout=WORK_SECONDS + 30)
async def test_codex_changes_a_file_with_a_model_that_has_no_responses(
    codex: str, tmp_path: Path, model: str, tool: Made, stream: Callable[[Reply], bytes], path: str
) -> None:
    async with desk(tmp_path) as place:
        place.script(stream, tool)
        said = await place.run(*codexs(codex, place, model), FAIRGATE_TOKEN=place.running.token)
        events = [json.loads(line) for line in said.splitlines()]
        assert [each["item"]["text"] for each in events if each.get("item", {}).get("type") == "agent_message"] == [
            "I do it.",
            DONE,
        ]
        assert events[-1]["type"] == "turn.completed"
        assert events[-1]["usage"]["input_tokens"] == 2 * Reply().input
        await place.assert_done(2, path)


def claudes(running: Running) -> Mapping[str, str]:
    """What `docs/clients.md` says, and no more than one try."""
    return {
        "ANTHROPIC_BASE_URL": running.url,
        "ANTHROPIC_AUTH_TOKEN": running.token,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "0",
    }


def codexs(program: str, place: Desk, model: str) -> list[str]:
    """The command, with the settings of `docs/clients.md`. The test's folder is its only sandbox."""
    provider = {"name": "fairgate", "base_url": f"{place.running.url}/v1", "env_key": "FAIRGATE_TOKEN"}
    lines = [f'model = "{model}"', 'model_provider = "fairgate"', "[model_providers.fairgate]"]
    lines += [f'{name} = "{value}"' for name, value in {**provider, "wire_api": "responses"}.items()]
    (place.home / ".codex").mkdir()
    (place.home / ".codex" / "config.toml").write_text("\n".join(lines))
    unasked = "--dangerously-bypass-approvals-and-sandbox"
    return [program, "exec", "--skip-git-repo-check", unasked, "--json", QUESTION]


@pytest.mark.soak
@pytest.mark.timeout(INSTALL_SECONDS + 2 * LONG_SECONDS)
@pytest.mark.gen_test(timeout=LONG_SECONDS + 60)
async def test_claude_code_talks_with_the_demo(claude_code: str, tmp_path: Path) -> None:
    """A model of 135 million parameters calls no tool, and its window is too short for the instructions of either.

    With short ones it answers, at whatever length it likes: Claude Code calls an answer that is cut a failure.
    """
    demo = Demo()
    try:
        model = await demo.start()
        async with FakeUpstream() as fake, gateway(fake, model) as running:
            place = Desk(running, tmp_path, tmp_path)
            brief = ["--model", model.models[0], "--system-prompt", "Be brief.", "Say hello.", "--tools", ""]
            bound = {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "100"}
            assert await place.run(
                claude_code, "-p", *brief, ends=(0, 1), patience=LONG_SECONDS, **claudes(running), **bound
            )
            await running.services.pipeline.quiet(5.0)
            rows = await running.services.store.usage_rows(0, 100)
            assert {(row.status, row.endpoint) for row in rows} == {(Outcome.COMPLETED, "/v1/messages")}
    finally:
        await demo.stop()
