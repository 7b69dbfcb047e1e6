"""What the clients of these tests ask for, in both dialects, plain and streamed, and how they read what comes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.gateways import Running


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as it goes onto the wire."""

    dialect: str
    path: str
    document: dict[str, Any]

    @property
    def body(self) -> bytes:
        return json.dumps(self.document).encode()

    @property
    def model(self) -> str:
        return str(self.document["model"])

    @property
    def stream(self) -> bool:
        return bool(self.document.get("stream"))


@dataclass(frozen=True, slots=True)
class Heard:
    """What a client got. `body` ends where the connection did."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The error of a plain answer, or the last one in a stream."""
        return error_in(self.body.rpartition(b"data: ")[2] or self.body)


def chat(text: str, *, stream: bool, model: str = "gpt-4o") -> Ask:
    return Ask("openai", "/v1/chat/completions", _conversation(text, model) | _streamed(stream))


def messages(text: str, *, stream: bool, model: str = "claude-sonnet-4-5") -> Ask:
    return Ask("anthropic", "/v1/messages", _conversation(text, model) | {"max_tokens": 100_000} | _streamed(stream))


def embeddings(text: str, *, model: str = "text-embedding-3-small") -> Ask:
    return Ask("openai", "/v1/embeddings", {"model": model, "input": text})


def conversation(dialect: str, text: str, *, stream: bool, model: str | None = None) -> Ask:
    """A chat in OpenAI's or a message in Anthropic's dialect."""
    ask = chat if dialect == "openai" else messages
    return ask(text, stream=stream, model=model) if model else ask(text, stream=stream)


async def hear(session: aiohttp.ClientSession, running: Running, ask: Ask, token: str | None = None) -> Heard:
    """Ask and read everything."""
    headers = running.headers | ({"Authorization": f"Bearer {token}"} if token else {})
    async with session.post(running.url + ask.path, data=ask.body, headers=headers) as response:
        names = {name.lower(): value for name, value in response.headers.items()}
        return Heard(response.status, names, await response.read())


def error_in(data: bytes) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(data)["error"]
    return error


def text_of(body: bytes) -> str:
    """The text that a stream of either dialect has delivered so far; the last event may be incomplete."""
    pieces = []
    for event in body.split(b"\n\n")[:-1]:
        data = event.rpartition(b"data: ")[2]
        if data.startswith(b"{"):
            pieces.append(_piece(json.loads(data)))
    return "".join(pieces)


def _piece(event: dict[str, Any]) -> str:
    if event.get("choices"):
        return event["choices"][0]["delta"].get("content") or ""
    delta = event.get("delta")
    return delta.get("text", "") if isinstance(delta, dict) else ""


def _conversation(text: str, model: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}]}


def _streamed(stream: bool) -> dict[str, Any]:
    return {"stream": True} if stream else {}
