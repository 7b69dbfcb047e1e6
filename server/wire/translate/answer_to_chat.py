"""An answer in OpenAI's chat completions.

Thoughts come as `reasoning_content`, as with most servers that speak like OpenAI; their proofs as `thinking_blocks`.
A client that sends both back gets its thoughts carried (`request_from_chat.py`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson

from server.wire.faults import ReportedError
from server.wire.translate.collected import Collected, Piece
from server.wire.translate.error_bodies import translated
from server.wire.translate.figures_out import usage_of_chat
from server.wire.translate.ids import tail_of
from server.wire.translate.terms import Asked, Document, Stop
from server.wire.usage import Usage

STOPS = {
    Stop.END: "stop",
    Stop.SEQUENCE: "stop",
    Stop.LENGTH: "length",
    Stop.TOOLS: "tool_calls",
    Stop.REFUSED: "content_filter",
    Stop.PAUSED: "stop",
    Stop.WINDOW: "length",
}


def written(answer: Collected, now: int, custom: Collection[str]) -> Document:
    """A plain answer."""
    message: Document = {
        "role": "assistant",
        "content": answer.said("text") or None,
        "refusal": answer.said("refusal") or None,
    }
    if thoughts := answer.said("thought"):
        message["reasoning_content"] = thoughts
    blocks = [_block(piece) for piece in answer.pieces if piece.kind == "sealed" or piece.signature]
    if blocks:
        message["thinking_blocks"] = blocks
    if calls := [_call(piece, custom) for piece in answer.pieces if piece.kind == "call"]:
        message["tool_calls"] = calls
    elif message["content"] is None and message["refusal"] is None:
        message["content"] = ""
    choice = {"index": 0, "message": message, "logprobs": None, **_finish(answer.reason, answer.sequence)}
    return {
        "id": f"chatcmpl-{tail_of(answer.id)}",
        "object": "chat.completion",
        "created": answer.created or now,
        "model": answer.model,
        "choices": [choice],
        "usage": usage_of_chat(answer.usage),
    }


def _finish(reason: Stop, sequence: str | None) -> Document:
    return {"finish_reason": STOPS[reason], **({"stop_reason": sequence} if sequence else {})}


def _block(piece: Piece) -> Document:
    if piece.kind == "sealed":
        return {"type": "redacted_thinking", "data": piece.text}
    return {"type": "thinking", "thinking": piece.text, "signature": piece.signature}


def _call(piece: Piece, custom: Collection[str]) -> Document:
    if piece.name in custom:
        return {"id": piece.id, "type": "custom", "custom": {"name": piece.name, "input": piece.text}}
    return {"id": piece.id, "type": "function", "function": {"name": piece.name, "arguments": piece.text or "{}"}}


class ChatStream:
    """A teller that writes chunks. `now`: UTC seconds, where the upstream does not say when it began."""

    def __init__(self, asked: Asked, now: int, custom: Collection[str]) -> None:
        self._shows_usage, self._now, self._custom = asked.shows_usage, now, custom
        self._out: list[bytes] = []
        self._head = self._tail = b""
        self._usage = Usage()
        self._calls: dict[int, tuple[int, bool]] = {}  # by key: the index, and whether its tool takes free text
        self._silent: set[int] = set()  # calls of which no argument has come

    def take(self) -> bytes:
        """The bytes that are to be written now."""
        out, self._out = b"".join(self._out), []
        return out

    def begin(self, id: str, model: str, created: int) -> None:
        head = {
            "id": f"chatcmpl-{tail_of(id)}",
            "object": "chat.completion.chunk",
            "created": created or self._now,
            "model": model,
        }
        self._head = b"data: " + orjson.dumps(head)[:-1]
        self._tail = b',"usage":null}\n\n' if self._shows_usage else b"}\n\n"
        self._delta({"role": "assistant", "content": ""})

    def text(self, piece: str) -> None:
        self._delta({"content": piece})

    def refusal(self, piece: str) -> None:
        self._delta({"refusal": piece})

    def thought(self, piece: str) -> None:
        self._delta({"reasoning_content": piece})

    def signed(self, signature: str) -> None:
        self._delta({"thinking_blocks": [_block(Piece("thought", signature=signature))]})

    def sealed(self, data: str) -> None:
        self._delta({"thinking_blocks": [_block(Piece("sealed", data))]})

    def call(self, key: int, id: str, name: str) -> None:
        index, custom = len(self._calls), name in self._custom
        self._calls[key] = index, custom
        self._silent.add(key)
        kind, said = (
            ("custom", {"name": name, "input": ""}) if custom else ("function", {"name": name, "arguments": ""})
        )
        self._delta({"tool_calls": [{"index": index, "id": id, "type": kind, kind: said}]})

    def arguments(self, key: int, piece: str) -> None:
        index, custom = self._calls[key]
        self._silent.discard(key)
        said: Document = {"custom": {"input": piece}} if custom else {"function": {"arguments": piece}}
        self._delta({"tool_calls": [{"index": index, **said}]})

    def used(self, usage: Usage) -> None:
        self._usage = usage

    def stop(self, reason: Stop, sequence: str | None = None) -> None:
        for key in sorted(self._silent):
            if not self._calls[key][1]:
                self.arguments(key, "{}")  # no arguments are an empty object
        self._chunk({"index": 0, "delta": {}, "logprobs": None, **_finish(reason, sequence)})

    def fault(self, error: ReportedError) -> None:
        self._out.append(b"data: " + translated(error.status, error.body, "openai")[1] + b"\n\n")

    def end(self) -> None:
        if self._shows_usage:
            self._out.append(
                self._head + b',"choices":[],"usage":' + orjson.dumps(usage_of_chat(self._usage)) + b"}\n\n"
            )
        self._out.append(b"data: [DONE]\n\n")

    def _delta(self, delta: Document) -> None:
        self._chunk({"index": 0, "delta": delta, "logprobs": None, "finish_reason": None})

    def _chunk(self, choice: Any) -> None:
        self._out.append(self._head + b',"choices":[' + orjson.dumps(choice) + b"]" + self._tail)
