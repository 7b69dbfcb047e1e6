"""The demo's model is a real one: it answers in both dialects, counts its tokens and never outlives the gateway."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from server.bootstrap.demo import Demo
from server.config.settings import Secret, UpstreamSpec
from server.keys.prober import check
from server.keys.registry import UpstreamRegistry
from server.upstream import Patience, Upstreams

pytestmark = pytest.mark.slow

MESSAGES = [{"role": "user", "content": "Say hello."}]
STARTER = """
import asyncio
from server.bootstrap.demo import Demo

async def main():
    await Demo().start()
    print("started", flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


async def ask(spec: UpstreamSpec, path: str, **headers: str) -> dict[str, Any]:
    body = {"model": spec.models[0], "max_tokens": 4, "messages": MESSAGES}
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.post(spec.base_url + path, json=body, headers=headers) as response,
    ):
        answer: dict[str, Any] = await response.json()
        return answer


@pytest.mark.gen_test(timeout=60)
async def test_it_answers_in_both_dialects_counts_tokens_and_wants_its_keys() -> None:
    demo = Demo()
    try:
        spec = await demo.start()
        assert (spec.name, spec.dialects, spec.models, len(spec.keys)) == (
            "demo",
            ("openai", "anthropic"),
            ("smollm2",),
            2,
        )
        openai = await ask(spec, "/chat/completions", Authorization=f"Bearer {spec.keys[0].reveal()}")
        assert openai["usage"]["prompt_tokens"] > 0
        assert openai["usage"]["completion_tokens"] == 4
        anthropic = await ask(spec, "/messages", **{"x-api-key": spec.keys[1].reveal()})
        assert anthropic["usage"]["input_tokens"] > 0
        assert anthropic["usage"]["output_tokens"] == 4
        registry = UpstreamRegistry([spec])
        registry.add(spec, Secret("wrong"))
        upstreams = Upstreams(registry.route, Patience())
        states = [(await check(upstreams, key.id, key.spec)).state for key in registry.keys.values()]
        await upstreams.close()
        assert states == ["ready", "ready", "revoked"]
    finally:
        await demo.stop()
        await demo.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await ask(spec, "/models")


@pytest.mark.gen_test(timeout=60)
async def test_it_ends_when_the_gateway_is_killed() -> None:
    starter = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STARTER),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert starter.stdout is not None
    assert starter.stderr is not None
    assert await starter.stdout.readline() == b"started\n"
    starter.kill()
    await starter.wait()
    # The model's process has inherited this pipe: it ends only when nobody is left to write into it.
    assert await starter.stderr.read() == b""


@pytest.mark.gen_test(timeout=60)
async def test_without_its_packages_it_says_what_to_do() -> None:
    starter = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", "-c", STARTER),  # -S: without what is installed
        cwd=Path(__file__).parents[2],
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await starter.communicate()
    assert b"DemoError: The demo's model is not installed: run `make run`, or set OPENAI_KEY in .env." in err
