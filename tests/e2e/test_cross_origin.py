"""A page on another origin streams a chat with OpenAI's own SDK, in a real Chromium, if its origin is allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler, StaticFileHandler

from tests.e2e.chromium import chromium, tab
from tests.fakes.fates import ok
from tests.fakes.upstream import FakeUpstream
from tests.fetched import by_npm
from tests.gateways import gateway

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SDK = "openai@6.49.0"
ASK = """async ([url, apiKey]) => {
  const { default: OpenAI } = await import("/openai/index.mjs");
  const client = new OpenAI({ baseURL: url + "/v1", apiKey, dangerouslyAllowBrowser: true, maxRetries: 0 });
  try {
    const messages = [{ role: "user", content: "roads" }];
    const stream = await client.chat.completions.create({ model: "gpt-5", messages, stream: true });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
    return { text };
  } catch (error) {
    return { name: error.constructor.name, status: error.status, code: error.code, id: error.requestID };
  }
}"""
WITH_COOKIES = """async (url) => {
  try { return (await fetch(url + "/api/me", { credentials: "include" })).status } catch (error) { return error.name }
}"""


class Blank(RequestHandler):
    """The page: nothing but an origin."""

    def get(self) -> None:
        self.finish("<!doctype html><title>another origin</title>")


@pytest.fixture(scope="module")
def packages() -> Path:
    return by_npm(SDK) / "node_modules"


@asynccontextmanager
async def another_origin(packages: Path) -> AsyncIterator[str]:
    """A site of its own, which has the SDK on it."""
    files = (r"/openai/(.*)", StaticFileHandler, {"path": str(packages / "openai")})
    socket, port = bind_unused_port()
    server = HTTPServer(Application([files, (r"/.*", Blank)], log_function=lambda handler: None))
    server.add_socket(socket)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
        await server.close_all_connections()


@pytest.mark.gen_test(timeout=60)
async def test_an_allowed_page_streams_a_chat_and_any_other_gets_nothing(packages: Path) -> None:
    async with FakeUpstream() as fake, another_origin(packages) as origin, chromium() as browser:
        fake.script(None, ok("the answer is blowing").for_ever())
        async with gateway(fake, allowed_origins=(origin,)) as running, tab(browser, origin) as seen:
            await seen.page.goto("/")
            asked: list[Any] = [running.url, running.token]
            assert await seen.page.evaluate(ASK, asked) == {"text": "the answer is blowing"}
            wrong = await seen.page.evaluate(ASK, [running.url, "wrong"])
            assert (wrong["name"], wrong["status"], wrong["code"]) == ("AuthenticationError", 401, "invalid_api_key")
            assert wrong["id"].startswith("req_")
            assert await seen.page.evaluate(WITH_COOKIES, running.url) == "TypeError"
        sent = len(fake.records)
        assert sent == 1
        async with gateway(fake) as running, tab(browser, origin) as seen:
            await seen.page.goto("/")
            refused = await seen.page.evaluate(ASK, [running.url, running.token])
            assert (refused["name"], refused.get("status")) == ("APIConnectionError", None)
        assert len(fake.records) == sent
