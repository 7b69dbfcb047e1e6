"""What goes out to upstreams of several kinds: the path, the key's header, the model's name, and headers of our own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import tornado.httpserver
import tornado.testing
import tornado.web

from server.config.specs import Secret, UpstreamSpec
from server.keys.prober import NO_V1, check
from server.keys.registry import UpstreamRegistry
from server.upstream import Patience, Upstreams
from tests.gateways import Running, gateway

ANSWER = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "my-deployment",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6, "cost": 0.012345, "is_byok": False},
}  # fmt: skip


class Provider(tornado.web.RequestHandler):
    """Answers each chat, lists one model below /v1, and remembers what it was asked."""

    def initialize(self, seen: list[Any]) -> None:
        self.seen = seen

    def post(self) -> None:
        self.seen.append(self.request)
        self.finish(ANSWER)

    def get(self) -> None:
        self.seen.append(self.request)
        if "/v1/models" not in self.request.path:
            raise tornado.web.HTTPError(404)
        self.finish({"object": "list", "data": [{"id": "m", "owned_by": "library"}]})


@asynccontextmanager
async def providing() -> AsyncIterator[tuple[str, list[Any]]]:
    seen: list[Any] = []
    app = tornado.web.Application([("/.*", Provider, {"seen": seen})], log_function=lambda _: None)
    server = tornado.httpserver.HTTPServer(app)
    socket, port = tornado.testing.bind_unused_port()
    server.add_socket(socket)
    yield f"http://127.0.0.1:{port}", seen
    server.stop()
    await server.close_all_connections()


def spec(name: str, url: str, **more: Any) -> UpstreamSpec:
    return UpstreamSpec(name=name, dialects=("openai",), base_url=url, keys=(Secret(f"sk-{name}"),), **more)


async def ask(running: Running, model: str, **more: Any) -> dict[str, str]:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], **more}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{running.url}/v1/chat/completions", json=body, headers=running.headers) as answer,
    ):
        assert answer.status == 200, await answer.text()
        assert (await answer.json())["model"] == "my-deployment"  # the bytes are the upstream's
        return dict(answer.headers)


@pytest.mark.gen_test
async def test_each_kind_is_sent_what_it_takes() -> None:
    async with providing() as (url, seen):
        rows = await _served(url)
    _check(seen, rows)


async def _served(url: str) -> list[Any]:
    dated = spec(
        "dated", url, kind="azure", api_version="2024-10-21", models=("gpt-5",), names=("gpt-5=my-deployment",)
    )
    present = spec("present", url, kind="azure", models=("gpt-4o",), headers=(("x-title", Secret("campus")),))
    named = spec("named", f"{url}/v1", models=("gpt-4.1",), names=("gpt-4.1=vendor/gpt",))
    mistral = spec("mistral", f"{url}/v1", kind="mistral", models=("mistral-small",))
    router = spec("router", f"{url}/v1", kind="openrouter", models=("vendor/any",))
    async with gateway(None, dated, present, named, mistral, router) as running:  # type: ignore[arg-type]  # no fake is asked
        for model in ("gpt-5", "gpt-4o", "gpt-4.1"):
            await ask(running, model, temperature=0.5)
        await ask(running, "mistral-small", stream=True)
        await ask(running, "vendor/any")
        await running.services.pipeline.quiet(5.0)
        return await running.services.store.usage_rows(0, 100)


def _check(seen: list[Any], rows: list[Any]) -> None:
    sent = [(each.path, each.query, json.loads(each.body)["model"]) for each in seen if each.method == "POST"]
    assert sent == [
        ("/openai/deployments/my-deployment/chat/completions", "api-version=2024-10-21", "my-deployment"),
        ("/openai/v1/chat/completions", "", "gpt-4o"),
        ("/v1/chat/completions", "", "vendor/gpt"),
        ("/v1/chat/completions", "", "mistral-small"),
        ("/v1/chat/completions", "", "vendor/any"),
    ]
    first, second, third, fourth, _ = [each for each in seen if each.method == "POST"]
    assert first.headers["api-key"] == "sk-dated" and "Authorization" not in first.headers
    assert second.headers["X-Title"] == "campus"
    assert third.headers["Authorization"] == "Bearer sk-named" and json.loads(third.body)["temperature"] == 0.5
    assert "stream_options" not in json.loads(fourth.body)  # which it refuses: it is not asked in vain
    served = {row.model_asked: row.model_served for row in rows if row is not None}
    assert served == {
        "gpt-5": "gpt-5",
        "gpt-4o": "my-deployment",
        "gpt-4.1": "my-deployment",
        "mistral-small": "my-deployment",
        "vendor/any": "my-deployment",
    }
    stated = {row.model_asked: (row.cost_micro_usd, row.price_id) for row in rows if row.with_stated_bill}
    assert stated == {"vendor/any": (12_345, "stated")}  # the others say a cost, too, which may mean anything


async def found(spec: UpstreamSpec) -> Any:
    registry = UpstreamRegistry([spec])
    upstreams = Upstreams(registry.route, Patience())
    try:
        return await check(upstreams, next(iter(registry.keys)), spec)
    finally:
        await upstreams.close()


@pytest.mark.gen_test
async def test_a_check_says_which_kind_answers_and_where_the_list_is() -> None:
    async with providing() as (url, seen):
        await _checks(url, seen)


async def _checks(url: str, seen: list[Any]) -> None:
    assert (await found(spec("a", f"{url}/v1"))).hint == "; ollama answers there: `kind: ollama` fits"
    assert (await found(spec("a", f"{url}/v1", kind="vllm"))).hint == "; ollama answers there: `kind: ollama` fits"
    assert (await found(spec("a", f"{url}/v1", kind="ollama"))).hint == ""
    assert (await found(spec("a", f"{url}/v1", kind="generic"))).hint == ""
    wrong = await found(spec("a", url, kind="ollama"))
    assert (wrong.state, wrong.hint) == ("unclear", NO_V1)
    assert (await found(spec("a", url))).hint == NO_V1  # what answers there is seen once the address is right
    seen.clear()
    two = spec("a", f"{url}/v1", headers=(("openai-organization", Secret("org-2")),), names=("ours=m",), kind="ollama")
    assert (await found(two)).models == ("ours",)
    assert seen[0].headers["OpenAI-Organization"] == "org-2"
