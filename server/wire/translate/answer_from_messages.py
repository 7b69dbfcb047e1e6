"""Answers of Anthropic's messages, plain and streamed.

| event | what the teller hears |
|---|---|
| `message_start` | begin, the figures of the input |
| `content_block_start` | a call begins; a text or a thought may stand in it already |
| `content_block_delta` | a piece of the block |
| `message_delta` | why it ends, the figures of the output |
| `message_stop` | end |
| `error` | fault |
| `ping`, `content_block_stop` | nothing |
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from server.wire.faults import fault_of
from server.wire.figures import ANTHROPIC, Figures
from server.wire.translate.shapes import objects_in, text_in
from server.wire.translate.terms import Document, Stop, Teller

STOPS = {
    "end_turn": Stop.END,
    "stop_sequence": Stop.SEQUENCE,
    "max_tokens": Stop.LENGTH,
    "tool_use": Stop.TOOLS,
    "refusal": Stop.REFUSED,
    "pause_turn": Stop.PAUSED,
    "model_context_window_exceeded": Stop.WINDOW,
}


class FromMessages:
    """Tells an answer to a teller. `spare`: the id of an answer that has none."""

    def __init__(self, teller: Teller, spare: str) -> None:
        self._teller, self._spare = teller, spare
        self._figures = Figures(ANTHROPIC)
        self._calls: dict[int, int] = {}  # the keys of calls by the indices of their blocks
        self._stop: tuple[Stop, str | None] | None = None
        self._begun = self._ended = False
        self._heard: dict[str, Callable[[Document], None]] = {
            "message_start": self._start,
            "content_block_start": self._block,
            "content_block_delta": self._delta,
            "message_delta": self._last,
            "message_stop": lambda document: self.end(),
            "error": self._fault,
        }

    def event(self, document: Document) -> None:
        """One event of a stream."""
        kind = text_in(document, "type")
        if self._ended or (heard := self._heard.get(kind)) is None:
            return
        if not self._begun and kind != "message_start":
            self._begin({})
        heard(document)

    def whole(self, document: Document) -> None:
        """A plain answer."""
        self._begin(document)
        for index, block in enumerate(objects_in(document.get("content"))):
            self._block({"index": index, "content_block": block})
            if index in self._calls:
                self._teller.arguments(self._calls[index], orjson.dumps(block.get("input") or {}).decode())
        self._ending(document)
        self._stop = self._stop or (Stop.END, None)
        self.end()

    def end(self) -> None:
        """The stream says that it ends, or has ended. Without a reason to end it is no whole answer."""
        if self._ended or self._stop is None:
            return
        self._ended = True
        if (usage := self._figures.usage()) is not None:
            self._teller.used(usage)
        self._teller.stop(*self._stop)
        self._teller.end()

    def _fault(self, document: Document) -> None:
        if (fault := fault_of(document)) is not None:
            self._ended = True
            self._teller.fault(fault)

    def _start(self, document: Document) -> None:
        message = document.get("message")
        if not self._begun:
            self._begin(message if type(message) is dict else {})

    def _begin(self, message: Document) -> None:
        self._begun = True
        self._spare = text_in(message, "id") or self._spare
        self._teller.begin(self._spare, text_in(message, "model"), 0)
        self._figures.add(message.get("usage"))

    def _block(self, document: Document) -> None:
        """A block begins; its input comes behind, in a stream. The provider's own tools are nothing to a caller."""
        block = document.get("content_block")
        if type(block) is not dict:
            return
        kind = block.get("type")
        if kind == "text":
            self._say(self._teller.text, block, "text")
        elif kind == "thinking":
            self._say(self._teller.thought, block, "thinking")
            self._say(self._teller.signed, block, "signature")
        elif kind == "redacted_thinking":
            self._say(self._teller.sealed, block, "data")
        elif kind == "tool_use":
            key = self._calls[_index(document)] = len(self._calls)
            self._teller.call(key, text_in(block, "id") or f"call_{self._spare}_{key}", text_in(block, "name"))

    def _delta(self, document: Document) -> None:
        delta = document.get("delta")
        if type(delta) is not dict:
            return
        kind = delta.get("type")
        if kind == "text_delta":
            self._say(self._teller.text, delta, "text")
        elif kind == "input_json_delta":
            key, piece = self._calls.get(_index(document)), text_in(delta, "partial_json")
            if key is not None and piece:
                self._teller.arguments(key, piece)
        elif kind == "thinking_delta":
            self._say(self._teller.thought, delta, "thinking")
        elif kind == "signature_delta":
            self._say(self._teller.signed, delta, "signature")

    def _say(self, tell: Callable[[str], None], said: Document, name: str) -> None:
        if piece := text_in(said, name):
            tell(piece)

    def _last(self, document: Document) -> None:
        self._figures.add(document.get("usage"))
        if type(delta := document.get("delta")) is dict:
            self._ending(delta)

    def _ending(self, said: Document) -> None:
        if reason := text_in(said, "stop_reason"):
            self._stop = STOPS.get(reason, Stop.END), text_in(said, "stop_sequence") or None
        if type(details := said.get("stop_details")) is dict:
            self._say(self._teller.refusal, details, "explanation")


def _index(document: Document) -> int:
    index = document.get("index")
    return index if type(index) is int else -1
