"""An answer in Anthropic's messages.

A stream's blocks stand one behind the other. A call of a tool whose arguments are not yet whole when the next block
begins stays open: some servers write several calls at once, and a block is known by its index.
"""

from __future__ import annotations

import orjson

from server.wire.faults import ReportedError
from server.wire.translate.collected import Collected, Piece
from server.wire.translate.error_bodies import translated
from server.wire.translate.figures_out import usage_of_messages
from server.wire.translate.ids import tail_of
from server.wire.translate.terms import Document, Stop
from server.wire.usage import Usage

STOPS = {
    Stop.END: "end_turn",
    Stop.SEQUENCE: "stop_sequence",
    Stop.LENGTH: "max_tokens",
    Stop.TOOLS: "tool_use",
    Stop.REFUSED: "refusal",
    Stop.PAUSED: "pause_turn",
    Stop.WINDOW: "model_context_window_exceeded",
}


def written(answer: Collected) -> Document:
    """A plain answer."""
    return {
        "id": f"msg_{tail_of(answer.id)}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [_block(piece) for piece in answer.pieces],
        "stop_reason": STOPS[answer.reason],
        "stop_sequence": answer.sequence,
        "usage": usage_of_messages(answer.usage),
    }


def _block(piece: Piece) -> Document:
    if piece.kind == "call":
        return {"type": "tool_use", "id": piece.id, "name": piece.name, "input": _input(piece.text)}
    if piece.kind == "thought":
        return {"type": "thinking", "thinking": piece.text, "signature": piece.signature}
    if piece.kind == "sealed":
        return {"type": "redacted_thinking", "data": piece.text}
    return {"type": "text", "text": piece.text}


def _input(arguments: str) -> Document:
    """The arguments as an object. What a model writes need not be one."""
    value = _parsed(arguments or "{}")
    return value if type(value) is dict else {"arguments": arguments}


def _parsed(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


_EMPTY: dict[str, Document] = {
    "text": {"type": "text", "text": ""},
    "refusal": {"type": "text", "text": ""},
    "thought": {"type": "thinking", "thinking": "", "signature": ""},
}


class MessagesStream:
    """A teller that writes events."""

    def __init__(self) -> None:
        self._out: list[bytes] = []
        self._usage = Usage()
        self._blocks = 0
        self._open = ""  # the kind of the block that is being written; empty between two
        self._calls: dict[int, int] = {}  # the indices of calls' blocks, by key
        self._unended: dict[int, list[str]] = {}  # the arguments of calls whose blocks are open, by key
        self._stop: tuple[Stop, str | None] = Stop.END, None

    def take(self) -> bytes:
        """The bytes that are to be written now."""
        out, self._out = b"".join(self._out), []
        return out

    def begin(self, id: str, model: str, created: int) -> None:
        message = written(Collected(id, model)) | {"stop_reason": None}
        self._event("message_start", {"message": message})

    def text(self, piece: str) -> None:
        self._within("text", {"type": "text_delta", "text": piece})

    def refusal(self, piece: str) -> None:
        self._within("refusal", {"type": "text_delta", "text": piece})

    def thought(self, piece: str) -> None:
        self._within("thought", {"type": "thinking_delta", "thinking": piece})

    def signed(self, signature: str) -> None:
        self._within("thought", {"type": "signature_delta", "signature": signature})
        self._leave()

    def sealed(self, data: str) -> None:
        self._leave()
        self._start({"type": "redacted_thinking", "data": data})
        self._ended(self._blocks - 1)

    def call(self, key: int, id: str, name: str) -> None:
        self._leave()
        self._calls[key], self._unended[key] = self._blocks, []
        self._start({"type": "tool_use", "id": id, "name": name, "input": {}})

    def arguments(self, key: int, piece: str) -> None:
        if key in self._unended:
            self._unended[key].append(piece)
        self._delta(self._calls[key], {"type": "input_json_delta", "partial_json": piece})

    def used(self, usage: Usage) -> None:
        self._usage = usage

    def stop(self, reason: Stop, sequence: str | None = None) -> None:
        self._leave()
        for key in self._unended:
            self._ended(self._calls[key])
        self._stop = reason, sequence

    def fault(self, error: ReportedError) -> None:
        self._out.append(b"event: error\ndata: " + translated(error.status, error.body, "anthropic")[1] + b"\n\n")

    def end(self) -> None:
        reason, sequence = self._stop
        delta = {"stop_reason": STOPS[reason], "stop_sequence": sequence}
        self._event("message_delta", {"delta": delta, "usage": usage_of_messages(self._usage)})
        self._event("message_stop", {})

    def _within(self, kind: str, delta: Document) -> None:
        if self._open != kind:
            self._leave()
            self._open = kind
            self._start(_EMPTY[kind])
        self._delta(self._blocks - 1, delta)

    def _leave(self) -> None:
        """End the blocks that are whole."""
        if self._open:
            self._open = ""
            self._ended(self._blocks - 1)
        for key in [key for key, pieces in self._unended.items() if _parsed("".join(pieces)) is not None]:
            del self._unended[key]
            self._ended(self._calls[key])

    def _start(self, block: Document) -> None:
        self._event("content_block_start", {"index": self._blocks, "content_block": block})
        self._blocks += 1

    def _delta(self, index: int, delta: Document) -> None:
        self._event("content_block_delta", {"index": index, "delta": delta})

    def _ended(self, index: int) -> None:
        self._event("content_block_stop", {"index": index})

    def _event(self, kind: str, said: Document) -> None:
        self._out.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **said})))
