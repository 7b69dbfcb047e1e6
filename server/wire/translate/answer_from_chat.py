"""Answers of OpenAI's chat completions, plain and streamed, and those of servers that speak like it.

A call's pieces carry its index; some servers leave that out, or give all calls the same one and another id. Some say
`stop` where they have called a tool, some `[DONE]` never, and some give calls no ids: then those are made from the
answer's own id.
"""

from __future__ import annotations

from typing import Any

import orjson

from server.wire.faults import fault_of
from server.wire.figures import OPENAI, Figures
from server.wire.translate.shapes import objects_in, text_in
from server.wire.translate.terms import Document, Stop, Teller

STOPS = {
    "stop": Stop.END,
    "length": Stop.LENGTH,
    "tool_calls": Stop.TOOLS,
    "function_call": Stop.TOOLS,
    "content_filter": Stop.REFUSED,
}


class FromChat:
    """Tells an answer to a teller. `spare`: the id of an answer that has none."""

    def __init__(self, teller: Teller, spare: str) -> None:
        self._teller, self._spare = teller, spare
        self._figures = Figures(OPENAI)
        self._begun = False
        self._calls: dict[int | None, int] = {}  # the keys of calls by the servers' indices
        self._ids: list[str] = []  # of the calls, by their keys
        self._stop: tuple[Stop, str | None] | None = None
        self._declined = False
        self._ended = False

    def event(self, document: Document) -> None:
        """One chunk of a stream."""
        if self._ended:
            return
        silent = "error" in document or not document.get("choices")
        if silent and (fault := fault_of(document)) is not None:
            self._begin(document)
            self._teller.fault(fault)
            self._ended = True
            return
        self._tell(document, "delta")

    def whole(self, document: Document) -> None:
        """A plain answer."""
        self._tell(document, "message")
        self._stop = self._stop or (Stop.END, None)
        self.end()

    def end(self) -> None:
        """The stream says that it ends, or has ended. Without a reason to end it is no whole answer."""
        if self._ended or self._stop is None:
            return
        self._ended = True
        reason, sequence = self._stop
        if reason is Stop.END:
            reason = Stop.TOOLS if self._ids else Stop.REFUSED if self._declined else reason
        if (usage := self._figures.usage()) is not None:
            self._teller.used(usage)
        self._teller.stop(reason, sequence)
        self._teller.end()

    def _tell(self, document: Document, said: str) -> None:
        self._begin(document)
        choices = document.get("choices")
        if type(choices) is list and choices and type(choices[0]) is dict:
            self._choice(choices[0], said)
        if "usage" in document:
            self._figures.add(document["usage"])

    def _begin(self, document: Document) -> None:
        if not self._begun:
            self._begun = True
            created = document.get("created")
            self._spare = text_in(document, "id") or self._spare
            self._teller.begin(self._spare, text_in(document, "model"), created if type(created) is int else 0)

    def _choice(self, choice: Document, said: str) -> None:
        delta = choice.get(said)
        if type(delta) is dict:
            self._delta(delta)
        if "usage" in choice:  # Moonshot's
            self._figures.add(choice["usage"])
        if finished := text_in(choice, "finish_reason"):
            stop, matched = STOPS.get(finished, Stop.END), text_in(choice, "stop_reason")  # vLLM's
            self._stop = (Stop.SEQUENCE, matched) if stop is Stop.END and matched else (stop, None)

    def _delta(self, delta: Document) -> None:
        if thought := text_in(delta, "reasoning_content") or text_in(delta, "reasoning"):
            self._teller.thought(thought)
        content = delta.get("content")
        if content and type(content) is str:
            self._teller.text(content)
        elif content:  # Mistral's, with its thoughts
            self._parts(content)
        if refusal := text_in(delta, "refusal"):
            self._declined = True
            self._teller.refusal(refusal)
        if "tool_calls" in delta:
            for call in objects_in(delta["tool_calls"]):
                self._call(call)
        if type(function := delta.get("function_call")) is dict:
            self._call({"index": 0, "function": function})

    def _parts(self, parts: Any) -> None:
        for part in objects_in(parts):
            if text := text_in(part, "text"):
                self._teller.text(text)
            for each in objects_in(part.get("thinking")):
                if thought := text_in(each, "text"):
                    self._teller.thought(thought)

    def _call(self, call: Document) -> None:
        function = call.get("function") or call.get("custom")
        function = function if type(function) is dict else {}
        index, id = call.get("index"), text_in(call, "id")
        index = index if type(index) is int else None
        key = self._calls.get(index) if index is not None or not id else None
        if key is not None and id and self._ids[key] != id and function.get("name"):
            key = None  # another call under the same index
        if key is None:
            key = self._calls[index] = len(self._ids)
            self._ids.append(id or f"call_{self._spare}_{key}")
            self._teller.call(key, self._ids[key], text_in(function, "name"))
        arguments = function.get("arguments", function.get("input"))
        if arguments:
            self._teller.arguments(key, arguments if type(arguments) is str else orjson.dumps(arguments).decode())
