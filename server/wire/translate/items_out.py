"""The items of a response while they are written (`answer_to_responses.py`)."""

from __future__ import annotations

from typing import Protocol

import orjson

from server.wire.translate.known_tools import KnownTool
from server.wire.translate.seals import closed
from server.wire.translate.terms import Document, Thought


class Writer(Protocol):
    def event(self, kind: str, said: Document) -> None:
        """Write an event."""


class Item:
    """One item. `document` is what it is so far, and all of it once it has ended."""

    def __init__(self, writer: Writer, place: int, document: Document) -> None:
        self._writer, self._place, self.document = writer, place, document

    def begin(self) -> None:
        self._writer.event("response.output_item.added", {"output_index": self._place, "item": self.document})

    def end(self) -> None:
        if "status" in self.document:
            self.document["status"] = "completed"
        self._writer.event("response.output_item.done", {"output_index": self._place, "item": self.document})

    def _tell(self, kind: str, **said: object) -> None:
        self._writer.event(kind, {"item_id": self.document["id"], "output_index": self._place, **said})


class MessageItem(Item):
    """Words of the assistant, in parts of text and of refusal."""

    def __init__(self, writer: Writer, place: int, tail: str) -> None:
        id = f"msg_{tail}_{place}"
        document = {"id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        super().__init__(writer, place, document)
        self._kind = ""  # of the part that is being written
        self._words: list[str] = []

    def say(self, kind: str, piece: str) -> None:
        if kind != self._kind:
            self._end_part()
            self._kind = kind
            self._tell("response.content_part.added", content_index=self._index, part=_part(kind, ""))
        self._words.append(piece)
        more: Document = {"logprobs": []} if kind == "output_text" else {}
        self._tell(f"response.{kind}.delta", content_index=self._index, delta=piece, **more)

    def end(self) -> None:
        self._end_part()
        super().end()

    @property
    def _index(self) -> int:
        return len(self.document["content"])

    def _end_part(self) -> None:
        if not self._kind:
            return
        kind, words = self._kind, "".join(self._words)
        self._kind, self._words = "", []
        said = {"text": words, "logprobs": []} if kind == "output_text" else {"refusal": words}
        self._tell(f"response.{kind}.done", content_index=self._index, **said)
        self._tell("response.content_part.done", content_index=self._index, part=_part(kind, words))
        self.document["content"].append(_part(kind, words))


def _part(kind: str, words: str) -> Document:
    if kind == "refusal":
        return {"type": "refusal", "refusal": words}
    return {"type": "output_text", "text": words, "annotations": [], "logprobs": []}


class ReasoningItem(Item):
    """A thought, with its provider's proof of it once that has come (`proven`)."""

    def __init__(self, writer: Writer, place: int, tail: str) -> None:
        super().__init__(writer, place, {"id": f"rs_{tail}_{place}", "type": "reasoning", "summary": []})
        self.proven = False
        self._words: list[str] = []
        self._signature = self._sealed = ""

    def think(self, piece: str) -> None:
        if not self._words:
            self._tell("response.reasoning_summary_part.added", summary_index=0, part=_summary(""))
        self._words.append(piece)
        self._tell("response.reasoning_summary_text.delta", summary_index=0, delta=piece)

    def sign(self, signature: str) -> None:
        self._signature += signature
        self.proven = True

    def seal(self, data: str) -> None:
        self._sealed = data
        self.proven = True

    def end(self) -> None:
        words = "".join(self._words)
        if self._words:
            self._tell("response.reasoning_summary_text.done", summary_index=0, text=words)
            self._tell("response.reasoning_summary_part.done", summary_index=0, part=_summary(words))
            self.document["summary"] = [_summary(words)]
        if self.proven:
            self.document["encrypted_content"] = closed([Thought(words, self._signature, self._sealed)])
        super().end()


def _summary(words: str) -> Document:
    return {"type": "summary_text", "text": words}


class ToolItem(Item):
    """A call of a tool: of a function, or of one that takes free text."""

    def __init__(self, writer: Writer, place: int, tail: str, call: str, named: tuple[str, str], custom: bool) -> None:
        space, name = named
        self._field = "input" if custom else "arguments"
        self._kind = "custom_tool_call_input" if custom else "function_call_arguments"
        document: Document = {
            "id": f"{'ctc' if custom else 'fc'}_{tail}_{place}",
            "type": "custom_tool_call" if custom else "function_call",
            "status": "in_progress",
            "call_id": call,
            "name": name,
            self._field: "",
        }
        super().__init__(writer, place, document | ({"namespace": space} if space else {}))
        self._words: list[str] = []

    @property
    def whole(self) -> bool:
        """Whether its arguments are whole."""
        return _is_whole(self._words)

    def say(self, piece: str) -> None:
        self._words.append(piece)
        self._tell(f"response.{self._kind}.delta", delta=piece)

    def end(self) -> None:
        words = "".join(self._words)
        if not words and self._field == "arguments":
            words = "{}"  # no arguments are an empty object
        self.document[self._field] = words
        name = {"name": self.document["name"]} if self._field == "arguments" else {}
        self._tell(f"response.{self._kind}.done", **{self._field: words}, **name)
        super().end()


class KnownToolItem(Item):
    """A call of a tool that is known by its type. What it says comes at its end: there are no events for its pieces."""

    def __init__(self, writer: Writer, place: int, tail: str, call: str, tool: KnownTool) -> None:
        self._tool = tool
        named = {"id": f"{tool.sign}_{tail}_{place}", "type": tool.call, "status": "in_progress", "call_id": call}
        super().__init__(writer, place, {**named, tool.says: tool.said("")})
        self._words: list[str] = []

    @property
    def whole(self) -> bool:
        """Whether its arguments are whole."""
        return _is_whole(self._words)

    def say(self, piece: str) -> None:
        self._words.append(piece)

    def end(self) -> None:
        self.document[self._tool.says] = self._tool.said("".join(self._words))
        super().end()


def _is_whole(words: list[str]) -> bool:
    try:
        orjson.loads("".join(words))
    except orjson.JSONDecodeError:
        return False
    return True
