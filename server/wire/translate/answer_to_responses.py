"""An answer in OpenAI's responses: items, each of which is added, written and done; the last event has them all.

| item | while it is written | when it is done |
|---|---|---|
| `message` | parts: `output_text`, `refusal` | the part's words, the part, the item |
| `reasoning` | a summary | its words, its part, the item with its proof (`seals.py`) |
| `function_call`, `custom_tool_call` | arguments, input | the whole of them, the item |
| `shell_call` and its like (`known_tools.py`) | | the item |

An item ends when the next one begins; a call only when its arguments are whole, since some servers write several at
once. A plain answer is what the last event of a stream would have.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import orjson

from server.wire.faults import ReportedError
from server.wire.translate.error_bodies import translated
from server.wire.translate.figures_out import usage_of_responses
from server.wire.translate.ids import tail_of
from server.wire.translate.items_out import Item, KnownToolItem, MessageItem, ReasoningItem, ToolItem
from server.wire.translate.known_tools import KNOWN
from server.wire.translate.terms import Asked, Document, Stop
from server.wire.usage import Usage

_INCOMPLETE = {
    Stop.LENGTH: "max_output_tokens",
    Stop.WINDOW: "max_output_tokens",
    Stop.REFUSED: "content_filter",
}


class ResponsesStream:
    """A teller that writes events. `now`: UTC seconds, where the upstream does not say when it began."""

    def __init__(self, asked: Asked, now: int, custom: Collection[str]) -> None:
        self._now, self._custom, self._spaces, self._known = now, custom, asked.spaces, asked.known
        self._echo: Mapping[str, Any] = asked.echo
        self._out: list[bytes] = []
        self._number = 0  # of the next event
        self._tail = ""
        self._items: list[Item] = []
        self._open: MessageItem | ReasoningItem | None = None
        self._calls: dict[int, ToolItem | KnownToolItem] = {}  # by key
        self._unended: list[ToolItem | KnownToolItem] = []
        self.response: Document = {}

    def take(self) -> bytes:
        """The bytes that are to be written now."""
        out, self._out = b"".join(self._out), []
        return out

    def begin(self, id: str, model: str, created: int) -> None:
        self._tail = tail_of(id)
        self.response = {
            "id": f"resp_{self._tail}",
            "object": "response",
            "created_at": created or self._now,
            "status": "in_progress",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": model,
            "output": [],
            "previous_response_id": None,
            "store": False,
            "usage": None,
            **self._echo,
        }
        self.event("response.created", {"response": self.response})
        self.event("response.in_progress", {"response": self.response})

    def text(self, piece: str) -> None:
        self._message().say("output_text", piece)

    def refusal(self, piece: str) -> None:
        self._message().say("refusal", piece)

    def thought(self, piece: str) -> None:
        self._reasoning().think(piece)

    def signed(self, signature: str) -> None:
        self._reasoning().sign(signature)

    def sealed(self, data: str) -> None:
        self._reasoning().seal(data)

    def call(self, key: int, id: str, name: str) -> None:
        self._leave()
        item = self._tool_item(id, name)
        self._calls[key] = item
        self._unended.append(item)
        self._items.append(item)
        item.begin()

    def _tool_item(self, id: str, name: str) -> ToolItem | KnownToolItem:
        if name in self._known:
            return KnownToolItem(self, self._place(), self._tail, id, KNOWN[name])
        named = self._spaces.get(name, ("", name))
        return ToolItem(self, self._place(), self._tail, id, named, name in self._custom)

    def arguments(self, key: int, piece: str) -> None:
        self._calls[key].say(piece)

    def used(self, usage: Usage) -> None:
        self.response["usage"] = usage_of_responses(usage)

    def stop(self, reason: Stop, sequence: str | None = None) -> None:
        self._leave()
        cut = _INCOMPLETE.get(reason)
        for item in self._unended:
            item.end()
        self.response["output"] = [item.document for item in self._items]
        self.response["status"] = "completed" if cut is None else "incomplete"
        self.response["incomplete_details"] = None if cut is None else {"reason": cut}

    def fault(self, error: ReportedError) -> None:
        said = orjson.loads(translated(error.status, error.body, "openai")[1])["error"]
        code = said["code"] or "server_error"
        self.response |= {"status": "failed", "error": {"code": code, "message": said["message"]}}
        self.event("response.failed", {"response": self.response})

    def end(self) -> None:
        self.event(f"response.{self.response['status']}", {"response": self.response})

    def event(self, kind: str, said: Document) -> None:
        """Write an event."""
        document = orjson.dumps({"type": kind, "sequence_number": self._number, **said})
        self._number += 1
        self._out.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), document))

    def _place(self) -> int:
        return len(self._items)

    def _message(self) -> MessageItem:
        if isinstance(self._open, MessageItem):
            return self._open
        self._leave()
        item = self._open = MessageItem(self, self._place(), self._tail)
        self._items.append(item)
        item.begin()
        return item

    def _reasoning(self) -> ReasoningItem:
        if isinstance(self._open, ReasoningItem) and not self._open.proven:
            return self._open
        self._leave()
        item = self._open = ReasoningItem(self, self._place(), self._tail)
        self._items.append(item)
        item.begin()
        return item

    def _leave(self) -> None:
        """End the items that are whole."""
        if self._open is not None:
            self._open.end()
            self._open = None
        for item in [item for item in self._unended if item.whole]:
            self._unended.remove(item)
            item.end()
